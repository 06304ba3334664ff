//! Checks a rules directory: what is wrong with its files, and whether the tests beside rules pass.
//! Owns: the formats of the report, its exit code. Uses: rules, decide, config, fix. Never: changes a file itself.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;

use super::fix::{fix, fixable};
use super::try_out::now;
use super::{complain, print};
use crate::decide::{ActiveRules, inline};
use crate::model::RuleFiles;
use crate::rules::diagnostic::{render, render_github};
use crate::rules::{
    Compiled, Diagnostic, FileSummary, Lang, Options, Severity, compile, read_directory,
};

/// The configuration beside a rules directory.
const CONFIG_FILE: &str = "wxreply.toml";

/// What to check, and how to report it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// 规则目录 | The rules directory
    #[arg(default_value = "rules")]
    rules_dir: PathBuf,
    /// 输出格式 | The form of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// 能自动改的直接改好(写回文件) | Mend what a machine can mend, and write the files
    #[arg(long)]
    fix: bool,
    /// 有警告也算没通过 | Fail on warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// 逐条列出提示(没有测试、没有负责人) | List hints one by one
    #[arg(long)]
    hints: bool,
    /// 语言 | Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Github,
}

/// A language on the command line.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Language {
    /// 简体中文
    #[default]
    Zh,
    /// English
    En,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::Zh => Self::Zh,
            Language::En => Self::En,
        }
    }
}

/// The report as JSON.
#[derive(Serialize)]
struct Report<'a> {
    files: Vec<File<'a>>,
    rules: usize,
    tests: usize,
    errors: usize,
    warnings: usize,
    hints: usize,
    diagnostics: &'a [Diagnostic],
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    rules: usize,
}

impl Args {
    /// Checks and reports: 1 on errors, or on warnings when they are denied.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.into();
        let mut files = read(&self.rules_dir)?;
        let options = Options {
            today: Some(now()),
            ..known(&self.rules_dir)?
        };
        let root = root(&self.rules_dir);
        if self.fix {
            let mended = fix(&self.rules_dir, &files, &options, &root, lang)?;
            files = mended.files;
            match self.format {
                Format::Text => print(&mended.report)?,
                Format::Json | Format::Github => complain(mended.report.trim_end()),
            }
        }
        let Compiled {
            rules,
            mut diagnostics,
            files: summaries,
            tests,
        } = compile(&files, &options);
        let are_tested = rules.is_some();
        if let Some(set) = rules {
            let rules = ActiveRules {
                set,
                revision: None,
            };
            diagnostics.extend(inline::run_tests(&rules));
        }
        let count = |severity| {
            diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity() == severity)
                .count()
        };
        let report = Report {
            files: summaries.iter().map(File::from).collect(),
            rules: summaries.iter().map(|file| file.rules).sum(),
            tests,
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            hints: count(Severity::Hint),
            diagnostics: &diagnostics,
        };
        print(&match self.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
            Format::Github => render_github(&diagnostics, &root, lang),
            Format::Text => {
                let is_shown = |one: &&Diagnostic| self.hints || one.severity() != Severity::Hint;
                let shown: Vec<Diagnostic> = diagnostics.iter().filter(is_shown).cloned().collect();
                let is_coloured = std::io::stdout().is_terminal();
                let mut text = render(&shown, &files, &root, lang, is_coloured);
                text.push_str(&summary(&report, are_tested, self.hints, lang));
                text
            }
        })?;
        let is_bad = report.errors > 0 || self.deny_warnings && report.warnings > 0;
        Ok(if is_bad {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }
}

impl<'a> From<&'a FileSummary> for File<'a> {
    fn from(file: &'a FileSummary) -> Self {
        Self {
            path: &file.path,
            rules: file.rules,
        }
    }
}

/// Reads a rules directory.
pub(super) fn read(directory: &Path) -> anyhow::Result<RuleFiles> {
    read_directory(directory).with_context(|| format!("规则目录 {}", directory.display()))
}

/// What the configuration beside a rules directory says; where there is none, accounts are not known.
pub(super) fn known(directory: &Path) -> anyhow::Result<Options> {
    let beside = directory.join("..").join(CONFIG_FILE);
    if !beside.exists() {
        return Ok(Options::default());
    }
    let known = crate::config::for_rules(&beside)?;
    Ok(Options {
        accounts: Some(known.accounts),
        timezone: known.timezone,
        ..Options::default()
    })
}

/// What stands before the name of a file in the report.
pub(super) fn root(directory: &Path) -> String {
    let mut root = directory.display().to_string();
    if !root.ends_with('/') {
        root.push('/');
    }
    root
}

fn summary(report: &Report<'_>, are_tested: bool, hints_listed: bool, lang: Lang) -> String {
    let Report {
        files,
        rules,
        tests,
        errors,
        warnings,
        hints,
        ..
    } = report;
    let files = files.len();
    let mut text = match lang {
        Lang::Zh => format!(
            "{files} 个文件,{rules} 条规则,{tests} 个测试:{errors} 个错误,{warnings} 个警告\n"
        ),
        Lang::En => format!(
            "{files} files, {rules} rules, {tests} tests: {errors} errors, {warnings} warnings\n"
        ),
    };
    if !are_tested && *tests > 0 {
        text.push_str(match lang {
            Lang::Zh => "有错误,测试没有跑\n",
            Lang::En => "tests were not run because of the errors\n",
        });
    }
    let fixable = fixable(report.diagnostics, hints_listed);
    if fixable > 0 {
        match lang {
            Lang::Zh => writeln!(text, "其中 {fixable} 个可以自动改:加 --fix"),
            Lang::En => writeln!(text, "{fixable} of them can be mended with --fix"),
        }
        .expect("writing to a String cannot fail");
    }
    if *hints > 0 && !hints_listed {
        match lang {
            Lang::Zh => writeln!(text, "另有 {hints} 条提示,加 --hints 列出"),
            Lang::En => writeln!(text, "{hints} hints more, listed with --hints"),
        }
        .expect("writing to a String cannot fail");
    }
    text
}
