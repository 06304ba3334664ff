//! Kills the server again and again while followers write, people answer, timers fire and alerts go out, and counts
//! everything afterwards.
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
use crate::alerts::Receiver;
use crate::support::{Setup, TOKEN, World};

const FOLLOWERS: usize = 6;
const AGENTS: [&str; 3] = ["lili", "jun", "mei"];
const ROUNDS: usize = 4;
const PASSWORD: &str = "tarp lemon quilt 7";
/// What a request to the receiver has between one life of the server and the next.
const KILLED: &str = "killed";

/// Everything that happens by itself happens within seconds.
const DESK: &str = r#"
assign = "least-loaded"
ack_every = "1s"
claim_timeout = "1s"
quiet_after = "1s"
[sla.normal]
first = "1s"
next = "1s"
clock = "always"
repeat = ["0s", "1s", "2s"]
tiers = ["0s"]
[[alert]]
name   = "duty"
kind   = "webhook"
url    = "env:HOOK_DUTY_URL"
secret = "env:HOOK_DUTY"
night  = true
"#;

/// The server, or that it is down; whoever uses it holds the lock only for one request.
struct House {
    world: RwLock<Option<World>>,
    http: ureq::Agent,
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

impl House {
    /// A request; `None` when the server died under it or is down.
    fn call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let address = self.world.read().unwrap().as_ref()?.address;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{address}/api/v1{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(body.map(Value::to_string).unwrap_or_default().into_bytes())
            .unwrap();
        let mut response = self.http.run(request).ok()?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec().ok()?;
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// The same, as often as it takes.
    fn insist(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let start = Instant::now();
        loop {
            match self.call(token, method, path, body) {
                // The store is being closed or opened.
                Some((503, _)) | None => std::thread::yield_now(),
                Some(answer) => return answer,
            }
            assert!(start.elapsed() < PATIENCE, "{method} {path} never answered");
        }
    }

    fn show(&self, path: &str) -> Value {
        let (status, shown) = self.insist(TOKEN, "GET", path, None);
        assert_eq!(status, 200, "{path}: {shown}");
        shown
    }

    /// Comes back when the server runs: no sooner than a restart that is under way is done.
    fn is_up(&self) {
        drop(self.world.read().unwrap());
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
            house.is_up();
            delivered = follower.repeats(&delivered).wait();
        }
        kept.push(text);
        house.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

/// What the server told an agent it has taken, each with its conversation.
#[derive(Default)]
struct Taken {
    answers: Vec<(String, String)>,
    notes: Vec<String>,
    claims: usize,
    refused: usize,
}

/// A user with a session that outlives the server.
fn log_in(house: &House, name: &str) -> String {
    let wanted = json!({ "name": name, "role": "agent", "password": PASSWORD });
    let (status, added) = house.insist(TOKEN, "POST", "/users", Some(&wanted));
    assert_eq!(status, 201, "{added}");
    let wanted = json!({ "name": name, "password": PASSWORD });
    let (status, made) = house.insist("", "POST", "/sessions", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

/// An agent works until it is over: answers, claims and gives back, comes and goes.
fn works(house: &House, name: &str, session: &str, seed: u64) -> Taken {
    let mut dice = Dice(seed);
    let mut taken = Taken::default();
    let duty = |on: bool| {
        let (status, shown) = house.insist(session, "POST", "/duty", Some(&json!({ "on": on })));
        assert_eq!(status, 200, "{shown}");
    };
    duty(true);
    for n in 0.. {
        if house.is_over() {
            break;
        }
        let which = match dice.roll(4) {
            0 => "state=waiting".to_owned(),
            1 => "state=assigned,follower,held,bot,closed".to_owned(),
            _ => format!("owner={name}"),
        };
        let path = format!("/conversations?limit=50&{which}");
        let (_, listed) = house.insist(session, "GET", &path, None);
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
        let tries = |verb: &str, body: Option<&Value>| {
            let path = format!("/conversations/{id}/{verb}");
            house.call(session, "POST", &path, body)
        };
        match dice.roll(12) {
            0 => drop(tries("release", None)),
            1 | 2 => match tries("claim", None) {
                Some((200, known)) => {
                    assert_eq!(known["owner"], name, "{known}");
                    taken.claims += 1;
                }
                Some((409, _)) => taken.refused += 1,
                _ => {}
            },
            3 => drop(tries("close", Some(&json!({ "outcome": "solved" })))),
            4 => {
                let text = format!("记{name}-{n}完");
                if let Some((200, _)) = tries("notes", Some(&json!({ "text": text }))) {
                    taken.notes.push(text);
                }
            }
            5 => {
                duty(false);
                duty(true);
            }
            _ => {
                let text = format!("答{name}-{n}完");
                let body =
                    json!({ "text": text, "idempotency_key": text, "hold": dice.roll(4) == 0 });
                let path = format!("/conversations/{id}/replies");
                match house.insist(session, "POST", &path, Some(&body)) {
                    (201, _) => taken.answers.push((id, text)),
                    (409, _) => taken.refused += 1,
                    (status, refused) => panic!("{status} {refused}"),
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
        let shown = house.show(&format!("/conversations/{id}{query}"));
        let older = shown["messages"].as_array().unwrap().clone();
        if older.is_empty() {
            return lines;
        }
        lines.splice(0..0, older);
    }
}

fn setting(name: &str, usual: usize) -> usize {
    std::env::var_os(name).map_or(usual, |text| text.to_str().unwrap().parse().unwrap())
}

/// Two accounts of which one may not push, and their part of the configuration.
fn accounts(wechat: &Wechat, port: u16, config: &mut String) -> Vec<Account> {
    let account = |name: &str| {
        let callback = format!("http://127.0.0.1:{port}/wx/{name}");
        let mut settings = AccountSettings::secure(name, &callback);
        if name == "mute" {
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
    };
    ["shop", "mute"].map(account).to_vec()
}

/// Kills the server, so that nothing of it is on its way any more, and starts it again.
fn kill(house: &House, receiver: &Receiver, timers: &AtomicUsize) {
    let mut world = house.world.write().unwrap();
    let old = world.take().unwrap();
    timers.fetch_add(count_timers(&old), Ordering::Relaxed);
    let stopped = old.kill();
    // The receiver takes one after another: whatever the dead server said was taken before this.
    let marked = house.http.post(&receiver.url()).send(KILLED);
    assert_eq!(marked.unwrap().status(), 200);
    *world = Some(stopped.start());
}

fn count_timers(world: &World) -> usize {
    world.log.text().matches("timer elapsed").count()
}

/// What the server told: never twice in one life. Gives how many alerts there were, and how many came again after a kill.
fn told(receiver: &Receiver) -> (usize, usize) {
    let (mut all, mut life, mut again) = (BTreeSet::new(), BTreeSet::new(), 0);
    for request in receiver.got.lock().unwrap().iter() {
        if request.body == KILLED {
            life.clear();
            continue;
        }
        let key = request.header("idempotency-key").to_owned();
        assert!(life.insert(key.clone()), "told twice: {}", request.body);
        again += usize::from(!all.insert(key));
    }
    (all.len(), again)
}

#[test]
fn killed_under_mixed_load_nothing_is_lost_and_nothing_is_sent_twice() {
    let rounds = setting("WXREPLY_ROUNDS", ROUNDS);
    let seed = u64::try_from(setting("WXREPLY_SEED", 7)).unwrap();
    // A phone forgets; this does not.
    let seen: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let watched = Arc::clone(&seen);
    let wechat = Wechat::start(Settings {
        limit: Duration::from_secs(5),
        attempts: 1,
        observer: Some(Arc::new(move |openid, shown| {
            let text = match &shown.sight {
                Sight::Reply(reply) => reply.text(),
                Sight::Pushed(pushed) => pushed.text(),
                _ => None,
            };
            let mut watched = watched.lock().unwrap();
            *watched.entry(openid.to_owned()).or_default() += text.unwrap_or_default();
        })),
        ..Settings::default()
    })
    .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let receiver = Receiver::taking();
    let mut config = format!(
        "listen = \"127.0.0.1:{port}\"\nlog_format = \"json\"\n[alerts]\nallow = [\"{}\"]\n",
        receiver.host()
    );
    let accounts = accounts(&wechat, port, &mut config);
    let mut setup = Setup {
        config,
        rules: BTreeMap::from([
            ("10-rules.toml".to_owned(), super::HOURS.to_owned()),
            ("_desk.toml".to_owned(), DESK.to_owned()),
        ]),
        ..Setup::default()
    };
    for (name, text) in [("HOOK_DUTY", "s3cret"), ("HOOK_DUTY_URL", &receiver.url())] {
        setup.variables.insert(name.to_owned(), text.to_owned());
    }
    let house = House {
        world: RwLock::new(Some(setup.start())),
        http: ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            // A connection that outlived its server would look like another death.
            .max_idle_connections(0)
            .build()
            .into(),
        acknowledged: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let sessions = AGENTS.map(|name| log_in(&house, name));
    let mut dice = Dice(seed);
    let timers = AtomicUsize::new(0);
    let (kept, taken) = std::thread::scope(|scope| {
        let house = &house;
        let mut writers = Vec::new();
        for n in 0..FOLLOWERS {
            let follower = accounts[n % accounts.len()].follower(&format!("oKilled{n:02}"));
            writers.push(scope.spawn(move || writes(house, &follower, &n.to_string())));
        }
        let agents = AGENTS.iter().zip(&sessions).zip(1..);
        let agents: Vec<_> = agents
            .map(|((name, session), n)| {
                scope.spawn(move || works(house, name, session, seed ^ (n << 8)))
            })
            .collect();
        for round in 0..=rounds {
            let enough = house.acknowledged.load(Ordering::Relaxed) + 40 + dice.roll(120);
            let start = Instant::now();
            while house.acknowledged.load(Ordering::Relaxed) < enough {
                let is_late = start.elapsed() > PATIENCE;
                assert!(!is_late, "nothing goes on in round {round}");
                std::thread::yield_now();
            }
            if round < rounds {
                kill(house, &receiver, &timers);
            }
        }
        house.is_over.store(true, Ordering::Relaxed);
        let kept = writers.into_iter().map(|thread| thread.join().unwrap());
        let kept: Vec<String> = kept.flatten().collect();
        let taken = agents.into_iter().map(|thread| thread.join().unwrap());
        (kept, taken.collect::<Vec<Taken>>())
    });
    // What is on its way arrives.
    let listed = || {
        let listed = house.show("/conversations?limit=200");
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
    // Every message and every note that was acknowledged is there, once.
    for text in &kept {
        assert_eq!(said(text, "in").len(), 1, "{text}");
    }
    for text in taken.iter().flat_map(|taken| &taken.notes) {
        assert_eq!(said(text, "internal").len(), 1, "{text}");
    }
    let mut ids = BTreeSet::new();
    for line in lines.values().flatten() {
        assert!(
            ids.insert(line["id"].as_str().unwrap().to_owned()),
            "twice: {line}"
        );
    }
    // Every answer that was taken arrived as it says, and no answer twice.
    let seen = seen.lock().unwrap();
    let seen = |text: &str| -> usize {
        let phones = seen.values();
        phones.map(|phone| phone.matches(text).count()).sum()
    };
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut answers = BTreeSet::new();
    for (id, text) in taken.iter().flat_map(|taken| &taken.answers) {
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
        answers.insert(text.as_str());
    }
    for line in lines
        .values()
        .flatten()
        .filter(|line| line["by"] == "agent" && line["direction"] == "out")
    {
        let text = line["text"].as_str().unwrap();
        assert!(answers.contains(text), "nobody was told of {text}");
    }
    // States fit.
    let known = listed();
    for known in &known {
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
    // Nobody waits any more; what is still to be told is told.
    for known in &known {
        let id = known["id"].as_str().unwrap();
        let path = format!("/conversations/{id}/close?as_lead=true");
        let body = json!({ "outcome": "moved" });
        assert_eq!(house.insist(TOKEN, "POST", &path, Some(&body)).0, 200);
    }
    super::eventually("everything is told", || {
        let channel = house.show("/alerts/channels")["channels"][0].clone();
        (&channel["waiting"], &channel["dead"]) == (&json!(0), &json!(0))
    });
    let (alerts, again) = told(&receiver);
    assert!(
        again <= rounds,
        "{again} alerts came again after {rounds} kills"
    );
    // Nobody had to log in again.
    for session in &sessions {
        assert_eq!(house.insist(session, "GET", "/me", None).0, 200);
    }
    let timers = timers.into_inner() + count_timers(house.world.read().unwrap().as_ref().unwrap());
    let sum = |count: fn(&Taken) -> usize| taken.iter().map(count).sum::<usize>();
    println!(
        "{rounds} kills, {} messages, {} answers {ends:?}, {} notes, {} claims, {} refused, {timers} timers, {alerts} alerts, {again} of them again",
        kept.len(),
        answers.len(),
        sum(|taken| taken.notes.len()),
        sum(|taken| taken.claims),
        sum(|taken| taken.refused),
    );
    assert!(timers > 0, "no timer fired");
    assert!(alerts > 0, "nobody was told anything");
}
