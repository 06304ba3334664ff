//! Starts the server on rules whose own tests pass and fail.

use wxreply::decide::ActiveRules;
use wxreply::decide::inline::run_tests;
use wxreply::model::RuleFiles;
use wxreply::rules::{Options, compile};

use super::{Plan, Stand, heard};

const GOOD: &str = r#"
[[rule]]
id        = "order"
any       = ["查订单"]
during    = "mon-fri 09:00-18:00"
owner     = "小王"
note      = "改完告诉小王"
source    = "手册"
review_by = 2099-01-01
allow     = ["W210"]
tests     = [{ say = "查订单", at = 2026-06-03T12:00:00, has = "几号" }, { say = "查订单", at = "2026-06-03T22:00", expect = "" }]
[[rule.step]]
ask  = "几号?"
save = "no"
[rule.hook]
url     = "https://erp.example.com/"
body    = { no = "{no}" }
reply   = "{no}:{hook.state}"
missing = "没查到"
[[rule]]
id        = "vip"
any       = ["折扣"]
followers = { tag = "vip" }
reply     = "八折"
[[test]]
name    = "查得到"
account = "shop"
at      = "2026-06-03T12:00"
turns   = [{ say = "查订单", expect = "order" }, { say = "7", after = "1m", hook = { state = "已发货" }, has = "7:已发货" }]
[[test]]
name    = "查不到,是会员"
at      = "2026-06-03T12:00"
tags    = ["vip"]
turns   = [{ say = "查订单", has = "几号" }, { say = "8", hook = "missing", has = "没查到" }, { say = "折扣", expect = "vip" }, { say = "折扣", expect_not = "order" }]
"#;

#[test]
fn rules_whose_tests_pass_run() {
    let rules = format!("{GOOD}\n[[rule]]\nid = \"hi\"\nany = [\"你好\"]\nreply = \"好\"\n");
    let stand = Stand::open(&rules);
    assert_eq!(heard(&stand.stranger(), "你好"), "好");
}

#[test]
fn rules_of_which_a_test_fails_do_not_start() {
    let late = GOOD.replace("after = \"1m\"", "after = \"15m\"");
    let wrong = GOOD.replace("has = \"7:已发货\"", "has = \"7:在路上\"");
    let inline = GOOD.replace(
        "has = \"几号\" }, { say = \"查订单\", at",
        "has = \"几点\" }, { say = \"查订单\", at",
    );
    for (rules, says) in [
        (late, "「7」没有规则回答"),
        (wrong, "7:在路上"),
        (inline, "几点"),
    ] {
        assert_ne!(rules, GOOD);
        let plan = Plan {
            rules: &rules,
            ..Plan::default()
        };
        let account = "[account.shop]\napp_id = \"wx0123456789abcdef\"\nmode = \"plain\"\ntoken = \"t0ken\"\n";
        let ended = plan.stopped(account).run(&["serve"]);
        let printed = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success(), "{printed}");
        assert!(
            printed.contains("E107") && printed.contains(says),
            "{printed}"
        );
    }
}

#[test]
fn a_test_accepts_any_of_the_replies_that_one_is_picked_from() {
    let picked = |pick: &str, has: &str| {
        let replies: String = (0..4)
            .map(|n| format!("[[rule.replies]]\ntext = \"{n}:{{a}}\"\n"))
            .collect();
        let text = format!(
            "[[rule]]\nid = \"a\"\nregex = '^(?<a>x+)$'\npick = \"{pick}\"\ntests = [{{ say = \"xx\", has = \"{has}\" }}]\n{replies}"
        );
        let files = RuleFiles(vec![("a.toml".to_owned(), text.into_bytes().into())]);
        let set = compile(&files, &Options::default()).rules.unwrap();
        run_tests(&ActiveRules {
            set,
            revision: None,
        })
        .is_empty()
    };
    for pick in ["random", "rotate"] {
        assert!((0..4).all(|n| picked(pick, &format!("{n}:xx"))), "{pick}");
        assert!(!picked(pick, "4:xx"));
    }
}
