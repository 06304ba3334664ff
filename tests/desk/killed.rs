//! Kills the server again and again while followers write, agents answer and timers fire, and counts everything afterwards.
//!
//! `WXREPLY_ROUNDS` says how often it is killed, `WXREPLY_SEED` where chance begins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wxreply::simulator::{Account, AccountSettings, Follower, Rights, Settings, Sight, Wechat};

use super::PATIENCE;
use crate::support::{Setup, TOKEN, World};

const FOLLOWERS: usize = 6;
const AGENTS: usize = 3;
const ROUNDS: u64 = 4;

/// Everything that happens by itself happens within seconds.
const DESK: &str = r#"
ack_every = "1s"
claim_timeout = "1s"
quiet_after = "1s"
[sla.normal]
first = "1s"
next = "1s"
clock = "always"
repeat = ["0s", "1s", "2s"]
tiers = ["0s"]
"#;

/// The server, or that it is down; whoever uses it holds the lock only for one request.
struct House {
    world: RwLock<Option<World>>,
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

impl House {
    /// A request; `None` when the server died under it or is down.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let address = self.world.read().unwrap().as_ref()?.address;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{address}/api/v1{path}"))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(body.map(Value::to_string).unwrap_or_default().into_bytes())
            .unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut response = agent.run(request).ok()?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec().ok()?;
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// The same, as often as it takes.
    fn insist(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let start = Instant::now();
        loop {
            match self.call(method, path, body) {
                // The store is being closed or opened.
                Some((503, _)) | None => std::thread::yield_now(),
                Some(answer) => return answer,
            }
            assert!(start.elapsed() < PATIENCE, "{method} {path} never answered");
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Numerical Recipes' linear congruence; the high bits are good enough to choose by.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// A follower writes until it is over, each message until it is answered; gives what was acknowledged.
fn writes(house: &House, follower: &Follower, name: &str) -> Vec<String> {
    let mut kept = Vec::new();
    for n in 0.. {
        if house.is_over() {
            break;
        }
        let text = format!("问{name}-{n}完");
        let mut delivered = follower.says(&text).wait();
        let start = Instant::now();
        while delivered.fault.is_some() {
            assert!(start.elapsed() < PATIENCE, "{text} was never answered");
            // Not while it is down: a phone remembers a thousand lines, and each fault is one.
            drop(house.world.read().unwrap());
            delivered = follower.repeats(&delivered).wait();
        }
        kept.push(text);
        house.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

/// An agent answers whoever waits until it is over; gives what the server took, with its conversation.
fn answers(house: &House, agent: usize, seed: u64) -> Vec<(String, String)> {
    let mut dice = Dice(seed);
    let mut taken = Vec::new();
    for n in 0.. {
        if house.is_over() {
            break;
        }
        let states = ["waiting", "assigned", "waiting,assigned,follower,held,bot"];
        let path = format!("/conversations?limit=50&state={}", states[dice.roll(3)]);
        let (_, listed) = house.insist("GET", &path, None);
        let listed = listed["conversations"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if listed.is_empty() {
            std::thread::yield_now();
            continue;
        }
        let id = listed[dice.roll(listed.len())]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        match dice.roll(8) {
            0 => drop(house.call("POST", &format!("/conversations/{id}/release"), None)),
            1 => drop(house.call("POST", &format!("/conversations/{id}/claim"), None)),
            2 => {
                let body = json!({ "outcome": "solved" });
                drop(house.call("POST", &format!("/conversations/{id}/close"), Some(&body)));
            }
            _ => {
                let text = format!("答{agent}-{n}完");
                let body =
                    json!({ "text": text, "idempotency_key": text, "hold": dice.roll(4) == 0 });
                let path = format!("/conversations/{id}/replies");
                if house.insist("POST", &path, Some(&body)).0 == 201 {
                    taken.push((id, text));
                }
            }
        }
    }
    taken
}

/// The whole history of a conversation.
fn history(house: &House, id: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = Vec::new();
    loop {
        let before = lines
            .first()
            .map(|line| line["id"].as_str().unwrap().to_owned());
        let query = before.map(|id| format!("?before={id}")).unwrap_or_default();
        let (_, shown) = house.insist("GET", &format!("/conversations/{id}{query}"), None);
        let older = shown["messages"].as_array().unwrap().clone();
        if older.is_empty() {
            return lines;
        }
        lines.splice(0..0, older);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it goes on is said from outside"
)]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn killed_under_mixed_load_nothing_is_lost_and_nothing_is_sent_twice() {
    let rounds = usize::try_from(setting("WXREPLY_ROUNDS", ROUNDS)).unwrap();
    let seed = setting("WXREPLY_SEED", 7);
    let wechat = Wechat::start(Settings {
        limit: Duration::from_secs(5),
        attempts: 1,
        ..Settings::default()
    })
    .unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut config = format!("listen = \"127.0.0.1:{port}\"\nlog_format = \"json\"\n");
    let accounts: Vec<Account> = ["shop", "mute"]
        .iter()
        .map(|name| {
            let callback = format!("http://127.0.0.1:{port}/wx/{name}");
            let mut settings = AccountSettings::secure(name, &callback);
            if *name == "mute" {
                settings.rights = Rights::UNVERIFIED;
            }
            write!(
                config,
                "[account.{name}]\napp_id = \"{}\"\ntoken = \"{}\"\naes_key = \"{}\"\nmode = \"secure\"\nsecret = \"{}\"\napi_base = \"{}\"\n",
                settings.app_id,
                settings.token,
                settings.aes_key.as_deref().unwrap(),
                settings.secret,
                wechat.api_base(),
            )
            .unwrap();
            wechat.account(settings)
        })
        .collect();
    let stopped = Setup {
        config,
        rules: BTreeMap::from([
            ("10-rules.toml".to_owned(), super::HOURS.to_owned()),
            ("_desk.toml".to_owned(), DESK.to_owned()),
        ]),
        ..Setup::default()
    };
    let house = Arc::new(House {
        world: RwLock::new(Some(stopped.start())),
        acknowledged: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    });
    let mut dice = Dice(seed);
    let timers = Mutex::new(0);
    let count = |world: &World| {
        *timers.lock().unwrap() += world.log.text().matches("timer elapsed").count();
    };
    let (kept, taken) = std::thread::scope(|scope| {
        let mut writers = Vec::new();
        for n in 0..FOLLOWERS {
            let of = &accounts[n % accounts.len()];
            let follower = of.follower(&format!("oKilled{n:02}"));
            let house = &house;
            writers.push(scope.spawn(move || writes(house, &follower, &n.to_string())));
        }
        let agents: Vec<_> = (0..AGENTS)
            .map(|n| {
                let (house, seed) = (&house, seed ^ (u64::try_from(n).unwrap() << 8));
                scope.spawn(move || answers(house, n, seed))
            })
            .collect();
        for round in 0..rounds {
            let enough = house.acknowledged.load(Ordering::Relaxed) + 20 + dice.roll(60);
            let start = Instant::now();
            while house.acknowledged.load(Ordering::Relaxed) < enough {
                assert!(
                    start.elapsed() < PATIENCE,
                    "nothing goes on in round {round}"
                );
                std::thread::yield_now();
            }
            let mut world = house.world.write().unwrap();
            let old = world.take().unwrap();
            count(&old);
            *world = Some(old.kill().start());
        }
        let enough = house.acknowledged.load(Ordering::Relaxed) + 20;
        while house.acknowledged.load(Ordering::Relaxed) < enough {
            std::thread::yield_now();
        }
        house.is_over.store(true, Ordering::Relaxed);
        let kept: Vec<_> = writers
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let taken: Vec<_> = agents
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        (kept, taken)
    });
    // What is on its way arrives.
    let listed = || {
        let (_, listed) = house.insist("GET", "/conversations?limit=200", None);
        listed["conversations"].as_array().unwrap().clone()
    };
    let mut lines: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let start = Instant::now();
    loop {
        let mut is_moving = false;
        for known in listed() {
            let id = known["id"].as_str().unwrap().to_owned();
            let shown = history(&house, &id);
            is_moving |= shown
                .iter()
                .any(|line| matches!(line["delivery"].as_str(), Some("queued" | "sending")));
            lines.insert(id, shown);
        }
        if !is_moving {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the outbox is never empty");
        std::thread::yield_now();
    }
    let said = |wanted: &str, direction: &str| -> Vec<&Value> {
        let all = lines.values().flatten();
        all.filter(|line| line["direction"] == direction && line["text"] == wanted)
            .collect()
    };
    // Every message that was acknowledged is there, once.
    for text in kept.iter().flatten() {
        assert_eq!(said(text, "in").len(), 1, "{text}");
    }
    let mut ids = BTreeSet::new();
    for line in lines.values().flatten() {
        assert!(
            ids.insert(line["id"].as_str().unwrap().to_owned()),
            "twice: {line}"
        );
    }
    // Every answer that was taken arrived as it says, and no answer twice.
    let phones: Vec<String> = (0..FOLLOWERS)
        .flat_map(|n| {
            accounts[n % accounts.len()]
                .follower(&format!("oKilled{n:02}"))
                .phone()
        })
        .filter_map(|shown| match &shown.sight {
            Sight::Reply(reply) => reply.text().map(str::to_owned),
            Sight::Pushed(pushed) => pushed.text().map(str::to_owned),
            _ => None,
        })
        .collect();
    let seen = |text: &str| {
        phones
            .iter()
            .map(|shown| shown.matches(text).count())
            .sum::<usize>()
    };
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for (id, text) in &taken {
        let written = said(text, "out");
        assert_eq!(written.len(), 1, "{text} of {id}");
        let delivery = written[0]["delivery"].as_str().unwrap();
        *ends.entry(delivery.to_owned()).or_default() += 1;
        let times = seen(text);
        match delivery {
            "sent" | "passive" => assert_eq!(times, 1, "{text} {delivery}"),
            "unknown" => assert!(times <= 1, "{text} {delivery} {times}"),
            _ => assert_eq!(times, 0, "{text} {delivery}"),
        }
    }
    for line in lines
        .values()
        .flatten()
        .filter(|line| line["by"] == "agent" && line["direction"] == "out")
    {
        let text = line["text"].as_str().unwrap();
        assert!(
            taken.iter().any(|(_, known)| known == text),
            "nobody was told of {text}"
        );
    }
    // States fit.
    for known in listed() {
        let (state, owner) = (known["state"].as_str().unwrap(), !known["owner"].is_null());
        match state {
            "assigned" => assert!(owner, "{known}"),
            "waiting" | "bot" | "closed" => assert!(!owner, "{known}"),
            _ => {}
        }
        let held = lines[known["id"].as_str().unwrap()]
            .iter()
            .any(|line| line["delivery"] == "held" && line["by"] == "agent");
        assert!(state != "held" || held, "{known}");
    }
    count(house.world.read().unwrap().as_ref().unwrap());
    let (messages, timers) = (
        kept.iter().map(Vec::len).sum::<usize>(),
        *timers.lock().unwrap(),
    );
    println!(
        "{rounds} kills, {messages} messages, {} answers {ends:?}, {timers} timers",
        taken.len()
    );
    assert!(timers > 0, "no timer fired");
}
