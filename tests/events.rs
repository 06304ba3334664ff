//! Follows the events as a console does: over a connection that stays open.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::api::is_problem;
use crate::support::{TOKEN, World};

/// How long an event may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event as a browser has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: String,
    pub id: String,
    pub data: Value,
}

/// An open stream of events.
pub struct Follower {
    reader: BufReader<TcpStream>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The last id that was named, with an event or without.
    pub last_id: String,
    /// Everything that was read.
    pub read: String,
    /// The kind of the event that is being read.
    kind: String,
}

impl Follower {
    pub fn open(address: SocketAddr, token: &str, last: Option<&str>) -> Self {
        Self::at(address, token, "/api/v1/events", last)
    }

    fn at(address: SocketAddr, token: &str, path: &str, last: Option<&str>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        write!(
            &stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.to_owned()));
                }
                None => break,
            }
        }
        let mut follower = Self {
            reader,
            status,
            headers,
            last_id: String::new(),
            read: String::new(),
            kind: String::new(),
        };
        // The hello says where the stream begins.
        while status == 200 && follower.last_id.is_empty() {
            follower.line().unwrap();
        }
        follower
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The next line; chunks' lengths and blanks are lines as well. `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        self.read.push_str(&line);
        let line = line.trim_end().to_owned();
        if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut self.last_id);
        }
        if let Some(kind) = line.strip_prefix("event: ") {
            kind.clone_into(&mut self.kind);
        }
        Some(line)
    }

    /// The next event; `None` when the stream ends.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.line()?;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(Event {
                    kind: std::mem::take(&mut self.kind),
                    id: self.last_id.clone(),
                    data: serde_json::from_str(data).unwrap(),
                });
            }
        }
    }
}

fn conversation(world: &World, follower: &str) -> (String, u64) {
    let known = world.conversation(follower);
    let id = known["id"].as_str().unwrap().to_owned();
    (id, known["version"].as_u64().unwrap())
}

#[test]
fn a_console_hears_what_changed_and_never_what_was_said() {
    let world = World::start();
    let mut console = Follower::open(world.address, TOKEN, None);
    assert_eq!(console.status, 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("x-accel-buffering", "no"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(console.header(name), value, "{name}");
    }
    world.says("plain", "oLi", "吃出头发了");
    let event = console.next().unwrap();
    let (id, _) = conversation(&world, "oLi");
    assert_eq!(event.kind, "conversation");
    assert_eq!(event.data["id"], json!(id));
    assert!(event.data["version"].as_u64() >= Some(1), "{event:?}");
    assert_eq!(event.data.as_object().unwrap().len(), 2, "{event:?}");
    world.api("POST", &format!("/conversations/{id}/claim"), None);
    let note = json!({"text": "老顾客"});
    world.api("POST", &format!("/conversations/{id}/notes"), Some(&note));
    let (_, version) = conversation(&world, "oLi");
    let mut last = event;
    while last.data["version"] != json!(version) {
        last = console.next().unwrap();
        assert_eq!(last.data["id"], json!(id));
    }
    // What rules answer by themselves is told too.
    world.says("plain", "oWu", "几点开门");
    let event = console.next().unwrap();
    assert_eq!(event.data["id"], json!(conversation(&world, "oWu").0));
    for words in ["头发", "老顾客", "几点", "oLi", "oWu"] {
        assert!(!console.read.contains(words), "{words}");
    }
    let refused = world.request("GET", "/api/v1/events", &[], b"");
    is_problem(&refused, 401, "unauthorized");
    let metrics = world.request("GET", "/metrics", &[], b"");
    assert!(metrics.text().contains("wxreply_sse_clients 1"));
}

#[test]
fn a_console_hears_of_accounts_that_its_token_reaches() {
    let world = World::start();
    let wanted = json!({"name": "eyes", "role": "viewer", "accounts": ["both"]});
    let made = world.api("POST", "/tokens", Some(&wanted)).json();
    let mut console = Follower::open(world.address, made["secret"].as_str().unwrap(), None);
    world.says("plain", "oLi", "不归你管");
    world.says("both", "oWu", "归你管");
    let (id, _) = conversation(&world, "oWu");
    assert_eq!(console.next().unwrap().data["id"], json!(id));
}

#[test]
fn a_console_that_comes_back_misses_nothing_or_is_told_to_load_again() {
    let world = World::start();
    let mut console = Follower::open(world.address, TOKEN, None);
    world.says("plain", "oLi", "第一句");
    let seen = console.next().unwrap();
    drop(console);
    world.says("plain", "oLi", "第二句");
    world.says("plain", "oWu", "第三句");
    let (wu, _) = conversation(&world, "oWu");
    let (li, _) = conversation(&world, "oLi");
    let by_query = format!("/api/v1/events?last_event_id={}", seen.id);
    for mut console in [
        Follower::open(world.address, TOKEN, Some(&seen.id)),
        Follower::at(world.address, TOKEN, &by_query, None),
    ] {
        let told = [console.next().unwrap(), console.next().unwrap()];
        let ids = told.map(|event| event.data["id"].clone());
        assert!(
            ids.contains(&json!(li)) && ids.contains(&json!(wu)),
            "{ids:?}"
        );
    }
    let world = world.kill().start();
    for unknown in [&*seen.id, "nonsense"] {
        let mut console = Follower::open(world.address, TOKEN, Some(unknown));
        let told = console.next().unwrap();
        assert_eq!((&*told.kind, &told.data), ("reload", &json!({})));
        world.says("plain", "oLi", "又一句");
        assert_eq!(console.next().unwrap().data["id"], json!(li));
    }
}

#[test]
fn one_console_too_many_is_refused() {
    let world = World::start();
    let consoles: Vec<Follower> = (0..256)
        .map(|_| Follower::open(world.address, TOKEN, None))
        .collect();
    assert!(consoles.iter().all(|console| console.status == 200));
    let refused = world.api("GET", "/events", None);
    is_problem(&refused, 503, "crowded");
    let metrics = world.request("GET", "/metrics", &[], b"");
    assert!(metrics.text().contains("wxreply_sse_clients 256"));
}

#[test]
fn open_streams_do_not_hold_up_the_end() {
    let world = World::start();
    let mut consoles: Vec<Follower> = (0..3)
        .map(|_| Follower::open(world.address, TOKEN, None))
        .collect();
    let start = Instant::now();
    let (_, status) = world.stop();
    assert!(status.success());
    // Connections that do not end by themselves are cut after five seconds.
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    for console in &mut consoles {
        let mut rest = Vec::new();
        let _cut_or_ended = console.reader.read_to_end(&mut rest);
        assert!(rest.len() < 64);
    }
}
