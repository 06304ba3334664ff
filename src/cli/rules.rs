//! Shows revisions of the running server's rules, compares them, brings them back, and publishes drafts.
//! Owns: how they are asked for and shown, exit codes. Uses: the server's API over loopback, rules. Never: writes a rule file itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::check::Language;
use super::local::Local;
use super::{ConfigFile, backtest, complain, print};
use crate::rules::{Lang, read_directory};

/// 规则的版本:历史、比较、恢复、发布(需要服务在运行) | Revisions of the running server's rules.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// 列出存下来的版本,新的在前 | List the revisions, newest first
    History(Plain),
    /// 看一个版本的文件;不写版本号就看规则目录现在怎样 | Show a revision's files; without a number how the directory is
    Show(Show),
    /// 比较两个版本;不写第二个就和规则目录比 | Compare two revisions, or one with the directory
    Diff(Diff),
    /// 恢复一个版本 | Bring a revision back
    Rollback(Rollback),
    /// 检查草稿,通过了就发布 | Check a draft, and publish it if it is good
    Publish(Publish),
    /// 拿过去的消息比一比草稿和现在的规则 | Compare a draft with what runs, on the messages that followers sent
    Backtest(backtest::Args),
}

/// What every one of these takes.
#[derive(Debug, clap::Args)]
pub(super) struct Plain {
    /// 语言 | Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    #[command(flatten)]
    config: ConfigFile,
}

/// What to show.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// 版本号 | The revision
    #[arg(value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    plain: Plain,
}

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// 版本号 | The older revision
    #[arg(value_name = "A")]
    from: u64,
    /// 另一个版本号 | The newer revision
    #[arg(value_name = "B")]
    to: Option<u64>,
    #[command(flatten)]
    plain: Plain,
}

/// What to bring back.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// 版本号 | The revision
    #[arg(value_name = "N")]
    revision: u64,
    #[command(flatten)]
    plain: Plain,
}

/// What to publish.
#[derive(Debug, clap::Args)]
pub(super) struct Publish {
    /// 草稿目录:里面的文件盖在规则目录上 | The draft: its files are laid over the rules directory
    #[arg(value_name = "DRAFT_DIR")]
    draft: PathBuf,
    /// 草稿就是全部:规则目录里草稿没有的规则文件和表会删掉 | The draft is everything: rule files and tables that it lacks are removed
    #[arg(long)]
    replace: bool,
    /// 草稿是照哪个目录内容改的(`rules show` 里的 hash);内容变了就不发布 | What the draft was made for, a hash of `rules show`
    #[arg(long, value_name = "HASH")]
    base: Option<String>,
    /// 谁改的 | Whose change this is
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    #[command(flatten)]
    plain: Plain,
}

/// Asks the running server. 1 when a draft or revision is refused for what is in it.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::History(plain) => {
            print(&history(&plain.server()?.get("/rules/revisions")?))?;
        }
        Args::Show(Show { revision, plain }) => match revision {
            Some(number) => {
                let shown = plain.server()?.get(&format!("/rules/revisions/{number}"))?;
                print(&files(&shown))?;
            }
            None => print(&directory(&plain.server()?.get("/rules")?, plain.lang()))?,
        },
        Args::Diff(Diff { from, to, plain }) => {
            let to = to.map_or_else(|| "directory".to_owned(), |number| number.to_string());
            let path = format!("/rules/revisions/{from}/diff/{to}");
            print(&differences(&plain.server()?.get(&path)?, plain.lang()))?;
        }
        Args::Rollback(Rollback { revision, plain }) => {
            let wanted = json!({"revision": revision});
            return plain.change("/rules/rollback", &wanted);
        }
        Args::Publish(publish) => return publish.run(),
        Args::Backtest(args) => return backtest::run(&args),
    }
    Ok(ExitCode::SUCCESS)
}

impl Plain {
    fn server(&self) -> anyhow::Result<Local> {
        Local::find(&self.config.load()?)
    }

    fn lang(&self) -> Lang {
        self.lang.into()
    }

    /// Asks for a change, and says what came of it.
    fn change(&self, path: &str, wanted: &Value) -> anyhow::Result<ExitCode> {
        let lang = self.lang();
        let (status, answer) = self.server()?.ask(path, wanted)?;
        match (status, word(&answer, "code")) {
            (200, _) => {
                print(&changed(&answer, lang))?;
                Ok(ExitCode::SUCCESS)
            }
            (422, _) | (409, "changed") => {
                complain(refusal(&answer, lang).trim_end());
                Ok(ExitCode::from(1))
            }
            _ => bail!(
                "{status} {} | {}",
                word(&answer, "title"),
                word(&answer, "detail")
            ),
        }
    }
}

impl Publish {
    fn run(self) -> anyhow::Result<ExitCode> {
        let draft = read_draft(&self.draft)?;
        let wanted = json!({
            "files": draft,
            "replace": self.replace,
            "base": self.base,
            "author": self.author,
        });
        self.plain.change("/rules/publish", &wanted)
    }
}

/// The rule files and tables of a draft. Media do not travel in JSON: they are put into the directory itself.
pub(super) fn read_draft(directory: &Path) -> anyhow::Result<Map<String, Value>> {
    let mut draft = Map::new();
    for (path, bytes) in read_directory(directory)?.0 {
        if path.starts_with("media/") {
            complain(&format!(
                "{path} 没有带上,要自己放进规则目录 | {path} is left out; put it into the rules directory"
            ));
            continue;
        }
        let text = std::str::from_utf8(&bytes)
            .with_context(|| format!("{path} 不是 UTF-8 | {path} is not UTF-8"))?;
        draft.insert(path, text.into());
    }
    if draft.is_empty() {
        bail!(
            "{0} 里没有规则文件 | {0} has no rule files",
            directory.display()
        );
    }
    Ok(draft)
}

/// One line a revision: whether it runs, number, time, author, hash.
fn history(answer: &Value) -> String {
    let mut text = String::new();
    for revision in list(answer, "revisions") {
        let mark = if flag(revision, "active") { "*" } else { " " };
        line(
            &mut text,
            &format!(
                "{mark} {}\t{}\t{}\t{}",
                number(revision, "revision"),
                word(revision, "at"),
                word(revision, "author"),
                word(revision, "hash").get(..12).unwrap_or_default()
            ),
        );
    }
    text
}

/// A revision's files, one after another.
fn files(answer: &Value) -> String {
    let mut text = String::new();
    for file in list(answer, "files") {
        let (path, bytes) = (word(file, "path"), number(file, "bytes"));
        match file.get("text").and_then(Value::as_str) {
            Some(content) => {
                line(&mut text, &format!("==> {path} ({bytes}) <=="));
                line(&mut text, content.trim_end_matches('\n'));
            }
            None => line(
                &mut text,
                &format!("==> {path} ({bytes}, SHA-256 {}) <==", word(file, "sha256")),
            ),
        }
        text.push('\n');
    }
    text
}

/// How the directory is.
fn directory(answer: &Value, lang: Lang) -> String {
    let mut text = String::new();
    let (zh, en) = match word(answer, "state") {
        "live" => ("规则目录就是现在运行的", "the directory is what runs"),
        "pinned" => (
            "恢复的旧版本在运行,规则目录写不进去",
            "an older revision was brought back, the directory cannot be written",
        ),
        _ => (
            "规则目录有错,运行的是旧版本",
            "the directory is bad, an older revision runs",
        ),
    };
    let (revision, since) = (number(answer, "revision"), word(answer, "loaded_at"));
    let hash = word(answer, "directory_hash");
    line(
        &mut text,
        &match lang {
            Lang::Zh => format!("版本  {revision}({since} 起)\n状态  {zh}\nhash  {hash}"),
            Lang::En => {
                format!("revision   {revision} (since {since})\nstate      {en}\nhash       {hash}")
            }
        },
    );
    for file in list(answer, "files") {
        let rules = number(file, "rules");
        let remarks = list(file, "diagnostics").filter(|remark| word(remark, "severity") != "hint");
        line(&mut text, &format!("{rules:>6}  {}", word(file, "path")));
        remarks.for_each(|remark| text.push_str(&remark_in_words(remark, lang)));
    }
    text
}

fn differences(answer: &Value, lang: Lang) -> String {
    let mut text = String::new();
    for file in list(answer, "files") {
        match file.get("diff").and_then(Value::as_str) {
            Some(diff) => text.push_str(diff),
            None => line(
                &mut text,
                &format!(
                    "{}: {}",
                    word(file, "path"),
                    pick(lang, "不是文字,内容不同", "not text, and different")
                ),
            ),
        }
    }
    text
}

/// What runs after a change.
fn changed(answer: &Value, lang: Lang) -> String {
    let revision = number(answer, "revision");
    let mut text = String::new();
    list(answer, "diagnostics")
        .filter(|remark| word(remark, "severity") == "warning")
        .for_each(|remark| text.push_str(&remark_in_words(remark, lang)));
    line(
        &mut text,
        &match lang {
            Lang::Zh => format!("现在运行版本 {revision}"),
            Lang::En => format!("revision {revision} runs now"),
        },
    );
    if flag(answer, "pinned") {
        let why = word(answer, "problem");
        line(
            &mut text,
            &match lang {
                Lang::Zh => format!("规则目录写不进去({why}):目录内容一变,就又以目录为准"),
                Lang::En => format!(
                    "the rules directory cannot be written ({why}): as soon as its content changes, it counts again"
                ),
            },
        );
    }
    text
}

/// Why a change was refused.
pub(super) fn refusal(answer: &Value, lang: Lang) -> String {
    let mut text = String::new();
    let errors = list(answer, "diagnostics").filter(|remark| word(remark, "severity") == "error");
    errors.for_each(|remark| text.push_str(&remark_in_words(remark, lang)));
    for file in list(answer, "files") {
        for (name, (zh, en)) in [
            ("theirs", ("别人的改动", "their change")),
            ("yours", ("你的改动", "your change")),
        ] {
            if let Some(diff) = file.get(name).and_then(Value::as_str) {
                line(&mut text, &format!("# {}", pick(lang, zh, en)));
                text.push_str(diff);
            }
        }
    }
    line(
        &mut text,
        pick(lang, word(answer, "title"), word(answer, "detail")),
    );
    text
}

fn remark_in_words(remark: &Value, lang: Lang) -> String {
    let in_lang = |zh: &str, en: &str| word(remark, pick(lang, zh, en)).to_owned();
    let mut text = format!(
        "{} {}: {}\n  --> {}:{}:{}\n",
        word(remark, "severity"),
        word(remark, "code"),
        in_lang("message", "message_en"),
        word(remark, "file"),
        number(remark, "line"),
        number(remark, "column")
    );
    let help = in_lang("help", "help_en");
    if !help.is_empty() {
        line(&mut text, &format!("  = {help}"));
    }
    text
}

fn line(text: &mut String, said: &str) {
    writeln!(text, "{said}").expect("writing to a String cannot fail");
}

const fn pick<'a>(lang: Lang, zh: &'a str, en: &'a str) -> &'a str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let items = value.get(name).and_then(Value::as_array);
    items.into_iter().flatten()
}

pub(super) fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}
