//! Tries one message on a rules directory: what would be answered, and why.
//! Owns: the printout. Uses: rules, decide, the time zone of the configuration beside the rules. Never: a server, stored conversations.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::check::{Language, known, read, root};
use super::print;
use crate::decide::tried::{CrisisFound, Tried, tried};
use crate::decide::{ActiveRules, Memory, Silence, Step, decide, inline};
use crate::model::{AccountName, OpenId, Time, TurnKey};
use crate::rules::diagnostic::render;
use crate::rules::{Asked, Compiled, Explained, Lang, Options, Severity, compile};

/// What to try.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// 粉丝的话 | What the follower says
    #[arg(required_unless_present_any = ["event", "message"], conflicts_with_all = ["event", "message"])]
    text: Option<String>,
    /// 事件:subscribe、scan、menu…… | An event
    #[arg(long, value_name = "EVENT", conflicts_with = "message")]
    event: Option<String>,
    /// 场景值或菜单 KEY | The event's scene or menu key
    #[arg(long, requires = "event")]
    key: Option<String>,
    /// 不是文字的消息:image、voice、location…… | A message that is no text
    #[arg(long, visible_alias = "type", value_name = "TYPE")]
    message: Option<String>,
    /// 规则目录 | The rules directory
    #[arg(long, value_name = "DIR", default_value = "rules")]
    rules: PathBuf,
    /// 在哪个公众号上;不写就用规则里提到的第一个 | On which account; by default the first one that rules name
    #[arg(long, value_parser = account)]
    account: Option<AccountName>,
    /// 什么时候,像 2026-06-03T12:00;不写就是现在 | When; by default now
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<When>,
    /// 哪个粉丝 | Which follower
    #[arg(long, default_value = "try")]
    follower: String,
    /// 输出格式 | The form of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// 语言 | Language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

/// A time as it is typed.
#[derive(Clone, Copy, Debug)]
enum When {
    Instant(Time),
    /// In the zone of the rules.
    Local(jiff::civil::DateTime),
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

impl Args {
    /// Decides and prints; 0 whatever the decision.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.into();
        let options = Options {
            accounts: None,
            ..known(&self.rules)?
        };
        let rules = self.compile(&options, lang)?;
        let account = match &self.account {
            Some(account) => account.clone(),
            None => rules.set.usual_account(),
        };
        let follower = OpenId::parse(self.follower.as_str())?;
        let asked = self.asked();
        let message = inline::incoming(&asked, &follower);
        // What is random depends on the text and the follower alone, so that a try can be repeated.
        let key = TurnKey::of_text(&format!("{follower}\n{asked}"));
        let memory = Memory::empty(account, key);
        let at = match self.at {
            None => now(),
            Some(When::Instant(at)) => at,
            Some(When::Local(local)) => options.timezone.to_timestamp(local)?.into(),
        };
        let step = decide(&message, &memory, &rules, at);
        let silence = match &step {
            Step::Done(decision) => decision.silence,
            Step::Ask(_) => None,
        };
        let tried = tried(&step, &message, &rules.set, at);
        print(&match self.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&tried)?),
            Format::Text => in_words(&tried, &asked, silence, &memory.account, lang),
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn compile(&self, options: &Options, lang: Lang) -> anyhow::Result<ActiveRules> {
        let files = read(&self.rules)?;
        let Compiled {
            rules, diagnostics, ..
        } = compile(&files, options);
        match rules {
            Some(set) => Ok(ActiveRules {
                set,
                revision: None,
            }),
            None => {
                let is_error = |one: &crate::rules::Diagnostic| one.severity() == Severity::Error;
                let errors: Vec<_> = diagnostics.into_iter().filter(is_error).collect();
                let errors = render(&errors, &files, &root(&self.rules), lang, false);
                bail!("{errors}规则有错误,先改好再试 | the rules have errors; correct them first")
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        match (&self.text, &self.event, &self.message) {
            (_, Some(name), _) => Asked::Event {
                name,
                key: self.key.as_deref(),
            },
            (_, _, Some(kind)) => Asked::Message(kind),
            (text, ..) => Asked::Say(text.as_deref().unwrap_or_default()),
        }
    }
}

/// An account's name on the command line.
pub(super) fn account(text: &str) -> anyhow::Result<AccountName> {
    Ok(AccountName::parse(text)?)
}

/// An instant with an offset, or a local time.
fn time(text: &str) -> anyhow::Result<When> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(When::Instant(instant.into()));
    }
    let local = text
        .parse()
        .context("时间写成 2026-06-03T12:00 或 2026-06-03T12:00+08:00")?;
    Ok(When::Local(local))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is an edge: without --at the question is about now"
)]
pub(super) fn now() -> Time {
    jiff::Timestamp::now().into()
}

/// The answer as people read it.
fn in_words(
    tried: &Tried,
    asked: &Asked<'_>,
    silence: Option<Silence>,
    account: &AccountName,
    lang: Lang,
) -> String {
    let mut text = String::new();
    let mut line = |(zh, en): (&str, &str), said: &str| {
        let label = match lang {
            Lang::Zh => format!("{zh}  "),
            Lang::En => format!("{en:<11}"),
        };
        let said = said.replace(
            '\n',
            &format!("\n{}", " ".repeat(if lang == Lang::Zh { 6 } else { 11 })),
        );
        writeln!(text, "{label}{said}").expect("writing to a String cannot fail");
    };
    line(("账号", "account"), account.as_str());
    line(("决定", "decision"), &decision(tried, silence, lang));
    line(("步骤", "step"), step(tried.step, lang));
    if let Some(crisis) = &tried.crisis {
        line(("危机词", "crisis"), &danger(crisis));
    }
    for reply in &tried.replies {
        let said = reply.get("text").and_then(serde_json::Value::as_str);
        line(
            ("回复", "reply"),
            &said.map_or_else(|| reply.to_string(), str::to_owned),
        );
    }
    if let Some(asked) = &tried.hook {
        line(("查询", "asks"), &asked.to_string());
    }
    if let Asked::Say(_) = asked {
        line(("比对", "compared"), &tried.normalized);
    }
    if tried.candidates.is_empty() && tried.crisis.is_none() {
        line(
            ("候选", "candidates"),
            if lang == Lang::Zh {
                "没有规则对得上"
            } else {
                "no rule matches"
            },
        );
    }
    for (number, candidate) in tried.candidates.iter().enumerate() {
        let label = if number == 0 {
            ("候选", "candidates")
        } else {
            ("    ", "")
        };
        line(label, &candidate_in_words(candidate, asked, lang));
    }
    text
}

fn decision(tried: &Tried, silence: Option<Silence>, lang: Lang) -> String {
    let rule = tried.rule.as_deref().unwrap_or_default();
    let (zh, en) = match tried.decision {
        "reply" if rule.is_empty() => ("回固定的一句话".to_owned(), "a fixed line".to_owned()),
        "reply" => (format!("规则 {rule} 回答"), format!("rule {rule} answers")),
        "desk" => (
            format!("规则 {rule} 转到微信客服"),
            format!("rule {rule} hands over to WeChat's desk"),
        ),
        "escalate" if rule.is_empty() => ("转给人".to_owned(), "goes to a person".to_owned()),
        "escalate" => (
            format!("规则 {rule} 转给人"),
            format!("rule {rule} calls a person"),
        ),
        "crisis" => (
            "危机词:马上告诉人".to_owned(),
            "words of danger: people are told at once".to_owned(),
        ),
        "form" => (
            format!("规则 {rule} 的表单在问"),
            format!("the form of rule {rule} asks"),
        ),
        "hook" => (
            format!("规则 {rule} 先去问别的系统"),
            format!("rule {rule} asks another system first"),
        ),
        other => match silence {
            Some(Silence::Uncovered) => (
                "不回复:没有规则管这个".to_owned(),
                "silence: no rule covers it".to_owned(),
            ),
            Some(Silence::Rule) => (
                format!("不回复:规则 {rule} 这时不说话"),
                format!("silence: rule {rule} says nothing now"),
            ),
            Some(Silence::Unsubscribed) => (
                "不回复:粉丝已经取消关注".to_owned(),
                "silence: the follower has left".to_owned(),
            ),
            _ => (format!("不回复({other})"), format!("silence ({other})")),
        },
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The step that decided.
fn step(word: &str, lang: Lang) -> &'static str {
    let (zh, en) = match word {
        "crisis" => ("危机词(先于一切)", "words of danger, before everything"),
        "held" => ("留言先送到", "answers that waited"),
        "person" => ("有人在接待", "a person speaks with the follower"),
        "form" => ("进行中的表单", "the running form"),
        "offer" => ("选了列出来的规则", "the choice of an offered rule"),
        "rules" => ("规则", "the rules"),
        "escalate" => ("规则都没有回答,转给人", "no rule answers: a person"),
        _ => ("固定的话", "a fixed line"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// Words of danger: 「异物」 (urgent, 食品安全).
pub(super) fn danger(crisis: &CrisisFound) -> String {
    let words: Vec<String> = crisis
        .matched
        .iter()
        .map(|matched| format!("「{}」", matched.text))
        .collect();
    let tier = crisis.tier;
    match &crisis.name {
        Some(name) => format!("{} ({tier}, {name})", words.concat()),
        None => format!("{} ({tier})", words.concat()),
    }
}

/// One candidate: who, by what, and why it won or lost.
pub(super) fn candidate_in_words(candidate: &Explained, asked: &Asked<'_>, lang: Lang) -> String {
    let mark = if candidate.has_won { "✓" } else { "✗" };
    let (file, number) = &candidate.origin;
    let matched = match asked {
        Asked::Say(typed) if !candidate.matched.is_empty() => {
            format!("  {}", marked(typed, candidate))
        }
        _ => String::new(),
    };
    let Explained {
        rule, kind, score, ..
    } = candidate;
    let verdict = candidate.verdict.get(lang);
    format!("{mark} {rule} ({kind} {score:.2}, {file}:{number}){matched}\n    {verdict}")
}

/// The typed text with what matched in 【】.
fn marked(typed: &str, candidate: &Explained) -> String {
    let is_in = |at: usize| {
        candidate
            .matched
            .iter()
            .any(|part| part.start <= at && at < part.end)
    };
    let mut text = String::new();
    let mut was_in = false;
    for (at, c) in typed.chars().enumerate() {
        let is_in = is_in(at);
        match (was_in, is_in) {
            (false, true) => text.push('【'),
            (true, false) => text.push('】'),
            _ => {}
        }
        text.push(c);
        was_in = is_in;
    }
    if was_in {
        text.push('】');
    }
    text
}
