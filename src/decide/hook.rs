//! Asks another system on a rule's behalf, and goes on with what it answers.
//! Owns: what each answer leads to. Uses: speak, rules, model. Never: HTTP; whoever decides has the call made.

use super::case::Case;
use super::speak::{Lead, called, replied, say};
use super::{ActiveRules, Decision, Memory, Stage, Step, people, to_people};
use crate::model::entry::{Priority, Reason};
use crate::model::hook::HOOK_WITHIN;
use crate::model::{HookAnswer, HookCall, Incoming, Noted, RuleId, Time};
use crate::rules::{Course, Hook, Place, Said};

/// A decision that waits for another system.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is asked.
    pub call: HookCall,
    /// How to go on.
    pub continuation: Continuation,
}

/// The rest of a decision, once the answer is there.
#[derive(Clone, Debug)]
pub struct Continuation {
    place: Place,
    lead: Lead,
}

impl Continuation {
    /// The decision, with the answer. Everything else must be what [`decide`](super::decide) was given.
    pub fn resume(
        self,
        answer: &HookAnswer,
        message: &Incoming,
        memory: &Memory,
        rules: &ActiveRules,
        now: Time,
    ) -> Decision {
        let case = Case {
            message,
            memory,
            rules,
            now,
        };
        let stage = self.stage();
        let Self { place, lead } = self;
        let decision = match rules.set.course_at(place, &memory.account) {
            Some(course) if case.is_for_person() && !course.is_always() => {
                let decision = super::silent(super::Silence::PersonSpeaks, true);
                lead.into(&course, decision)
            }
            Some(course) => answered(&case, &course, lead, answer),
            None => to_people(&case, Reason::Hook, Priority::Normal, None),
        };
        super::finished(&case, Decision { stage, ..decision })
    }

    /// Which step asked.
    pub const fn stage(&self) -> Stage {
        match self.lead.is_filled {
            true => Stage::Form,
            false => Stage::Rules,
        }
    }

    /// What the rules found before they asked.
    pub fn found(&self) -> Option<&crate::rules::Found> {
        self.lead.found.as_ref()
    }
}

/// Puts the question.
pub(super) fn ask(case: &Case<'_>, course: &Course<'_>, hook: &Hook, mut lead: Lead) -> Step {
    let call = {
        let gaps = lead.gaps(case, &[]);
        let values = |name: &str| gaps.value(name);
        let fields = hook.fields.iter();
        HookCall {
            account: case.memory.account.clone(),
            rule: RuleId::clone(course.rule),
            key: case.memory.key,
            url: Box::from(&*hook.url.fill_url(&values)),
            fields: fields
                .map(|(name, text)| (name.clone(), Box::from(&*text.fill(&values))))
                .collect(),
            secret: hook.secret.clone(),
            timeout: hook.timeout.min(HOOK_WITHIN),
        }
    };
    let rule = RuleId::clone(course.rule);
    lead.noted.push(Noted::Called { rule });
    let place = course.place;
    Step::Ask(Box::new(Asked {
        call,
        continuation: Continuation { place, lead },
    }))
}

fn answered(case: &Case<'_>, course: &Course<'_>, lead: Lead, answer: &HookAnswer) -> Decision {
    let Some(hook) = course.hook() else {
        return say(case, course, lead, &[]);
    };
    let speak = |lead: Lead, said: &Said, fields: &[(Box<str>, Box<str>)]| {
        let reply = lead.fill(case, said, fields);
        replied(case, course, lead, reply)
    };
    let fallen = |lead: Lead| {
        let decision = to_people(case, Reason::Hook, Priority::Normal, None);
        lead.into(course, decision)
    };
    match (answer, &hook.reply) {
        (HookAnswer::Found(fields), Some(said)) => speak(lead, said, fields),
        (HookAnswer::Found(fields), None) => say(case, course, lead, fields),
        (HookAnswer::Missing, _) => match &hook.missing {
            Some(said) => speak(lead, said, &[]),
            None => fallen(lead),
        },
        (HookAnswer::Failed(_), _) => {
            let words = hook.error_reply.as_ref();
            let words = words.and_then(|said| lead.fill(case, said, &[]));
            match (&hook.error_handoff, words) {
                (Some(handoff), words) => {
                    let mut decision = called(case, course, lead, words, handoff);
                    people::blame(&mut decision, Reason::Hook);
                    decision
                }
                (None, Some(words)) => replied(case, course, lead, Some(words)),
                (None, None) => fallen(lead),
            }
        }
    }
}
