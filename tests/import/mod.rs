//! Drives `import` and `export` as an operator does, live against the pretend WeChat.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};
use wxreply::model::MediaKind;
use wxreply::simulator::{AccountSettings, Fault, POINT_PNG, Settings, Times, Wechat};
use wxreply::wechat::{Client, ClientSettings};

use crate::support::{Setup, Stopped};

const RULES: &str = "/cgi-bin/get_current_autoreply_info";

/// A project whose account `shop` has a secret at this pretend WeChat, and no rules yet.
fn project(wechat: &Wechat, settings: &AccountSettings) -> Stopped {
    let config = format!(
        "[account.shop]\napp_id = \"{}\"\nmode = \"plain\"\ntoken = \"{}\"\nsecret = \"{}\"\napi_base = \"{}\"\n",
        settings.app_id,
        settings.token,
        settings.secret,
        wechat.api_base()
    );
    let setup = Setup {
        config,
        ..Setup::default()
    };
    setup.into_stopped()
}

/// Runs a command; gives its exit code, and what it printed to both outputs.
fn run(project: &Stopped, arguments: &[&str]) -> (i32, String) {
    let output = project.run(arguments);
    let shown =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), shown)
}

fn upload(wechat: &Wechat, settings: &AccountSettings) -> String {
    let clock = wechat.clock().clone();
    let client = Client::new(
        ClientSettings {
            api_base: wechat.api_base(),
            app_id: settings.app_id.clone(),
            secret: settings.secret.clone().into(),
        },
        std::sync::Arc::new(move || clock.now()),
    );
    let picture = Bytes::from_static(POINT_PNG);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let id = runtime.block_on(client.upload(MediaKind::Image, "a.png", "image/png", picture));
    id.unwrap().to_string()
}

fn answer(picture: &str) -> Value {
    json!({
        "is_add_friend_reply_open": 1,
        "is_autoreply_open": 1,
        "add_friend_autoreply_info": {"type": "text", "content": "欢迎"},
        "message_default_autoreply_info": {"type": "text", "content": "稍等"},
        "keyword_autoreply_info": {"list": [
            {"rule_name": "地图", "reply_mode": "reply_all",
             "keyword_list_info": [{"type": "text", "match_mode": "contain", "content": "怎么走"}],
             "reply_list_info": [{"type": "img", "content": picture}, {"type": "text", "content": "地下 B2"}]},
            {"rule_name": "声音", "reply_mode": "random_one",
             "keyword_list_info": [{"type": "text", "match_mode": "equal", "content": "声音"}],
             "reply_list_info": [{"type": "voice", "content": "gone"}]},
            {"rule_name": "营业", "reply_mode": "reply_all",
             "keyword_list_info": [{"type": "text", "match_mode": "contain", "content": "营业时间"},
                                   {"type": "text", "match_mode": "contain", "content": "打烊"}],
             "reply_list_info": [{"type": "text", "content": "22:00"}]},
        ]},
    })
}

#[test]
fn rules_and_pictures_come_live_from_wechat() {
    let wechat = Wechat::start(Settings::default()).unwrap();
    let mut settings = AccountSettings::plain("shop", "");
    let account = wechat.account(settings.clone());
    let picture = upload(&wechat, &settings);
    settings.autoreply = answer(&picture);
    account.change(|account| account.autoreply = settings.autoreply.clone());
    let project = project(&wechat, &settings);

    let (code, shown) = run(
        &project,
        &["import", "native", "--account", "shop", "--format", "json"],
    );
    assert_eq!(code, 0, "{shown}");
    let report: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        report["totals"],
        json!({"carried": 2, "changed": 1, "not_carried": 1}),
        "{shown}"
    );
    assert!(
        report["rules"][2]["why"][0]["en"]
            .as_str()
            .unwrap()
            .contains("40007")
    );
    assert_eq!(report["asides"][0]["suggestion"], "ack = \"稍等\"");
    let saved = report["media"][0].as_str().unwrap();
    assert_eq!(
        fs::read(project.path().join("rules").join(saved)).unwrap(),
        POINT_PNG
    );
    let written = fs::read_to_string(project.path().join("rules/90-native.toml")).unwrap();
    assert!(
        written.contains(&format!("image = \"{saved}\"")),
        "{written}"
    );
    // The rule that was there says the same words first: the import says so, and has no test for them.
    assert!(shown.contains("「营业时间」会由规则"), "{shown}");
    let (code, shown) = run(&project, &["check"]);
    assert_eq!(code, 0, "{shown}");
    let (_, shown) = run(&project, &["try", "请问怎么走"]);
    assert!(
        shown.contains(saved) && shown.contains("地下 B2"),
        "{shown}"
    );

    let again = ["import", "native", "--account", "shop"];
    assert_eq!(run(&project, &again).0, 2, "the file is there");
    let forced = ["import", "native", "--account", "shop", "--force"];
    assert_eq!(run(&project, &forced).0, 0);
    let after = fs::read_to_string(project.path().join("rules/90-native.toml")).unwrap();
    assert_eq!(after, written);
}

#[test]
fn refusals_of_wechat_say_what_to_do_and_show_no_secret() {
    let wechat = Wechat::start(Settings::default()).unwrap();
    let settings = AccountSettings::plain("shop", "");
    let _account = wechat.account(settings.clone());
    let project = project(&wechat, &settings);
    let import = ["import", "native", "--account", "shop"];
    for (path, fault, told) in [
        (
            "/cgi-bin/stable_token",
            Fault::NotInWhitelist,
            "add 127.0.0.1 to the IP allow-list",
        ),
        (
            "/cgi-bin/stable_token",
            Fault::Code(40125),
            "the secret is wrong",
        ),
        (RULES, Fault::Code(45009), "used up"),
        (RULES, Fault::BrokenJson, "not JSON"),
        (RULES, Fault::Status(502), "502"),
    ] {
        wechat.breaks(path, fault, Times::Always);
        let (code, shown) = run(&project, &import);
        wechat.heals();
        assert_eq!(code, 2, "{shown}");
        assert!(shown.contains(told), "{shown}");
        assert!(!shown.contains(&settings.secret), "{shown}");
    }
    let (code, shown) = run(&project, &["import", "native", "--account", "other"]);
    assert!(code == 2 && shown.contains("there are: shop"), "{shown}");
    assert!(!project.path().join("rules/90-native.toml").exists());
}

#[test]
fn a_table_that_is_wrong_changes_nothing_and_a_good_one_comes_back() {
    let project = Setup::default().into_stopped();
    let write = |name: &str, text: &str| fs::write(project.path().join(name), text).unwrap();
    write("a.csv", "关键词,回复,匹配\n停车,楼下,包含\n退款,,等于\n");
    let (code, shown) = run(&project, &["import", "csv", "a.csv"]);
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("第 3 行第 2 列:回复是空的"), "{shown}");
    assert!(!project.path().join("rules/80-table.toml").exists());
    let (code, shown) = run(
        &project,
        &[
            "import",
            "csv",
            "a.csv",
            "--skip-errors",
            "--accounts",
            "nowhere",
        ],
    );
    assert_eq!(code, 1, "an unknown account is an error of check: {shown}");
    let (code, shown) = run(
        &project,
        &[
            "import",
            "csv",
            "a.csv",
            "--skip-errors",
            "--accounts",
            "shop",
        ],
    );
    assert_eq!(code, 0, "{shown}");
    assert_eq!(run(&project, &["check"]).0, 0);
    let (code, shown) = run(&project, &["export", "--encoding", "gbk", "--out", "b.csv"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(
        run(&project, &["export", "--out", "b.csv"]).0,
        2,
        "the file is there"
    );
    let (code, shown) = run(
        &project,
        &["import", "csv", "b.csv", "--out", "again/80.toml"],
    );
    assert_eq!(code, 0, "{shown}");
    let (_, json) = run(&project, &["export", "again", "--format", "json"]);
    let rows: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows[0]["id"], "hours");
    assert_eq!(rows[1]["words"], json!(["停车"]));
    assert_eq!(rows[1]["accounts"], json!(["shop"]));
}
