//! Reads how often a rule speaks to one follower: `cooldown = { per, every, then, short }`.
//! Owns: which of these keys go together. Uses: moment, gaps. Never: knows when a rule spoke.

use std::time::Duration;

use super::diagnostic::{Code, Words};
use super::gaps::{self, Names};
use super::moment;
use super::reply;
use super::sheet::{Sheet, Value};
use super::spec::{Cooldown, Cooling};

const COOLDOWN: &[&str] = &["per", "every", "then", "short"];
/// For whom it counts; there is nothing else yet to count for.
const PER: &[(&str, ())] = &[("follower", ())];
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    Silent,
    Short,
    Handoff,
}

const THEN: &[(&str, Then)] = &[
    ("next", Then::Next),
    ("silent", Then::Silent),
    ("short", Then::Short),
    ("handoff", Then::Handoff),
];

/// Reads `cooldown`.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    names: &mut Names,
) -> Option<Cooldown> {
    let span = sheet.span(value.span());
    let owner = Words::new("`cooldown` ", "`cooldown`");
    let (mut every, mut then, mut short) = (None, None, None);
    for (key, value) in sheet.table("cooldown", value)? {
        if !sheet.knows(key, COOLDOWN, &owner) {
            return None;
        }
        match &**key.get_ref() {
            "per" => sheet.choice("per", value, PER)?,
            "every" => every = Some(moment::duration(sheet, "every", value, SHORTEST..=LONGEST)?),
            "then" => then = Some(sheet.choice("then", value, THEN)?),
            key => short = Some(reply::words(sheet, key, value)?),
        }
    }
    let Some(every) = every else {
        let words = Words::new(
            "`cooldown` 缺少 `every`:多久最多说一次",
            "`cooldown` needs `every`: how often at most",
        );
        let help = Words::new("加 every = \"10m\"", "add every = \"10m\"");
        sheet.report_with_help(Code::BadValue, span, words, help);
        return None;
    };
    let usual = if short.is_some() {
        Then::Short
    } else {
        Then::Next
    };
    let then = match (then.unwrap_or(usual), short) {
        (Then::Short, Some(text)) => Cooling::Short(gaps::line(sheet, &text, names)?),
        (Then::Short, None) => {
            let words = Words::new(
                "`then = \"short\"` 要有 `short`:那时说什么",
                "`then = \"short\"` needs `short`: what is said then",
            );
            sheet.report(Code::Together, span, words);
            return None;
        }
        (_, Some(text)) => {
            let words = Words::new(
                "`short` 只和 then = \"short\" 一起用",
                "`short` goes with then = \"short\" only",
            );
            sheet.report(Code::Together, text.span, words);
            return None;
        }
        (Then::Next, None) => Cooling::Next,
        (Then::Silent, None) => Cooling::Silent,
        (Then::Handoff, None) => Cooling::Handoff,
    };
    Some(Cooldown { every, then })
}
