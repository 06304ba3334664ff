//! Writes every key of a rule file once well and in the ways people get it wrong.

use bytes::Bytes;
use wxreply::model::RuleFiles;
use wxreply::rules::diagnostic::{Lang, Severity, render};
use wxreply::rules::{Code, Compiled, Options, compile, read_directory};

use super::files;

mod plain;

const CALENDARS: &str = "[calendar.shop]\nweekly = { mon-fri = \"09:00-18:00\" }\n";
const STORES: &str = "city,address,phone\n北京,王府井 1 号,010-1\n";

/// A key, a rule (or more) that has it well, and rules that do not.
struct Key {
    key: &'static str,
    good: &'static str,
    bad: &'static [&'static str],
}

const fn key(key: &'static str, good: &'static str, bad: &'static [&'static str]) -> Key {
    Key { key, good, bad }
}

/// What stands in a rule behind its id; `!` before it means that the whole file is given.
const KEYS: &[Key] = &[
    key(
        "like",
        "like = [\"停车方便吗\", \"有没有停车场\"]\nreply = \"r\"",
        &["like = [\"?!\"]\nreply = \"r\"", "like = 5\nreply = \"r\""],
    ),
    key(
        "min_score",
        "like = \"停车方便吗\"\nmin_score = 1\nreply = \"r\"",
        &[
            "like = \"停车\"\nmin_score = 0.2\nreply = \"r\"",
            "like = \"停车\"\nmin_score = \"0.7\"\nreply = \"r\"",
            "like = \"停车\"\nmin_score = nan\nreply = \"r\"",
            "any = \"停车\"\nmin_score = 0.7\nreply = \"r\"",
        ],
    ),
    key(
        "during",
        "any = \"a\"\nduring = [\"shop\", \"22:00-06:00\", \"mon-fri 09:00-18:00\"]\nreply = \"r\"",
        &[
            "any = \"a\"\nduring = \"shpo\"\nreply = \"r\"",
            "any = \"a\"\nduring = \"worktime\"\nreply = \"r\"",
            "any = \"a\"\nduring = [\"25:00-26:00\", \"mon-fri 9:00\"]\nreply = \"r\"",
            "any = \"a\"\nduring = []\nreply = \"r\"",
            "any = \"a\"\nduring = \"shop\"\nreply = \"r\"\ntests = [{ say = \"a\", expect = \"x\" }]",
        ],
    ),
    key(
        "outside",
        "any = \"a\"\noutside = \"shop\"\nreply = \"{calendar.shop.next_open}\"",
        &[
            "any = \"a\"\noutside = \"Shop\"\nreply = \"{calendar.shpo.next_open}\"",
            "any = \"a\"\noutside = { shop = true }\nreply = \"r\"",
        ],
    ),
    key(
        "between",
        "any = \"a\"\nbetween = [2027-09-01, \"2027-09-15T18:00\"]\nreply = \"r\"",
        &[
            "any = \"a\"\nbetween = [\"2027-09-15\", \"2027-09-01\"]\nreply = \"r\"",
            "any = \"a\"\nbetween = [\"2027-02-30\", \"soon\"]\nreply = \"r\"",
            "any = \"a\"\nbetween = \"2027-09-01\"\nreply = \"r\"",
            "any = \"a\"\nbetween = [2027-09-01]\nreply = \"r\"",
            "any = \"a\"\nbetween = [1, 09:00:00]\nreply = \"r\"",
        ],
    ),
    key(
        "followers",
        "any = \"a\"\nfollowers = { tag = [\"vip\", \"老客\"], first_visit = true }\nreply = \"r\"",
        &[
            "any = \"a\"\nfollowers = \"vip\"\nreply = \"r\"",
            "any = \"a\"\nfollowers = {}\nreply = \"r\"",
            "any = \"a\"\nfollowers = { tags = \"vip\" }\nreply = \"r\"",
            "any = \"a\"\nfollowers = { tag = \"\", first_visit = 1 }\nreply = \"r\"",
            "any = \"a\"\nfollowers = { tag = [] }\nreply = \"r\"",
        ],
    ),
    key(
        "cooldown",
        "any = \"a\"\ncooldown = { per = \"follower\", every = \"10m\", short = \"说过了\" }\nreply = \"r\"",
        &[
            "any = \"a\"\ncooldown = \"10m\"\nreply = \"r\"",
            "any = \"a\"\ncooldown = {}\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"10 minuten\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"31d\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"0s\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { per = \"account\", every = \"1m\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"1m\", then = \"silnt\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"1m\", then = \"short\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"1m\", then = \"next\", short = \"{x}\" }\nreply = \"r\"",
            "any = \"a\"\ncooldown = { every = \"1m\", short = \"{x}\" }\nreply = \"r\"",
        ],
    ),
    key(
        "pick",
        "any = \"a\"\npick = \"rotate\"\nreplies = [{ text = \"x\" }, { text = \"y\" }]",
        &[
            "any = \"a\"\npick = \"rnadom\"\nreplies = [{ text = \"x\" }, { text = \"y\" }]",
            "any = \"a\"\npick = \"all\"\nreply = \"r\"",
            "any = \"a\"\npick = \"all\"\nreplies = [{ text = \"x\" }, { desk = {} }]",
            "any = \"a\"\npick = \"all\"\nreplies = [{ text = \"1\" }, { text = \"2\" }, { text = \"3\" }, { text = \"4\" }, { text = \"5\" }, { text = \"6\" }, { text = \"7\" }]",
        ],
    ),
    key(
        "replies",
        "regex = '(?<x>..)店'\nreplies = [{ text = \"{x}\" }, { news = { title = \"{x}\", description = \"{now}\", url = \"https://example.com/{x}\" } }, { video = { file = \"media_id:1\", title = \"{{x\" } }]",
        &[
            "any = \"a\"\nreplies = [{ news = { title = \"{x}\", url = \"https://{x}.example.com/\" } }]",
            "any = \"a\"\nreplies = [{ news = { title = \"{x}\", url = \"https://example.com/{y\" } }]",
            "any = \"a\"\nreplies = [{ image = \"media_id:1\", fallback = \"{x}\" }]",
            "any = \"a\"\nreplies = [{ music = { url = \"https://me:secret@example.com/a.mp3\", cover = \"media_id:1\" } }]",
        ],
    ),
    key(
        "use_reply_of",
        "any = \"a\"\nuse_reply_of = \"other\"\n[[rule]]\nid = \"other\"\nany = \"b\"\nreply = \"{today}\"",
        &[
            "any = \"a\"\nuse_reply_of = \"othr\"\n[[rule]]\nid = \"other\"\nany = \"b\"\nreply = \"r\"",
            "any = \"a\"\nuse_reply_of = \"other\"\n[[rule]]\nid = \"other\"\nany = \"b\"\nreply = \"r\"\nenabled = false",
            "any = \"a\"\nuse_reply_of = \"other\"\n[[rule]]\nid = \"other\"\nregex = '(?<city>.)店'\nreply = \"{city}\"",
            "any = \"a\"\nuse_reply_of = \"x\"",
            "any = \"a\"\nuse_reply_of = \"other\"\n[[rule]]\nid = \"other\"\nany = \"b\"\nuse_reply_of = \"x\"",
            "any = \"a\"\nuse_reply_of = \"other\"\n[[rule]]\nid = \"other\"\nany = \"b\"\nsilent = true",
            "any = \"a\"\nreply = \"r\"\nuse_reply_of = \"x\"",
            "any = \"a\"\nuse_reply_of = true",
        ],
    ),
    key(
        "silent",
        "any = \"a\"\nsilent = true",
        &[
            "any = \"a\"\nsilent = true\nreply = \"r\"",
            "any = \"a\"\nsilent = true\nhandoff = {}",
            "any = \"a\"\nsilent = false",
            "any = \"a\"\nsilent = \"yes\"",
        ],
    ),
    key(
        "always",
        "any = \"a\"\nalways = true\nreply = \"r\"",
        &[
            "any = \"a\"\nalways = 1\nreply = \"r\"",
            "any = \"a\"\nalways = true",
        ],
    ),
    key(
        "desk",
        "any = \"a\"\ndesk = true",
        &[
            "any = \"a\"\ndesk = true\nreply = \"r\"",
            "event = \"menu\"\ndesk = true",
            "any = \"a\"\ndesk = {}",
        ],
    ),
    key(
        "handoff",
        "any = \"a\"\nhandoff = { priority = \"urgent\", reason = \"投诉\" }",
        &[
            "any = \"a\"\nhandoff = \"high\"",
            "any = \"a\"\nhandoff = { prority = \"high\" }",
            "any = \"a\"\nhandoff = { priority = \"hihg\" }",
            "any = \"a\"\nhandoff = { reason = \"{now}\" }",
            "any = \"a\"\nhandoff = true",
        ],
    ),
    key(
        "form",
        "any = \"a\"\nreply = \"{name}\"\nform = { timeout = \"1h\", cancel = \"算了\", on_cancel = \"好\", on_timeout = \"再说\" }\n[[rule.step]]\nask = \"名字?\"\nsave = \"name\"",
        &[
            "any = \"a\"\nform = {}",
            "any = \"a\"\nform = { timeout = \"5s\", cancel = [\"!\"], on_cancel = \"{name}\", on_timout = \"x\" }\n[[rule.step]]\nask = \"名字?\"\nsave = \"name\"",
            "any = \"a\"\nform = { timeout = \"2d\" }\n[[rule.step]]\nask = \"名字?\"\nsave = \"name\"",
        ],
    ),
    key(
        "step",
        "any = \"a\"\nreply = \"{name} {tel}\"\n[[rule.step]]\nask = \"名字?\"\nsave = \"name\"\ncheck = '^.{2,5}$'\nretry = \"再说一次\"\ntries = 3\nthen = \"cancel\"\n[[rule.step]]\nask = \"{name},电话?\"\nsave = \"tel\"\nthen = { say = \"{name},算了\" }",
        &[
            "any = \"a\"\nreply = \"{nme}\"\n[[rule.step]]\nask = \"{tel}?\"\nsave = \"name\"\n[[rule.step]]\nask = \"电话?\"\nsave = \"tel\"",
            "any = \"a\"\n[[rule.step]]\nask = \"名字?\"",
            "any = \"a\"\n[[rule.step]]\nsave = \"na me\"\nask = \"\"",
            "any = \"a\"\n[[rule.step]]\nask = \"1?\"\nsave = \"x\"\n[[rule.step]]\nask = \"2?\"\nsave = \"x\"",
            "any = \"a\"\n[[rule.step]]\nask = \"1?\"\nsave = \"x\"\ncheck = '(\\d'\ntries = 0\nthen = \"hand\"\nretry = 5",
            "any = \"a\"\n[[rule.step]]\nask = \"1?\"\nsave = \"x\"\nthen = {}",
            "any = \"a\"\nstep = \"名字?\"",
            "any = \"a\"\nstep = []",
        ],
    ),
    key(
        "hook",
        "regex = '查(?<no>\\d+)'\n[rule.hook]\nurl = \"https://example.com/{no}?at={now}\"\nbody = { no = \"{no}\", who = \"{follower.id}\" }\nsecret = \"env:ORDER_HOOK_SECRET\"\ntimeout = \"500ms\"\nreply = \"{no}:{hook.state}\"\nmissing = \"没查到 {no}\"\nerror = { reply = \"忙\", handoff = { priority = \"high\" } }",
        &[
            "any = \"a\"\n[rule.hook]\nurl = \"ftp://example.com\"\nreply = \"{hook.x}\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://{host}/\"",
            "any = \"a\"\nreply = \"{hook.x}\"\n[rule.hook]\nurl = \"https://example.com/{hook.x}\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://example.com\"\nsecret = \"c2VjcmV0\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://example.com\"\nsecret = \"env:AWS_SECRET\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://example.com\"\ntimeout = \"10s\"\nbody = \"x\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://example.com\"\nbody = { n = 5 }",
            "any = \"a\"\n[rule.hook]\nurl = \"https://example.com\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://example.com\"\nreply = \"{hook.x}\"",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nurl = \"https://example.com\"\nerror = { replay = \"x\", handoff = \"norml\" }",
            "any = \"a\"\nreply = \"r\"\n[rule.hook]\nbody = {}",
        ],
    ),
    key(
        "table",
        "regex = ['(?<city>.{2})的店', '店在(?<city>.{2})']\ntable = { file = \"tables/stores.csv\", key = \"city\" }\nreply = \"{city}:{table.address}\"",
        &[
            "regex = '(?<city>.{2})的店'\ntable = { file = \"tables/store.csv\", key = \"city\" }\nreply = \"{table.address}\"",
            "regex = '(?<city>.{2})的店'\ntable = { file = \"../stores.csv\", key = \"city\" }\nreply = \"r\"",
            "regex = '(?<city>.{2})的店'\nany = \"店\"\ntable = { file = \"tables/stores.csv\", key = \"city\" }\nreply = \"r\"",
            "regex = '(?<town>.{2})的店'\ntable = { file = \"tables/stores.csv\", key = \"town\" }\nreply = \"r\"",
            "regex = '(?<city>.{2})的店'\ntable = { file = \"tables/stores.csv\", key = \"city\" }\nreply = \"{table.adress}\"",
            "regex = '(?<city>.{2})的店'\ntable = { file = \"tables/uneven.csv\", key = \"city\" }\nreply = \"r\"",
            "regex = '(?<city>.{2})的店'\ntable = { file = \"tables/twice.csv\", key = \"city\" }\nreply = \"r\"",
            "regex = '(?<city>.{2})的店'\ntable = \"tables/stores.csv\"\nreply = \"r\"",
            "regex = '(?<city>.{2})的店'\ntable = { file = \"tables/stores.csv\" }\nreply = \"r\"",
        ],
    ),
    key(
        "account",
        "any = \"a\"\nreply = \"r\"\n[rule.account.service]\npick = \"all\"\nreplies = [{ text = \"x\" }, { text = \"y\" }]",
        &[
            "any = \"a\"\n[rule.account.service]\nreply = \"x\"",
            "any = \"a\"\nreply = \"r\"\naccounts = [\"shop\"]\n[rule.account.service]\nreply = \"x\"",
            "any = \"a\"\nreply = \"r\"\n[rule.account.Service]\nreply = \"x\"",
            "any = \"a\"\nreply = \"r\"\n[rule.account.service]\nreplay = \"x\"",
            "any = \"a\"\nreply = \"r\"\n[rule.account.service]\nreply = \"{x}\"",
            "any = \"a\"\nreply = \"r\"\naccount = \"service\"",
        ],
    ),
    key(
        "allow",
        "any = \"a\"\nreply = \"r\"\npick = \"all\"\nallow = { W240 = \"还没写完\" }",
        &[
            "any = \"aa\"\nreply = \"r\"\nallow = [\"E103\", \"W20\", \"later\"]",
            "any = \"aa\"\nreply = \"r\"\nallow = { W203 = 5 }",
        ],
    ),
    key(
        "review_by",
        "any = \"a\"\nreply = \"r\"\nreview_by = \"2027-01-31\"\ntitle = \"t\"\nsource = \"s\"\nnote = \"n\"",
        &[
            "any = \"a\"\nreply = \"r\"\nreview_by = \"spring\"\ntitle = 1\nsource = 2\nnote = 3\nowner = 4",
        ],
    ),
    key(
        "tests",
        "any = \"a\"\nreply = \"r\"\nduring = \"shop\"\ntests = [{ say = \"a\", expect = \"x\", at = 2026-06-03T12:00:00, tags = \"vip\" }, { name = \"n\", say = \"a\", has = \"r\", at = \"2026-06-03T12:00:00+08:00\" }]",
        &[
            "any = \"a\"\nreply = \"r\"\ntests = [{ say = \"a\", expect = \"x\", at = \"2026-06-03\" }]",
            "any = \"a\"\nreply = \"r\"\ntests = [{ say = \"a\", expect = \"x\", at = \"noon\" }]",
            "any = \"a\"\nreply = \"r\"\ntests = [{ say = \"a\", expect = \"x\", tags = [\"\"] }]",
            "any = \"a\"\nreply = \"r\"\ntests = [{ say = \"a\", expect = \"x\", account = \"No\" }]",
            "any = \"a\"\nreply = \"r\"\ntests = [{ say = \"a\", expect = \"x\", hook = \"gone\" }]",
            "any = \"a\"\nreply = \"r\"\ntests = [{ say = \"a\", turns = [{ say = \"b\", has = \"r\" }] }]",
        ],
    ),
    key(
        "test",
        "any = \"a\"\nreply = \"r\"\n[[test]]\nname = \"two turns\"\naccount = \"shop\"\nat = 2026-06-03T12:00:00\ntags = [\"vip\"]\nturns = [{ say = \"a\", expect = \"x\" }, { event = \"menu\", key = \"K\", after = \"1h\", hook = { a = \"b\", c = { d = \"e\" } }, expect_not = \"x\" }, { message = \"image\", hook = \"missing\", expect = \"\" }]\n[[test]]\nsay = \"a\"\nexpect = \"x\"",
        &[
            "any = \"a\"\nreply = \"r\"\n[[test]]\nname = \"n\"",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = []",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = [{ say = \"a\" }]",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = [{ say = \"a\", expcet = \"x\" }]",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = [{ say = \"a\", event = \"menu\", expect = \"x\" }]",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = [{ say = \"a\", expect = \"y\" }]",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = [{ say = \"a\", has = \"r\", hook = { n = 1 } }]",
            "any = \"a\"\nreply = \"r\"\nduring = \"shop\"\n[[test]]\nturns = [{ say = \"a\", expect = \"x\" }]",
            "any = \"a\"\nreply = \"r\"\n[test]\nsay = \"a\"",
            "any = \"a\"\nreply = \"r\"\n[[test]]\nturns = [{ say = \"a\", has = \"r\", after = \"later\" }]",
        ],
    ),
    key(
        "placeholders",
        "event = \"scan\"\nscene = \"t-*\"\nreply = \"{scene.1} {follower.id} {queue.ahead} {queue.eta} {today} {now} {{x}\"",
        &["event = \"scan\"\nscene = \"t-*\"\nreply = \"{scene.2} {tody} {hook.x} {table.x}\""],
    ),
];

fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(plain::KEYS)
}

/// Every rule that is well written, and every one that is not.
pub fn fixtures() -> (Vec<&'static str>, Vec<&'static str>) {
    let bad = all().flat_map(|key| key.bad.iter().copied());
    (all().map(|key| key.good).collect(), bad.collect())
}

fn set(rule: &str) -> RuleFiles {
    files(&[
        ("10.toml", &format!("[[rule]]\nid = \"x\"\n{rule}\n")),
        ("_calendar.toml", CALENDARS),
        ("tables/stores.csv", STORES),
        ("tables/twice.csv", "city,phone\n北京,1\n上海,2\n北京,3\n"),
        ("tables/uneven.csv", "city,phone\n北京,1\n上海\n"),
    ])
}

fn checked(files: &RuleFiles) -> Compiled {
    let mut compiled = compile(files, &Options::default());
    compiled
        .diagnostics
        .retain(|one| one.severity() != Severity::Hint && one.code != Code::ShortKeyword);
    compiled
}

#[test]
fn every_key_is_taken_as_it_should_be_written() {
    for Key { key, good, .. } in all() {
        let files = set(good);
        let compiled = checked(&files);
        let shown = render(&compiled.diagnostics, &files, "", Lang::En, false);
        assert!(shown.is_empty(), "{key}: {good}\n{shown}");
        assert!(compiled.rules.is_some(), "{key}");
    }
}

#[test]
fn every_key_that_is_written_badly_is_described_where_it_stands() {
    for (lang, name) in [(Lang::Zh, "keys_zh"), (Lang::En, "keys_en")] {
        let mut shown = String::new();
        for Key { key, bad, .. } in all() {
            for bad in *bad {
                let files = set(bad);
                let compiled = checked(&files);
                assert!(!compiled.diagnostics.is_empty(), "{key}: {bad}");
                shown.push_str(&format!("==== {key}\n"));
                shown.push_str(&render(
                    &compiled.diagnostics,
                    &files,
                    "rules/",
                    lang,
                    false,
                ));
            }
        }
        assert!(!shown.contains("c2VjcmV0"), "a secret is repeated");
        assert!(!shown.contains("me:secret"), "a password is repeated");
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn the_sample_set_with_every_kind_of_rule_compiles() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
    let files = read_directory(&directory).unwrap();
    let paths: Vec<&str> = files.0.iter().map(|(path, _)| path.as_str()).collect();
    assert!(paths.contains(&"tables/branches.csv"), "{paths:?}");
    let compiled = checked(&files);
    let errors = compiled
        .diagnostics
        .iter()
        .any(|one| one.severity() == Severity::Error);
    let shown = render(&compiled.diagnostics, &files, "", Lang::En, false);
    assert!(!errors, "{shown}");
    let rules = compiled.rules.unwrap();
    let script = rules.scripts().next().unwrap();
    assert_eq!((&*script.name, script.turns.len()), ("查订单走得通", 3));
    assert_eq!(script.account.as_str(), "service");
    assert_eq!(rules.settings().offer, 3);
    assert!(rules.has_always() && rules.wants_queue());
}

#[test]
fn owners_and_allowed_remarks_are_not_reported() {
    let text = "[[rule]]\nid = \"a\"\nany = \"aa\"\nreply = \"r\"\nallow = [\"W210\"]\n[[rule]]\nid = \"b\"\nany = \"bb\"\nreply = \"r\"\n[defaults]\nowner = \"阿宁\"\n";
    let compiled = compile(&files(&[("a.toml", text)]), &Options::default());
    let shown: Vec<(Code, u32)> = compiled
        .diagnostics
        .iter()
        .map(|one| (one.code, one.place.line))
        .collect();
    assert_eq!(shown, [(Code::NoTest, 7)]);
}

#[test]
fn tables_in_gbk_are_read() {
    let (gbk, _, _) = encoding_rs::GBK.encode("城市,电话\n北京,010\n");
    let rule = "[[rule]]\nid = \"a\"\nregex = '(?<城市>.{2})店'\ntable = { file = \"tables/a.csv\", key = \"城市\" }\nreply = \"{table.电话}\"\n";
    let files = RuleFiles(vec![
        ("a.toml".to_owned(), Bytes::from_static(rule.as_bytes())),
        ("tables/a.csv".to_owned(), gbk.into_owned().into()),
    ]);
    let compiled = checked(&files);
    let shown = render(&compiled.diagnostics, &files, "", Lang::En, false);
    assert!(compiled.rules.is_some(), "{shown}");
}
