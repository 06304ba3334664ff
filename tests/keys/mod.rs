//! Takes every key of a rule through the running server, with the pretend WeChat on the other side.

mod answering;
mod conditions;
mod desk;
mod finding;
mod forms;
mod hooks;
mod offers;
mod settings;
mod several;
mod tests_of_rules;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wxreply::simulator::{Account, AccountSettings, Follower, Settings, Sight, Wechat};

use crate::support::{Setup, Stopped, World};

/// Far more than anything needs, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a follower reads whose message goes to a person.
const ACK: &str = "转人工。";

/// What is there before the server starts.
#[derive(Default)]
struct Plan<'a> {
    /// `10.toml`.
    rules: &'a str,
    /// What lies beside it.
    files: &'a [(&'a str, &'a [u8])],
    /// Top of the configuration.
    top: &'a str,
    variables: &'a [(&'a str, &'a str)],
}

/// The server with two accounts: `shop` can push, `cafe` cannot.
struct Stand {
    _wechat: Wechat,
    shop: Account,
    cafe: Account,
    /// Taken only while it is started again.
    world: Option<World>,
}

impl Plan<'_> {
    /// Writes everything down and starts the server.
    fn open(&self) -> Stand {
        let wechat = Wechat::start(Settings {
            limit: PATIENCE,
            attempts: 1,
            ..Settings::default()
        })
        .unwrap();
        let settings = |name| AccountSettings {
            any_media: true,
            ..AccountSettings::plain(name, "")
        };
        let (shop, cafe) = (settings("shop"), settings("cafe"));
        let sections = [
            section(&wechat, &shop, true),
            section(&wechat, &cafe, false),
        ]
        .concat();
        let world = self.stopped(&sections).start();
        let stand = Stand {
            shop: wechat.account(shop),
            cafe: wechat.account(cafe),
            _wechat: wechat,
            world: Some(world),
        };
        stand.point_callbacks();
        stand
    }

    fn stopped(&self, sections: &str) -> Stopped {
        let mut setup = Setup {
            config: format!(
                "{}\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n{sections}",
                self.top
            ),
            rules: BTreeMap::from([("10.toml".to_owned(), self.rules.to_owned())]),
            ..Setup::default()
        };
        let variables = self.variables.iter();
        setup
            .variables
            .extend(variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let stopped = setup.into_stopped();
        let rules = stopped.path().join("rules");
        fs::write(rules.join("_desk.toml"), format!("ack = \"{ACK}\"\n")).unwrap();
        for (path, bytes) in self.files {
            let path = rules.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        stopped
    }
}

fn section(wechat: &Wechat, settings: &AccountSettings, has_secret: bool) -> String {
    let AccountSettings {
        name,
        app_id,
        token,
        secret,
        ..
    } = settings;
    let secret = if has_secret {
        format!("secret = \"{secret}\"\n")
    } else {
        String::new()
    };
    format!(
        "[account.{name}]\napp_id = \"{app_id}\"\nmode = \"plain\"\ntoken = \"{token}\"\napi_base = \"{}\"\n{secret}",
        wechat.api_base()
    )
}

impl Stand {
    /// The server with these rules and nothing else.
    fn open(rules: &str) -> Self {
        Plan {
            rules,
            ..Plan::default()
        }
        .open()
    }

    fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    fn point_callbacks(&self) {
        for account in [&self.shop, &self.cafe] {
            let url = format!(
                "http://{}/wx/{}",
                self.world().address,
                account.settings().name
            );
            account.change(|settings| settings.callback = url);
        }
    }

    /// Kills the server and starts it on the same files.
    fn dies_and_returns(&mut self) {
        let stopped = self.world.take().unwrap().kill();
        self.world = Some(stopped.start());
        self.point_callbacks();
    }

    /// A follower of `shop` whom nobody has seen before.
    fn stranger(&self) -> Follower {
        self.shop.follower(&new_name())
    }

    /// What a stranger reads in answer to this; empty when nothing.
    fn hears(&self, words: &str) -> String {
        heard(&self.stranger(), words)
    }

    /// What the API knows of the conversation.
    fn known(&self, follower: &Follower) -> Value {
        self.world().conversation(follower.openid())
    }

    /// The history, as the API shows it.
    fn history(&self, follower: &Follower) -> Vec<Value> {
        let id = self.known(follower)["id"].clone();
        let path = format!("/conversations/{}", id.as_str().unwrap());
        let shown = self.world().api("GET", &path, None).json();
        shown["messages"].as_array().unwrap().clone()
    }

    /// Does something to the conversation, as a person does.
    fn person(&self, follower: &Follower, verb: &str, body: Option<&Value>) {
        let id = self.known(follower)["id"].clone();
        let path = format!("/conversations/{}/{verb}", id.as_str().unwrap());
        let answer = self.world().api("POST", &path, body);
        assert!(answer.status < 300, "{verb}: {}", answer.text());
    }

    fn tag(&self, follower: &Follower, tags: &[&str]) {
        self.person(follower, "tags", Some(&json!({ "tags": tags })));
    }

    /// Who is called, why, and how urgently.
    fn called(&self, follower: &Follower) -> [String; 4] {
        let known = self.known(follower);
        ["state", "reason", "priority", "reason_note"]
            .map(|name| known[name].as_str().unwrap_or_default().to_owned())
    }
}

fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("oStranger{:019}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What the follower reads in answer to this; empty when nothing.
fn heard(follower: &Follower, words: &str) -> String {
    let delivered = follower.says(words).wait();
    assert_eq!(delivered.fault, None, "{words}: {delivered:?}");
    delivered.text().unwrap_or_default().to_owned()
}

/// What customer-service messages brought, each as words or as its request.
fn pushed(follower: &Follower) -> Vec<String> {
    let phone = follower.phone().into_iter();
    let pushed = phone.filter_map(|shown| match shown.sight {
        Sight::Pushed(pushed) => Some(pushed.to_string()),
        _ => None,
    });
    pushed.collect()
}

/// Waits until so many customer-service messages are on the phone, and gives them.
fn pushes(follower: &Follower, count: usize) -> Vec<String> {
    let are_there = move |phone: &[wxreply::simulator::Shown]| {
        let is_push = |shown: &&wxreply::simulator::Shown| matches!(shown.sight, Sight::Pushed(_));
        phone.iter().filter(is_push).count() >= count
    };
    let came = follower.sees(PATIENCE, are_there).wait();
    assert!(came, "{count} pushes never came: {:?}", pushed(follower));
    pushed(follower)
}

/// Asks again until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        std::thread::yield_now();
    }
}
