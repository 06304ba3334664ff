//! Lets two do something with the same conversation at the same time: one wins.
//!
//! Every round is a conversation of its own, and two threads that begin together over HTTP. Who wins is not said; that exactly
//! one does is.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::{Value, json};

use super::{MINUTE, Plan, Shop, eventually};
use crate::support::Answer;

const ROUNDS: usize = 40;
const DESK: &str = "ack = \"收到。\"\nclaim_timeout = \"10m\"\n";

/// A shop with two agents and a lead.
struct Ring {
    shop: Shop,
    lili: String,
    wang: String,
    chief: String,
}

/// How often each outcome was seen.
#[derive(Debug, Default)]
struct Seen {
    first: usize,
    second: usize,
}

impl Ring {
    fn open() -> Self {
        let shop = Shop::open(Plan::default().rules("_desk.toml", DESK));
        let [lili, wang] = ["lili", "wang"].map(|name| shop.token(name, "agent"));
        let chief = shop.token("chief", "admin");
        Self {
            shop,
            lili,
            wang,
            chief,
        }
    }

    /// A new follower waits; the path of the conversation.
    fn waits(&self, round: usize) -> (String, String) {
        let follower = format!("oRound{round:03}");
        assert!(
            self.shop
                .follower(&follower)
                .says("能带狗吗")
                .wait()
                .fault
                .is_none()
        );
        let path = format!("/conversations/{}", self.shop.id(&follower));
        (follower, path)
    }

    fn post(&self, token: &str, path: &str, verb: &str, body: &Value) -> Answer {
        self.shop
            .call(token, "POST", &format!("{path}/{verb}"), Some(body))
    }

    /// Both at the same time.
    fn both<A: Send, B: Send>(
        &self,
        first: impl FnOnce(&Self) -> A + Send,
        second: impl FnOnce(&Self) -> B + Send,
    ) -> (A, B) {
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                start.wait();
                first(self)
            });
            let second = scope.spawn(|| {
                start.wait();
                second(self)
            });
            (first.join().unwrap(), second.join().unwrap())
        })
    }

    /// The claim's time is over, after some requests that give the other a start.
    fn passes_after(&self, requests: usize) {
        for _ in 0..requests {
            self.shop.api("GET", "/duty", None);
        }
        self.shop.passes(MINUTE * 10);
    }

    fn shown(&self, path: &str) -> Value {
        self.shop.api("GET", path, None).json()
    }

    /// The lines of the history behind the follower's message and its ack.
    fn lines(&self, path: &str) -> Vec<String> {
        let shown = self.shown(path);
        let lines = shown["messages"].as_array().unwrap();
        let line = |line: &Value| {
            format!(
                "{} {}",
                line["by"].as_str().unwrap(),
                line["text"].as_str().unwrap()
            )
        };
        lines[2..].iter().map(line).collect()
    }

    /// How often something is on record of this conversation.
    fn on_record(&self, path: &str, what: &str) -> usize {
        let id = path.rsplit('/').next().unwrap();
        let page = self
            .shop
            .api("GET", &format!("/audit?what={what}&limit=200"), None)
            .json();
        let records = page["records"].as_array().unwrap();
        records
            .iter()
            .filter(|record| record["target"] == id)
            .count()
    }
}

/// Which of two won: exactly one did, and the other got 409.
fn winner(answers: (&Answer, &Answer), good: u16) -> usize {
    match (answers.0.status, answers.1.status) {
        (first, 409) if first == good => 0,
        (409, second) if second == good => 1,
        both => panic!("{both:?}: {} {}", answers.0.text(), answers.1.text()),
    }
}

impl Seen {
    fn add(&mut self, won: usize) {
        *[&mut self.first, &mut self.second][won] += 1;
    }
}

#[test]
fn of_two_claims_one_wins() {
    let ring = Ring::open();
    for round in 0..ROUNDS {
        let (_, path) = ring.waits(round);
        let (first, second) = ring.both(
            |ring| ring.post(&ring.lili, &path, "claim", &json!({})),
            |ring| ring.post(&ring.wang, &path, "claim", &json!({})),
        );
        let won = winner((&first, &second), 200);
        let name = ["token:lili", "token:wang"][won];
        assert_eq!(ring.shown(&path)["owner"], name);
        let lost = [&second, &first][won].json();
        assert_eq!(
            (&lost["code"], &lost["owner"]),
            (&json!("owned"), &json!(name))
        );
        assert_eq!(ring.on_record(&path, "conversation.claim"), 1);
    }
}

#[test]
fn of_two_replies_one_reaches_the_follower() {
    let ring = Ring::open();
    for round in 0..ROUNDS {
        let (follower, path) = ring.waits(round);
        let (first, second) = ring.both(
            |ring| ring.post(&ring.lili, &path, "replies", &json!({ "text": "莉莉答" })),
            |ring| ring.post(&ring.wang, &path, "replies", &json!({ "text": "小王答" })),
        );
        let won = winner((&first, &second), 201);
        let text = ["莉莉答", "小王答"][won];
        assert_eq!(ring.lines(&path), [format!("agent {text}")]);
        // A second's pushes of the account are five.
        ring.shop.passes(Duration::from_secs(1));
        eventually("the push", || !ring.pushed_to(&follower).is_empty());
        assert_eq!(ring.pushed_to(&follower), [text]);
    }
}

impl Ring {
    fn pushed_to(&self, follower: &str) -> Vec<String> {
        let all = self.shop.account.pushed().into_iter();
        all.filter(|pushed| pushed.to == follower)
            .map(|pushed| pushed.text().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn the_same_reply_twice_is_sent_once() {
    let ring = Ring::open();
    for round in 0..ROUNDS {
        let (_, path) = ring.waits(round);
        let body = json!({ "text": "马上", "idempotency_key": format!("key-{round}") });
        let send = |ring: &Ring| ring.post(&ring.lili, &path, "replies", &body);
        let (first, second) = ring.both(send, send);
        assert_eq!((first.status, second.status), (201, 201));
        assert_eq!(
            first.json()["message"]["id"],
            second.json()["message"]["id"]
        );
        assert_eq!(ring.lines(&path), ["agent 马上"]);
        assert_eq!(ring.on_record(&path, "conversation.reply"), 1);
    }
}

#[test]
fn a_reply_that_has_not_seen_the_followers_next_message_is_refused() {
    let ring = Ring::open();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let (follower, path) = ring.waits(round);
        let last_seen = ring.shown(&path)["messages"][0]["id"].clone();
        let (reply, _) = ring.both(
            |ring| {
                let body = json!({ "text": "可以", "last_seen": last_seen });
                ring.post(&ring.lili, &path, "replies", &body)
            },
            |ring| ring.shop.follower(&follower).says("不用了谢谢").wait(),
        );
        let shown = ring.shown(&path);
        let order: Vec<&str> = shown["messages"].as_array().unwrap()[2..]
            .iter()
            .map(|line| line["text"].as_str().unwrap())
            .collect();
        match reply.status {
            201 => {
                seen.add(0);
                assert!(order.contains(&"可以"), "{order:?}");
                // Somebody has it: what the follower wrote goes there.
                assert_eq!(shown["owner"], "token:lili");
            }
            409 => {
                seen.add(1);
                let said = reply.json();
                assert_eq!(said["code"], "arrived");
                assert_eq!(said["arrived"][0]["text"], "不用了谢谢");
                assert!(!order.contains(&"可以"), "{order:?}");
            }
            status => panic!("{status}: {}", reply.text()),
        }
    }
    println!("{seen:?}");
}

#[test]
fn a_sign_of_the_owner_and_the_claim_timeout_end_in_one_owner_or_none() {
    let ring = Ring::open();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let (_, path) = ring.waits(round);
        assert_eq!(
            ring.post(&ring.lili, &path, "claim", &json!({})).status,
            200
        );
        let (reply, ()) = ring.both(
            |ring| ring.post(&ring.lili, &path, "replies", &json!({ "text": "可以" })),
            |ring| ring.passes_after(round % 3),
        );
        // An answer claims what has just gone back to the queue: it is never lost, whoever was first.
        assert_eq!(reply.status, 201, "{}", reply.text());
        eventually("the answer's end", || {
            ring.shown(&path)["state"] == "follower"
        });
        let shown = ring.shown(&path);
        assert_eq!(shown["owner"], "token:lili");
        assert_eq!(ring.lines(&path), ["agent 可以"]);
        seen.add(usize::from(ring.timed_out(&path)));
    }
    println!("{seen:?}");
}

impl Ring {
    /// Whether the claim timeout is on record of this conversation; at most once it may be.
    fn timed_out(&self, path: &str) -> bool {
        let id = path.rsplit('/').next().unwrap();
        let page = self
            .shop
            .api("GET", "/audit?what=conversation.timer&limit=200", None)
            .json();
        let records = page["records"].as_array().unwrap();
        let is_it = |record: &&Value| {
            record["target"] == id && record["after"].to_string().contains("claim_timeout")
        };
        let count = records.iter().filter(is_it).count();
        assert!(count <= 1, "{count}");
        count == 1
    }
}

#[test]
fn a_colleagues_claim_against_the_claim_timeout_leaves_one_owner() {
    let ring = Ring::open();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let (_, path) = ring.waits(round);
        assert_eq!(
            ring.post(&ring.lili, &path, "claim", &json!({})).status,
            200
        );
        let (claim, ()) = ring.both(
            |ring| ring.post(&ring.wang, &path, "claim", &json!({})),
            |ring| ring.passes_after(round % 3),
        );
        let owner = match claim.status {
            200 => json!("token:wang"),
            // Too early; and then nobody has it.
            409 => json!(null),
            status => panic!("{status}"),
        };
        seen.add(usize::from(claim.status == 409));
        eventually("the timeout", || ring.timed_out(&path));
        let shown = ring.shown(&path);
        assert_eq!(shown["owner"], owner);
        let state = if owner.is_null() {
            "waiting"
        } else {
            "assigned"
        };
        assert_eq!(shown["state"], state);
        assert!(ring.lines(&path).is_empty());
        // Nothing is left that the next round would hear of.
        ring.shop.call(
            &ring.chief,
            "POST",
            &format!("{path}/close?as_lead=true"),
            Some(&json!({ "outcome": "solved" })),
        );
    }
    println!("{seen:?}");
}

#[test]
fn a_reply_against_a_close_leaves_one_of_the_two_last() {
    let ring = Ring::open();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let (follower, path) = ring.waits(round);
        assert_eq!(
            ring.post(&ring.lili, &path, "claim", &json!({})).status,
            200
        );
        let (reply, close) = ring.both(
            |ring| ring.post(&ring.lili, &path, "replies", &json!({ "text": "可以" })),
            |ring| {
                ring.post(
                    &ring.chief,
                    &path,
                    "close?as_lead=true",
                    &json!({ "outcome": "solved" }),
                )
            },
        );
        assert_eq!((reply.status, close.status), (201, 200));
        // The answer goes out either way: it was taken.
        ring.shop.passes(Duration::from_secs(1));
        eventually("the push", || ring.pushed_to(&follower) == ["可以"]);
        eventually("an end", || {
            let shown = ring.shown(&path);
            shown["messages"][2]["delivery"] == "sent" && shown["state"] != "assigned"
        });
        let shown = ring.shown(&path);
        let is_closed = shown["state"] == "closed";
        seen.add(usize::from(is_closed));
        match is_closed {
            true => assert_eq!(
                (&shown["outcome"], &shown["owner"]),
                (&json!("solved"), &json!(null))
            ),
            false => assert_eq!(
                (&shown["state"], &shown["owner"]),
                (&json!("follower"), &json!("token:lili"))
            ),
        }
        assert_eq!(ring.lines(&path), ["agent 可以"]);
        assert_eq!(ring.on_record(&path, "conversation.close"), 1);
    }
    println!("{seen:?}");
}

#[test]
fn an_assignment_against_a_claim_leaves_one_owner() {
    let ring = Ring::open();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let (_, path) = ring.waits(round);
        let to = json!({ "agent": "token:lili" });
        let (assigned, claim) = ring.both(
            |ring| ring.post(&ring.chief, &path, "assign", &to),
            |ring| ring.post(&ring.wang, &path, "claim", &json!({})),
        );
        // Over who has taken it meanwhile nobody is set without a reason.
        let won = match (assigned.status, claim.status) {
            (200, 409) => 0,
            (422, 200) => 1,
            both => panic!("{both:?} {} {}", assigned.text(), claim.text()),
        };
        seen.add(won);
        let owner = ["token:lili", "token:wang"][won];
        assert_eq!(ring.shown(&path)["owner"], owner);
        let lines = [vec!["agent 转给 token:lili".to_owned()], vec![]];
        assert_eq!(ring.lines(&path), lines[won]);
    }
    println!("{seen:?}");
}

#[test]
fn two_leads_who_take_it_over_do_so_one_after_the_other() {
    let ring = Ring::open();
    let other = ring.shop.token("other", "admin");
    for round in 0..ROUNDS {
        let (_, path) = ring.waits(round);
        assert_eq!(
            ring.post(&ring.lili, &path, "claim", &json!({})).status,
            200
        );
        let take = |token: &str, name: &str| {
            let body = json!({ "agent": name, "reason": "我来" });
            ring.post(token, &path, "assign", &body)
        };
        let (first, second) = ring.both(
            |_| take(&ring.chief, "token:chief"),
            |_| take(&other, "token:other"),
        );
        assert_eq!((first.status, second.status), (200, 200));
        let owner = ring.shown(&path)["owner"].clone();
        let lines = ring.lines(&path);
        assert_eq!(
            lines,
            ["agent 接手:我来", "agent 接手:我来"],
            "both are on record"
        );
        assert!(owner == "token:chief" || owner == "token:other");
    }
}
