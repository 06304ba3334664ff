//! Gives the values of placeholders: what was captured, answered, looked up, and how long the queue is.
//! Owns: the names that are not a rule's own. Uses: rules, model. Never: how a text is filled.

use std::time::Duration;

use super::case::Case;
use crate::rules::Found;

/// Where values come from.
#[derive(Clone, Copy)]
pub(super) struct Gaps<'a> {
    pub(super) case: &'a Case<'a>,
    /// What the rules found, when this message made the rule speak.
    pub(super) found: Option<&'a Found>,
    /// What a form has gathered.
    pub(super) saved: &'a [(Box<str>, Box<str>)],
    /// What another system answered.
    pub(super) answered: &'a [(Box<str>, Box<str>)],
}

impl Gaps<'_> {
    /// The value of a placeholder; nothing when there is none now.
    pub(super) fn value(&self, name: &str) -> Option<Box<str>> {
        if let Some(field) = name.strip_prefix("hook.") {
            return find(self.answered, field);
        }
        if let Some(saved) = find(self.saved, name) {
            return Some(saved);
        }
        let Case {
            message,
            memory,
            rules,
            now,
        } = self.case;
        match name {
            "follower.id" => Some(message.from.as_str().into()),
            "queue.ahead" => Some(memory.waiting.to_string().into()),
            "queue.eta" => {
                let each = rules.set.settings().answer_takes;
                Some(in_words(
                    each.saturating_mul(memory.waiting.saturating_add(1)),
                ))
            }
            _ => rules
                .set
                .moment(name, *now)
                .or_else(|| self.found?.value(name).map(Box::from)),
        }
    }
}

fn find(values: &[(Box<str>, Box<str>)], name: &str) -> Option<Box<str>> {
    let known = values.iter().find(|(known, _)| **known == *name);
    known.map(|(_, value)| value.clone())
}

/// A length of time as people say it, rounded up to minutes.
fn in_words(time: Duration) -> Box<str> {
    let minutes = time.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} 分钟"),
        (hours, 0) => format!("{hours} 小时"),
        (hours, minutes) => format!("{hours} 小时 {minutes} 分钟"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_said_in_hours_and_minutes() {
        for (seconds, said) in [
            (20, "1 分钟"),
            (540, "9 分钟"),
            (3600, "1 小时"),
            (5401, "1 小时 31 分钟"),
        ] {
            assert_eq!(&*in_words(Duration::from_secs(seconds)), said);
        }
    }
}
