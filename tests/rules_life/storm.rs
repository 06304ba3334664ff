//! Rewrites a rule file a hundred times a second, half of the time broken, while followers ask.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{FILE, breathe, rule, until, world, write};
use crate::support::World;

/// How often the file is rewritten in one burst.
const BURST: usize = 100;
const BURSTS: usize = 3;
const FOLLOWERS: usize = 3;

/// Every other version is broken, each in its own way.
fn version(n: usize) -> String {
    let good = rule("hours", "营业时间", &format!("第{n}版"));
    match n % 8 {
        1 => good[..good.len() - 4].to_owned(),
        3 => good.replace("any", "anny"),
        5 => good + "tests = [{ say = \"停车\", expect = \"hours\" }]\n",
        7 => String::new(),
        _ => good,
    }
}

/// The version that an answer comes from.
fn answered(world: &World, follower: &str) -> usize {
    let text = world.says("plain", follower, "营业时间").text().to_owned();
    let number = text
        .split("第")
        .nth(1)
        .and_then(|rest| rest.split("版").next());
    let number = number.unwrap_or_else(|| panic!("not an answer of any version: {text}"));
    number.parse().unwrap()
}

#[test]
fn an_edit_storm_never_yields_a_wrong_or_late_answer() {
    let world = world();
    write(&world, FILE, &version(0));
    until(&world, |rules| {
        rules["state"] == "live" && rules["revision"] == 2
    });
    let (written, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let followers: Vec<_> = (0..FOLLOWERS)
            .map(|n| {
                let (world, written, is_over) = (&world, &written, &is_over);
                scope.spawn(move || {
                    let mut asked = 0;
                    let mut last = 0;
                    while !is_over.load(Ordering::Acquire) {
                        // A follower who asks the same thing thrice goes to a person, so each asks twice.
                        let follower = format!("oStorm{n:04}{:010}", asked / 2);
                        let version = answered(world, &follower);
                        assert_eq!(version % 2, 0, "version {version} is broken");
                        assert!(version >= last, "version {version} after {last}");
                        assert!(version <= written.load(Ordering::Acquire));
                        last = version;
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        let calm = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for burst in 0..BURSTS {
                for n in burst * BURST + 1..=(burst + 1) * BURST {
                    written.store(n, Ordering::Release);
                    write(&world, FILE, &version(n));
                    breathe();
                }
                let last = (burst + 1) * BURST;
                until(&world, |rules| {
                    rules["state"] == "live"
                        && answered(&world, &format!("oCalm{burst}{}", rules["revision"])) == last
                });
            }
        }));
        is_over.store(true, Ordering::Release);
        let asked: usize = followers.into_iter().map(|one| one.join().unwrap()).sum();
        calm.unwrap();
        assert!(asked > BURST, "the load was real: {asked}");
    });
    assert_eq!(answered(&world, "oAfterTheStorm"), BURST * BURSTS);
}
