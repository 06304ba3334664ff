//! Lets followers choose by number among rules that are close to what they said.

use super::{ACK, Plan, Stand, heard};

const RULES: &str = r#"
[[rule]]
id        = "parking"
like      = ["停车方便吗", "有没有停车场"]
min_score = 0.95
reply     = "地下 B2"
[[rule]]
id        = "fee"
like      = ["停车收费吗"]
min_score = 0.95
reply     = "两小时内免费"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点"
"#;

/// Its first rule is nearest to the message and may not answer it.
const VETOED: &str = r#"
[[rule]]
id    = "vetoed"
like  = ["停车收费方便么"]
none  = ["收费"]
reply = "谁也听不到"
[[rule]]
id        = "parking"
like      = ["停车方便吗", "有没有停车场"]
min_score = 0.95
reply     = "地下 B2"
"#;

fn stand(rules: &str) -> Stand {
    let desk = format!("ack = \"{ACK}\"\noffer = 3\noffer_text = \"是不是:\"\n");
    Plan {
        rules,
        files: &[("_desk.toml", desk.as_bytes())],
        ..Plan::default()
    }
    .open()
}

/// Asks for something that is close to two rules and is neither; says at which number parking stands.
fn offered(follower: &wxreply::simulator::Follower) -> (&'static str, &'static str) {
    let said = heard(follower, "停车方便收费吗");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "是不是:"), "{said}");
    assert!(lines[1].contains("msgmenuid=offer-1") && lines[2].contains("msgmenuid=offer-2"));
    assert!(lines[3].contains("回复 0 找人"), "{said}");
    match lines[1].contains("停车收费吗") {
        true => ("2", "1"),
        false => ("1", "2"),
    }
}

#[test]
fn a_number_typed_or_tapped_is_a_choice_once() {
    let stand = stand(RULES);
    let li = stand.stranger();
    let (parking, fee) = offered(&li);
    assert_eq!(stand.known(&li)["state"], "bot");
    assert_eq!(heard(&li, "几点"), "十点", "other words are words");
    assert_eq!(heard(&li, parking), "地下 B2");
    assert_eq!(stand.history(&li).last().unwrap()["rule"], "parking");
    assert_eq!(heard(&li, fee), ACK, "the offer is over");

    let zhao = stand.stranger();
    let (_, fee) = offered(&zhao);
    let tapped = zhao.taps_menu_message(&format!("offer-{fee}"), fee).wait();
    assert_eq!(tapped.text(), Some("两小时内免费"));
}

#[test]
fn none_of_them_leads_to_a_person() {
    let stand = stand(RULES);
    let li = stand.stranger();
    offered(&li);
    assert_eq!(heard(&li, "０"), ACK);
    assert_eq!(stand.called(&li), ["waiting", "unmatched", "normal", ""]);
    let zhao = stand.stranger();
    offered(&zhao);
    assert_eq!(
        heard(&zhao, "停车收费方便吗"),
        ACK,
        "nothing is offered twice"
    );
}

#[test]
fn an_offer_outlives_a_stop() {
    let mut stand = stand(RULES);
    let li = stand.stranger();
    let (parking, _) = offered(&li);
    let (stopped, status) = stand.world.take().unwrap().stop();
    assert!(status.success());
    stand.world = Some(stopped.start());
    stand.point_callbacks();
    assert_eq!(heard(&li, parking), "地下 B2");
}

#[test]
fn a_rule_that_may_not_answer_is_not_offered() {
    let stand = stand(VETOED);
    let li = stand.stranger();
    let said = heard(&li, "停车收费方便吗");
    assert!(
        said.contains("停车方便吗") && !said.contains("offer-2"),
        "{said}"
    );
    assert_eq!(heard(&li, "1"), "地下 B2");
}
