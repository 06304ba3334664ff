//! Runs the tests that stand beside rules, through the same decision as every message.
//! Owns: how a test's question becomes a message, what counts as passed. Uses: rules, model. Never: I/O, the clock.

use std::sync::Arc;

use super::case::Case;
use super::gaps::Gaps;
use super::tried::question;
use super::{ActiveRules, Decision, Memory, Step, decide};
use crate::model::{
    AccountName, Change, Content, Conversation, ConversationId, Entry, Event, EventKind,
    HookAnswer, HookFault, Incoming, OpenId, Remembered, Reply, Time, Turn, TurnKey,
};
use crate::rules::diagnostic::{Place, Words};
use crate::rules::{Asked, Code, Diagnostic, Pick, Script};

/// A failed test shows so many candidates.
const SHOWN: usize = 3;

/// Runs every test of the rule set; one remark for each that fails.
pub fn run_tests(rules: &ActiveRules) -> Vec<Diagnostic> {
    let beside = rules.set.inline_tests().filter_map(|test| {
        let mut talk = Talk::new(rules, test.account.clone(), test.tags, test.at);
        let expected = Expected {
            rule: test.expect,
            not_rule: test.expect_not,
            has: test.has,
        };
        talk.holds(&test.asked, None, &expected, &test.place)
    });
    let scripts = rules
        .set
        .scripts()
        .filter_map(|script| run_script(rules, script));
    beside.chain(scripts).collect()
}

/// Holds a conversation; the first turn that goes wrong is the remark.
fn run_script(rules: &ActiveRules, script: &Script) -> Option<Diagnostic> {
    let mut talk = Talk::new(rules, script.account.clone(), &script.tags, script.at);
    script.turns.iter().find_map(|turn| {
        talk.now = talk.now.plus(turn.after);
        let expected = Expected {
            rule: turn.expect.as_deref(),
            not_rule: turn.expect_not.as_deref(),
            has: turn.has.as_deref(),
        };
        talk.holds(&turn.asked(), turn.hook.as_ref(), &expected, &turn.place)
    })
}

/// What a test expects of one message.
struct Expected<'t> {
    rule: Option<&'t str>,
    not_rule: Option<&'t str>,
    has: Option<&'t str>,
}

/// A follower of a test, message after message.
struct Talk<'r> {
    rules: &'r ActiveRules,
    account: AccountName,
    follower: OpenId,
    conversation: Option<Conversation>,
    now: Time,
    said: u32,
}

impl<'r> Talk<'r> {
    fn new(
        rules: &'r ActiveRules,
        account: AccountName,
        tags: &[Box<str>],
        at: Option<Time>,
    ) -> Self {
        let follower = OpenId::parse("inline-test").expect("a legal openid");
        let now = at.unwrap_or_else(|| rules.set.test_time());
        let mut talk = Self {
            rules,
            account,
            follower,
            conversation: None,
            now,
            said: 0,
        };
        if !tags.is_empty() {
            let known = Remembered {
                tags: tags.to_vec(),
                ..Remembered::default()
            };
            talk.conversation = Some(Conversation {
                remembered: Some(Box::new(known)),
                ..talk.first_met(TurnKey::of_text("tags"))
            });
        }
        talk
    }

    fn first_met(&self, key: TurnKey) -> Conversation {
        let id = ConversationId::at(self.now, 0, key);
        Conversation::new(id, self.account.clone(), self.follower.clone(), self.now)
    }

    /// Says something; a remark if it does not lead to what is expected.
    fn holds(
        &mut self,
        asked: &Asked<'_>,
        hook: Option<&HookAnswer>,
        expected: &Expected<'_>,
        place: &Place,
    ) -> Option<Diagnostic> {
        let message = incoming(asked, &self.follower);
        self.said += 1;
        let key = match self.said {
            1 => TurnKey::of_text(&asked.to_string()),
            said => TurnKey::of_text(&format!("{asked}\n{said}")),
        };
        let memory = Memory {
            conversation: self.conversation.clone().map(Arc::new),
            ..Memory::empty(self.account.clone(), key)
        };
        let step = decide(&message, &memory, self.rules, self.now);
        let decision = settled(step, hook, &message, &memory, self.rules, self.now);
        let case = Case {
            message: &message,
            memory: &memory,
            rules: self.rules,
            now: self.now,
        };
        let remark = judge(asked, expected, place, &decision, &case);
        self.remember(message, key, &decision);
        remark
    }

    fn remember(&mut self, incoming: Incoming, key: TurnKey, decision: &Decision) {
        if !decision.is_kept {
            return;
        }
        let mut conversation = self
            .conversation
            .take()
            .unwrap_or_else(|| self.first_met(key));
        let turn = Turn {
            key,
            account: self.account.clone(),
            incoming,
            answer: decision.answer.clone(),
        };
        conversation.apply(&Entry {
            at: self.now,
            conversation: conversation.id,
            change: Change::Turn(Box::new(turn)),
        });
        self.conversation = Some(conversation);
    }
}

/// The decision; where another system would be asked, it does not answer.
fn settled(
    step: Step,
    hook: Option<&HookAnswer>,
    message: &Incoming,
    memory: &Memory,
    rules: &ActiveRules,
    now: Time,
) -> Decision {
    match step {
        Step::Done(decision) => decision,
        Step::Ask(asked) => {
            let offline = HookAnswer::Failed(HookFault::Offline);
            asked
                .continuation
                .resume(hook.unwrap_or(&offline), message, memory, rules, now)
        }
    }
}

/// The message that a test, or `try`, asks about.
pub fn incoming(asked: &Asked<'_>, follower: &OpenId) -> Incoming {
    let content = match asked {
        Asked::Say(text) => Content::Text {
            text: (*text).into(),
            menu_id: None,
        },
        Asked::Event { name, key } => Content::Event(event(name, *key)),
        Asked::Message(kind) => message(kind),
    };
    Incoming {
        to: "gh_test".into(),
        from: follower.clone(),
        create_time: 0,
        msg_id: None,
        content,
    }
}

/// An event by the name that rules use, or WeChat's own.
fn event(name: &str, key: Option<&str>) -> Event {
    let kind = match name.to_ascii_lowercase().as_str() {
        "menu" => EventKind::Click,
        other => EventKind::named(other),
    };
    let known = EventKind::ALL.iter().find(|(known, _)| *known == kind);
    let name = known.map_or(name, |(_, name)| name);
    let key = key.map(|key| match kind {
        EventKind::Subscribe => format!("qrscene_{key}").into(),
        _ => key.into(),
    });
    Event {
        kind,
        name: name.into(),
        key,
        fields: Vec::new(),
    }
}

/// A message of this kind with nothing in it.
fn message(kind: &str) -> Content {
    let none = || Box::from("");
    match kind {
        "image" => Content::Image {
            pic_url: none(),
            media_id: none(),
        },
        "voice" => Content::Voice {
            media_id: none(),
            format: none(),
            media_id_16k: None,
            recognition: None,
        },
        "video" => Content::Video {
            media_id: none(),
            thumb_media_id: none(),
        },
        "shortvideo" => Content::ShortVideo {
            media_id: none(),
            thumb_media_id: none(),
        },
        "location" => Content::Location {
            latitude: none(),
            longitude: none(),
            scale: none(),
            label: none(),
        },
        "link" => Content::Link {
            title: none(),
            description: none(),
            url: none(),
        },
        "file" => Content::File {
            title: none(),
            description: none(),
            key: none(),
            md5: none(),
            size: none(),
        },
        "miniprogrampage" => Content::MiniProgramPage {
            title: none(),
            app_id: none(),
            page_path: none(),
            thumb_url: none(),
            thumb_media_id: none(),
        },
        other => Content::Unknown {
            msg_type: other.into(),
            fields: Vec::new(),
        },
    }
}

/// A remark if the decision is not what the test expects.
fn judge(
    asked: &Asked<'_>,
    expected: &Expected<'_>,
    place: &Place,
    decision: &Decision,
    case: &Case<'_>,
) -> Option<Diagnostic> {
    let answered = decision.rule.as_ref().map_or("", |rule| rule.as_str());
    let named = |id: &str, (nobody_zh, nobody_en): (&str, &str)| {
        if id.is_empty() {
            (nobody_zh.to_owned(), nobody_en.to_owned())
        } else {
            (format!("\"{id}\""), format!("\"{id}\""))
        }
    };
    let nobody = ("没有规则", "no rule");
    let (zh, by_en) = named(answered, nobody);
    let answered_zh = match answered {
        "" => format!("{zh}回答"),
        _ => format!("由{zh}回答"),
    };
    let wrong = if let Some(expect) = expected.rule.filter(|expect| *expect != answered) {
        let (zh, en) = named(expect, nobody);
        (format!("期望{zh}"), format!("expected {en}"))
    } else if let Some(id) = expected.not_rule.filter(|id| *id == answered) {
        let (zh, en) = named(id, nobody);
        (
            format!("期望不是{zh}"),
            format!("expected anything but {en}"),
        )
    } else {
        let has = expected.has?;
        if said(decision)
            .chain(variants(decision, case))
            .any(|said| said.contains(has))
        {
            return None;
        }
        (
            format!("回复里没有「{has}」"),
            format!("the reply does not contain \"{has}\""),
        )
    };
    let words = Words::new(
        format!("测试没通过:「{asked}」{answered_zh},{}", wrong.0),
        format!(
            "test fails: \"{asked}\" was answered by {by_en}, {}",
            wrong.1
        ),
    );
    let diagnostic = Diagnostic::new(Code::TestFails, place.clone(), words);
    Some(match trace(decision, case) {
        Some(trace) => diagnostic.help(trace),
        None => diagnostic,
    })
}

/// Everything the follower reads.
fn said(decision: &Decision) -> impl Iterator<Item = String> {
    let more = decision.answer.more.iter().map(|push| &push.reply);
    decision
        .answer
        .passive()
        .into_iter()
        .chain(more)
        .map(Reply::shown)
}

/// What might have been said as well: the other replies of a rule that says one of several.
fn variants(decision: &Decision, case: &Case<'_>) -> Vec<String> {
    let found = decision.found.as_ref();
    let Some(course) = found.and_then(|found| case.rules.set.course(found, &case.memory.account))
    else {
        return Vec::new();
    };
    if decision.rule.as_ref() != Some(course.rule) || course.pick == Pick::All {
        return Vec::new();
    }
    let gaps = Gaps {
        case,
        found,
        saved: &[],
        answered: &[],
    };
    let replies = course.says.iter().filter_map(|said| {
        let reply = said.reply(&|name| gaps.value(name), &case.memory.media);
        Some(reply.ok()?.shown())
    });
    let replies: Vec<String> = replies.collect();
    // Otherwise it said something else: a question, or its short words.
    let is_one_of_them = said(decision).any(|said| replies.contains(&said));
    if is_one_of_them { replies } else { Vec::new() }
}

/// Who was considered, and what became of each.
fn trace(decision: &Decision, case: &Case<'_>) -> Option<Words> {
    if let Some(alarm) = &decision.alarm {
        let (shown, tier) = (alarm.shown(), alarm.tier_word());
        return Some(Words::new(
            format!("经过:危机词先于规则({shown},{tier})"),
            format!("trace: words of danger come before rules ({shown}, {tier})"),
        ));
    }
    let found = decision.found.as_ref()?;
    let asked = question(&case.message.content);
    let explained = case.rules.set.explain(found, &asked, case.now);
    if explained.is_empty() {
        return None;
    }
    let shown = explained.iter().take(SHOWN);
    let line = |verdict: &str, rule: &str, kind: &str| format!("{rule} ({kind}): {verdict}");
    let zh: Vec<String> = shown
        .clone()
        .map(|one| line(&one.verdict.zh, &one.rule, one.kind))
        .collect();
    let en: Vec<String> = shown
        .map(|one| line(&one.verdict.en, &one.rule, one.kind))
        .collect();
    Some(Words::new(
        format!("经过:{}", zh.join(";")),
        format!("trace: {}", en.join("; ")),
    ))
}
