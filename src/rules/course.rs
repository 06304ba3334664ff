//! Says what the rule that won does on an account: its replies there, and everything else it brings with it.
//! Owns: which wording is in force. Uses: index, spec, say. Never: who wins, what a decision is.

use super::found::{Asking, Found, Unfit, Verdict};
use super::index::{Rule, RuleNumber, RuleSet};
use super::say::Said;
use super::spec::{Conditions, Cooldown, Extra, FormPlan, Handoff, Hook, Pick};
use crate::model::{AccountName, RuleId, Time};

/// What a rule does on an account.
#[derive(Clone, Copy, Debug)]
pub struct Course<'s> {
    /// Whose course it is.
    pub rule: &'s RuleId,
    /// Where the rule stands in its set; finds the course again.
    pub place: Place,
    /// Its replies; none where it only listens, hands over or asks.
    pub says: &'s [Said],
    /// Which of them.
    pub pick: Pick,
    extra: Option<&'s Extra>,
}

/// A rule's place in one rule set, meaningless in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(RuleNumber);

impl<'s> Course<'s> {
    /// Whether it says nothing on purpose.
    pub fn is_silent(&self) -> bool {
        self.extra.is_some_and(|extra| extra.is_silent)
    }

    /// Whether it speaks while a person owns the conversation.
    pub fn is_always(&self) -> bool {
        self.extra.is_some_and(|extra| extra.is_always)
    }

    /// Whom it calls besides.
    pub fn handoff(&self) -> Option<&'s Handoff> {
        self.extra?.handoff.as_ref()
    }

    /// How often it speaks.
    pub fn cooldown(&self) -> Option<&'s Cooldown> {
        self.extra?.cooldown.as_ref()
    }

    /// What it asks the follower first.
    pub fn form(&self) -> Option<&'s FormPlan> {
        self.extra?.form.as_ref()
    }

    /// What it asks another system first.
    pub fn hook(&self) -> Option<&'s Hook> {
        self.extra?.hook.as_ref()
    }
}

impl RuleSet {
    /// The course of the rule that won.
    pub fn course(&self, found: &Found, account: &AccountName) -> Option<Course<'_>> {
        self.course_at(Place(found.winner()?.rule), account)
    }

    /// The course of the rule at a place of this set.
    pub fn course_at(&self, place: Place, account: &AccountName) -> Option<Course<'_>> {
        let rule = self.rule(place.0)?;
        let extra = rule.extra.as_deref();
        let (says, pick) = self.wording(rule, account);
        Some(Course {
            rule: &rule.id,
            place,
            says,
            pick,
            extra,
        })
    }

    /// The course of a rule that goes on over several messages: one with a form, or one that may be offered by number.
    pub fn course_named(&self, id: &RuleId, account: &AccountName) -> Option<Course<'_>> {
        let rule = *self.named.get(id.as_str())?;
        self.course_at(Place(rule), account)
    }

    /// What a placeholder about time says: `today`, `now`, `calendar.NAME.next_open`.
    pub fn moment(&self, name: &str, now: Time) -> Option<Box<str>> {
        let local = || self.timezone.to_datetime(now.into());
        match name {
            "today" => Some(format!("{}月{}日", local().month(), local().day()).into()),
            "now" => Some(format!("{}:{:02}", local().hour(), local().minute()).into()),
            _ => {
                let calendar = name.strip_prefix("calendar.")?.strip_suffix(".next_open")?;
                let calendar = self.calendar(calendar)?;
                let opens = calendar.next_open(now)?;
                Some(calendar.in_words(opens, now).into())
            }
        }
    }

    /// When tests that give no time are held: noon of 3 June 2026, a Wednesday, where the rules are at home.
    pub fn test_time(&self) -> Time {
        let noon = jiff::civil::date(2026, 6, 3).at(12, 0, 0, 0);
        let local = self.timezone.to_ambiguous_zoned(noon).compatible();
        local.map_or_else(
            |_out_of_range| Time::default(),
            |noon| noon.timestamp().into(),
        )
    }

    /// Rules whose wordings are alike but not certain, at least as much as `least`, best first, with the wording.
    pub fn alike<'s>(
        &'s self,
        found: &'s Found,
        least: f32,
    ) -> impl Iterator<Item = (&'s RuleId, &'s str)> {
        let alike = found.candidates.iter().filter(move |candidate| {
            matches!(
                candidate.verdict,
                Verdict::Unlike { .. } | Verdict::Close { .. }
            ) && candidate.likeness >= least
        });
        alike.filter_map(|candidate| {
            let rule = self.rule(candidate.rule)?;
            Some((&rule.id, self.like.wording(candidate.wording)))
        })
    }

    /// What a rule says on an account: its wording for it, else its own, else that of the rule it points to.
    fn wording<'s>(&'s self, rule: &'s Rule, account: &AccountName) -> (&'s [Said], Pick) {
        let own = |rule: &'s Rule| {
            let extra = rule.extra.as_deref();
            let per_account = extra.map_or(&[][..], |extra| &extra.per_account);
            let here = per_account.iter().find(|(name, _)| name == account);
            here.map(|(_, wording)| wording)
                .or_else(|| extra?.wording.as_ref())
                .map_or((rule.reply.as_slice(), Pick::default()), |wording| {
                    (&wording.says, wording.pick)
                })
        };
        let pointed = rule.extra.as_ref().and_then(|extra| extra.replies_of);
        match pointed.and_then(|other| self.rule(other)) {
            Some(other) if own(rule).0.is_empty() => own(other),
            _ => own(rule),
        }
    }

    /// Which of a rule's conditions does not hold, if any.
    pub(super) fn unmet(&self, conditions: &Conditions, asking: &Asking<'_>) -> Option<Unfit> {
        let Conditions {
            during,
            outside,
            between,
            tags,
            first_visit,
        } = conditions;
        let is_open = |calendar: &u16| {
            let calendar = self.calendars.get(usize::from(*calendar));
            calendar.is_some_and(|(_, calendar)| calendar.is_open(asking.now))
        };
        if !during.is_empty() && !during.iter().any(is_open) {
            return Some(Unfit::NotDuring);
        }
        if outside.iter().any(is_open) {
            return Some(Unfit::NotOutside);
        }
        if between.is_some_and(|(from, until)| asking.now < from || asking.now >= until) {
            return Some(Unfit::NotBetween);
        }
        let known = asking.conversation.map_or(&[][..], |known| known.tags());
        if !tags.is_empty() && !tags.iter().any(|tag| known.contains(tag)) {
            return Some(Unfit::Tag);
        }
        if first_visit.is_some_and(|wanted| wanted != asking.is_first_visit) {
            return Some(Unfit::Visit);
        }
        None
    }
}
