//! Lets Tencent's own agents do what they do at their desk: take a follower, hand them on, speak, let go.
//! Owns: what WeChat pushes of that. Uses: follower, account, phone. Never: the API (see api/agents), our own people.

use serde_json::json;

use super::account::Desk;
use super::follower::Follower;
use super::phone::{Pushed, Sight};
use super::push::Push;

impl Follower {
    /// An agent of Tencent's desk takes the follower, waiting there or not: messages go to that agent at once, and the
    /// callback hears of it with the push.
    pub fn is_taken_by(&self, agent: &str) -> Push {
        self.sit_with(agent);
        self.causes("kf_create_session", &[("KfAccount", agent)])
    }

    /// The agent hands the follower on to another.
    pub fn is_handed_to(&self, agent: &str) -> Push {
        let before = self.agent().unwrap_or_default();
        self.sit_with(agent);
        let accounts = [("FromKfAccount", &*before), ("ToKfAccount", agent)];
        self.causes("kf_switch_session", &accounts)
    }

    /// The agent is done: from now on messages come to the callback again, which hears of it with the push.
    pub fn is_let_go(&self) -> Push {
        let agent = self.agent().unwrap_or_default();
        self.change(|person| person.desk = Desk::None);
        self.causes("kf_close_session", &[("KfAccount", &agent)])
    }

    /// The agent who has the follower says something. The callback never hears of it.
    pub fn hears(&self, text: &str) {
        let (platform, office) = (&self.account().platform, &self.account().office);
        let now = platform.clock.now();
        self.change(|person| {
            if let Desk::With { last, .. } = &mut person.desk {
                *last = now;
            }
        });
        let said = Pushed {
            at: now,
            to: self.openid().to_owned(),
            kind: "text".to_owned(),
            agent: self.agent(),
            request: json!({ "touser": self.openid(), "msgtype": "text", "text": { "content": text } }),
        };
        platform.show(office, self.openid(), Sight::Pushed(said));
    }

    /// The agent of Tencent's desk who has the follower.
    pub fn agent(&self) -> Option<String> {
        let (platform, office) = (&self.account().platform, &self.account().office);
        let now = platform.clock.now();
        let mut memory = office.memory.lock();
        memory
            .follower(self.openid(), now)
            .agent(now)
            .map(str::to_owned)
    }

    fn sit_with(&self, agent: &str) {
        let now = self.account().platform.clock.now();
        self.change(|person| {
            person.desk = Desk::With {
                agent: agent.to_owned(),
                created: now,
                last: now,
            };
        });
    }
}
