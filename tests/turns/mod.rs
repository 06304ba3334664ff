//! Takes messages through whole turns: the real binary, the pretend WeChat, and what people see of it over the API.

mod deadline;
mod disk;
mod events;
mod held;
mod media;
mod modes;
mod repeats;
mod replies;
mod running;
mod samples;
mod window;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wxreply::simulator::{Account, AccountSettings, Delivered, Follower, Mode, Settings, Wechat};

use crate::support::{Setup, Stopped, World};

/// Far more than anything needs, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);

/// One follower who is in most stories.
const LI: &str = "oFollowerLi000000000000001";

/// Rules that most stories need.
const RULES: &str = r#"
[[rule]]
id = "hours"
any = ["几点开门", "营业时间"]
reply = "十点开门。"

[[rule]]
id = "number"
regex = '^第(?<n>\d+)号$'
reply = "{n}号收到。"

[[rule]]
id = "help"
event = "menu"
menu_key = "HELP"
reply = "菜单帮助。"
"#;

/// What a shop is opened with.
struct Plan {
    mode: Mode,
    /// Whether the server knows the AppSecret, so that it can push.
    has_secret: bool,
    /// Sections of the configuration before the account's.
    sections: &'static str,
    rules: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mode: Mode::Secure,
            has_secret: true,
            sections: "",
            rules: RULES.to_owned(),
        }
    }
}

/// An account at the pretend WeChat whose callback is the real binary.
struct Shop {
    wechat: Wechat,
    account: Account,
    /// Taken only while it is started again.
    world: Option<World>,
}

impl Shop {
    fn open(plan: Plan) -> Self {
        let Plan {
            mode,
            has_secret,
            sections,
            rules,
        } = plan;
        let wechat = platform();
        let settings = AccountSettings {
            mode,
            any_media: true,
            ..AccountSettings::secure("shop", "")
        };
        let section = section(&wechat, &settings, has_secret);
        let account = wechat.account(settings);
        let config = configuration(&format!("{sections}\n{section}"));
        let world = setup(config, &rules).start();
        let shop = Self {
            wechat,
            account,
            world: Some(world),
        };
        shop.point_callback();
        shop
    }

    fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    fn li(&self) -> Follower {
        self.account.follower(LI)
    }

    /// Ends the server as told and starts it on the same files.
    fn restart(&mut self, end: impl FnOnce(World) -> Stopped) {
        let stopped = end(self.world.take().unwrap());
        self.world = Some(stopped.start());
        self.point_callback();
    }

    fn point_callback(&self) {
        let url = format!("http://{}/wx/shop", self.world().address);
        self.account.change(|settings| settings.callback = url);
    }

    /// How often the server asked WeChat to push something.
    fn sends(&self) -> usize {
        let is_send = |path: &str| path == "/cgi-bin/message/custom/send";
        let calls = self.wechat.calls();
        calls.iter().filter(|call| is_send(&call.path)).count()
    }

    /// An agent answers the follower; gives the message as the API shows it.
    fn agent_says(&self, follower: &str, text: &str) -> Value {
        agent_says(self.world(), follower, text)
    }
}

fn platform() -> Wechat {
    Wechat::start(Settings {
        limit: PATIENCE,
        attempts: 1,
        ..Settings::default()
    })
    .unwrap()
}

/// The account's section in `wxreply.toml`.
fn section(wechat: &Wechat, settings: &AccountSettings, has_secret: bool) -> String {
    let AccountSettings {
        name,
        app_id,
        token,
        secret,
        ..
    } = settings;
    let mode = match settings.mode {
        Mode::Plain => "plain",
        Mode::Compatible => "compatible",
        Mode::Secure => "secure",
    };
    let mut section = format!(
        "[account.{name}]\napp_id = \"{app_id}\"\nmode = \"{mode}\"\ntoken = \"{token}\"\napi_base = \"{}\"\n",
        wechat.api_base()
    );
    if let Some(key) = settings.aes_key.as_ref().filter(|_| mode != "plain") {
        section.push_str(&format!("aes_key = \"{key}\"\n"));
    }
    if has_secret {
        section.push_str(&format!("secret = \"{secret}\"\n"));
    }
    section
}

fn configuration(sections: &str) -> String {
    format!("listen = \"127.0.0.1:0\"\nlog_format = \"json\"\n{sections}")
}

fn setup(config: String, rules: &str) -> Setup {
    Setup {
        config,
        rules: BTreeMap::from([("10-rules.toml".to_owned(), rules.to_owned())]),
        ..Setup::default()
    }
}

/// Stops the server as an operator does.
fn stop(world: World) -> Stopped {
    let (stopped, status) = world.stop();
    assert!(status.success(), "{status}");
    stopped
}

fn agent_says(world: &World, follower: &str, text: &str) -> Value {
    let id = world.conversation(follower)["id"].clone();
    let path = format!("/conversations/{}/replies", id.as_str().unwrap());
    let answer = world.api("POST", &path, Some(&json!({ "text": text })));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["message"].clone()
}

/// Every line of a conversation, as `by kind text delivery`.
fn lines(world: &World, conversation: &Value) -> Vec<String> {
    let id = conversation["id"].as_str().unwrap();
    let shown = world.api("GET", &format!("/conversations/{id}"), None);
    let word = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
    let line = |message: &Value| {
        ["by", "kind", "text", "delivery"]
            .map(|name| word(message, name))
            .join(" ")
    };
    let shown = shown.json();
    shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect()
}

/// The history of the only conversation of this follower.
fn history(world: &World, follower: &str) -> Vec<String> {
    lines(world, &world.conversation(follower))
}

/// All conversations of an account, or of all.
fn conversations(world: &World, query: &str) -> Vec<Value> {
    let listed = world.api("GET", &format!("/conversations?limit=200&{query}"), None);
    listed.json()["conversations"].as_array().unwrap().clone()
}

/// Asks again until it is so; what the server does by itself takes a moment.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        std::thread::yield_now();
    }
}

/// Asks until the newest line of the follower's history is this one.
fn ends_with(world: &World, follower: &str, line: &str) {
    eventually(line, || {
        history(world, follower)
            .last()
            .is_some_and(|last| last == line)
    });
}

/// The clear reply, down to its `CreateTime`.
fn clear(delivered: &Delivered) -> &str {
    assert_eq!(delivered.fault, None);
    delivered
        .reply
        .as_ref()
        .map_or("success", |reply| &reply.clear)
}

/// Lets the clock reach the next second, so that a `CreateTime` made anew would differ.
fn next_second() {
    let now = || wxreply::clock::Clock::system().now().seconds();
    let second = now();
    eventually("the next second", || now() > second);
}
