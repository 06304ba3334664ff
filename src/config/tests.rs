//! Tests the configuration from the outside of its module: sources, precedence, problems, the table of keys.
//! Owns: nothing. Uses: config. Never: runs outside tests.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::*;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const SHOP: &str =
    "[account.shop]\napp_id = \"wx0123456789abcdef\"\nmode = \"plain\"\ntoken = \"Tok3n\"\n";

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn vars(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn load_with(text: &str, pairs: &[(&str, &str)]) -> Result<Config, Problems> {
    let dir = Dir::new();
    let path = dir.file("wxreply.toml", text);
    load(Some(&path), vars(pairs))
}

fn problem(text: &str, pairs: &[(&str, &str)]) -> String {
    let dir = Dir::new();
    let path = dir.file("wxreply.toml", text);
    let shown = load(Some(&path), vars(pairs)).unwrap_err().to_string();
    shown.replace(&format!("{}/", dir.0.path().display()), "")
}

#[test]
fn the_example_loads_and_names_every_key() {
    let config = load_with(&example(), &[]).unwrap();
    assert_eq!(config.server.accounts.len(), 1);
    for key in KEYS {
        assert!(
            example().contains(&format!("{} = ", key.name())),
            "{}",
            key.path
        );
        assert!(!key.zh.is_empty() && !key.en.is_empty(), "{}", key.path);
    }
}

/// Everything the program gets, with secrets in clear: two configurations that differ anywhere differ here.
fn everything(config: &Config) -> String {
    let clients: Vec<_> = config
        .server
        .accounts
        .iter()
        .map(|of| {
            of.client.as_ref().map(|client| {
                (
                    client.app_id.clone(),
                    client.api_base.clone(),
                    client.secret.expose_secret().to_owned(),
                )
            })
        })
        .collect();
    format!(
        "{:?} {} {:?} {clients:?}",
        config.server, config.log, config.log_format
    )
}

#[test]
fn every_key_of_the_table_reaches_the_settings() {
    let full = format!(
        "{}secret = \"s3cret\"\naes_key = \"{KEY}\"\n",
        SHOP.replace("plain", "secure")
    );
    let usual = everything(&load_with(&full, &[]).unwrap());
    // The account keeps these to itself; the tests of the callback see them work.
    let unseen = [
        "account.*.token",
        "account.*.aes_key",
        "account.*.previous_token",
        "account.*.previous_aes_key",
    ];
    for key in KEYS.iter().filter(|key| !unseen.contains(&key.path)) {
        let other = match key.path {
            "listen" => "127.0.0.1:1",
            "data" | "rules" | "account.*.secret" => "elsewhere",
            "public_url" => "https://wx.example.com/bot",
            "timezone" => "Europe/Berlin",
            "trusted_proxies" => "10.0.0.0/8, ::1",
            "log" => "debug",
            "log_format" => "json",
            "callback.max_skew" | "desk.ack_every" => "3m",
            "hooks.allow" | "alerts.allow" => "erp.example.com, 10.0.0.5:8080",
            "callback.deadline" => "2s",
            "privacy.keep_messages" => "26w",
            "desk.ack" => "稍等",
            "account.*.app_id" => "wxfedcba9876543210",
            "account.*.mode" => "compatible",
            "account.*.api_base" => "http://127.0.0.1:9",
            unknown => panic!("give this test another value of {unknown}"),
        };
        let variable = values::variable_of(&key.path.replace('*', "shop"));
        let changed = load_with(&full, &[(&variable, other)])
            .unwrap_or_else(|problems| panic!("{variable}: {problems}"));
        assert_ne!(everything(&changed), usual, "{}", key.path);
    }
}

#[test]
fn messages_are_kept_for_seven_days_at_least_or_for_ever() {
    let days = |text: &str| {
        let config = load_with(
            &format!("{SHOP}[privacy]\nkeep_messages = \"{text}\"\n"),
            &[],
        );
        config
            .ok()
            .map(|config| config.server.keep_messages.as_secs() / (24 * 3600))
    };
    for (text, expected) in [
        ("180d", Some(180)),
        ("2w", Some(14)),
        ("168h", Some(7)),
        ("0d", Some(0)),
        ("6d", None),
        ("-9d", None),
        ("1mo", None),
        ("soon", None),
    ] {
        assert_eq!(days(text), expected, "{text}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_may_bring_accounts_of_its_own() {
    let config = load_with(
        &format!("listen = \"127.0.0.1:1\"\n{SHOP}"),
        &[
            ("WXREPLY_LISTEN", "127.0.0.1:2"),
            ("WXREPLY_TRUSTED_PROXIES", "10.0.0.0/8,192.168.1.1"),
            ("WXREPLY_ACCOUNT__NEW_SHOP__APP_ID", "wx1"),
            ("WXREPLY_ACCOUNT__NEW_SHOP__MODE", "plain"),
            ("WXREPLY_ACCOUNT__NEW_SHOP__TOKEN", "T2"),
            ("WXREPLY_API_TOKEN", "123456789012345678901234"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    let names: Vec<_> = config
        .server
        .accounts
        .iter()
        .map(|of| of.account.name.as_str())
        .collect();
    assert_eq!(names, ["new-shop", "shop"]);
    assert_eq!(
        config.server.api_token.unwrap().expose_secret(),
        "123456789012345678901234"
    );
}

#[test]
fn secrets_may_come_from_files_and_are_never_shown() {
    let dir = Dir::new();
    let secret = dir.file("secret", "hush-hush\n");
    let path = dir.file("wxreply.toml", SHOP);
    let config = load(
        Some(&path),
        vars(&[(
            "WXREPLY_ACCOUNT__SHOP__SECRET_FILE",
            secret.to_str().unwrap(),
        )]),
    )
    .unwrap();
    let client = config.server.accounts[0].client.as_ref().unwrap();
    assert_eq!(client.secret.expose_secret(), "hush-hush");
    let shown: String = config
        .lines
        .iter()
        .map(|line| format!("{}={} {}\n", line.path, line.shown, line.origin))
        .collect();
    assert!(
        !shown.contains("hush") && !shown.contains("Tok3n"),
        "{shown}"
    );
    assert!(
        shown.contains(
            "account.shop.secret=\"********\" file of $WXREPLY_ACCOUNT__SHOP__SECRET_FILE"
        ),
        "{shown}"
    );
    assert!(shown.contains("wxreply.toml:4:9"), "{shown}");
}

#[test]
fn relative_paths_start_at_the_file() {
    let dir = Dir::new();
    let path = dir.file("wxreply.toml", SHOP);
    let config = load(Some(&path), Vec::new()).unwrap();
    assert_eq!(config.server.rules, dir.0.path().join("rules"));
    assert_eq!(config.server.data, dir.0.path().join("data"));
}

#[test]
fn unknown_names_are_problems_with_the_name_that_was_meant() {
    let typo = problem(&format!("lisen = \"x\"\n{SHOP}"), &[]);
    insta::assert_snapshot!(typo, @r#"
    wxreply.toml:1:1: 配置错误 configuration error: 没有 lisen 这一项,是不是 listen? | unknown key `lisen`, did you mean `listen`?
      |
    1 | lisen …
      | ^^^^^
    "#);
    assert!(problem(&format!("{SHOP}tokn = \"x\""), &[]).contains("did you mean `token`?"));
    assert!(problem(&format!("{SHOP}[desks]\nack = \"x\""), &[]).contains("did you mean `desk`?"));
    let variable = problem(SHOP, &[("WXREPLY_LISTN", "x")]);
    assert_eq!(
        variable,
        "$WXREPLY_LISTN: 配置错误 configuration error: 没有这个环境变量,是不是 WXREPLY_LISTEN? | unknown variable, did you mean WXREPLY_LISTEN?"
    );
    assert!(
        problem(SHOP, &[("WXREPLY_ACCOUNT__SHOP__TOKN", "x")])
            .contains("did you mean WXREPLY_ACCOUNT__SHOP__TOKEN?")
    );
    assert!(
        problem(SHOP, &[("WXREPLY_LISTEN_FILE", "x")]).contains("unknown variable"),
        "only secrets come from files"
    );
}

#[test]
fn each_mistake_is_one_clear_line() {
    let with = |line: &str| {
        format!(
            "{}{line}\n",
            SHOP.replace("mode = \"plain\"\n", "mode = \"secure\"\n")
        )
    };
    for (text, expected) in [
        (String::new(), "there is no account"),
        (
            "[account.shop]\n".to_owned(),
            "`account.shop.app_id` is missing",
        ),
        (
            SHOP.replace("token", "# token"),
            "`account.shop.token` is missing",
        ),
        (
            SHOP.replace("mode", "# mode"),
            "`account.shop.mode` is missing",
        ),
        (
            SHOP.replace("plain", "open"),
            "must be plain, compatible or secure",
        ),
        (SHOP.replace("Tok3n", ""), "must not be empty"),
        (with(""), "has a mode that needs `aes_key`"),
        (with("aes_key = \"short\""), "must be 43 letters and digits"),
        (SHOP.replace("shop", "Shop"), "cannot name an account"),
        (format!("listen = \"8080\"\n{SHOP}"), "must be IP:PORT"),
        (format!("listen = 8080\n{SHOP}"), "must be a text in quotes"),
        (
            format!("trusted_proxies = \"10.0.0.0/8\"\n{SHOP}"),
            "must be a list of texts",
        ),
        (
            format!("trusted_proxies = [\"x\"]\n{SHOP}"),
            "which is not a network",
        ),
        (
            format!("{SHOP}[hooks]\nallow = [\"https://erp.example.com/wx\"]"),
            "which is not a host",
        ),
        (
            format!("{SHOP}[alerts]\nallow = [\"smtps://mail.example.com\"]"),
            "which is not a host",
        ),
        (
            format!("timezone = \"Mars/Base\"\n{SHOP}"),
            "is not the name of a time zone",
        ),
        (
            format!("public_url = \"wx.example.com\"\n{SHOP}"),
            "must be http(s)://HOST/PREFIX",
        ),
        (format!("log = \"a=b=c\"\n{SHOP}"), "RUST_LOG"),
        (
            format!("log_format = \"xml\"\n{SHOP}"),
            "must be text or json",
        ),
        (
            format!("{SHOP}api_base = \"http://api.weixin.qq.com\""),
            "must be an https:// address",
        ),
        (
            format!("{SHOP}[callback]\ndeadline = \"6s\""),
            "at most 4900ms",
        ),
        (
            format!("{SHOP}[callback]\nmax_skew = \"-1m\""),
            "must be a duration",
        ),
        (
            format!("{SHOP}[callback]\nmax_skew = \"soon\""),
            "must be a duration",
        ),
        (format!("{SHOP}{SHOP}"), "duplicate key"),
        (format!("desk = \"x\"\n{SHOP}"), "`desk` must be a section"),
        ("[account.shop\n".to_owned(), "wxreply.toml:1:"),
    ] {
        let shown = problem(&text, &[]);
        assert!(shown.contains(expected), "{expected}: {shown}");
        assert_eq!(
            shown.matches("configuration error").count(),
            expected_lines(&text),
            "{shown}"
        );
    }
    let short = problem(SHOP, &[("WXREPLY_API_TOKEN", "short")]);
    assert!(
        short.contains("at least 24 characters") && !short.contains("short |"),
        "{short}"
    );
    let both = problem(
        SHOP,
        &[
            ("WXREPLY_ACCOUNT__SHOP__SECRET", "a"),
            ("WXREPLY_ACCOUNT__SHOP__SECRET_FILE", "b"),
        ],
    );
    assert!(both.contains("says the same"), "{both}");
}

/// An empty account misses three things, everything else is one mistake.
fn expected_lines(text: &str) -> usize {
    if text == "[account.shop]\n" { 3 } else { 1 }
}

#[test]
fn a_secret_is_not_shown_by_the_problem_that_it_causes() {
    let text = SHOP.replace("plain", "secure")
        + "aes_key = \"my-secret-key\"\nmod = \"my-other-secret\"\n";
    let shown = problem(
        &text,
        &[("WXREPLY_ACCOUNT__SHOP__PREVIOUS_AES_KEY", "my-third-secret")],
    );
    assert!(!shown.contains("my-"), "{shown}");
}

#[test]
fn the_tables_defaults_are_the_models() {
    let desk = load_with(SHOP, &[]).unwrap().server.desk;
    assert_eq!(desk, crate::model::desk::DeskSettings::default());
}

#[test]
fn secrets_of_hooks_come_from_the_environment_and_are_never_shown() {
    let config = load_with(SHOP, &[("ORDER_HOOK_SECRET", "hush"), ("PATH", "/bin")]).unwrap();
    let secrets = format!("{:?}", config.server.hooks.secrets);
    assert!(secrets.contains("ORDER_HOOK_SECRET"), "{secrets}");
    assert!(
        !secrets.contains("hush") && !secrets.contains("PATH"),
        "{secrets}"
    );
}
