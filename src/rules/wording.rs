//! Reads what a rule says on an account: `reply`, `replies`, `pick`, and the same under `[rule.account.NAME]`.
//! Owns: which of these keys go together. Uses: reply, gaps. Never: chooses a reply.

use std::ops::Range;

use smallvec::SmallVec;

use super::diagnostic::{Code, Words};
use super::gaps::{self, Names};
use super::reply::{self, Answers, Draft};
use super::say::Said;
use super::sheet::{Sheet, Value};
use super::spec::{Pick, Wording};
use crate::model::Reply;

/// How `pick` may be written.
const PICKS: &[(&str, Pick)] = &[
    ("random", Pick::Random),
    ("all", Pick::All),
    ("rotate", Pick::Rotate),
];
/// One answer, and WeChat allows five pushes behind it.
const MOST_AT_ONCE: usize = 6;

/// The keys that say something, as they stand in a table.
#[derive(Default)]
pub(super) struct Keys<'t> {
    pub(super) reply: Option<&'t Value<'t>>,
    pub(super) replies: Option<&'t Value<'t>>,
    pub(super) pick: Option<&'t Value<'t>>,
}

/// What is said, as read.
#[derive(Default)]
pub(super) struct Says<'t> {
    pub(super) drafts: SmallVec<[Draft<'t>; 1]>,
    pub(super) pick: Pick,
}

impl<'t> Keys<'t> {
    /// All of them.
    pub(super) const ALL: &'static [&'static str] = &["reply", "replies", "pick"];

    /// Keeps a value if its key is one of these.
    pub(super) fn take(&mut self, key: &str, value: &'t Value<'t>) -> bool {
        let place = match key {
            "reply" => &mut self.reply,
            "replies" => &mut self.replies,
            "pick" => &mut self.pick,
            _ => return false,
        };
        *place = Some(value);
        true
    }

    /// Whether any key is there that gives words.
    pub(super) fn say_something(&self) -> bool {
        self.reply.is_some() || self.replies.is_some()
    }

    /// Reads what is said; what is wrong is reported and left out.
    pub(super) fn read(&self, sheet: &mut Sheet<'_>, answers: Answers) -> Says<'t> {
        let drafts = match (self.reply, self.replies) {
            (Some(value), None) => reply::read_short(sheet, value).into_iter().collect(),
            (None, Some(value)) => reply::read_entries(sheet, value, answers),
            (None, None) => SmallVec::new(),
            (Some(reply), Some(replies)) => {
                let later = reply.span().start.max(replies.span().start);
                let value = if later == reply.span().start {
                    reply
                } else {
                    replies
                };
                let span = sheet.span(value.span());
                let words = Words::new(
                    "`reply` 和 `replies` 只能写一个",
                    "only one of `reply` and `replies` can be there",
                );
                sheet.report(Code::Together, span, words);
                SmallVec::new()
            }
        };
        let mut says = Says {
            drafts,
            pick: Pick::default(),
        };
        if let Some(value) = self.pick {
            let span = sheet.span(value.span());
            if let Some(pick) = sheet.choice("pick", value, PICKS) {
                says.pick = pick;
                self.check_pick(sheet, &says, span);
            }
        }
        says
    }

    fn check_pick(&self, sheet: &mut Sheet<'_>, says: &Says<'_>, span: Range<usize>) {
        if self.replies.is_none() || says.drafts.len() == 1 {
            let words = Words::new(
                "`pick` 是在几个回复里选,这里没有几个可选",
                "`pick` chooses among several replies; there are not several here",
            );
            let help = Words::new(
                "删掉 pick,或写几个 [[rule.replies]]",
                "remove pick, or write several [[rule.replies]]",
            );
            sheet.report_with_help(Code::Idle, span, words, help);
            return;
        }
        if says.pick != Pick::All {
            return;
        }
        let is_desk = |draft: &Draft<'_>| matches!(draft, Draft::Other(other) if matches!(other.reply, Reply::Transfer { .. }));
        if says.drafts.iter().any(is_desk) {
            let words = Words::new(
                "`pick = \"all\"` 里不能有 `desk`:转到微信客服就不能再说别的",
                "`pick = \"all\"` cannot have a `desk`: after that nothing else can be said",
            );
            sheet.report(Code::Together, span, words);
        } else if says.drafts.len() > MOST_AT_ONCE {
            let words = Words::new(
                format!("微信一次最多收 {MOST_AT_ONCE} 条(1 条回复加 5 条客服消息),后面的发不出去"),
                format!(
                    "WeChat takes {MOST_AT_ONCE} at a time (one answer, five pushes); the rest cannot be sent"
                ),
            );
            sheet.report(Code::NeverSent, span, words);
        }
    }
}

impl Says<'_> {
    /// Whether a text in it may have placeholders.
    pub(super) fn have_gaps(&self) -> bool {
        self.drafts.iter().any(|draft| match draft {
            Draft::Text(text) => text.text.contains('{'),
            Draft::Other(other) => {
                let fallback = other.fallback.as_ref();
                !other.gapped.is_empty() || fallback.is_some_and(|text| text.text.contains('{'))
            }
        })
    }

    /// Every reply with its placeholders checked; `None` when there is none or one is wrong.
    pub(super) fn checked(&self, sheet: &mut Sheet<'_>, names: &mut Names) -> Option<Vec<Said>> {
        let mut says = Vec::with_capacity(self.drafts.len());
        let mut is_whole = true;
        for draft in &self.drafts {
            match gaps::said(sheet, draft, names) {
                Some(said) => says.push(said),
                None => is_whole = false,
            }
        }
        (is_whole && !says.is_empty()).then_some(says)
    }

    /// [`Says::checked`] with how one is chosen.
    pub(super) fn wording(&self, sheet: &mut Sheet<'_>, names: &mut Names) -> Option<Wording> {
        Some(Wording {
            says: self.checked(sheet, names)?.into(),
            pick: self.pick,
        })
    }
}
