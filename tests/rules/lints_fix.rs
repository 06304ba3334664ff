//! Runs `check --fix` on files that are wrong in many ways, and `explain`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use encoding_rs::GBK;
use proptest::prelude::*;
use wxreply::model::RuleFiles;
use wxreply::rules::diagnostic::apply;
use wxreply::rules::{Code, Options, compile};

use super::rule;

fn wxreply(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wxreply"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn shown(output: &Output) -> String {
    let both = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(both).unwrap()
}

/// A file with a slip on nearly every line, and what it becomes.
const SLIPS: (&str, &str) = (
    "# 说明，不用改\n\
     [[rule]]\n\
     id    = “hours”   # 全角，引号\n\
     exact ＝ [\"几点开门\"，\"几點開門\"]\n\
     replay = '''\n每天，“十点”开门\\d'''\n\
     \n\
     [[rule]]\n\
     id    = \"hours\"\n\
     regex = \"(?<people>\\d+)位\"\n\
     reply = \"{peple} 位\\，看 https://example.com/a。\"\n\
     any   = [\"订位|订座\"]\n",
    "# 说明，不用改\n\
     [[rule]]\n\
     id    = \"hours\"   # 全角，引号\n\
     exact = [\"几点开门\"]\n\
     reply = '''\n每天，“十点”开门\\d'''\n\
     \n\
     [[rule]]\n\
     id    = \"hours-2\"\n\
     regex = '(?<people>\\d+)位'\n\
     reply = \"{people} 位\\\\，看 https://example.com/a 。\"\n\
     any   = [\"订位\", \"订座\"]\n",
);

#[test]
fn what_a_machine_can_mend_is_mended_and_nothing_else_is_touched() {
    let home = tempfile::tempdir().unwrap();
    let rules = home.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let (bad, good) = SLIPS;
    fs::write(rules.join("10.toml"), bad).unwrap();
    let parking = rule("parking", "any = [\"停车\"] # 注释").replace("parking!", "地下两层");
    fs::write(rules.join("20.toml"), &*GBK.encode(&parking).0).unwrap();
    fs::write(
        rules.join("30.toml"),
        "\u{FEFF}[rule]\r\nid='x'\r\nall=['a']\nreply='r'\r\n",
    )
    .unwrap();
    let output = wxreply(home.path(), &["check", "--fix"]);
    insta::assert_snapshot!("fix", shown(&output));
    // `{people}` is not given by `any`: that is for a person to decide.
    assert_eq!(output.status.code(), Some(1));
    let read = |name: &str| fs::read_to_string(rules.join(name)).unwrap();
    assert_eq!(read("10.toml"), good);
    assert_eq!(read("20.toml"), parking);
    assert_eq!(
        fs::read(rules.join("20.toml.bak")).unwrap(),
        &*GBK.encode(&parking).0
    );
    assert_eq!(read("30.toml"), "[[rule]]\nid='x'\nall=['a']\nreply='r'\n");
    assert_eq!(
        fs::read_dir(&rules).unwrap().count(),
        4,
        "nothing else is left behind"
    );
    let again = wxreply(home.path(), &["check", "--fix"]);
    assert!(!shown(&again).contains("已修正"), "{}", shown(&again));
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay_and_clean_files_are_not_written() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    let home = tempfile::tempdir().unwrap();
    let rules = home.path().join("rules");
    fs::create_dir_all(rules.join("..data")).unwrap();
    let target = rules.join("..data/a.toml");
    fs::write(&target, rule("a", "exakt = [\"aa\"]")).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("..data/a.toml", rules.join("a.toml")).unwrap();
    let clean = rules.join("b.toml");
    fs::write(&clean, rule("b", "exact = [\"bb\"]")).unwrap();
    let before = fs::metadata(&clean).unwrap().ino();
    let output = wxreply(home.path(), &["check", "--fix", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors"], 0);
    assert!(
        fs::symlink_metadata(rules.join("a.toml"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(
        fs::read_to_string(&target)
            .unwrap()
            .contains("exact = [\"aa\"]")
    );
    assert_eq!(fs::metadata(&clean).unwrap().ino(), before);
}

#[test]
fn remarks_look_right_in_every_format() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("rules")).unwrap();
    let text = "[[rule]]\r\nid = \"营业\"\r\n\texact = [\"营业时间\", \"营业时间?\"]\t# 注释\r\n\
                replay = \"每天 10:00\"\r\n[[rule]]\r\nid = \"b\"\r\nexact = [\"你好\", \"營業時間\"]\r\n\
                reply = \"看 https://example.com/表,好\"\r\n";
    fs::write(home.path().join("rules/甲.toml"), text).unwrap();
    let mut all = String::new();
    for format in ["text", "github", "json"] {
        for lang in ["zh", "en"] {
            if (format, lang) == ("json", "en") {
                continue;
            }
            let arguments = ["check", "--hints", "--format", format, "--lang", lang];
            let output = wxreply(home.path(), &arguments);
            all.push_str(&format!(
                "$ wxreply {}\n{}\n",
                arguments.join(" "),
                shown(&output)
            ));
        }
    }
    insta::assert_snapshot!("formats", all);
}

#[test]
fn codes_are_explained_in_both_languages_and_unknown_ones_are_guessed() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for arguments in [
        &["explain", "e101"][..],
        &["explain", "E101", "--lang", "en"],
        &["explain", "W22O"],
        &["explain", "unknown", "--lang", "en"],
        &["explain"],
        &["explain", "--lang", "en"],
    ] {
        let output = wxreply(here, arguments);
        let code = output.status.code().unwrap();
        all.push_str(&format!(
            "$ wxreply {}\n{}= {code}\n\n",
            arguments.join(" "),
            shown(&output)
        ));
    }
    insta::assert_snapshot!("explain", all);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fixing_any_mixture_of_rule_text_comes_to_rest(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "[[rule]]\n", "[rule]\n", "id = ", "exakt = ", "any = ", "regex = ", "reply = ", "replay = ", "none = ",
                "\"a\"", "“b”", "'退款'", "\"退款|退货\"", "\"\\d\"", "\"{x}\"", "'(?<x>b)'", "[", "]", ", ", "，", "＝", "、",
                "\n", "\r\n", "#", "【", "】", "\u{FEFF}", "\"http://a。\"", "\"\"\"", "'''", "\\", "priority = 1\n",
                "[[rule]]\nid = \"a\"\nany = [\"aa\", \"aa\"]\nreply = \"r\"\n",
            ]),
            0..40,
        ),
        is_gbk: bool,
    ) {
        let text = parts.concat();
        let bytes = if is_gbk { GBK.encode(&text).0.into_owned() } else { text.into_bytes() };
        let mut files = RuleFiles(vec![("a.toml".to_owned(), bytes.into())]);
        // Each round mends at least one thing; a file of so few parts has no more than this.
        let mut rounds = 0;
        loop {
            let said = compile(&files, &Options::default()).diagnostics;
            let (mended, applied) = apply(&files, &said);
            prop_assert_eq!(mended.is_empty(), applied.is_empty());
            let Some(one) = mended.into_iter().next() else { break };
            files.0[0].1 = one.bytes;
            rounds += 1;
            prop_assert!(rounds < 60);
        }
    }
}

#[test]
fn what_never_wins_is_taken_out_only_where_it_is_one_item_of_a_list() {
    let fixes = |upper: &str, lower: &str| -> Vec<bool> {
        let text = [
            rule("upper", &format!("{upper}\npriority = 1")),
            rule("lower", lower),
        ]
        .concat();
        let files = RuleFiles(vec![("a.toml".to_owned(), text.into_bytes().into())]);
        let remarks = compile(&files, &Options::default()).diagnostics.into_iter();
        remarks
            .filter(|one| one.code == Code::NeverWins)
            .map(|one| one.fix.is_some())
            .collect()
    };
    let (upper, lower) = (
        "any = [\"发票\"]",
        "any = [\"开票\"]\nall = [\"发票\", \"抬头\"]",
    );
    assert_eq!(fixes(upper, lower), [false]);
    let upper = "event = [\"scan\"]\nkey = [\"table-1\"]";
    let lower = "event = [\"scan\", \"menu\"]\nkey = [\"table-1\", \"table-2\"]";
    assert_eq!(fixes(upper, lower), [false]);
    let (upper, lower) = ("any = [\"发票\"]", "any = [\"发票\", \"开票\"]");
    assert_eq!(fixes(upper, lower), [true]);
}
