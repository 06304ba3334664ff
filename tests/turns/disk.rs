//! Fills the disk under the running server, as far as a test may: its files must not grow for a while.

use std::process::Command;

use serde_json::json;

use super::{
    LI, RULES, configuration, conversations, eventually, history, platform, section, setup,
};
use crate::support::api::is_problem;
use crate::support::{Stopped, World};
use wxreply::simulator::{Account, AccountSettings, Delivered};

const SORRY: &str = "系统忙,这条没收到,请稍后再发。";

struct Tight {
    account: Account,
    _wechat: wxreply::simulator::Wechat,
    /// What was acknowledged: follower and words.
    kept: Vec<(String, String)>,
}

/// Whether limits can be set; says loudly when not.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn can_limit() -> bool {
    let is_there = Command::new("prlimit").arg("--version").output().is_ok();
    if !is_there {
        eprintln!("SKIPPED: prlimit (util-linux) is not installed, so the disk cannot be filled");
    }
    is_there
}

/// Lets no file of the server be written beyond this many bytes; `None` ends it.
fn limit(world: &World, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let pid = world.pid().to_string();
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={limit}:")])
        .status()
        .unwrap();
    assert!(set.success());
}

/// The size of the largest file of the database now: beyond this it cannot grow.
fn database_size(world: &World) -> u64 {
    fn largest(directory: &std::path::Path) -> u64 {
        let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    largest(&entry.path())
                } else {
                    entry.metadata().unwrap().len()
                }
            })
            .max()
            .unwrap_or(0)
    }
    largest(&world.data().join("sled"))
}

impl Tight {
    fn open() -> (Self, World) {
        let wechat = platform();
        let settings = AccountSettings::plain("shop", "");
        let config = configuration(&section(&wechat, &settings, false));
        let world = setup(config, RULES).into_stopped().start_without_xfsz();
        let account = wechat.account(settings);
        let tight = Self {
            account,
            _wechat: wechat,
            kept: Vec::new(),
        };
        tight.point_at(&world);
        (tight, world)
    }

    fn point_at(&self, world: &World) {
        let url = format!("http://{}/wx/shop", world.address);
        self.account.change(|settings| settings.callback = url);
    }

    /// A new follower complains at length.
    fn complains(&mut self, n: usize, bytes: usize) -> Delivered {
        let follower = self.account.follower(&format!("oComplains{n}"));
        let words = format!("{n}{}", "投诉".repeat(bytes / 6));
        let delivered = follower.says(&words).wait();
        assert_eq!(delivered.fault, None, "{n}");
        if delivered.text() != Some(SORRY) {
            assert!(delivered.text().unwrap().contains("同事"), "{delivered:?}");
            self.kept.push((follower.openid().to_owned(), words));
        }
        delivered
    }

    /// Fills what is left; the last one was told sorry.
    fn fill(&mut self, world: &World) -> (usize, Delivered) {
        for n in 0..400 {
            let delivered = self.complains(n, 48_000);
            if delivered.text() == Some(SORRY) {
                return (n, delivered);
            }
            if n > 0 && !self.is_ready(world).0 {
                assert!(self.is_ready(world).1.contains("spill"));
            }
        }
        panic!("the disk did not fill");
    }

    fn is_ready(&self, world: &World) -> (bool, String) {
        let answer = world.request("GET", "/readyz", &[], b"");
        (answer.status == 200, answer.text().to_owned())
    }

    /// Where nothing can be written, people hear so, and nothing changes.
    fn people_are_told(&mut self, world: &World) {
        // What is left takes short complaints still.
        for bytes in [9_000, 1_800, 300, 60] {
            for n in 0..100 {
                let n = 3000 + bytes * 100 + n;
                if self.complains(n, bytes).text() == Some(SORRY) {
                    break;
                }
            }
        }
        let (follower, _) = self.kept.last().unwrap();
        let before = world.conversation(follower);
        let path = |verb: &str| format!("/conversations/{}/{verb}", before["id"].as_str().unwrap());
        let long = "退款".repeat(300);
        for (verb, body) in [
            ("replies", Some(json!({"text": long}))),
            ("notes", Some(json!({"text": long}))),
        ] {
            let refused = world.api("POST", &path(verb), body.as_ref());
            is_problem(&refused, 503, "unavailable");
        }
        assert_eq!(world.conversation(follower), before);
        // A claim is short: the last ones that fit are good, the first that does not is refused.
        let ids = conversations(world, "state=waiting");
        let refused = ids.iter().find(|known| {
            let id = known["id"].as_str().unwrap();
            let answer = world.api("POST", &format!("/conversations/{id}/claim"), None);
            assert!([200, 503].contains(&answer.status), "{}", answer.text());
            answer.status == 503
        });
        let refused = refused.expect("the disk is full");
        let follower = refused["follower"].as_str().unwrap();
        assert_eq!(&world.conversation(follower), refused);
        for known in conversations(world, "state=assigned") {
            let id = known["id"].as_str().unwrap();
            let path = format!("/conversations/{id}/release");
            eventually("there is room again", || {
                limit(world, None);
                world.api("POST", &path, None).status == 200
            });
        }
    }

    fn everything_kept_is_there(&self, world: &World) {
        assert_eq!(conversations(world, "state=waiting").len(), self.kept.len());
        for (follower, words) in &self.kept {
            let lines = history(world, follower);
            assert_eq!(lines.len(), 2, "{follower}");
            assert_eq!(
                lines[0],
                format!("follower text {words} received"),
                "{follower}"
            );
        }
    }

    fn rules_answer(&self) {
        let delivered = self.account.follower(LI).says("几点开门").wait();
        assert_eq!(delivered.text(), Some("十点开门。"), "{delivered:?}");
    }
}

#[test]
fn a_full_disk_spills_then_says_sorry_and_loses_nothing_it_acknowledged() {
    if !can_limit() {
        return;
    }
    let (mut tight, world) = Tight::open();
    tight.complains(1000, 60);
    assert!(tight.is_ready(&world).0);
    limit(&world, Some(database_size(&world).max(1 << 20)));
    let (spilled, refused) = tight.fill(&world);
    assert!(spilled > 10, "{spilled}");
    let (is_ready, reasons) = tight.is_ready(&world);
    assert!(
        !is_ready && reasons.contains("nothing can be written"),
        "{reasons}"
    );
    tight.rules_answer();
    assert_eq!(tight.complains(2000, 48_000).text(), Some(SORRY));
    tight.people_are_told(&world);
    limit(&world, None);
    eventually("the database is back", || tight.is_ready(&world).0);
    tight.everything_kept_is_there(&world);
    // What was refused was not taken: WeChat's repeat is a first time.
    let follower = tight.account.follower(&format!("oComplains{spilled}"));
    let again = follower.repeats(&refused).wait();
    assert!(again.text().unwrap().contains("同事"), "{again:?}");
    tight.kept.push((
        follower.openid().to_owned(),
        format!("{spilled}{}", "投诉".repeat(8000)),
    ));
    tight.everything_kept_is_there(&world);
    tight.rules_answer();
}

fn survives(end: impl FnOnce(World) -> Stopped) {
    if !can_limit() {
        return;
    }
    let (mut tight, world) = Tight::open();
    tight.complains(1000, 60);
    limit(&world, Some(database_size(&world).max(1 << 20)));
    let mut n = 0;
    while tight.is_ready(&world).0 {
        tight.complains(n, 48_000);
        n += 1;
    }
    assert!(
        tight.is_ready(&world).1.contains("spill"),
        "{:?}",
        tight.is_ready(&world)
    );
    // Spilled, and only there.
    let last = tight.complains(n, 600);
    let world = end(world).start();
    tight.point_at(&world);
    assert!(tight.is_ready(&world).0);
    tight.everything_kept_is_there(&world);
    let again = tight
        .account
        .follower(&format!("oComplains{n}"))
        .repeats(&last)
        .wait();
    assert_eq!(super::clear(&again), super::clear(&last));
    tight.everything_kept_is_there(&world);
}

#[test]
fn what_was_spilled_is_there_after_kill_9() {
    survives(World::kill);
}

#[test]
fn what_was_spilled_is_there_after_a_stop() {
    survives(super::stop);
}
