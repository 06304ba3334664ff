//! Reads questions that are asked one after another: `form` and `[[rule.step]]`.
//! Owns: their keys and defaults. Uses: moment, gaps, regexes. Never: asks anybody.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Code, Words};
use super::gaps::{self, Names};
use super::moment;
use super::normalize::normalize;
use super::regexes::Budget;
use super::reply;
use super::rule::Rare;
use super::say::Said;
use super::sheet::{Sheet, Text, Value};
use super::spec::{AfterTries, FormPlan, Step};

const FORM: &[&str] = &["timeout", "cancel", "on_cancel", "on_timeout"];
const STEP: &[&str] = &["ask", "save", "check", "retry", "tries", "then"];
const MOST_STEPS: usize = 20;
const MOST_TRIES: i64 = 10;
const USUAL_TRIES: u8 = 2;
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(86_400);
const USUAL_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of the name under which an answer is kept.
const NAME_LENGTH: usize = 64;

/// The names under which answers are kept, right or wrong: replies may use them.
pub(super) fn saved(steps: Option<&Rare<'_>>) -> Vec<String> {
    let DeValue::Array(steps) =
        steps.map_or(&DeValue::Boolean(false), |steps| steps.value.get_ref())
    else {
        return Vec::new();
    };
    steps.iter().filter_map(saved_as).collect()
}

fn saved_as(step: &Value<'_>) -> Option<String> {
    let save = step.get_ref().as_table()?.get("save")?;
    save.get_ref().as_str().map(str::to_owned)
}

/// Reads a form. `names` are those that are known before its first question; those of its answers are added.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    (form, steps): (Option<&Rare<'_>>, Option<&Rare<'_>>),
    names: &mut Names,
    regexes: &mut Budget,
) -> Option<FormPlan> {
    let mut plan = FormPlan {
        steps: Box::default(),
        timeout: USUAL_TIMEOUT,
        cancel: Box::default(),
        on_cancel: None,
        on_timeout: None,
    };
    let errors = sheet.remarks.errors();
    if let Some(form) = form {
        read_form(sheet, form.value, &mut plan, names);
    }
    let Some(steps) = steps else {
        let span = form.map(|form| form.span.clone()).unwrap_or_default();
        let words = Words::new("`form` 没有问题可问", "`form` has no question to ask");
        let help = Words::new(
            "在下面加 [[rule.step]],写 ask 和 save",
            "add [[rule.step]] below, with ask and save",
        );
        sheet.report_with_help(Code::Together, span, words, help);
        return None;
    };
    plan.steps = read_steps(sheet, steps.value, names, regexes)?;
    (sheet.remarks.errors() == errors).then_some(plan)
}

fn read_form(sheet: &mut Sheet<'_>, value: &Value<'_>, plan: &mut FormPlan, names: &mut Names) {
    let Some(table) = sheet.table("form", value) else {
        return;
    };
    let owner = Words::new("`form` ", "`form`");
    for (key, value) in table {
        if !sheet.knows(key, FORM, &owner) {
            continue;
        }
        match &**key.get_ref() {
            "timeout" => {
                let timeout = moment::duration(sheet, "timeout", value, SHORTEST..=LONGEST);
                plan.timeout = timeout.unwrap_or(USUAL_TIMEOUT);
            }
            "cancel" => {
                let texts = sheet.strings("cancel", value);
                plan.cancel = texts.iter().filter_map(|text| word(sheet, text)).collect();
            }
            key @ "on_cancel" => plan.on_cancel = line(sheet, key, value, names),
            key => plan.on_timeout = line(sheet, key, value, names),
        }
    }
}

/// A text that ends the form, normalised.
fn word(sheet: &mut Sheet<'_>, text: &Text<'_>) -> Option<Box<str>> {
    let normal = normalize(text.text);
    if normal.is_empty() {
        let words = Words::new("`cancel` 里有空的词", "an empty word in `cancel`");
        sheet.report(Code::EmptyKeyword, text.span.clone(), words);
        return None;
    }
    Some(normal.into())
}

fn line(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>, names: &mut Names) -> Option<Said> {
    let text = reply::words(sheet, key, value)?;
    gaps::line(sheet, &text, names)
}

fn read_steps(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    names: &mut Names,
    regexes: &mut Budget,
) -> Option<Box<[Step]>> {
    let span = sheet.span(value.span());
    let DeValue::Array(items) = value.get_ref() else {
        let expected = ("要写成 [[rule.step]]", "must be [[rule.step]]");
        sheet.wrong_type("step", value.get_ref(), span, expected);
        return None;
    };
    if items.is_empty() || items.len() > MOST_STEPS {
        let words = Words::new(
            format!("要有 1 到 {MOST_STEPS} 个 [[rule.step]]"),
            format!("there must be 1 to {MOST_STEPS} [[rule.step]]"),
        );
        sheet.report(Code::TooMany, span, words);
        return None;
    }
    let mut steps: Vec<Step> = Vec::with_capacity(items.len());
    for item in items {
        let table = sheet.table("step", item)?;
        let step = read_step(sheet, (item, table), names, regexes, &steps);
        saved_as(item).into_iter().for_each(|name| names.give(name));
        steps.extend(step);
    }
    Some(steps.into())
}

fn read_step(
    sheet: &mut Sheet<'_>,
    (item, table): (&Value<'_>, &DeTable<'_>),
    names: &mut Names,
    regexes: &mut Budget,
    before: &[Step],
) -> Option<Step> {
    let owner = Words::new("`step` ", "`step`");
    let (mut ask, mut save, mut check, mut retry) = (None, None, None, None);
    let (mut tries, mut then) = (USUAL_TRIES, AfterTries::Handoff);
    let mut is_whole = true;
    for (key, value) in table {
        if !sheet.knows(key, STEP, &owner) {
            is_whole = false;
            continue;
        }
        let key: &str = key.get_ref();
        is_whole &= match key {
            "ask" => set(&mut ask, line(sheet, key, value, names)),
            "save" => set(&mut save, name(sheet, value, before)),
            "check" => set(&mut check, pattern(sheet, value, regexes)),
            "retry" => set(&mut retry, line(sheet, key, value, names)),
            "tries" => {
                let number = sheet.integer(key, value, 1..MOST_TRIES + 1);
                let number = number.and_then(|number| u8::try_from(number).ok());
                tries = number.unwrap_or(USUAL_TRIES);
                number.is_some()
            }
            _ => {
                let read = after_tries(sheet, value, names);
                let is_read = read.is_some();
                then = read.unwrap_or(AfterTries::Handoff);
                is_read
            }
        };
    }
    for key in ["ask", "save"] {
        if !table.contains_key(key) {
            let span = sheet.span(item.span());
            let words = Words::new(
                format!("`step` 缺少 `{key}`"),
                format!("`step` needs `{key}`"),
            );
            sheet.report(Code::BadValue, span, words);
        }
    }
    let step = Step {
        ask: ask?,
        save: save?,
        check,
        retry,
        tries,
        then,
    };
    is_whole.then_some(step)
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

/// The name under which an answer is kept.
fn name(sheet: &mut Sheet<'_>, value: &Value<'_>, before: &[Step]) -> Option<Box<str>> {
    let text = sheet.string("save", value)?;
    let is_good = !text.text.is_empty()
        && text.text.len() <= NAME_LENGTH
        && text.text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !matches!(text.text, "today" | "now");
    if !is_good {
        let words = Words::new(
            "`save` 是变量的名字:只用字母、汉字、数字和 _,不用 today、now",
            "`save` names a placeholder: letters, digits and _ only, not today or now",
        );
        sheet.report(Code::BadValue, text.span, words);
        return None;
    }
    if before.iter().any(|step| *step.save == *text.text) {
        let words = Words::new(
            format!("前面的 `step` 已经用过 \"{}\"", text.text),
            format!("an earlier `step` saves \"{}\" already", text.text),
        );
        sheet.report(Code::BadValue, text.span, words);
        return None;
    }
    Some(text.text.into())
}

fn pattern(sheet: &mut Sheet<'_>, value: &Value<'_>, regexes: &mut Budget) -> Option<regex::Regex> {
    let text = sheet.string("check", value)?;
    match regexes.check(text.text) {
        Ok(regex) => Some(regex),
        Err(fault) => {
            let fault = fault?;
            let span = sheet.inside(&text, fault.span);
            sheet.report(fault.code, span, fault.message);
            None
        }
    }
}

/// `then = "handoff"`, `"cancel"` or `{ say = "…" }`.
fn after_tries(sheet: &mut Sheet<'_>, value: &Value<'_>, names: &mut Names) -> Option<AfterTries> {
    let DeValue::Table(table) = value.get_ref() else {
        let choices = [
            ("handoff", AfterTries::Handoff),
            ("cancel", AfterTries::Cancel),
        ];
        return sheet.choice("then", value, &choices);
    };
    let owner = Words::new("`then` ", "`then`");
    let mut said = None;
    for (key, value) in table {
        if !sheet.knows(key, &["say"], &owner) {
            return None;
        }
        said = Some(line(sheet, "say", value, names)?);
    }
    if said.is_none() {
        let span = sheet.span(value.span());
        let words = Words::new("`then` 缺少 `say`", "`then` needs `say`");
        sheet.report(Code::BadValue, span, words);
    }
    said.map(AfterTries::Say)
}
