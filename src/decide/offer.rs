//! Offers the closest rules for a number when none is certain, and takes the number as a choice.
//! Owns: what is offered, for how long, what a number means. Uses: speak, rules, model. Never: how alike wordings are.

use std::fmt::Write as _;
use std::time::Duration;

use super::case::Case;
use super::speak::{Lead, speak};
use super::{Decision, Outcome, Step, fixed, says, to_people};
use crate::model::entry::{Priority, Reason};
use crate::model::reply::TEXT_LIMIT;
use crate::model::{By, Noted, Offer};
use crate::rules::Found;

/// How long a number is taken as a choice.
const GOOD_FOR: Duration = Duration::from_secs(600);
/// Rules less like the question than this are not worth offering.
const LEAST: f32 = 0.35;

/// Takes a number as a choice of what was offered. `None`: it is none.
pub(super) fn choice(case: &Case<'_>, offer: &Offer) -> Option<Step> {
    let words = case.message.content.words()?;
    let number: usize = crate::rules::normalize(words).parse().ok()?;
    let lead = Lead {
        noted: vec![Noted::OfferEnded],
        ..Lead::default()
    };
    let Some(place) = number.checked_sub(1) else {
        let mut decision = to_people(case, Reason::Unmatched, Priority::Normal, None);
        decision.answer.noted = lead.noted;
        return Some(Step::Done(decision));
    };
    let rule = offer.rules.get(place)?;
    let course = case.rules.set.course_named(rule, &case.memory.account)?;
    Some(speak(case, &course, lead))
}

/// Offers what is closest, where that is wanted and there is something close.
pub(super) fn make(case: &Case<'_>, found: &Found) -> Option<Decision> {
    let settings = case.rules.set.settings();
    let most = usize::from(settings.offer);
    let was_offered = || {
        let offer = case.remembered().and_then(|known| known.offer.as_ref());
        offer.is_some_and(|offer| case.now < offer.until)
    };
    // Behind a person's answer that waits, an offer would not be read.
    let waits = || {
        let known = case.conversation();
        known.is_some_and(|known| known.held(case.now).next().is_some())
    };
    if most == 0 || case.is_event() || was_offered() || waits() {
        return None;
    }
    let close: Vec<_> = case.rules.set.alike(found, LEAST).take(most).collect();
    if close.is_empty() {
        return None;
    }
    let mut text = settings.offer_text.to_string();
    for (number, (_, wording)) in close.iter().enumerate() {
        let number = number + 1;
        // Undocumented but in wide use; where WeChat does not know it, the number can still be typed.
        write!(text, "\n<a href=\"weixin://bizmsgmenu?msgmenucontent={number}&msgmenuid=offer-{number}\">{number} {}</a>", escaped(wording))
            .expect("writing to a String cannot fail");
    }
    text.push_str("\n点一下或回复数字;都不是,回复 0 找人。");
    if text.len() > TEXT_LIMIT {
        return None;
    }
    let own = Some(fixed(By::Form, &text.into()));
    let mut decision = says(Outcome::Reply, own);
    decision.answer.noted.push(Noted::Offered(Offer {
        rules: close.into_iter().map(|(rule, _)| rule.clone()).collect(),
        until: case.now.plus(GOOD_FOR),
    }));
    Some(decision)
}

/// A wording between the tags of a link.
fn escaped(wording: &str) -> String {
    wording
        .replace('&', "＆")
        .replace('<', "＜")
        .replace('>', "＞")
}
