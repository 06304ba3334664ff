//! Runs the restaurant: its two accounts, its people, the channels that tell them, and time that passes timer by timer.

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sha2::Sha256;
use wxreply::model::Time;
use wxreply::simulator::{Follower, Rights, Shown, Sight};

use super::super::{MINUTE, Plan, Shop, eventually, time};
use super::rules;
use crate::alerts::{Receiver, Request};
use crate::support::{Answer, TOKEN};

const PASSWORD: &str = "tarp lemon quilt 7";
/// Names of the channels, from tier 1 to tier 3.
pub const CHANNELS: [&str; 3] = ["duty", "lead", "owner"];
/// Where counters are kept from one life of the server to the next.
pub type Counters = BTreeMap<String, f64>;

pub struct Restaurant {
    pub shop: Shop,
    /// One per channel.
    pub receivers: [Receiver; 3],
    sessions: BTreeMap<&'static str, String>,
    /// What the server counted before it was started again.
    counted: Counters,
    /// How many alerts wait for the morning.
    parked: u64,
}

/// A time in Shanghai, `06-03 23:40`.
pub fn at(text: &str) -> Time {
    let (date, hour) = text.split_once(' ').unwrap();
    time(&format!("2026-{date}T{hour}:00+08:00"))
}

/// The time on the wall in Shanghai.
pub fn on_the_wall(at: Time) -> String {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let at = zone.to_datetime(at.into());
    at.strftime("%m-%d %H:%M").to_string()
}

/// The same of a time as the API writes it.
pub fn as_read(at: &Value) -> String {
    on_the_wall(time(at.as_str().unwrap()))
}

fn key(channel: &str) -> String {
    format!("k3y-of-{channel}")
}

impl Restaurant {
    /// Opens ten minutes before anybody comes.
    pub fn open() -> Self {
        let receivers = CHANNELS.map(|_| Receiver::taking());
        let mut variables = Vec::new();
        let names = [
            ("HOOK_DUTY_URL", "HOOK_DUTY_KEY"),
            ("HOOK_LEAD_URL", "HOOK_LEAD_KEY"),
            ("HOOK_OWNER_URL", "HOOK_OWNER_KEY"),
        ];
        for ((url, secret), (channel, receiver)) in
            names.into_iter().zip(CHANNELS.iter().zip(&receivers))
        {
            variables.push((url, receiver.url()));
            variables.push((secret, key(channel)));
        }
        let hosts: Vec<String> = receivers.iter().map(Receiver::host).collect();
        let plan = Plan {
            starts: "2026-06-03T08:45:00+08:00",
            name: "flagship",
            others: vec![("mini", Rights::UNVERIFIED)],
            variables,
            sections: format!("[alerts]\nallow = {}\n", json!(hosts)),
            ..Plan::default()
        };
        let plan = plan
            .rules("10-rules.toml", rules::BASICS)
            .rules("_calendar.toml", rules::CALENDAR)
            .rules("_desk.toml", rules::DESK)
            .rules("_crisis.toml", rules::CRISIS)
            .rules("_canned.toml", rules::CANNED);
        let restaurant = Self {
            shop: Shop::open(plan),
            receivers,
            sessions: BTreeMap::new(),
            counted: Counters::new(),
            parked: 0,
        };
        restaurant.beats(1);
        restaurant
    }

    // Time.

    pub fn now(&self) -> Time {
        self.shop.clock.now()
    }

    /// Lets time pass until then: to each timer on the way, and only on when what it leads to is done.
    pub fn until(&self, then: &str) {
        self.until_time(at(then));
    }

    pub fn until_time(&self, then: Time) {
        loop {
            self.rests();
            match self.next_timer().filter(|next| *next <= then) {
                Some(next) => self.shop.passes(next.since(self.now())),
                None => break,
            }
        }
        self.shop.passes(then.since(self.now()));
        self.rests();
    }

    /// A night of which everybody is told in the morning that nothing is broken: the `count`th such message.
    pub fn until_morning(&mut self, day: &str, count: usize) {
        let morning = at(&format!("{day} 08:00"));
        self.until_time(morning.minus(MINUTE));
        self.parked = 0;
        self.shop.passes(MINUTE);
        self.rests();
        self.beats(count);
    }

    fn beats(&self, count: usize) {
        for receiver in &self.receivers {
            eventually("a heartbeat", || {
                let got = receiver.got.lock().unwrap();
                let beats = got.iter().filter(|one| one.json()["kind"] == "heartbeat");
                beats.count() == count
            });
        }
    }

    /// Waits until nothing is left to do now.
    pub fn rests(&self) {
        eventually("the desk rests", || {
            let is_due = self.next_timer().is_some_and(|next| next <= self.now());
            !is_due && self.untold() == self.parked
        });
    }

    fn next_timer(&self) -> Option<Time> {
        let seconds = *self.metrics().get("wxreply_next_timer_timestamp_seconds")?;
        let since = Duration::from_secs_f64(seconds).as_micros() + 500;
        Some(Time::from_millis(i64::try_from(since / 1000).unwrap()))
    }

    /// How many alerts wait, on all channels.
    fn untold(&self) -> u64 {
        let listed = self.shop.api("GET", "/alerts/channels", None).json();
        let channels = listed["channels"].as_array().unwrap().iter();
        channels.map(|one| one["waiting"].as_u64().unwrap()).sum()
    }

    /// The server is stopped now and started again later, when so many alerts are left for the morning.
    pub fn is_away(&mut self, by: Duration, parked: u64) {
        self.counted = self.counters();
        self.shop.restart(by);
        self.parked = parked;
        self.rests();
    }

    // What the server says.

    fn metrics(&self) -> Counters {
        let request =
            ureq::http::Request::builder().uri(format!("http://{}/metrics", self.shop.address()));
        let answer = self.shop.run(request.body(Vec::new()).unwrap());
        let lines = answer.text().lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
        pairs
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// Everything counted since the first start, once what the channels took is.
    pub fn counters(&self) -> Counters {
        let took = |counters: &Counters, (channel, receiver): (&str, &Receiver)| {
            let name = "wxreply_notifications_total";
            let counter = format!("{name}{{channel=\"{channel}\",result=\"ok\"}}");
            let count = counters.get(&counter).copied().unwrap_or_default();
            format!("{count}") == receiver.count().to_string()
        };
        let mut all = Counters::new();
        eventually("every alert is counted", || {
            all = self.counted_now();
            let mut channels = CHANNELS.into_iter().zip(&self.receivers);
            channels.all(|channel| took(&all, channel))
        });
        all
    }

    fn counted_now(&self) -> Counters {
        let mut all = self.metrics();
        all.retain(|name, _| {
            let name = name.split('{').next().unwrap();
            name.ends_with("_total") || name.ends_with("_count") || name.ends_with("_bucket")
        });
        for (name, value) in &self.counted {
            *all.entry(name.clone()).or_default() += value;
        }
        all
    }

    /// Every page of a list.
    pub fn list(&self, query: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/conversations?limit=200&{query}&cursor={cursor}");
            let page = self.shop.api("GET", &path, None).json();
            found.extend(page["conversations"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return found,
            }
        }
    }

    /// Every record of what people did, oldest first.
    pub fn audit(&self) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/audit?limit=200&cursor={cursor}");
            let page = self.shop.api("GET", &path, None).json();
            found.extend(page["records"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        found.reverse();
        found
    }

    /// The same as the table that a spreadsheet opens.
    pub fn audit_table(&self) -> String {
        let request = ureq::http::Request::builder()
            .uri(format!("http://{}/api/v1/audit", self.shop.address()))
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("accept", "text/csv");
        let answer = self.shop.run(request.body(Vec::new()).unwrap());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().to_owned()
    }

    /// What a channel was told, each with a good signature and never twice.
    pub fn told(&self, channel: &str) -> Vec<Value> {
        let place = CHANNELS.iter().position(|name| *name == channel).unwrap();
        let got = self.receivers[place].got.lock().unwrap();
        let mut keys: Vec<&str> = got
            .iter()
            .map(|one| one.header("idempotency-key"))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), got.len(), "{channel} was told something twice");
        got.iter()
            .for_each(|one| check_signature(one, &key(channel)));
        got.iter().map(Request::json).collect()
    }

    // Followers.

    pub fn follower(&self, openid: &str) -> Follower {
        let mini = &self.shop.others[0];
        match openid.starts_with("oMini") {
            true => mini.follower(openid),
            false => self.shop.follower(openid),
        }
    }

    /// A follower says something and reads the answer in the same breath; gives it when people have been told, too.
    pub fn says(&self, openid: &str, text: &str) -> String {
        let delivered = self.follower(openid).says(text).wait();
        assert_eq!(delivered.fault, None, "{openid}: {text}");
        self.rests();
        delivered.text().unwrap_or_default().to_owned()
    }

    /// What a follower's phone shows.
    pub fn phone(&self, openid: &str) -> Vec<String> {
        let line = |shown: &Shown| {
            let at = on_the_wall(shown.at);
            Some(match &shown.sight {
                Sight::Typing => return None,
                Sight::Own(text) => format!("{at} 我:{text}"),
                Sight::Pushed(pushed) => format!("{at} 推:{pushed}"),
                other => format!("{at} 答:{other}"),
            })
        };
        let phone = self.follower(openid).phone();
        phone.iter().filter_map(line).collect()
    }

    // People.

    /// Adds somebody who answers.
    pub fn hires(&self, name: &str, is_lead: bool) {
        let wanted =
            json!({ "name": name, "role": "agent", "lead": is_lead, "password": PASSWORD });
        let added = self.shop.api("POST", "/users", Some(&wanted));
        assert_eq!(added.status, 201, "{}", added.text());
    }

    /// Logs in, and comes on duty.
    pub fn comes(&mut self, name: &'static str) {
        self.logs_in(name);
        self.goes(name, true);
    }

    pub fn logs_in(&mut self, name: &'static str) {
        let wanted = json!({ "name": name, "password": PASSWORD });
        let answer = self.shop.api("POST", "/sessions", Some(&wanted));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        self.sessions.insert(name, token);
    }

    pub fn goes(&self, name: &str, on: bool) {
        let answer = self.tries(name, "POST", "/duty", Some(&json!({ "on": on })));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub fn tries(&self, name: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.shop.call(&self.sessions[name], method, path, body)
    }

    /// Somebody does something with a conversation, and may; gives what it is then, when people have been told, too.
    pub fn does(&self, name: &str, id: &str, verb: &str, body: Option<&Value>) -> Value {
        let answer = self.tries(name, "POST", &format!("/conversations/{id}/{verb}"), body);
        let is_good = (200..300).contains(&answer.status);
        assert!(is_good, "{name} {verb}: {}", answer.text());
        self.rests();
        answer.json()
    }

    /// Somebody answers; returns once it has arrived, or waits for the follower.
    pub fn answers(&self, name: &str, id: &str, text: &str) {
        self.does(name, id, "replies", Some(&json!({ "text": text })));
        let path = format!("/conversations/{id}");
        eventually("the answer arrives", || {
            let known = self.shop.api("GET", &path, None).json();
            matches!(known["state"].as_str(), Some("follower" | "held"))
        });
    }

    /// Who waits, the most urgent first, as somebody sees it.
    pub fn queue(&self, name: &str) -> Vec<String> {
        let path = "/conversations?state=waiting&sort=urgency&limit=200";
        let listed = self.tries(name, "GET", path, None).json();
        let waiting = listed["conversations"].as_array().unwrap().iter();
        waiting
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn id(&self, openid: &str) -> String {
        self.shop.id(openid)
    }

    /// The state of a follower's conversation and its owner.
    pub fn stands(&self, openid: &str) -> String {
        let known = self.shop.conversation(openid);
        let word = |name: &str| known[name].as_str().unwrap_or("-").to_owned();
        format!("{} {}", word("state"), word("owner"))
    }
}

fn check_signature(request: &Request, key: &str) {
    let timestamp = request.header("x-wxreply-timestamp");
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{}", request.body).as_bytes());
    let digits = mac.finalize().into_bytes();
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = request.header("x-wxreply-signature");
    assert_eq!(signature, format!("sha256={digits}"), "{}", request.body);
}
