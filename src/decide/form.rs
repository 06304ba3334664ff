//! Leads a follower through a rule's form: question, answer, again, and what ends it.
//! Owns: steps, tries, time. Uses: speak, rules, model. Never: which rule begins a form.

use super::case::Case;
use super::speak::{Lead, called, replied, speak};
use super::{Decision, Outcome, Stage, Step, people, says, several, to_people};
use crate::model::entry::{Priority, Push, Reason, Spoken};
use crate::model::{By, Form, MessageId, Noted, Reply, Time};
use crate::rules::{AfterTries, Course, FormPlan, normalize};

/// The place of the last words of a form among what a turn makes.
const LAST_WORDS: u8 = 15;
/// What is said when a form is cancelled and its rule has no words for it.
const CANCELLED: &str = "好,取消了。";

/// Asks the first question.
pub(super) fn begin(
    case: &Case<'_>,
    course: &Course<'_>,
    plan: &FormPlan,
    mut lead: Lead,
) -> Decision {
    let named = lead.found.as_ref().map(|found| found.named().to_vec());
    lead.saved.extend(named.unwrap_or_default());
    ask(case, course, plan, lead, 0, 0)
}

/// Takes a message as an answer to the running form. `None`: it is none, the rules decide as ever.
pub(super) fn go_on(case: &Case<'_>, form: &Form) -> Option<Step> {
    let words = case.message.content.words();
    if case.is_event() {
        return None;
    }
    let course = case
        .rules
        .set
        .course_named(&form.rule, &case.memory.account);
    let plan = course.as_ref().and_then(Course::form);
    let step = plan.and_then(|plan| plan.steps.get(usize::from(form.step)));
    let (course, plan, step) = match (course, plan, step) {
        (Some(course), Some(plan), Some(step)) => (course, plan, step),
        // The rule is gone, or asks something else by now.
        _ => return Some(super::by_rules(case, ended(Lead::default()))),
    };
    let mut lead = Lead {
        saved: form.saved.clone(),
        ..Lead::default()
    };
    if words.is_some_and(|words| plan.is_cancelled_by(&normalize(words))) {
        return Some(Step::Done(cancel(case, &course, plan, ended(lead))));
    }
    if let Some(answer) = words.and_then(|words| step.answer(words)) {
        lead.saved.retain(|(name, _)| *name != step.save);
        lead.saved.push((step.save.clone(), answer));
        let next = form.step + 1;
        if plan.steps.get(usize::from(next)).is_some() {
            return Some(Step::Done(ask(case, &course, plan, lead, next, 0)));
        }
        let mut lead = ended(lead);
        lead.is_filled = true;
        return Some(speak(case, &course, lead));
    }
    if let Some(step) = overtaken(case) {
        return Some(step);
    }
    let tries = form.tries.saturating_add(1);
    Some(Step::Done(if tries < step.tries {
        ask(case, &course, plan, lead, form.step, tries)
    } else {
        give_up(case, &course, plan, ended(lead), &step.then)
    }))
}

/// Somebody who asks for a person gets there, also out of a form; a rule that always speaks does.
fn overtaken(case: &Case<'_>) -> Option<Step> {
    let found = case.find();
    let Some(course) = case.rules.set.course(&found, &case.memory.account) else {
        let mut decision = people::asked(case)?;
        decision.answer.noted.push(Noted::FormEnded);
        return Some(Step::Done(Decision {
            stage: Stage::Escalate,
            found: Some(found),
            ..decision
        }));
    };
    (course.handoff().is_some() || course.is_always())
        .then(|| speak(case, &course, ended(Lead::found(found))))
}

fn ended(mut lead: Lead) -> Lead {
    lead.noted.push(Noted::FormEnded);
    lead
}

/// Asks a question, or asks it again.
fn ask(
    case: &Case<'_>,
    course: &Course<'_>,
    plan: &FormPlan,
    mut lead: Lead,
    step: u8,
    tries: u8,
) -> Decision {
    let Some(wanted) = plan.steps.get(usize::from(step)) else {
        return cancel(case, course, plan, ended(lead));
    };
    let said = wanted
        .retry
        .as_ref()
        .filter(|_| tries > 0)
        .unwrap_or(&wanted.ask);
    let until = case.now.plus(plan.timeout);
    let form = Form {
        rule: course.rule.clone(),
        step,
        tries,
        until,
        on_timeout: last_words(case, course, plan, &lead, until),
        saved: lead.saved.clone(),
    };
    let reply = lead.fill(case, said, &[]);
    lead.noted.push(Noted::Form(Box::new(form)));
    let own = reply.map(|reply| asks(case, course, reply));
    lead.into(course, says(Outcome::Form, own))
}

/// What is pushed when the time is over, where it may be.
fn last_words(
    case: &Case<'_>,
    course: &Course<'_>,
    plan: &FormPlan,
    lead: &Lead,
    until: Time,
) -> Option<Push> {
    let reply = lead.fill(case, plan.on_timeout.as_ref()?, &[])?;
    let said: Spoken = asks(case, course, reply);
    (case.pushes_left() > 0).then(|| Push {
        id: MessageId::at(case.now, LAST_WORDS, case.memory.key),
        ..Push::of_turn(&said, case.memory.key, case.now, until, None)
    })
}

/// Who speaks when a form does.
fn asks(case: &Case<'_>, course: &Course<'_>, reply: Reply) -> Spoken {
    Spoken {
        by: By::Form,
        ..several::spoken(case, course, reply)
    }
}

fn cancel(case: &Case<'_>, course: &Course<'_>, plan: &FormPlan, lead: Lead) -> Decision {
    let said = plan
        .on_cancel
        .as_ref()
        .and_then(|said| lead.fill(case, said, &[]));
    let reply = said.unwrap_or_else(|| Reply::Text(CANCELLED.into()));
    let own = asks(case, course, reply);
    lead.into(course, says(Outcome::Reply, Some(own)))
}

fn give_up(
    case: &Case<'_>,
    course: &Course<'_>,
    plan: &FormPlan,
    lead: Lead,
    then: &AfterTries,
) -> Decision {
    match then {
        AfterTries::Cancel => cancel(case, course, plan, lead),
        AfterTries::Say(said) => {
            let reply = lead.fill(case, said, &[]);
            replied(case, course, lead, reply)
        }
        AfterTries::Handoff => match course.handoff() {
            Some(handoff) => called(case, course, lead, None, handoff),
            None => {
                let decision = to_people(case, Reason::Form, Priority::Normal, None);
                lead.into(course, decision)
            }
        },
    }
}
