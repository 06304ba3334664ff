//! Lets the rule that won do what it does: wait, ask, speak, call a person.
//! Owns: the order silent > cooldown > form > hook > replies, what goes with a hand-over. Uses: rules, model. Never: who wins.

use super::case::Case;
use super::gaps::Gaps;
use super::{
    Decision, Outcome, SAME_QUESTION, Silence, Step, digest, form, hook, people, says, several,
    silent, to_people,
};
use crate::model::conversation::State;
use crate::model::entry::{Move, Priority, Reason};
use crate::model::{By, Noted, Reply};
use crate::rules::{Cooling, Course, Found, Handoff, Said};

/// How a rule came to speak.
#[derive(Clone, Debug, Default)]
pub(super) struct Lead {
    /// What the rules found, when this message made it speak.
    pub(super) found: Option<Found>,
    /// What a form has gathered.
    pub(super) saved: Vec<(Box<str>, Box<str>)>,
    /// What is already to be noted.
    pub(super) noted: Vec<Noted>,
    /// Whether its form has been filled in.
    pub(super) is_filled: bool,
}

impl Lead {
    /// A rule that won.
    pub(super) fn found(found: Found) -> Self {
        Self {
            found: Some(found),
            ..Self::default()
        }
    }
}

/// What a rule's turn to speak leads to.
pub(super) fn speak(case: &Case<'_>, course: &Course<'_>, mut lead: Lead) -> Step {
    if !lead.is_filled {
        if let Some(cooling) = cooling(case, course) {
            return Step::Done(in_between(case, course, lead, cooling));
        }
        if course.cooldown().is_some() {
            let rule = course.rule.clone();
            lead.noted.push(Noted::Spoke { rule });
        }
        if let Some(plan) = course.form() {
            return Step::Done(form::begin(case, course, plan, lead));
        }
    }
    if let Some(asked) = course.hook() {
        return hook::ask(case, course, asked, lead);
    }
    Step::Done(say(case, course, lead, &[]))
}

/// What is to be done instead when the rule spoke to this follower a short while ago.
fn cooling<'s>(case: &Case<'_>, course: &Course<'s>) -> Option<&'s Cooling> {
    let cooldown = course.cooldown()?;
    let until = case
        .remembered()?
        .spoke_at(course.rule)?
        .plus(cooldown.every);
    (case.now < until).then_some(&cooldown.then)
}

fn in_between(case: &Case<'_>, course: &Course<'_>, lead: Lead, cooling: &Cooling) -> Decision {
    match cooling {
        Cooling::Short(said) => {
            let reply = lead.fill(case, said, &[]);
            replied(case, course, lead, reply)
        }
        Cooling::Handoff if !case.is_event() => {
            let handoff = Handoff {
                priority: Priority::Normal,
                reason: "".into(),
            };
            called(case, course, lead, None, &handoff)
        }
        // `Next` never wins while it cools.
        Cooling::Silent | Cooling::Handoff | Cooling::Next => quiet(course, lead),
    }
}

/// The rule's own replies.
pub(super) fn say(
    case: &Case<'_>,
    course: &Course<'_>,
    mut lead: Lead,
    answered: &[(Box<str>, Box<str>)],
) -> Decision {
    let chosen = several::choose(case, course, &lead.gaps(case, answered));
    let Ok(chosen) = chosen else {
        return unsendable(case, course, lead);
    };
    lead.noted.extend(chosen.noted);
    let mut decision = replied(case, course, lead, chosen.own);
    if let Some(own) = decision
        .answer
        .own
        .as_ref()
        .filter(|own| own.by == By::Rule)
    {
        decision.answer.more = several::pushes(case, own, chosen.more);
    }
    decision
}

/// The decision that a rule says this, or nothing, and does what else it does.
pub(super) fn replied(
    case: &Case<'_>,
    course: &Course<'_>,
    lead: Lead,
    reply: Option<Reply>,
) -> Decision {
    let reply = reply.filter(|reply| case.takes(reply));
    if let Some(handoff) = course.handoff() {
        return called(case, course, lead, reply, handoff);
    }
    let Some(reply) = reply else {
        return if course.is_silent() {
            quiet(course, lead)
        } else {
            unsendable(case, course, lead)
        };
    };
    let is_transfer = matches!(reply, Reply::Transfer { .. });
    let own = several::spoken(case, course, reply);
    let mut decision = says(Outcome::Reply, Some(own));
    if is_transfer {
        decision.outcome = Outcome::Desk;
        decision.answer.moved = Some(Move::External {
            until: case.now.plus(super::EXTERNAL_FOR),
        });
    } else {
        let normalized = lead.found.as_ref().map_or("", Found::normalized);
        count_question(case, &mut decision, normalized);
    }
    lead.into(course, decision)
}

/// The rule says nothing, on purpose.
fn quiet(course: &Course<'_>, lead: Lead) -> Decision {
    lead.into(course, silent(Silence::Rule, true))
}

/// A person is called: with the rule's words, or with the usual line where it has none.
pub(super) fn called(
    case: &Case<'_>,
    course: &Course<'_>,
    lead: Lead,
    reply: Option<Reply>,
    handoff: &Handoff,
) -> Decision {
    let note = (!handoff.reason.is_empty()).then(|| handoff.reason.clone());
    let mut decision = to_people(case, Reason::Handoff, handoff.priority, note);
    if reply.is_some() || course.is_silent() {
        decision.answer.own = reply.map(|reply| several::spoken(case, course, reply));
        decision.silence = decision.answer.own.is_none().then_some(Silence::Rule);
    }
    lead.into(course, decision)
}

/// What the rule says cannot be sent: a person answers, an event is let pass.
pub(super) fn unsendable(case: &Case<'_>, course: &Course<'_>, lead: Lead) -> Decision {
    if case.is_event() {
        return quiet(course, lead);
    }
    let decision = to_people(case, Reason::Unsendable, Priority::Normal, None);
    lead.into(course, decision)
}

impl Lead {
    /// Where values for placeholders come from.
    pub(super) fn gaps<'a>(
        &'a self,
        case: &'a Case<'a>,
        answered: &'a [(Box<str>, Box<str>)],
    ) -> Gaps<'a> {
        Gaps {
            case,
            found: self.found.as_ref(),
            saved: &self.saved,
            answered,
        }
    }

    /// A text or reply of the rule as it can be sent now; `None` where its file cannot.
    pub(super) fn fill(
        &self,
        case: &Case<'_>,
        said: &Said,
        answered: &[(Box<str>, Box<str>)],
    ) -> Option<Reply> {
        let gaps = self.gaps(case, answered);
        said.reply(&|name| gaps.value(name), &case.memory.media)
            .ok()
    }

    /// Puts what led to a decision into it.
    pub(super) fn into(self, course: &Course<'_>, mut decision: Decision) -> Decision {
        decision.rule = Some(course.rule.clone());
        decision.answer.noted.extend(self.noted);
        decision.found = self.found;
        decision
    }
}

/// Counts a question that a rule answers; the third identical one in ten minutes goes to a person as well. Also ends
/// what is over: a conversation whose quiet time has passed goes back to the rules.
fn count_question(case: &Case<'_>, decision: &mut Decision, normalized: &str) {
    let answer = &mut decision.answer;
    let state = case.state();
    if matches!(state, State::Follower | State::External) {
        answer.moved = Some(Move::Bot);
    }
    // A voice that was matched by its kind alone asks nothing that could be compared.
    if case.message.content.words().is_none() || normalized.is_empty() {
        return;
    }
    let question = digest(normalized);
    answer.question = Some(question);
    let known = case.conversation();
    let before = known.map_or(0, |known| known.asked(question, case.now));
    let is_queued = matches!(state, State::Waiting | State::Held | State::Snoozed);
    if before + 1 >= SAME_QUESTION && !is_queued {
        answer.moved = Some(people::call(case, Reason::Repeated, Priority::Normal, None));
    }
}
