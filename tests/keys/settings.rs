//! Changes what `_desk.toml` sets, and looks at what followers notice of it.

use wxreply::model::incoming::UNSUPPORTED_TEXT;

use super::{Plan, Stand, eventually, heard, pushed};

const RULES: &str = r#"
[[rule]]
id      = "walk"
any     = ["走路"]
pick    = "all"
replies = [{ text = "一" }, { text = "二" }]
"#;

fn stand(rules: &str, desk: &str) -> Stand {
    Plan {
        rules,
        files: &[("_desk.toml", desk.as_bytes())],
        ..Plan::default()
    }
    .open()
}

#[test]
fn fixed_lines_are_said_as_they_are_written() {
    let desk = r#"
ack         = "稍等"
ack_every   = "1ms"
unsupported = "看不了"
"#;
    let stand = stand(RULES, desk);
    let li = stand.stranger();
    assert_eq!(heard(&li, UNSUPPORTED_TEXT), "看不了");
    for words in ["丢了", "又丢了"] {
        assert_eq!(heard(&li, words), "稍等");
        let moment = wxreply::clock::Clock::system().now();
        eventually("another moment", || {
            wxreply::clock::Clock::system().now() > moment
        });
    }
}

#[test]
fn what_people_keep_for_themselves_is_not_pushed() {
    let stand = stand(RULES, "human_reserve = 5\n");
    let li = stand.stranger();
    assert_eq!(heard(&li, "走路"), "一\n\n二");
    assert_eq!((pushed(&li).len(), li.pushes_left()), (0, 5));
}

#[test]
fn rules_speak_again_when_the_quiet_after_a_person_is_over() {
    for (quiet_after, reply) in [("30m", ""), ("1ms", "一")] {
        let stand = stand(RULES, &format!("quiet_after = \"{quiet_after}\"\n"));
        let li = stand.stranger();
        heard(&li, "丢了");
        let body = serde_json::json!({ "text": "找到了" });
        stand.person(&li, "replies", Some(&body));
        // The quiet time may be over before anybody looks.
        eventually("the answer", || {
            ["follower", "bot"].contains(&stand.known(&li)["state"].as_str().unwrap())
        });
        let moment = wxreply::clock::Clock::system().now();
        eventually("another moment", || {
            wxreply::clock::Clock::system().now() > moment
        });
        assert_eq!(heard(&li, "走路"), reply, "{quiet_after}");
    }
}

#[test]
fn without_rules_everything_goes_to_people_where_that_is_meant() {
    let stand = stand("", "allow_empty = true\nack = \"稍等\"\n");
    assert_eq!(stand.hears("你好"), "稍等");
}
