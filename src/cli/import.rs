//! Brings rules over from WeChat's own editor or a spreadsheet into a rule file.
//! Owns: where they come from, when the file is written, what is printed. Uses: rules, decide, wechat's client, config.
//! Never: writes a file that `check` would not pass, or over one without being told.

mod landing;
mod live;
mod proof;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::check::Language;
use super::{ConfigFile, complain, print};
use crate::model::AccountName;
use crate::rules::Lang;
use crate::rules::import::native::{Console, Hosted};
use crate::rules::import::table::{self, MOST_FAULTS};
use crate::rules::import::{Draft, DraftRule, INPUT_LIMIT, Names, Report};
use landing::Landing;

/// Days are counted as in China.
const CHINA: jiff::tz::Offset = jiff::tz::offset(8);

/// 把别处的规则变成规则文件 | Make rule files of rules that are elsewhere
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// 微信后台的自动回复:关键词、关注后回复、默认回复 | The auto-replies of WeChat's own console
    Native(Native),
    /// 表格:关键词、回复等列,UTF-8 或 GBK | A spreadsheet saved as CSV: keyword, reply and more
    Csv(Csv),
}

/// Rules of WeChat's console.
#[derive(Debug, clap::Args)]
pub(super) struct Native {
    /// 存下来的 get_current_autoreply_info 答复 | A saved answer of get_current_autoreply_info
    #[arg(
        value_name = "FILE.json",
        required_unless_present = "account",
        conflicts_with = "account"
    )]
    file: Option<PathBuf>,
    /// 直接问微信:配置里的哪个公众号(要有 secret) | Ask WeChat: an account of the configuration that has a secret
    #[arg(long, value_name = "NAME", value_parser = super::try_out::account)]
    account: Option<AccountName>,
    #[command(flatten)]
    config: ConfigFile,
    /// 写到哪里,- 是标准输出 | Where to write, - for standard output
    #[arg(long, value_name = "FILE.toml", default_value = "rules/90-native.toml")]
    out: PathBuf,
    #[command(flatten)]
    landing: How,
}

/// Rules of a spreadsheet.
#[derive(Debug, clap::Args)]
pub(super) struct Csv {
    /// 表格文件,- 是标准输入 | The table, - for standard input
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// 写到哪里,- 是标准输出 | Where to write, - for standard output
    #[arg(long, value_name = "FILE.toml", default_value = "rules/80-table.toml")]
    out: PathBuf,
    /// 有错的行不要,其他的照样导入 | Leave bad rows out and bring the others over
    #[arg(long)]
    skip_errors: bool,
    #[command(flatten)]
    landing: How,
}

/// How the file is written and reported.
#[derive(Debug, clap::Args)]
struct How {
    /// 文件已经有了也写 | Write over a file that is there
    #[arg(long)]
    force: bool,
    /// 规则只给这些公众号用(逗号分开) | The accounts that the rules are for
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = super::try_out::account)]
    accounts: Vec<AccountName>,
    /// 报告的格式 | The form of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// 语言 | Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// The report as JSON.
#[derive(Serialize)]
struct Outcome<'a> {
    /// The file that was written; `None` when none was, or to standard output.
    file: Option<&'a Path>,
    /// Files beside it.
    media: &'a [String],
    #[serde(flatten)]
    report: &'a Report,
}

/// Brings rules over: 1 when nothing was written because something is wrong with them.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::Native(args) => args.run(),
        Args::Csv(args) => args.run(),
    }
}

impl Native {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut landing = Landing::find(&self.out, self.landing.force)?;
        let mut accounts = self.landing.accounts.clone();
        let (console, hosted) = match (&self.account, &self.file) {
            (Some(name), _) => {
                let account = live::Account::find(&self.config.load()?, name)?;
                if accounts.is_empty() && account.has_siblings {
                    accounts.push(name.clone());
                }
                let console = Console::read(&account.rules()?)?;
                let hosted = account.media(&console, &mut landing)?;
                (console, hosted)
            }
            (None, Some(file)) => {
                let console = Console::read(&read(file)?);
                let console = console.with_context(|| file.display().to_string())?;
                (console, Hosted::new())
            }
            (None, None) => bail!("给一个文件,或 --account | name a file, or --account"),
        };
        let mut names = landing.names();
        let source = format!("微信后台自动回复 {}", today());
        let mut draft = console.draft(&hosted, &mut names, &source);
        draft.accounts = accounts.iter().map(ToString::to_string).collect();
        finish(draft, landing, &self.landing)
    }
}

impl Csv {
    fn run(self) -> anyhow::Result<ExitCode> {
        let landing = Landing::find(&self.out, self.landing.force)?;
        let name = self.file.file_name().map(|name| name.to_string_lossy());
        let name = name.filter(|name| *name != "-").unwrap_or("表格".into());
        let source = format!("{name} {}", today());
        let mut names: Names = landing.names();
        let read = table::read(&read(&self.file)?, &mut names, &source);
        let table::Read { mut draft, faults } =
            read.with_context(|| self.file.display().to_string())?;
        let lang: Lang = self.landing.lang.into();
        let mut shown = String::new();
        for fault in &faults {
            let (line, column) = (fault.spot.line, fault.spot.column);
            let words = fault.words.get(lang);
            match lang {
                Lang::Zh => writeln!(shown, "第 {line} 行第 {column} 列:{words}"),
                Lang::En => writeln!(shown, "line {line}, column {column}: {words}"),
            }
            .expect("writing to a String cannot fail");
        }
        let is_cut = faults.len() >= MOST_FAULTS;
        if is_cut || !(faults.is_empty() || self.skip_errors) {
            shown.push_str(match (lang, is_cut) {
                (Lang::Zh, true) => "错误太多,后面的没有再看\n",
                (Lang::En, true) => "too many errors, the rest was not read\n",
                (Lang::Zh, false) => "没有写文件;改好再来,或加 --skip-errors 不要这些行\n",
                (Lang::En, false) => {
                    "nothing was written; correct them, or leave them out with --skip-errors\n"
                }
            });
            complain(shown.trim_end());
            return Ok(ExitCode::from(1));
        }
        if !faults.is_empty() {
            complain(shown.trim_end());
        }
        let accounts = &self.landing.accounts;
        draft.accounts = accounts.iter().map(ToString::to_string).collect();
        finish(draft, landing, &self.landing)
    }
}

/// Proves the rules, writes the file and reports.
fn finish(mut draft: Draft, landing: Landing, how: &How) -> anyhow::Result<ExitCode> {
    let lang = how.lang.into();
    if let Err(remarks) = proof::prove(&mut draft, &landing, lang)? {
        complain(&remarks);
        complain("没有写文件 | nothing was written");
        return Ok(ExitCode::from(1));
    }
    let report = draft.report();
    let has_rules = draft.rules.iter().any(DraftRule::is_written);
    let written = if has_rules {
        Some(landing.write(&draft.to_toml())?)
    } else {
        None
    };
    let file = written.as_ref().and_then(|written| written.file.as_deref());
    let text = match how.format {
        Format::Text => {
            let mut text = report.in_words(lang);
            match (file, has_rules) {
                (Some(file), _) => writeln!(text, "→ {}", file.display()),
                (None, true) => Ok(()),
                (None, false) => writeln!(text, "没有可写的规则 | there is no rule to write"),
            }
            .expect("writing to a String cannot fail");
            text
        }
        Format::Json => {
            let media = written.as_ref().map(|written| &written.media[..]);
            let outcome = Outcome {
                file,
                media: media.unwrap_or_default(),
                report: &report,
            };
            format!("{}\n", serde_json::to_string_pretty(&outcome)?)
        }
    };
    // Standard output belongs to the rule file when that goes there.
    if file.is_none() && has_rules {
        complain(text.trim_end());
    } else {
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The bytes of a file, or of standard input.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let limit = u64::try_from(INPUT_LIMIT)? + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| path.display().to_string())?;
        let read = file.take(limit).read_to_end(&mut bytes);
        read.with_context(|| path.display().to_string())?;
    }
    if bytes.len() > INPUT_LIMIT {
        bail!(
            "{} 超过 {INPUT_LIMIT} 字节 | more than {INPUT_LIMIT} bytes",
            path.display()
        );
    }
    Ok(bytes)
}

/// Today in China, as the operator who reads the file counts days.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is an edge: the file says on which day it was made"
)]
fn today() -> jiff::civil::Date {
    CHINA.to_datetime(jiff::Timestamp::now()).date()
}
