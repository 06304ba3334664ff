//! Leads followers through forms: to the end, astray, out of time, and over a crash.

use super::{ACK, Stand, heard, pushed, pushes};

const RULES: &str = r#"
[[rule]]
id    = "book"
regex = '^订(?<what>.+)$'
form  = { timeout = "10m", cancel = ["算了", "不要了"], on_cancel = "{what}不订了", on_timeout = "想订再说" }
reply = "{what},{name},{tel}"
[[rule.step]]
ask   = "订{what},贵姓?"
save  = "name"
[[rule.step]]
ask   = "{name},电话?"
save  = "tel"
check = '^\d{11}$'
retry = "要 11 位"
tries = 3
then  = "handoff"
[[rule]]
id   = "size"
any  = ["尺码"]
reply = "{cm} 厘米"
[[rule.step]]
ask   = "多高?"
save  = "cm"
check = '^\d{2,3}$'
tries = 1
then  = { say = "那来店里量" }
[[rule]]
id    = "vote"
any   = ["投票"]
reply = "投了 {n}"
[[rule.step]]
ask   = "几号?"
save  = "n"
check = '^\d$'
then  = "cancel"
[[rule]]
id      = "person"
any     = ["人工"]
handoff = { priority = "high", reason = "要人工" }
reply   = "好,叫同事来"
[[rule]]
id       = "help"
event    = "menu"
menu_key = "HELP"
reply    = "帮助"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点"
"#;

#[test]
fn a_form_asks_step_by_step_and_ends_with_the_rules_reply() {
    let stand = Stand::open(RULES);
    let li = stand.stranger();
    assert_eq!(heard(&li, "订位子"), "订位子,贵姓?");
    assert_eq!(heard(&li, "李"), "李,电话?");
    assert_eq!(
        heard(&li, "几点"),
        "要 11 位",
        "other rules wait for its end"
    );
    assert_eq!(li.taps_menu("HELP").wait().text(), Some("帮助"));
    assert_eq!(
        heard(&li, " １３８００１３８０００ "),
        "位子,李,13800138000"
    );
    assert_eq!(heard(&li, "几点"), "十点");
    let history = stand.history(&li);
    let of_form = history.iter().filter(|line| line["rule"] == "book");
    assert_eq!(of_form.count(), 4);
    assert_eq!(stand.known(&li)["state"], "bot");
}

#[test]
fn an_answer_may_be_spoken() {
    let stand = Stand::open(RULES);
    let li = stand.stranger();
    heard(&li, "订花");
    let spoken = li.sends_voice(Some("李")).wait();
    assert_eq!(spoken.text(), Some("李,电话?"));
    // Recognition ends a sentence with a mark that nobody said.
    let spoken = li.sends_voice(Some("13800138000。")).wait();
    assert_eq!(spoken.text(), Some("花,李,13800138000"));
}

#[test]
fn answers_that_do_not_fit_end_it_as_the_step_says() {
    let stand = Stand::open(RULES);
    let li = stand.stranger();
    for (words, reply) in [
        ("订花", "订花,贵姓?"),
        ("李", "李,电话?"),
        ("不记得", "要 11 位"),
        ("123", "要 11 位"),
        ("456", ACK),
    ] {
        assert_eq!(heard(&li, words), reply, "{words}");
    }
    assert_eq!(stand.called(&li), ["waiting", "form", "normal", ""]);
    assert_eq!(heard(&li, "几点"), "十点", "it is over");
    for (begin, ask, answers) in [
        ("尺码", "多高?", &[("很高", "那来店里量")][..]),
        ("投票", "几号?", &[("甲", "几号?"), ("乙", "好,取消了。")]),
    ] {
        let zhao = stand.stranger();
        assert_eq!(heard(&zhao, begin), ask);
        for (words, reply) in answers {
            assert_eq!(heard(&zhao, words), *reply);
        }
        assert_eq!(heard(&zhao, "几点"), "十点");
        assert_eq!(stand.known(&zhao)["state"], "bot");
    }
}

#[test]
fn a_form_is_cancelled_at_every_step_by_a_word_however_it_is_typed() {
    let stand = Stand::open(RULES);
    for answers in [&[][..], &["李"]] {
        let li = stand.stranger();
        heard(&li, "订花");
        for words in answers {
            heard(&li, words);
        }
        assert_eq!(heard(&li, "不要瞭!"), "花不订了");
        assert_eq!(heard(&li, "几点"), "十点");
    }
}

#[test]
fn who_asks_for_a_person_gets_out_of_a_form_to_one() {
    let stand = Stand::open(RULES);
    let li = stand.stranger();
    heard(&li, "订花");
    heard(&li, "李");
    assert_eq!(heard(&li, "我要人工"), "好,叫同事来");
    assert_eq!(stand.called(&li), ["waiting", "handoff", "high", "要人工"]);
    assert_eq!(
        heard(&li, "13800138000"),
        ACK,
        "nobody asks for it any more"
    );
}

#[test]
fn a_form_goes_on_after_a_crash() {
    let mut stand = Stand::open(RULES);
    let li = stand.stranger();
    heard(&li, "订花");
    stand.dies_and_returns();
    assert_eq!(heard(&li, "李"), "李,电话?");
    heard(&li, "1");
    stand.dies_and_returns();
    assert_eq!(heard(&li, "2"), "要 11 位");
    assert_eq!(heard(&li, "3"), ACK, "the tries are counted on");
}

/// The shortest time a form may have: these stories wait for its end.
const HASTY: &str = r#"
[[rule]]
id    = "book"
regex = '^订(?<what>.+)$'
form  = { timeout = "10s", on_timeout = "{what}先放着" }
reply = "{name}"
[[rule.step]]
ask   = "贵姓?"
save  = "name"
"#;

#[test]
fn the_end_of_its_time_is_said_by_a_push_also_after_a_crash_and_not_to_who_went_on() {
    let mut stand = Stand::open(HASTY);
    let [li, zhao, wang] = [0; 3].map(|_| stand.stranger());
    for follower in [&li, &zhao, &wang] {
        assert_eq!(heard(follower, "订花"), "贵姓?");
    }
    assert_eq!(heard(&zhao, "赵"), "赵");
    // A person speaks: the form has nothing more to say.
    stand.person(&wang, "claim", None);
    stand.person(
        &wang,
        "replies",
        Some(&serde_json::json!({ "text": "我来" })),
    );
    assert_eq!(pushes(&wang, 1), ["我来"]);
    stand.dies_and_returns();
    assert_eq!(pushes(&li, 1), ["花先放着"]);
    let said = stand.history(&li);
    let last = said.last().unwrap();
    assert_eq!(
        (&last["by"], &last["rule"]),
        (&"form".into(), &"book".into())
    );
    assert_eq!(heard(&li, "李"), ACK, "its time is over");
    assert_eq!(
        (pushed(&zhao), pushed(&wang)),
        (vec![], vec!["我来".to_owned()])
    );
}
