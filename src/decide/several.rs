//! Chooses among a rule's replies, and fits several of them into one answer and the pushes behind it.
//! Owns: random, all, rotate; what is joined where little can be pushed. Uses: join, rules, model. Never: who speaks.

use super::case::Case;
use super::gaps::Gaps;
use super::join::both;
use crate::model::entry::{Push, Spoken};
use crate::model::{By, MessageId, Noted, Reply};
use crate::rules::{Course, NotUploaded, Pick, Said};

/// What a rule says now.
#[derive(Default)]
pub(super) struct Chosen {
    /// In answer.
    pub(super) own: Option<Reply>,
    /// Behind it.
    pub(super) more: Vec<Reply>,
    /// That the rule moved on to its next reply.
    pub(super) noted: Option<Noted>,
}

/// Chooses what a course says. Replies whose file cannot be sent now are passed over.
///
/// # Errors
/// [`NotUploaded`] when nothing is left for that reason.
pub(super) fn choose(
    case: &Case<'_>,
    course: &Course<'_>,
    gaps: &Gaps<'_>,
) -> Result<Chosen, NotUploaded> {
    let says = course.says;
    let values = |name: &str| gaps.value(name);
    let ready = |said: &Said| said.reply(&values, &case.memory.media);
    match (says, course.pick) {
        ([], _) => Ok(Chosen::default()),
        ([only], _) => Ok(Chosen {
            own: Some(ready(only)?),
            ..Chosen::default()
        }),
        (_, Pick::Random) => {
            let first = usize::try_from(chance(case, course) % len(says)).unwrap_or(0);
            let (own, _) = first_ready(says, first, ready)?;
            Ok(Chosen {
                own: Some(own),
                ..Chosen::default()
            })
        }
        (_, Pick::Rotate) => {
            let next = case
                .remembered()
                .map_or(0, |known| known.next_reply(course.rule));
            let (own, used) = first_ready(says, usize::from(next) % says.len(), ready)?;
            let next = u16::try_from((used + 1) % says.len()).unwrap_or(0);
            let rule = course.rule.clone();
            Ok(Chosen {
                own: Some(own),
                noted: Some(Noted::Rotated { rule, next }),
                ..Chosen::default()
            })
        }
        (_, Pick::All) => {
            let (replies, missing): (Vec<_>, Vec<_>) =
                says.iter().map(ready).partition(Result::is_ok);
            let replies = fitted(replies.into_iter().flatten().collect(), case.pushes_left());
            let mut replies = replies.into_iter();
            match (replies.next(), missing.into_iter().find_map(Result::err)) {
                (None, Some(missing)) => Err(missing),
                (own, _) => Ok(Chosen {
                    own,
                    more: replies.collect(),
                    noted: None,
                }),
            }
        }
    }
}

/// The replies behind the first as pushes.
pub(super) fn pushes(case: &Case<'_>, own: &Spoken, more: Vec<Reply>) -> Vec<Push> {
    let at = case.now.plus(super::held::PASSIVE_WRITTEN);
    let each = more.into_iter().zip(3_u8..).map(|(reply, n)| {
        let said = Spoken {
            reply,
            ..own.clone()
        };
        Push {
            id: MessageId::at(case.now, n, case.memory.key),
            ..Push::of_turn(&said, case.memory.key, case.now, at, None)
        }
    });
    each.collect()
}

/// The same for every repeat of a turn, different for two rules.
fn chance(case: &Case<'_>, course: &Course<'_>) -> u64 {
    let of_rule = super::digest(course.rule.as_str());
    // Fibonacci hashing: the seed's low bits alone would do for few rules only.
    (case.memory.key.seed() ^ of_rule).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn len(says: &[Said]) -> u64 {
    u64::try_from(says.len()).unwrap_or(1)
}

/// The first reply from `first` on that can be sent, and its place.
fn first_ready(
    says: &[Said],
    first: usize,
    ready: impl Fn(&Said) -> Result<Reply, NotUploaded>,
) -> Result<(Reply, usize), NotUploaded> {
    let mut missing = None;
    for (place, said) in says.iter().enumerate().cycle().skip(first).take(says.len()) {
        match ready(said) {
            Ok(reply) => return Ok((reply, place)),
            Err(file) => missing = Some(file),
        }
    }
    Err(missing.unwrap_or_else(|| NotUploaded("".into())))
}

/// Makes replies few enough: texts side by side are joined where they fit, then the last are dropped.
fn fitted(mut replies: Vec<Reply>, pushes: u8) -> Vec<Reply> {
    while replies.len() > usize::from(pushes) + 1 {
        let joined = replies
            .windows(2)
            .enumerate()
            .find_map(|(at, pair)| match pair {
                [Reply::Text(first), Reply::Text(second)] => Some((at, both(first, second)?)),
                _ => None,
            });
        match joined {
            Some((at, text)) => {
                replies.remove(at + 1);
                if let Some(reply) = replies.get_mut(at) {
                    *reply = Reply::Text(text);
                }
            }
            None => drop(replies.pop()),
        }
    }
    replies
}

/// Who speaks when a rule does.
pub(super) fn spoken(case: &Case<'_>, course: &Course<'_>, reply: Reply) -> Spoken {
    Spoken {
        by: By::Rule,
        rule: Some(course.rule.clone()),
        revision: case.rules.revision,
        reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Text(text.into())
    }

    fn picture() -> Reply {
        Reply::Image {
            media_id: "m".into(),
        }
    }

    #[test]
    fn texts_are_joined_where_too_little_can_be_pushed_and_the_rest_is_dropped() {
        let all = || vec![text("一"), picture(), text("二"), text("三")];
        assert_eq!(fitted(all(), 3), all());
        assert_eq!(fitted(all(), 2), [text("一"), picture(), text("二\n\n三")]);
        assert_eq!(fitted(all(), 1), [text("一"), picture()]);
        assert_eq!(
            fitted(vec![text("一"), text("二"), text("三")], 0),
            [text("一\n\n二\n\n三")]
        );
        assert_eq!(fitted(vec![picture(), text("二")], 0), [picture()]);
    }
}
