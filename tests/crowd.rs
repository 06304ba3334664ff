//! Lets a crowd of followers talk to the real server at once, kills it in the middle, and counts every message afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says what it has counted"
)]

mod check;
mod desk;
mod fold;
mod gate;
mod messages;
mod talk;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use wxreply::decide::ActiveRules;
use wxreply::model::{AccountName, Delivery};
use wxreply::rules::{self, Options};
use wxreply::simulator::{Account, AccountSettings, Fault, Settings, Times, Wechat};

use self::check::{check, conversations, history};
use self::desk::{Desk, Wish};
use self::gate::Gate;
use self::messages::Dice;
use self::talk::Talk;
use crate::support::{Setup, Stopped, World};

const CROWD: usize = 50;
/// How often the server is killed, unless this says so.
const ROUNDS: &str = "WXREPLY_ROUNDS";
/// Where chance begins.
const SEED: &str = "WXREPLY_SEED";
/// The path by which pushes go.
const SEND: &str = "/cgi-bin/message/custom/send";

/// The pretend WeChat with two accounts: `shop` may push, `mute` may not.
struct Platform {
    wechat: Wechat,
    shop: Account,
    mute: Account,
    address: SocketAddr,
}

impl Platform {
    fn start() -> Self {
        let wechat = Wechat::start(Settings::default()).unwrap();
        let address = free_address();
        let account = |name: &str| {
            wechat.account(AccountSettings {
                any_media: true,
                ..AccountSettings::secure(name, &format!("http://{address}/wx/{name}"))
            })
        };
        let (shop, mute) = (account("shop"), account("mute"));
        Self {
            wechat,
            shop,
            mute,
            address,
        }
    }

    /// A server with the sample rules for both accounts.
    fn server(&self) -> Stopped {
        let mut config = format!(
            "listen = \"{}\"\nlog = \"warn,wxreply::server::start=info\"\nlog_format = \"json\"\n",
            self.address
        );
        for account in [&self.shop, &self.mute] {
            let AccountSettings {
                name,
                app_id,
                token,
                aes_key,
                secret,
                ..
            } = &*account.settings();
            let aes_key = aes_key.as_deref().unwrap();
            write!(
                config,
                "[account.{name}]\napp_id = \"{app_id}\"\ntoken = \"{token}\"\naes_key = \"{aes_key}\"\nmode = \"secure\"\n"
            )
            .unwrap();
            if name == "shop" {
                let api_base = self.wechat.api_base();
                write!(config, "secret = \"{secret}\"\napi_base = \"{api_base}\"\n").unwrap();
            }
        }
        let files = rules::read_directory(&sample_rules()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let texts = files
            .0
            .iter()
            .map(|(name, bytes)| (name.clone(), text(bytes)));
        Setup {
            config,
            rules: texts.collect(),
            ..Setup::default()
        }
        .into_stopped()
    }

    fn follower(&self, n: usize, account: &str) -> Talk {
        let of = if account == "shop" {
            &self.shop
        } else {
            &self.mute
        };
        Talk::new(account, of.follower(&format!("oCrowd{n:02}_{account}")))
    }
}

fn sample_rules() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

/// The sample rules as the test itself understands them.
fn own_rules() -> ActiveRules {
    let files = rules::read_directory(&sample_rules()).unwrap();
    let options = Options {
        accounts: Some(
            ["shop", "mute"]
                .map(|name| AccountName::parse(name).unwrap())
                .into(),
        ),
        ..Options::default()
    };
    ActiveRules {
        set: rules::compile(&files, &options).rules.unwrap(),
        revision: Some(1),
    }
}

/// An address that a server finds free again after each restart: below the ports that the system hands out by itself, and
/// another one for each test.
fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    std::iter::repeat_with(|| first + TAKEN.fetch_add(1, Ordering::Relaxed))
        .take(1000)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .unwrap()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var_os(variable).map(|value| value.to_str().unwrap().parse().unwrap())
}

/// The shares of the crowd in the messages.
fn shares(messages: &[String]) -> Vec<Vec<&str>> {
    let share = |n| {
        messages
            .iter()
            .skip(n)
            .step_by(CROWD)
            .map(String::as_str)
            .collect()
    };
    (0..CROWD).map(share).collect()
}

fn times(talks: &[Talk]) -> String {
    let said = talks.iter().flat_map(|talk| &talk.said);
    let mut all: Vec<Duration> = said
        .flat_map(|said| said.answers.iter().map(|heard| heard.took))
        .collect();
    all.sort();
    let at = |share: usize| all[(all.len() - 1) * share / 100];
    format!("p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100))
}

#[test]
fn a_crowd_is_answered_in_time_and_every_message_is_kept_once() {
    let (platform, rules, gate) = (Platform::start(), own_rules(), Gate::default());
    let world = platform.server().start();
    let messages = messages::distinct(0);
    gate.allow(messages.len());
    gate.is_safe();
    gate.is_up();
    let began = Instant::now();
    let talks: Vec<Talk> = std::thread::scope(|scope| {
        let talking = shares(&messages).into_iter().enumerate().map(|(n, share)| {
            let (mut talk, gate) = (platform.follower(n, "shop"), &gate);
            scope.spawn(move || {
                share.iter().for_each(|text| talk.says(text, gate));
                talk
            })
        });
        let talking: Vec<_> = talking.collect();
        talking
            .into_iter()
            .map(|talk| talk.join().unwrap())
            .collect()
    });
    let took = began.elapsed();
    let (tally, _) = check(&world, &rules, &gate, &talks);
    println!(
        "{} messages in {took:?}: {}; {tally:?}",
        messages.len(),
        times(&talks)
    );
    assert_eq!(
        (tally.conversations, tally.inbound),
        (CROWD, messages.len())
    );
    assert_eq!((tally.forgotten, tally.repeats), (0, 0));
    for talk in &talks {
        let shown = world.conversation(talk.follower.openid());
        let heard: Vec<String> = history(&world, &shown)
            .into_iter()
            .filter(|line| line.delivery == Delivery::Received)
            .map(|line| line.text)
            .collect();
        let said: Vec<&str> = talk.said.iter().map(|said| said.text.as_str()).collect();
        assert_eq!(heard, said);
    }
}

/// One follower's part while the server is killed again and again.
struct Part<'a> {
    talk: Talk,
    share: Vec<&'a str>,
    dice: Dice,
    /// Where this follower's wishes for an agent's answer go.
    wishes: Option<mpsc::Sender<Wish>>,
}

/// Speaks, lets WeChat repeat what was answered before a kill, and wishes for an agent's answer now and then.
fn speaks(part: Part<'_>, gate: &Gate) -> Talk {
    let Part {
        mut talk,
        share,
        mut dice,
        wishes,
    } = part;
    let is_open = Arc::new(AtomicBool::new(false));
    let mut life = gate.life();
    for (n, text) in share.iter().enumerate() {
        gate.pass();
        talk.says(text, gate);
        gate.answered();
        if n % 3 == 1
            && let Some(wishes) = &wishes
            && !is_open.swap(true, Ordering::AcqRel)
        {
            let wish = Wish {
                account: talk.account.clone(),
                follower: talk.follower.openid().to_owned(),
                n,
                is_open: Arc::clone(&is_open),
            };
            wishes.send(wish).unwrap();
        }
        let now = gate.life();
        if now != life {
            life = now;
            for _ in 0..3 {
                talk.repeats(&mut dice, gate);
            }
        }
    }
    talk
}

/// Kills the server in the middle of the load, and starts it again, as often as told.
fn kills(mut world: World, gate: &Gate, dice: &mut Dice, rounds: usize, messages: usize) -> World {
    let mut sent = 0;
    for round in 1..=rounds {
        let quota = messages * round / (rounds + 1);
        let first = sent + (quota - sent) / 2;
        gate.allow(first);
        gate.wait_answered(first);
        if dice.below(2) == 0 {
            // What was answered so far grows older than a second, while people look at the desk.
            let until = Instant::now() + Duration::from_millis(1100);
            while Instant::now() < until {
                conversations(&world);
            }
        }
        gate.allow(quota);
        let moment = first + dice.below(quota - first);
        gate.wait_answered(moment);
        println!("kill {round} after {moment} answers");
        gate.kills();
        world = world.kill().start();
        gate.is_up();
        sent = quota;
    }
    gate.is_safe();
    gate.allow(messages);
    world
}

#[test]
fn killed_again_and_again_the_server_keeps_its_word() {
    let (platform, rules, gate) = (Platform::start(), own_rules(), Gate::default());
    let rounds = usize::try_from(number(ROUNDS).unwrap_or(3)).unwrap();
    let seed = number(SEED).unwrap_or(1);
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let messages = messages::distinct(rounds);
    // Time enough to die while a push is under way.
    platform
        .wechat
        .breaks(SEND, Fault::Slow(Duration::from_millis(20)), Times::Always);
    let desk = Desk::new(&gate, platform.address);
    let (wish, wishes) = mpsc::channel();
    let wishes = Mutex::new(wishes);
    let world = platform.server().start();
    gate.is_up();
    let (world, mut talks): (World, Vec<Talk>) = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| desk.works(&wishes));
        }
        let talking = shares(&messages).into_iter().enumerate().map(|(n, share)| {
            let account = if n % 5 == 0 { "mute" } else { "shop" };
            let part = Part {
                talk: platform.follower(n, account),
                share,
                dice: Dice(dice.next()),
                wishes: (n % 2 == 0).then(|| wish.clone()),
            };
            let gate = &gate;
            scope.spawn(move || speaks(part, gate))
        });
        let talking: Vec<_> = talking.collect();
        drop(wish);
        let world = kills(world, &gate, &mut dice, rounds, messages.len());
        (
            world,
            talking
                .into_iter()
                .map(|talk| talk.join().unwrap())
                .collect(),
        )
    });
    // Everything is said and answered; some of it arrives once more, also after a proper stop.
    wait_for_pushes(&world);
    for talk in &mut talks {
        talk.repeats(&mut dice, &gate);
    }
    let world = world.stop().0.start();
    for talk in &mut talks {
        talk.repeats(&mut dice, &gate);
    }
    let (tally, agents) = check(&world, &rules, &gate, &talks);
    println!(
        "{} messages, {rounds} kills: {}; {tally:?}",
        messages.len(),
        times(&talks)
    );
    assert_eq!(tally.inbound + tally.forgotten, messages.len());
    check_agents(&platform, desk, &agents);
}

fn check_agents(
    platform: &Platform,
    desk: Desk<'_>,
    agents: &std::collections::HashMap<String, fold::Line>,
) {
    let written = desk.written.into_inner().unwrap();
    assert_eq!(written.len(), agents.len());
    let mut pushed: BTreeMap<String, usize> = BTreeMap::new();
    for push in platform.shop.pushed() {
        *pushed.entry(push.text().unwrap().to_owned()).or_default() += 1;
    }
    println!("{} agents' answers, {} pushed", written.len(), pushed.len());
    assert!(platform.mute.pushed().is_empty());
    for answer in written {
        let line = &agents[&answer.text];
        assert_eq!(line.id, answer.id);
        let times = pushed.remove(&answer.text).unwrap_or(0);
        let is_right = match line.delivery {
            Delivery::Sent => times == 1,
            Delivery::Unknown => times <= 1,
            Delivery::Held | Delivery::Passive => times == 0 && answer.follower.ends_with("mute"),
            _ => false,
        };
        assert!(is_right, "{line:?} was pushed {times} times");
    }
    assert!(pushed.is_empty(), "nobody wrote {pushed:?}");
}

/// Waits until nothing is queued or under way.
fn wait_for_pushes(world: &World) {
    let until = Instant::now() + Duration::from_secs(60);
    for conversation in conversations(world) {
        let is_moving =
            |line: &fold::Line| matches!(line.delivery, Delivery::Queued | Delivery::Sending);
        while history(world, &conversation).iter().any(is_moving) {
            assert!(
                Instant::now() < until,
                "pushes are stuck in {conversation:#}"
            );
        }
    }
}
