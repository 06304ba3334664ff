//! Opens so many conversations that whatever looks at all of them shows: a start, a list, a timer that all have at once.
//!
//! The design says 100,000; a build for debugging gets a fifth of that.

use std::time::{Duration, Instant};

use serde_json::Value;
use wxreply::store::Store;
use wxreply::store::sled::SledStore;

use crate::desk::{HOUR, Plan, Shop, eventually_within};
use crate::store::fixtures::{START, escalated, take_turn, turn, words};

const MANY: usize = 20_000;
/// Far more than it takes, and far less than what grows with the square of them.
const BOUND: Duration = Duration::from_secs(120);
const DESK: &str = "ack = \"\"\n[sla.normal]\nfirst = \"1h\"\nrepeat = [\"0s\"]\n";

/// So many followers wait.
async fn fill(data: &std::path::Path) {
    let store = SledStore::open(data, START).await.unwrap();
    let numbers: Vec<usize> = (0..MANY).collect();
    for some in numbers.chunks(500) {
        let turns = some.iter().map(|n| {
            let name = format!("Crowd{n:05}");
            let turn = turn(&name, &name, words("能带狗吗"), escalated());
            take_turn(&*store, turn, START)
        });
        for taken in futures_util::future::join_all(turns).await {
            taken.unwrap();
        }
    }
    store.close().await;
}

fn timers(shop: &Shop, word: &str) -> usize {
    let metrics = shop.metrics();
    let of = |line: &&str| line.starts_with(word);
    let line = metrics.lines().find(of);
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn many_thousand_start_are_listed_and_have_a_timer_at_once_in_bounded_time() {
    let plan = Plan {
        starts: "2024-06-12T21:46:40+08:00",
        ..Plan::default()
    };
    let mut shop = Shop::open(plan.rules("_desk.toml", DESK));
    let mut took = Vec::new();
    let mut lap = |what: &'static str, since: Instant| took.push((what, since.elapsed()));
    let begun = Instant::now();
    shop.while_stopped(|data| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill(data));
    });
    lap("filled and started", begun);

    // People are told of all at once.
    let begun = Instant::now();
    eventually_within(BOUND, "all alerts are noted", || {
        let page = shop.api(
            "GET",
            "/conversations?state=waiting&limit=200&sort=urgency",
            None,
        );
        let page = page.json();
        let all = page["conversations"].as_array().unwrap();
        all.len() == 200 && all.iter().all(|known| known["version"].as_u64() >= Some(2))
    });
    lap("the first alerts", begun);

    let begun = Instant::now();
    shop.restart(Duration::ZERO);
    lap("a restart", begun);

    let begun = Instant::now();
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let page = shop.api(
            "GET",
            &format!("/conversations?state=waiting&limit=200{cursor}"),
            None,
        );
        assert_eq!(page.status, 200);
        let page = page.json();
        seen += page["conversations"].as_array().unwrap().len();
        let Value::String(next) = &page["next"] else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, MANY);
    lap("all pages of the list", begun);

    // The promise of all is over at the same time.
    let begun = Instant::now();
    shop.passes(HOUR);
    // Followers do not wait for that.
    assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
    let answered = begun.elapsed();
    assert!(answered < Duration::from_millis(4500), "{answered:?}");
    lap("an answer meanwhile", begun);
    let breaches =
        "wxreply_sla_breaches_total{account=\"shop\",priority=\"normal\",timer=\"first\"}";
    eventually_within(BOUND, "all breaches", || timers(&shop, breaches) >= MANY);
    lap("a timer of all", begun);
    assert_eq!(timers(&shop, breaches), MANY, "each once");
    println!("{MANY}: {took:?}");
    for (what, took) in took {
        assert!(took < BOUND, "{what}: {took:?}");
    }
}
