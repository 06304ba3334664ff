//! Plays followers who say one thing after another, and WeChat, which repeats what was not answered.

use std::time::{Duration, Instant};

use wxreply::model::{Incoming, TurnKey};
use wxreply::simulator::{Delivered, Follower, PassiveReply, Push};
use wxreply::wechat::xml;

use super::gate::{Gate, Life};
use super::messages::Dice;

/// One message and every answer that it got.
pub struct Said {
    pub text: String,
    pub incoming: Incoming,
    pub key: TurnKey,
    pub answers: Vec<Heard>,
    last: Delivered,
}

/// One answer.
pub struct Heard {
    pub reply: Option<PassiveReply>,
    pub life: Life,
    pub at: Instant,
    pub took: Duration,
}

/// A follower, what they have said, and to which account.
pub struct Talk {
    pub account: String,
    pub follower: Follower,
    pub said: Vec<Said>,
}

impl Talk {
    pub fn new(account: &str, follower: Follower) -> Self {
        Self {
            account: account.to_owned(),
            follower,
            said: Vec::new(),
        }
    }

    /// Says something and waits for the answer, over as many lives of the server as it takes.
    pub fn says(&mut self, text: &str, gate: &Gate) {
        let push = self.follower.says(text);
        let clear = push.clear().to_owned();
        let incoming = xml::read(clear.as_bytes()).unwrap();
        let account = wxreply::model::AccountName::parse(self.account.as_str()).unwrap();
        let key = TurnKey::of(&account, &incoming, clear.as_bytes());
        let (last, heard) = self.deliver(push, gate);
        self.said.push(Said {
            text: text.to_owned(),
            incoming,
            key,
            answers: vec![heard],
            last,
        });
    }

    /// WeChat delivers one of the answered messages once more.
    pub fn repeats(&mut self, dice: &mut Dice, gate: &Gate) {
        if self.said.is_empty() {
            return;
        }
        let which = dice.below(self.said.len());
        let push = self.follower.repeats(&self.said[which].last);
        let (last, heard) = self.deliver(push, gate);
        let said = &mut self.said[which];
        said.last = last;
        said.answers.push(heard);
    }

    fn deliver(&self, push: Push, gate: &Gate) -> (Delivered, Heard) {
        let mut life = gate.life();
        let mut delivered = push.attempts(1).wait();
        while let Some(fault) = &delivered.fault {
            assert_eq!(delivered.status, None, "{fault}");
            life = gate.next_life(life, fault);
            delivered = self.follower.repeats(&delivered).wait();
        }
        let heard = Heard {
            reply: delivered.reply.clone(),
            life,
            at: Instant::now(),
            took: delivered.elapsed,
        };
        (delivered, heard)
    }
}
