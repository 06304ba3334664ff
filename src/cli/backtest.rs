//! Shows what a draft would have made of the messages that followers sent, beside what the running rules make of them.
//! Owns: how it is asked for and shown. Uses: the server's API over loopback. Never: decides; writes a rule file.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::check::Language;
use super::local::Local;
use super::rules::{list, number, read_draft, word};
use super::{ConfigFile, print};
use crate::rules::Lang;

/// Rules whose counts are printed.
const RULES_SHOWN: usize = 20;

/// The draft to compare, and how to report.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// 草稿目录:里面的文件盖在正在用的规则上 | The draft: its files are laid over those that run
    #[arg(value_name = "DRAFT_DIR")]
    draft: PathBuf,
    /// 草稿就是全部:草稿没有的规则文件和表不算 | The draft is everything: rule files and tables that it lacks do not count
    #[arg(long)]
    replace: bool,
    /// 往回看几天 | How many days back
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// 输出格式 | The form of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// 语言 | Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// Asks the running server; 0 whatever differs, 1 when the draft has errors.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let draft = read_draft(&args.draft)?;
    let server = Local::find(&args.config.load()?)?;
    let wanted = json!({"files": draft, "replace": args.replace, "days": args.days});
    let (status, answer) = server.ask("/rules/backtest", &wanted)?;
    match (status, args.format) {
        (200, Format::Text) => print(&report(&answer, args.lang.into()))?,
        (200, Format::Json) => print(&format!("{answer:#}\n"))?,
        (422, _) => {
            super::complain(super::rules::refusal(&answer, args.lang.into()).trim_end());
            return Ok(ExitCode::from(1));
        }
        _ => bail!(
            "{status} {} | {}",
            word(&answer, "title"),
            word(&answer, "detail")
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// The report in words: counts, then each difference, then the rules whose counts changed.
fn report(answer: &Value, lang: Lang) -> String {
    let (covered, changes) = (part(answer, "covered"), part(answer, "changes"));
    let count = |name: &str| number(changes, name);
    let numbers = [
        number(answer, "messages"),
        number(covered, "old"),
        number(covered, "new"),
        count("newly_covered"),
        count("no_longer_covered"),
        count("another_rule"),
        count("other_words"),
    ];
    let [messages, old, new, more, fewer, another, words] = numbers;
    let mut text = match lang {
        Lang::Zh => format!(
            "看了 {messages} 条消息:现在规则管 {old} 条,草稿管 {new} 条\n新管上 {more},不再管 {fewer},换了规则 {another},同一条规则换了说法 {words}\n"
        ),
        Lang::En => format!(
            "{messages} messages: rules cover {old} now, {new} with the draft\nnewly covered {more}, no longer covered {fewer}, by another rule {another}, in other words {words}\n"
        ),
    };
    for sample in list(answer, "samples") {
        let _ = write!(text, "\n{}", difference(sample, lang));
    }
    let changed: Vec<&Value> = list(answer, "rules")
        .filter(|rule| number(rule, "old") != number(rule, "new"))
        .take(RULES_SHOWN)
        .collect();
    if !changed.is_empty() {
        text.push_str(match lang {
            Lang::Zh => "\n每条规则回答了几次(现在 → 草稿)\n",
            Lang::En => "\nhow often rules decide (now → draft)\n",
        });
    }
    for rule in changed {
        let (old, new) = (number(rule, "old"), number(rule, "new"));
        let _ = writeln!(text, "  {} {old} → {new}", word(rule, "rule"));
    }
    text
}

/// One difference: how often and what was said, then both answers.
fn difference(sample: &Value, lang: Lang) -> String {
    let said = match word(sample, "text") {
        "" => word(sample, "kind"),
        text => text,
    };
    let what = match (word(sample, "change"), lang) {
        ("newly_covered", Lang::Zh) => "新管上",
        ("newly_covered", Lang::En) => "newly covered",
        ("no_longer_covered", Lang::Zh) => "不再管",
        ("no_longer_covered", Lang::En) => "no longer covered",
        ("another_rule", Lang::Zh) => "换了规则",
        ("another_rule", Lang::En) => "another rule",
        (_, Lang::Zh) => "换了说法",
        (_, Lang::En) => "other words",
    };
    let count = number(sample, "count");
    format!(
        "{what} ×{count}  {}\n  - {}\n  + {}\n",
        in_one_line(said),
        led(part(sample, "old"), lang),
        led(part(sample, "new"), lang)
    )
}

/// Which rule, and what it says.
fn led(led: &Value, lang: Lang) -> String {
    let rule = match (word(led, "rule"), lang) {
        ("", Lang::Zh) => "没有规则",
        ("", Lang::En) => "no rule",
        (rule, _) => rule,
    };
    let replies = list(led, "replies").map(|reply| match reply.get("text") {
        Some(Value::String(text)) => in_one_line(text),
        _ => reply.to_string(),
    });
    let replies: Vec<String> = replies
        .chain(led.get("hook").map(Value::to_string))
        .collect();
    match replies.is_empty() {
        true => format!("{rule} ({})", word(led, "decision")),
        false => format!("{rule}: {}", replies.join(" / ")),
    }
}

fn part<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
