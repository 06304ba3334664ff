//! Compiles rule files into a rule set. Never fails: it gives what it can, and remarks.
//! Owns: which file is what, the order of checks. Uses: all of rules. Never: I/O, the clock.

use toml::de::{DeTable, DeValue};

use super::build::Build;
use super::desk_file;
use super::diagnostic::{Code, Diagnostic, Place, Remarks, Words, did_you_mean};
use super::index::RuleSet;
use super::mend;
use super::rule;
use super::sheet::{Key, Sheet, keys};
use super::source::{Cuts, Source};
use super::syntax;
use crate::model::desk::DeskSettings;
use crate::model::{AccountName, RuleFiles, Time};

/// Settings of the desk.
const DESK_FILE: &str = "_desk.toml";
/// All files together may have at most so many bytes: places, words and states are counted in 32 bits.
const SET_LIMIT: usize = 512 * 1024 * 1024;
/// Settings files of the format that this version does not read.
const LATER_FILES: &[&str] = &[
    "_calendar.toml",
    "_crisis.toml",
    "_canned.toml",
    "_brand.toml",
];

const TOP: &[Key] = keys!(["rule", "defaults"], not_yet["test"]);
const DEFAULTS: &[Key] = keys!(["accounts"], not_yet []);

/// What compiling may know besides the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The accounts there are; `None` when nobody knows, then names are not checked.
    pub accounts: Option<Vec<AccountName>>,
    /// Now, for remarks about what is over or due; `None` when that does not matter, then they are left out.
    pub today: Option<Time>,
    /// The desk's settings where `_desk.toml` says nothing.
    pub desk: DeskSettings,
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
    let mut build = Build::new(options);
    let mut summaries = Vec::new();
    let mut allows_empty = false;
    let mut total = 0;
    for (path, bytes) in &files.0 {
        total += bytes.len();
        if total > SET_LIMIT {
            remarks.push(set_too_big(path));
            break;
        }
        let is_settings = path.starts_with('_');
        if is_settings && path != DESK_FILE {
            remarks.push(unread_file(path));
            continue;
        }
        let before = build.seen();
        if let Some(source) = Source::open(path, bytes, &mut remarks) {
            if is_settings {
                allows_empty |= read_desk(&source, &mut build, &mut remarks);
            } else {
                read_rules(&source, &mut build, &mut remarks);
            }
        }
        summaries.push(FileSummary {
            path: path.clone(),
            rules: build.seen() - before,
        });
    }
    let tests = build.tests();
    let rules = build.finish(files, &mut remarks);
    if rules.is_empty() && !allows_empty && remarks.errors() == 0 {
        remarks.push(no_rules(files));
    }
    let rules = (remarks.errors() == 0).then_some(rules);
    Compiled {
        rules,
        diagnostics: remarks.into_sorted(),
        files: summaries,
        tests,
    }
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
        return Diagnostic::new(Code::UnknownFile, place, words);
    }
    let words = Words::new(
        format!("不认识的设置文件 {path},没有读(`_` 开头的是设置,不是规则)"),
        format!("unknown settings file {path}, not read (names with `_` are settings, not rules)"),
    );
    let diagnostic = Diagnostic::new(Code::UnknownFile, place, words);
    match did_you_mean(
        path,
        [DESK_FILE].into_iter().chain(LATER_FILES.iter().copied()),
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

fn read_desk(source: &Source<'_>, build: &mut Build<'_>, remarks: &mut Remarks) -> bool {
    if is_too_deep(source, remarks).is_none() {
        return false;
    }
    let (table, errors) = DeTable::parse_recoverable(source.text);
    let mut sheet = Sheet {
        source,
        start: 0,
        remarks,
    };
    if errors.is_empty() {
        return desk_file::read(&mut sheet, table.get_ref(), &mut build.set.settings);
    }
    syntax::report(&mut sheet, source.text, &errors);
    false
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
                remarks: sheet.remarks,
            };
            if errors.is_empty() {
                read_piece(&mut sheet, table.get_ref(), build);
            } else {
                syntax::report(&mut sheet, text, &errors);
            }
        }
    }
    build.end_file();
}

fn read_piece(sheet: &mut Sheet<'_>, table: &DeTable<'_>, build: &mut Build<'_>) {
    let owner = Words::new("文件最外层", "the top of a file");
    for (key, value) in table {
        if !sheet.knows(key, TOP, &owner) {
            continue;
        }
        if key.get_ref() == "defaults" {
            read_defaults(sheet, value, build);
            continue;
        }
        let DeValue::Array(rules) = value.get_ref() else {
            let span = sheet.span(value.span());
            let words = Words::new(
                "规则的标题要用两层方括号",
                "a rule's header has two brackets",
            );
            let help = Words::new("写成 [[rule]]", "write [[rule]]");
            let fix = match key.get_ref().as_ref() {
                "rule" => mend::replace(sheet.written(), span.clone(), ("[rule]", "[[rule]]")),
                _ => None,
            };
            let diagnostic = Diagnostic::new(Code::Syntax, sheet.place(span), words);
            sheet.remarks.push(diagnostic.help(help).fix(fix));
            continue;
        };
        for value in rules {
            if let Some(written) = rule::read(sheet, value) {
                build.add(sheet, &written);
            }
        }
    }
}

fn read_defaults(sheet: &mut Sheet<'_>, value: &super::sheet::Value<'_>, build: &mut Build<'_>) {
    let owner = Words::new("[defaults] ", "[defaults]");
    let span = sheet.span(value.span());
    let Some(table) = sheet.table("defaults", value) else {
        return;
    };
    for (key, value) in table {
        if sheet.knows(key, DEFAULTS, &owner) {
            let accounts = sheet.strings("accounts", value);
            build.defaults(sheet, &accounts, span.clone());
        }
    }
}
