//! Compiles rule files into a rule set. Never fails: it gives what it can, and remarks.
//! Owns: which file is what, the order of checks. Uses: all of rules. Never: I/O, the clock.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use toml::de::{DeTable, DeValue};

use super::build::Build;
use super::calendar_file;
use super::canned;
use super::crisis_file;
use super::desk_file;
use super::diagnostic::{Code, Diagnostic, Place, Remarks, Words, did_you_mean};
use super::index::{DeskLines, RuleSet};
use super::lint;
use super::media::Library;
use super::mend;
use super::rule;
use super::script;
use super::sheet::{Sheet, Value};
use super::source::{Cuts, Source};
use super::syntax;
use crate::model::desk::DeskSettings;
use crate::model::{AccountName, RuleFiles, Time};

/// Settings of the desk.
const DESK_FILE: &str = "_desk.toml";
/// When things are open.
const CALENDAR_FILE: &str = "_calendar.toml";
/// Words of danger.
const CRISIS_FILE: &str = "_crisis.toml";
/// Answers that people use again and again.
const CANNED_FILE: &str = "_canned.toml";
/// The settings files that are read, in the order in which they are: one names what the one before has.
const SETTINGS: [&str; 4] = [CALENDAR_FILE, DESK_FILE, CRISIS_FILE, CANNED_FILE];
/// All files together may have at most so many bytes: places, words and states are counted in 32 bits.
const SET_LIMIT: usize = 512 * 1024 * 1024;
/// Settings files of the format that this version does not read.
const LATER_FILES: &[&str] = &["_brand.toml"];

const TOP: &[&str] = &["rule", "defaults", "test"];
const DEFAULTS: &[&str] = &["accounts", "owner"];

/// What compiling may know besides the files.
#[derive(Clone, Debug)]
pub struct Options {
    /// The accounts there are; `None` when nobody knows, then names are not checked.
    pub accounts: Option<Vec<AccountName>>,
    /// Now, for remarks about what is over or due; `None` when that does not matter, then they are left out.
    pub today: Option<Time>,
    /// The desk's settings where `_desk.toml` says nothing.
    pub desk: DeskSettings,
    /// The zone of times in rules where they name none; Asia/Shanghai by default.
    pub timezone: TimeZone,
    /// What stands before the name of a local picture that a card shows, `https://…/`; without it the card names the
    /// picture's path.
    pub media_url: Option<Box<str>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accounts: None,
            today: None,
            desk: DeskSettings::default(),
            media_url: None,
            timezone: TimeZoneDatabase::bundled()
                .get("Asia/Shanghai")
                .expect("the bundled zones have Asia/Shanghai"),
        }
    }
}

/// What became of rule files.
#[derive(Debug)]
pub struct Compiled {
    /// The rules; `None` when there was any error.
    pub rules: Option<RuleSet>,
    /// Everything that was noticed, by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub files: Vec<FileSummary>,
    /// How many tests stand beside rules.
    pub tests: usize,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSummary {
    /// Path under `rules/`.
    pub path: String,
    /// How many rules are in it, those that are switched off included.
    pub rules: usize,
}

/// Compiles rule files.
pub fn compile(files: &RuleFiles, options: &Options) -> Compiled {
    let mut remarks = Remarks::default();
    let library = Library::of(files, options.media_url.as_deref());
    let mut build = Build::new(files, options, &library);
    let mut summaries = Vec::new();
    let mut allows_empty = false;
    let mut total = 0;
    for name in SETTINGS {
        allows_empty |= read_settings(name, files, &mut build, &mut remarks);
    }
    for (path, bytes) in files.0.iter().filter(|(path, _)| is_rule_file(path)) {
        total += bytes.len();
        if total > SET_LIMIT {
            remarks.push(set_too_big(path));
            break;
        }
        let is_settings = path.starts_with('_');
        if is_settings && !SETTINGS.contains(&path.as_str()) {
            remarks.push(unread_file(path));
            continue;
        }
        let before = build.seen();
        if !is_settings && let Some(source) = Source::open(path, bytes, &mut remarks) {
            read_rules(&source, &mut build, &mut remarks);
        }
        summaries.push(FileSummary {
            path: path.clone(),
            rules: build.seen() - before,
        });
    }
    let tests = build.tests();
    let allowed = std::mem::take(&mut build.allowed);
    let rules = build.finish(&mut remarks);
    if rules.is_empty() && !allows_empty && remarks.errors() == 0 {
        remarks.push(no_rules(files));
    }
    let rules = (remarks.errors() == 0).then_some(rules);
    let mut diagnostics = remarks.into_sorted();
    diagnostics.retain(|one| !allowed.iter().any(|allowed| allowed.covers(one)));
    Compiled {
        rules,
        diagnostics,
        files: summaries,
        tests,
    }
}

/// Rules and settings stand at the top of the directory; below it are tables and media.
fn is_rule_file(path: &str) -> bool {
    path.ends_with(".toml") && !path.contains('/')
}

fn unread_file(path: &str) -> Diagnostic {
    let place = Place {
        file: path.into(),
        span: 0..0,
        line: 1,
        column: 1,
    };
    if LATER_FILES.contains(&path) {
        let words = Words::new(
            format!("这个版本还不读 {path},里面写的都不起作用"),
            format!("this version does not read {path} yet; nothing in it has an effect"),
        );
        return Diagnostic::new(Code::NoEffect, place, words);
    }
    let words = Words::new(
        format!("不认识的设置文件 {path},没有读(`_` 开头的是设置,不是规则)"),
        format!("unknown settings file {path}, not read (names with `_` are settings, not rules)"),
    );
    let diagnostic = Diagnostic::new(Code::UnknownFile, place, words);
    match did_you_mean(
        path,
        SETTINGS.into_iter().chain(LATER_FILES.iter().copied()),
    ) {
        Some(meant) => diagnostic.help(Words::new(
            format!("是不是 {meant}?"),
            format!("did you mean {meant}?"),
        )),
        None => diagnostic,
    }
}

fn set_too_big(path: &str) -> Diagnostic {
    let place = Place {
        file: path.into(),
        span: 0..0,
        line: 1,
        column: 1,
    };
    let words = Words::new(
        format!("规则文件加起来超过 {SET_LIMIT} 字节"),
        format!("all rule files together have more than {SET_LIMIT} bytes"),
    );
    Diagnostic::new(Code::TooBig, place, words)
}

fn no_rules(files: &RuleFiles) -> Diagnostic {
    let file = files.0.first().map_or("", |(path, _)| path);
    let place = Place {
        file: file.into(),
        span: 0..0,
        line: 1,
        column: 1,
    };
    let words = Words::new("一条起作用的规则也没有", "there is no rule in force");
    Diagnostic::new(Code::NoRules, place, words).help(Words::new(
        "真要这样(全部由人回答),在 _desk.toml 里写 allow_empty = true",
        "if that is meant (people answer everything), write allow_empty = true in _desk.toml",
    ))
}

/// Reads a settings file before any rule, wherever it stands in the order. Returns whether a set without rules is allowed.
fn read_settings(
    name: &str,
    files: &RuleFiles,
    build: &mut Build<'_>,
    remarks: &mut Remarks,
) -> bool {
    let Some((path, bytes)) = files.0.iter().find(|(path, _)| path == name) else {
        if name == DESK_FILE {
            *build.set.lines = DeskLines::of(&build.set.settings, &build.set.calendars);
        }
        return false;
    };
    let Some(source) = Source::open(path, bytes, remarks) else {
        return false;
    };
    if is_too_deep(&source, remarks).is_none() {
        return false;
    }
    let (table, errors) = DeTable::parse_recoverable(source.text);
    let mut sheet = Sheet {
        source: &source,
        start: 0,
        library: build.library,
        remarks,
    };
    if !errors.is_empty() {
        syntax::report(&mut sheet, source.text, &errors);
        return false;
    }
    let table = table.get_ref();
    match name {
        CALENDAR_FILE => read_calendars(&mut sheet, table, build),
        DESK_FILE => return read_desk(&mut sheet, table, build),
        CRISIS_FILE => crisis_file::read(&mut sheet, table, build),
        _ => build.set.canned = canned::read(&mut sheet, table, build.options),
    }
    false
}

fn read_calendars(sheet: &mut Sheet<'_>, table: &DeTable<'_>, build: &mut Build<'_>) {
    let options = build.options;
    let calendars = calendar_file::read(sheet, table, &options.timezone);
    if let Some(today) = options.today {
        lint::check_closings(sheet, table, &calendars, (today, &options.timezone));
    }
    let named = calendars.into_iter().map(|(name, it)| (Some(name), it));
    build.set.calendars.extend(named);
}

fn read_desk(sheet: &mut Sheet<'_>, table: &DeTable<'_>, build: &mut Build<'_>) -> bool {
    let set = &mut build.set;
    let today = build.options.today;
    let allows_empty = desk_file::read(sheet, table, &mut set.settings, &set.calendars, today);
    *set.lines = DeskLines::of(&set.settings, &set.calendars);
    allows_empty
}

fn is_too_deep(source: &Source<'_>, remarks: &mut Remarks) -> Option<Cuts> {
    match Cuts::find(source.text) {
        Ok(cuts) => Some(cuts),
        Err(at) => {
            let words = Words::new(
                "括号或点嵌套太深(最多 64 层)",
                "nested too deep (at most 64 levels)",
            );
            remarks.push(Diagnostic::new(
                Code::TooDeep,
                source.place(at..at + 1),
                words,
            ));
            None
        }
    }
}

fn read_rules(source: &Source<'_>, build: &mut Build<'_>, remarks: &mut Remarks) {
    let Some(cuts) = is_too_deep(source, remarks) else {
        return;
    };
    build.begin_file(source);
    for piece in cuts.pieces() {
        let text = source.text.get(piece.clone()).unwrap_or_default();
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut sheet = Sheet {
            source,
            start: piece.start,
            library: build.library,
            remarks,
        };
        if errors.is_empty() {
            read_piece(&mut sheet, table.get_ref(), build);
            continue;
        }
        drop(table);
        for single in cuts.single(piece) {
            let text = source.text.get(single.clone()).unwrap_or_default();
            let (table, errors) = DeTable::parse_recoverable(text);
            let mut sheet = Sheet {
                source,
                start: single.start,
                library: build.library,
                remarks: sheet.remarks,
            };
            if errors.is_empty() {
                read_piece(&mut sheet, table.get_ref(), build);
            } else {
                syntax::report(&mut sheet, text, &errors);
            }
        }
    }
    build.end_file(remarks);
}

fn read_piece(sheet: &mut Sheet<'_>, table: &DeTable<'_>, build: &mut Build<'_>) {
    let owner = Words::new("文件最外层", "the top of a file");
    let zone = build.options.timezone.clone();
    for (key, value) in table {
        if !sheet.knows(key, TOP, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        if name == "defaults" {
            read_defaults(sheet, value, build);
            continue;
        }
        let DeValue::Array(items) = value.get_ref() else {
            one_bracket(sheet, value, name);
            continue;
        };
        for value in items {
            if name == "test" {
                if let Some(written) = script::read(sheet, value, &zone) {
                    build.test(sheet, None, &written);
                }
            } else if let Some(written) = rule::read(sheet, value, &zone) {
                build.add(sheet, &written);
            }
        }
    }
}

/// Reports `[rule]`, or something else that is no list of tables.
fn one_bracket(sheet: &mut Sheet<'_>, value: &Value<'_>, name: &str) {
    let span = sheet.span(value.span());
    let words = if name == "rule" {
        Words::new(
            "规则的标题要用两层方括号",
            "a rule's header has two brackets",
        )
    } else {
        Words::new(
            "测试的标题要用两层方括号",
            "a test's header has two brackets",
        )
    };
    let help = Words::new(format!("写成 [[{name}]]"), format!("write [[{name}]]"));
    let single = (&*format!("[{name}]"), &*format!("[[{name}]]"));
    let fix = mend::replace(sheet.written(), span.clone(), single);
    let diagnostic = Diagnostic::new(Code::Syntax, sheet.place(span), words);
    sheet.remarks.push(diagnostic.help(help).fix(fix));
}

fn read_defaults(sheet: &mut Sheet<'_>, value: &Value<'_>, build: &mut Build<'_>) {
    let owner = Words::new("[defaults] ", "[defaults]");
    let span = sheet.span(value.span());
    let Some(table) = sheet.table("defaults", value) else {
        return;
    };
    let (mut accounts, mut has_owner) = (None, false);
    for (key, value) in table {
        if !sheet.knows(key, DEFAULTS, &owner) {
            continue;
        }
        match &**key.get_ref() {
            "accounts" => accounts = Some(sheet.strings("accounts", value)),
            key => has_owner = sheet.string(key, value).is_some(),
        }
    }
    build.defaults(sheet, accounts.as_deref(), has_owner, span);
}
