//! Hears what people are told: channels of each tier that lead to a receiver on this machine.

use std::fmt::Write as _;

use serde_json::Value;

use super::{MINUTE, Plan, Shop, eventually};
use crate::alerts::{Receiver, Request};

/// Who is told, beside the channels' names: `/one` to `/three` are webhooks of these tiers, `/named` a group of tier 1 whose
/// messages say for whom they are.
pub struct Told(Receiver);

impl Told {
    /// Channels of the three tiers, told day and night.
    pub fn tiers() -> Self {
        Self(Receiver::taking())
    }

    /// A shop whose people hear of it here.
    pub fn plan(&self, desk: &str, more: &str) -> Plan {
        let host = self.0.host();
        let mut desk = format!("{desk}\n{more}\n");
        for (tier, name) in ["one", "two", "three"].iter().enumerate() {
            let tier = tier + 1;
            write!(
                desk,
                "[[alert]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{host}/{name}\"\ntier = {tier}\nnight = true\n"
            )
            .unwrap();
        }
        Plan {
            sections: format!("[alerts]\nallow = [\"{host}\"]\n"),
            ..Plan::default()
        }
        .rules("_desk.toml", &desk)
    }

    /// The same with a group that reads for whom it is, ten seconds later.
    pub fn plan_with_group(&self, desk: &str, more: &str) -> Plan {
        let group = format!(
            "{more}\n[[alert]]\nname = \"named\"\nkind = \"wecom\"\nurl = \"{}/named\"\nnight = true\n",
            self.0.host()
        );
        self.plan(desk, &group)
    }

    /// Everything a tier was told, the daily heartbeat left out: `kind reason`.
    pub fn on(&self, name: &str) -> Vec<String> {
        self.documents(name)
            .iter()
            .map(|told| {
                let word = |key: &str| told[key].as_str().unwrap().to_owned();
                format!("{} {}", word("kind"), word("reason"))
            })
            .collect()
    }

    /// The documents themselves.
    pub fn documents(&self, name: &str) -> Vec<Value> {
        let got = self.0.got.lock().unwrap();
        let to_it = got.iter().filter(|request| is_to(request, name));
        to_it
            .map(Request::json)
            .filter(|told| told["kind"] != "heartbeat")
            .collect()
    }

    /// What the group read.
    pub fn group(&self) -> Vec<String> {
        let got = self.0.got.lock().unwrap();
        let to_it = got.iter().filter(|request| is_to(request, "named"));
        to_it.map(Request::text).collect()
    }

    /// Waits until a tier was told so much, and no more.
    pub fn hears(&self, name: &str, lines: &[&str]) {
        eventually(
            &format!("{lines:?}, {name} heard {:?}", self.on(name)),
            || self.on(name).len() >= lines.len(),
        );
        assert_eq!(self.on(name), lines);
    }

    /// The same with what has this kind.
    pub fn hears_of(&self, name: &str, kind: &str, lines: &[&str]) {
        let of_kind = || {
            let mut all = self.on(name);
            all.retain(|line| line.starts_with(kind));
            all
        };
        eventually(&format!("{lines:?}"), || of_kind().len() >= lines.len());
        assert_eq!(of_kind(), lines);
    }

    /// Waits until no channel has anything more to tell. The group reads ten seconds later, so the clock moves on.
    pub fn is_quiet(&self, shop: &Shop) {
        shop.passes(MINUTE);
        rests(shop, |_| true);
    }

    /// The same where the clock must stand.
    pub fn is_quiet_but_the_group(&self, shop: &Shop) {
        rests(shop, |name| name != "named");
    }
}

fn rests(shop: &Shop, counts: impl Fn(&str) -> bool) {
    eventually("quiet", || {
        let channels = shop.api("GET", "/alerts/channels", None).json();
        let channels = channels["channels"].as_array().unwrap().clone();
        let of = |channel: &&Value| counts(channel["name"].as_str().unwrap());
        channels
            .iter()
            .filter(of)
            .all(|channel| channel["waiting"] == 0)
    });
}

fn is_to(request: &Request, name: &str) -> bool {
    request.line.starts_with(&format!("POST /{name} "))
}
