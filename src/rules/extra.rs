//! Reads everything of a rule beyond what triggers it: replies, conditions, and the rarer keys.
//! Owns: which names its texts may use, which of these keys go together. Uses: one module per key. Never: other rules.

use std::ops::{Range, RangeInclusive};

use smallvec::SmallVec;

use super::audience;
use super::checked::Checked;
use super::compile::Options;
use super::condition::{self, Hours};
use super::cooldown;
use super::diagnostic::{Code, Place, Words};
use super::fields;
use super::form;
use super::gaps::Names;
use super::handoff;
use super::hook;
use super::lookup::{self, Tables};
use super::regexes::Budget;
use super::reply_kinds;
use super::rule::{self, Rare, Written};
use super::say::{Said, Shaped};
use super::sheet::{Sheet, Text};
use super::spec::{Conditions, Extra, Wording};
use super::wording::Keys;
use crate::model::{AccountName, Reply, RuleFiles};

/// The least `min_score`, and the most: an identical wording has 1.
const SCORES: RangeInclusive<f32> = 0.3..=1.0;

/// What a rule may refer to outside of itself.
pub(super) struct Around<'b> {
    pub(super) options: &'b Options,
    pub(super) files: &'b RuleFiles,
    pub(super) tables: &'b mut Tables,
    pub(super) hours: Hours<'b>,
    pub(super) regexes: &'b mut Budget,
}

/// What a rule does, as far as it can be told without the others.
pub(super) struct Deeds {
    /// What it says on every account, where that is one reply.
    pub(super) reply: Option<Said>,
    pub(super) extra: Option<Box<Extra>>,
    pub(super) pointed: Option<Pointed>,
    /// The placeholders of its replies.
    pub(super) used: Box<[Box<str>]>,
    /// Whether a text of it says how long the queue is.
    pub(super) wants_queue: bool,
}

/// `use_reply_of`: the rule whose replies it uses.
pub(super) struct Pointed {
    pub(super) id: Box<str>,
    pub(super) place: Place,
    /// What its own texts may use.
    pub(super) names: Names,
}

/// Reads what a rule does. `None` when something is wrong, which is reported then.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    checked: &Checked,
    around: &mut Around<'_>,
) -> Option<Deeds> {
    if written.rare.is_empty() {
        return plain(sheet, written, checked, around);
    }
    let errors = sheet.remarks.errors();
    let mut extra = Extra::default();
    let mut base = names(written, checked, around);
    if let Some(table) = written.rare("table") {
        let (tables, files) = (&mut *around.tables, around.files);
        extra.table = lookup::read(sheet, table.value, tables, files, &mut base);
        if extra.table.is_none() {
            base.give_all("table.");
        }
    }
    let mut full = base.clone();
    for name in form::saved(written.rare("step")) {
        full.give(name);
    }
    let mut answered = full.clone();
    if written.rare("hook").is_some() {
        answered.give_all("hook.");
    }
    let mut says = written
        .says
        .checked(sheet, &mut answered)
        .unwrap_or_default();
    per_account(sheet, written, &mut extra, &mut answered, around.options);
    let used = answered.take_used();
    conditions(sheet, written, &mut extra.conditions, around);
    texts(
        sheet,
        written,
        &mut extra,
        (&mut base, &mut full, &mut answered),
        around.regexes,
    );
    flags(sheet, written, &mut extra, &mut says);
    check_together(sheet, written, &extra);
    let pointed = written.rare("use_reply_of").and_then(|rare| {
        let text = sheet.string(rare.key, rare.value)?;
        Some(Pointed {
            place: sheet.place(text.span),
            id: text.text.into(),
            names: answered.clone(),
        })
    });
    if sheet.remarks.errors() > errors {
        return None;
    }
    let acts_everywhere = !says.is_empty() || pointed.is_some() || does_something(&extra);
    if !acts_everywhere {
        match written.rare("account") {
            Some(rare) if !extra.per_account.is_empty() => {
                check_all_covered(sheet, written, &extra.per_account, rare);
            }
            _ if written.is_understood && !written.has_reply => rule::no_reply(sheet, written),
            _ => {}
        }
        if sheet.remarks.errors() > errors || extra.per_account.is_empty() {
            return None;
        }
    }
    let wants_queue = [&base, &full, &answered]
        .iter()
        .any(|names| names.wants_queue());
    let is_rare = written.rare.iter().any(|rare| rare.key != "allow");
    Some(Deeds {
        pointed,
        wants_queue,
        ..Deeds::new(written, says, used, is_rare.then(|| Box::new(extra)))
    })
}

/// A rule with nothing but replies: most are.
fn plain(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    checked: &Checked,
    around: &Around<'_>,
) -> Option<Deeds> {
    let mut names = names(written, checked, around);
    let Some(says) = written.says.checked(sheet, &mut names) else {
        if written.is_understood && !written.has_reply {
            rule::no_reply(sheet, written);
        }
        return None;
    };
    Some(Deeds {
        wants_queue: names.wants_queue(),
        ..Deeds::new(written, says, names.take_used(), None)
    })
}

impl Deeds {
    fn new(
        written: &Written<'_>,
        mut says: SmallVec<[Said; 1]>,
        used: Box<[Box<str>]>,
        mut extra: Option<Box<Extra>>,
    ) -> Self {
        let reply = if says.len() == 1 { says.pop() } else { None };
        if !says.is_empty() {
            extra.get_or_insert_default().wording = Some(Wording {
                says: says.into_boxed_slice(),
                pick: written.says.pick,
            });
        }
        Self {
            reply,
            extra,
            pointed: None,
            used,
            wants_queue: false,
        }
    }
}

/// What is known when the rule begins to speak.
fn names(written: &Written<'_>, checked: &Checked, around: &Around<'_>) -> Names {
    if !checked.is_whole || !written.is_understood {
        // Where a trigger was not understood, nobody can tell which placeholders it would give.
        return Names::anything();
    }
    if written.rare.is_empty() && !written.says.have_gaps() {
        return Names::default();
    }
    let calendars = around.hours.calendars.iter();
    let named = calendars.filter_map(|(name, _)| name.as_deref());
    let openings = named.map(|name| format!("calendar.{name}.next_open"));
    Names::of(written, &checked.regexes, openings)
}

/// Whether a message that it answers is not lost, whatever the account. A form alone has nothing to say when it is filled in.
fn does_something(extra: &Extra) -> bool {
    extra.is_silent
        || extra.handoff.is_some()
        || extra.hook.as_ref().is_some_and(|hook| hook.reply.is_some())
}

fn conditions(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    conditions: &mut Conditions,
    around: &mut Around<'_>,
) {
    for Rare { key, value, .. } in &written.rare {
        match *key {
            "during" => conditions.during = condition::hours(sheet, key, value, &mut around.hours),
            "outside" => {
                conditions.outside = condition::hours(sheet, key, value, &mut around.hours)
            }
            "between" => {
                conditions.between = condition::between(sheet, value, &around.options.timezone);
            }
            "followers" => audience::followers(sheet, value, conditions),
            _ => {}
        }
    }
}

/// Keys with texts. The names: when it begins, when a form is filled in, when another system has answered.
fn texts(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    extra: &mut Extra,
    (base, full, answered): (&mut Names, &mut Names, &mut Names),
    regexes: &mut Budget,
) {
    for Rare { key, value, .. } in &written.rare {
        match *key {
            "handoff" => extra.handoff = handoff::read(sheet, value),
            "cooldown" => extra.cooldown = cooldown::read(sheet, value, base),
            "hook" => extra.hook = hook::read(sheet, value, full, answered),
            _ => {}
        }
    }
    let (form, steps) = (written.rare("form"), written.rare("step"));
    if form.is_some() || steps.is_some() {
        extra.form = form::read(sheet, (form, steps), base, regexes);
    }
}

fn flags(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    extra: &mut Extra,
    says: &mut SmallVec<[Said; 1]>,
) {
    for Rare { key, value, span } in &written.rare {
        match *key {
            "silent" => extra.is_silent = sheet.boolean(key, value).unwrap_or(false),
            "always" => extra.is_always = sheet.boolean(key, value).unwrap_or(false),
            "desk" if sheet.boolean(key, value) == Some(true) => {
                let is_free = !written.has_reply && written.rare("use_reply_of").is_none();
                if !is_free {
                    beside(sheet, span, "desk", "reply");
                } else if reply_kinds::is_message_only(sheet, span.clone(), written.answers()) {
                    says.push(transfer());
                }
            }
            "min_score" => {
                extra.min_score = sheet.number(key, value, SCORES);
                if written.like.is_empty() {
                    let words = Words::new(
                        "`min_score` 要和 `like` 一起用",
                        "`min_score` goes with `like`",
                    );
                    sheet.report(Code::Together, span.clone(), words);
                }
            }
            _ => {}
        }
    }
}

fn transfer() -> Said {
    Said::Other(Box::new(Shaped {
        reply: Reply::Transfer { agent: None },
        has_gaps: false,
        file: None,
        pictures: Box::default(),
        fallback: None,
    }))
}

fn check_together(sheet: &mut Sheet<'_>, written: &Written<'_>, extra: &Extra) {
    if let Some(silent) = written.rare("silent").filter(|_| extra.is_silent) {
        let others = [
            "use_reply_of",
            "desk",
            "handoff",
            "form",
            "step",
            "hook",
            "account",
        ];
        let other = others
            .iter()
            .copied()
            .find(|key| written.rare(key).is_some());
        if let Some(other) = other.or(written.has_reply.then_some("reply")) {
            beside(sheet, &silent.span, "silent", other);
        }
    }
    if let Some(pointed) = written.rare("use_reply_of").filter(|_| written.has_reply) {
        beside(sheet, &pointed.span, "use_reply_of", "reply");
    }
    let has_answer = extra.hook.as_ref().is_some_and(|hook| hook.reply.is_some());
    if let Some(hook) = written
        .rare("hook")
        .filter(|_| has_answer && written.has_reply)
    {
        let words = Words::new(
            "hook 里有 `reply`,规则自己的回复就不会说了",
            "the hook has a `reply`, so the rule's own is never said",
        );
        let help = Words::new("去掉一个", "drop one of them");
        sheet.report_with_help(Code::Idle, hook.span.clone(), words, help);
    }
}

fn beside(sheet: &mut Sheet<'_>, span: &Range<usize>, key: &str, other: &str) {
    let words = Words::new(
        format!("`{key}` 和 `{other}` 只能写一个"),
        format!("only one of `{key}` and `{other}` can be there"),
    );
    sheet.report(Code::Together, span.clone(), words);
}

/// `[rule.account.NAME]`: what is said there instead.
fn per_account(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    extra: &mut Extra,
    names: &mut Names,
    options: &Options,
) {
    let Some(rare) = written.rare("account") else {
        return;
    };
    let Some(table) = sheet.table("account", rare.value) else {
        return;
    };
    let mut wordings: Vec<(AccountName, Wording)> = Vec::new();
    for (key, value) in table {
        let span = sheet.span(key.span());
        let text = Text {
            text: key.get_ref(),
            span: span.clone(),
        };
        let name = fields::account(sheet, &text, options.accounts.as_deref());
        let Some(table) = sheet.table(text.text, value) else {
            continue;
        };
        let owner = Words::new("`account` ", "`account`");
        let mut keys = Keys::default();
        for (key, value) in table {
            if sheet.knows(key, Keys::ALL, &owner) {
                keys.take(key.get_ref(), value);
            }
        }
        if !keys.say_something() {
            let words = Words::new(
                format!("[rule.account.{}] 没有回复", text.text),
                format!("[rule.account.{}] has no reply", text.text),
            );
            sheet.report(Code::NoReply, span.clone(), words);
        }
        let wording = keys.read(sheet, written.answers()).wording(sheet, names);
        if let (Some(name), Some(wording)) = (name, wording) {
            check_speaks_there(sheet, written, &text);
            wordings.push((name, wording));
        }
    }
    extra.per_account = wordings.into();
}

/// A wording for an account on which the rule does not speak helps nobody.
fn check_speaks_there(sheet: &mut Sheet<'_>, written: &Written<'_>, account: &Text<'_>) {
    let named = written.accounts.as_ref();
    if named.is_some_and(|names| names.iter().all(|name| name.text != account.text)) {
        let words = Words::new(
            format!("这条规则的 `accounts` 里没有 \"{}\"", account.text),
            format!("the rule's `accounts` do not have \"{}\"", account.text),
        );
        sheet.report(Code::Idle, account.span.clone(), words);
    }
}

/// Without a reply for the other accounts, the rule must name its accounts, and have words for each.
fn check_all_covered(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    wordings: &[(AccountName, Wording)],
    rare: &Rare<'_>,
) {
    let is_covered = |name: &Text<'_>| {
        wordings
            .iter()
            .any(|(known, _)| known.as_str() == name.text)
    };
    let names = written.accounts.as_deref().unwrap_or_default();
    if names.is_empty() || !names.iter().all(is_covered) {
        let words = Words::new(
            "别的公众号上没有回复可说",
            "there is no reply for other accounts",
        );
        let help = Words::new(
            "加一行 reply = \"…\",或用 accounts 只留这几个公众号",
            "add a line reply = \"…\", or name only these accounts in accounts",
        );
        sheet.report_with_help(Code::NoReply, rare.span.clone(), words, help);
    }
}
