//! Writes an alert as the JSON document that other programs read.
//! Owns: its keys (DESIGN of the generic webhook). Uses: model, serde_json. Never: the signature.

use serde_json::{Value, json};

use super::wording;
use crate::model::Time;
use crate::model::alert::AlertKind;
use crate::model::entry::Priority;
use crate::model::notice::Notice;

/// The document of one alert.
pub(super) fn document(notice: &Notice, public_url: Option<&str>) -> Value {
    let alert = &notice.alert;
    let mut document = json!({
        "kind": alert.kind,
        "account": alert.account,
        "conversation": alert.conversation.map(|id| id.to_string()),
        "priority": priority_word(alert.priority),
        "reason": alert.reason,
        "waiting_s": alert.waiting.as_secs(),
        "url": wording::link(public_url, notice),
        "at": alert.at,
    });
    if !alert.excerpt.is_empty()
        && let Some(fields) = document.as_object_mut()
    {
        fields.insert("excerpt".to_owned(), json!(alert.excerpt));
    }
    document
}

/// The document of a test: a heartbeat that says so.
pub(super) fn trial(public_url: Option<&str>, now: Time) -> Value {
    json!({
        "kind": AlertKind::Heartbeat,
        "account": null,
        "conversation": null,
        "priority": priority_word(Priority::Low),
        "reason": "测试",
        "waiting_s": 0,
        "url": public_url.map(|base| format!("{base}/")),
        "at": now,
    })
}

const fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::Urgent => "urgent",
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

#[cfg(test)]
mod tests {
    use super::super::wording::tests::{NOW, notice};
    use super::*;

    #[test]
    fn the_document_has_the_keys_that_receivers_know() {
        let mut one = notice(AlertKind::Escalated, Priority::High, "要求人工");
        one.alert.excerpt = "".into();
        let text = serde_json::to_string_pretty(&document(&one, Some("https://x"))).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "account": "shop",
          "at": "2026-06-03T04:00:00Z",
          "conversation": "019e8ba3-5e00-7000-a9f2-331488b34181",
          "kind": "escalated",
          "priority": "high",
          "reason": "要求人工",
          "url": "https://x/conversations/019e8ba3-5e00-7000-a9f2-331488b34181",
          "waiting_s": 300
        }
        "#);
        let keys = |value: Value| -> Vec<String> {
            let fields = value.as_object().unwrap();
            fields.keys().cloned().collect()
        };
        assert_eq!(keys(trial(None, NOW)), keys(document(&one, None)));
        one.alert.excerpt = "你好".into();
        assert_eq!(document(&one, None)["excerpt"], "你好");
    }
}
