//! Tries every key of a rule with the real binary, as people read it and as programs do.

mod answering;
mod asking;
mod conditions;
mod finding;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::media::PNG;

/// A shop's week; a Sunday that is worked in exchange for a holiday; a bar that is open past midnight; another zone.
const CALENDARS: &str = r#"
[calendar.shop]
tz     = "Asia/Shanghai"
weekly = { mon-fri = "09:00-18:00", sat = ["10:00-12:00", "13:00-16:00"] }
closed = ["2027-01-01", "2027-02-05..2027-02-11"]
open   = ["2027-02-14 09:00-18:00"]

[calendar.bar]
weekly = { mon-sun = "18:00-02:00" }

[calendar.london]
tz     = "Europe/London"
weekly = { mon-fri = "09:00-17:00" }
"#;

const STORES: &str =
    "city,address,phone\n北京,王府井 1 号,010-1\n上海,\"南京路 2 号,近外滩\",021-2\n";

/// Keys, rules that have them, and what is asked: the arguments of `try`, without blanks in them.
pub struct Trial {
    pub keys: &'static [&'static str],
    pub rules: &'static str,
    pub asked: &'static [&'static str],
}

const fn trial(
    keys: &'static [&'static str],
    rules: &'static str,
    asked: &'static [&'static str],
) -> Trial {
    Trial { keys, rules, asked }
}

pub fn all() -> impl Iterator<Item = &'static Trial> {
    [
        finding::TRIALS,
        conditions::TRIALS,
        answering::TRIALS,
        asking::TRIALS,
    ]
    .into_iter()
    .flatten()
}

/// What `wxreply try` prints, and its status.
fn tried(home: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_wxreply"))
        .arg("try")
        .args(arguments)
        .current_dir(home)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    (printed + &errors, output.status.code())
}

fn written(rules: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("rules");
    for folder in ["tables", "media"] {
        fs::create_dir_all(directory.join(folder)).unwrap();
    }
    let files: [(&str, &[u8]); 4] = [
        ("10.toml", rules.as_bytes()),
        ("_calendar.toml", CALENDARS.as_bytes()),
        ("tables/stores.csv", STORES.as_bytes()),
        ("media/map.png", PNG),
    ];
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
    home
}

fn story(trial: &Trial) -> String {
    let home = written(trial.rules);
    let mut shown = format!("{}\n", trial.rules.trim());
    for asked in trial.asked {
        let arguments: Vec<&str> = asked.split_whitespace().collect();
        for format in ["text", "json"] {
            let arguments = [&*arguments, &["--format", format]].concat();
            let (printed, status) = tried(home.path(), &arguments);
            shown.push_str(&format!(
                "\n$ wxreply try {}\n{printed}",
                arguments.join(" ")
            ));
            assert_eq!(status, Some(0), "{shown}");
        }
    }
    shown
}

#[test]
fn every_key_is_tried_in_words_and_in_json() {
    insta::with_settings!({ snapshot_path => "snapshots/tried", prepend_module_to_snapshot => false, omit_expression => true }, {
        for trial in all() {
            insta::assert_snapshot!(trial.keys[0], story(trial));
        }
    });
}

#[test]
fn no_key_is_tried_twice_and_each_trial_has_its_keys() {
    let mut seen = BTreeSet::new();
    for Trial { keys, rules, .. } in all() {
        for key in *keys {
            assert!(seen.insert(key), "{key} is tried twice");
            assert!(rules.contains(key), "no {key} in\n{rules}");
        }
    }
}

/// What stands behind each of these words, up to the next sign.
fn behind<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let rests = text.split(word).skip(1);
    rests
        .map(|rest| rest.split([',', ',']).next().unwrap().trim())
        .collect()
}

#[test]
fn a_score_is_the_same_wherever_it_is_shown() {
    let rules = r#"
[[rule]]
id        = "parking"
like      = ["停车方便吗", "有没有停车场"]
min_score = 0.95
reply     = "地下 B2"
[[rule]]
id        = "fee"
like      = ["停车收费吗"]
min_score = 0.95
reply     = "免费"
"#;
    let home = written(rules);
    let (printed, _) = tried(home.path(), &["停车方便不收费"]);
    let listed = behind(&printed, "(like ");
    assert_eq!(listed.len(), 2, "{printed}");
    assert_eq!(behind(&printed, "」是 "), listed, "{printed}");
}

#[test]
fn a_wording_that_may_not_answer_is_explained_as_any_other_candidate() {
    let rules = r#"
[[rule]]
id    = "vetoed"
like  = ["停车方便吗", "有没有停车场"]
none  = ["收费"]
reply = "地下 B2"
[[rule]]
id     = "closed"
like   = ["发票怎么开", "能开发票吗"]
during = "shop"
reply  = "能"
"#;
    let home = written(rules);
    let at = ["--at", "2027-02-06T10:00"];
    for (said, why) in [
        ("停车方便吗收费吗", "排除:有「收费」(none)"),
        ("发票怎么开呀", "跳过:不在它的时间里(during)"),
    ] {
        let (printed, _) = tried(home.path(), &[&[said][..], &at].concat());
        assert!(
            printed.contains("决定  转给人") && printed.contains(why),
            "{printed}"
        );
    }
}
