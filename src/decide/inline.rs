//! Runs the tests that stand beside rules, through the same decision as every message.
//! Owns: how a test's question becomes a message, what counts as passed. Uses: rules, model. Never: I/O, the clock.

use super::tried::question;
use super::{ActiveRules, Decision, Memory, Step, decide};
use crate::model::{
    By, Content, Event, EventKind, HookAnswer, HookFault, Incoming, OpenId, Time, TurnKey,
};
use crate::rules::diagnostic::Words;
use crate::rules::{Asked, Code, Diagnostic, InlineTest};

/// Tests without a time run on 3 June 2026, 12:00 in China.
const TEST_TIME: Time = Time::from_seconds(1_780_459_200);
/// A failed test shows so many candidates.
const SHOWN: usize = 3;

/// Runs every test beside a rule; one remark for each that fails.
pub fn run_tests(rules: &ActiveRules) -> Vec<Diagnostic> {
    let follower = OpenId::parse("inline-test").expect("a legal openid");
    let failed = rules.set.inline_tests().filter_map(|test| {
        let message = incoming(&test.asked, &follower);
        let key = TurnKey::of_text(&test.asked.to_string());
        let memory = Memory::empty(test.account.clone(), key);
        let step = decide(&message, &memory, rules, TEST_TIME);
        let decision = settled(step, &message, &memory, rules, TEST_TIME);
        judge(&test, &decision, &message, rules)
    });
    failed.collect()
}

/// The decision; where another system would be asked, it does not answer.
fn settled(
    step: Step,
    message: &Incoming,
    memory: &Memory,
    rules: &ActiveRules,
    now: Time,
) -> Decision {
    match step {
        Step::Done(decision) => decision,
        Step::Ask(asked) => {
            let answer = HookAnswer::Failed(HookFault::Offline);
            asked
                .continuation
                .resume(&answer, message, memory, rules, now)
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
        create_time: TEST_TIME.seconds(),
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
    test: &InlineTest<'_>,
    decision: &Decision,
    message: &Incoming,
    rules: &ActiveRules,
) -> Option<Diagnostic> {
    let own = decision
        .answer
        .own
        .as_ref()
        .filter(|own| own.by == By::Rule);
    let answered = decision.rule.as_ref().map_or("", |rule| rule.as_str());
    let named = |id: &str, (nobody_zh, nobody_en): (&str, &str)| {
        if id.is_empty() {
            (nobody_zh.to_owned(), nobody_en.to_owned())
        } else {
            (format!("\"{id}\""), format!("\"{id}\""))
        }
    };
    let nobody = ("没有规则", "no rule");
    let (by_zh, by_en) = named(answered, nobody);
    let wrong = if let Some(expect) = test.expect.filter(|expect| *expect != answered) {
        let (zh, en) = named(expect, nobody);
        (format!("期望{zh}"), format!("expected {en}"))
    } else if let Some(id) = test.expect_not.filter(|id| *id == answered) {
        let (zh, en) = named(id, nobody);
        (
            format!("期望不是{zh}"),
            format!("expected anything but {en}"),
        )
    } else {
        let has = test.has?;
        let said = own.map(|own| own.reply.shown()).unwrap_or_default();
        if said.contains(has) {
            return None;
        }
        (
            format!("回复里没有「{has}」"),
            format!("the reply does not contain \"{has}\""),
        )
    };
    let asked = test.asked;
    let words = Words::new(
        format!("测试没通过:「{asked}」由{by_zh}回答,{}", wrong.0),
        format!(
            "test fails: \"{asked}\" was answered by {by_en}, {}",
            wrong.1
        ),
    );
    let diagnostic = Diagnostic::new(Code::TestFails, test.place.clone(), words);
    Some(match trace(decision, message, rules) {
        Some(trace) => diagnostic.help(trace),
        None => diagnostic,
    })
}

/// Who was considered, and what became of each.
fn trace(decision: &Decision, message: &Incoming, rules: &ActiveRules) -> Option<Words> {
    let found = decision.found.as_ref()?;
    let explained = rules
        .set
        .explain(found, &question(&message.content), TEST_TIME);
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
