//! Works at the desk: the server in this process on a clock that the test moves, the pretend WeChat on the same clock,
//! everything else over HTTP.

mod day;
mod faults;
mod killed;
mod races;
mod rows;
mod staff;
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use wxreply::clock::Clock;
use wxreply::model::Time;
use wxreply::server::Application;
use wxreply::simulator::{
    Account, AccountSettings, Delivered, Follower, Mode, Rights, Settings, Wechat,
};

use crate::support::{Answer, TOKEN};

/// Far more than anything needs, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(30);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
/// A Wednesday, 10:00 in Shanghai.
pub const WEDNESDAY: &str = "2026-06-03T10:00:00+08:00";
pub const LI: &str = "oFollowerLi000000000000001";

/// One rule, so that something is covered.
pub const HOURS: &str = r#"
[[rule]]
id = "hours"
any = ["几点开门", "营业时间"]
reply = "十点开门。"
"#;

/// What a shop is opened with.
pub struct Plan {
    pub starts: &'static str,
    /// What the account is called.
    pub name: &'static str,
    /// Further accounts, whose AppSecrets the server knows.
    pub others: Vec<(&'static str, Rights)>,
    /// Variables beside the API token.
    pub variables: Vec<(&'static str, String)>,
    /// Whether the server knows the AppSecret, so that it can push.
    pub has_secret: bool,
    pub rights: Rights,
    /// Sections of the configuration before the account's.
    pub sections: String,
    /// Rule files beside the one with [`HOURS`].
    pub rules: BTreeMap<&'static str, String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            starts: WEDNESDAY,
            name: "shop",
            others: Vec::new(),
            variables: Vec::new(),
            has_secret: true,
            rights: Rights::VERIFIED,
            sections: String::new(),
            rules: BTreeMap::new(),
        }
    }
}

impl Plan {
    pub fn rules(mut self, name: &'static str, text: &str) -> Self {
        self.rules.insert(name, text.to_owned());
        self
    }
}

/// A running shop.
pub struct Shop {
    pub clock: Clock,
    pub wechat: Wechat,
    pub account: Account,
    /// The further ones, in the plan's order.
    pub others: Vec<Account>,
    variables: Vec<(&'static str, String)>,
    directory: TempDir,
    /// Taken only while it is started again.
    running: Option<Running>,
    agent: ureq::Agent,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Serves what is in the directory until told to stop.
    fn start(directory: &Path, variables: &[(&str, String)], clock: &Clock) -> Self {
        let mut all = vec![("WXREPLY_API_TOKEN".into(), TOKEN.into())];
        all.extend(
            variables
                .iter()
                .map(|(name, text)| (name.into(), text.into())),
        );
        let variables = all;
        let config = wxreply::config::load(Some(&directory.join("wxreply.toml")), variables);
        let mut settings = config
            .unwrap_or_else(|problems| panic!("{problems}"))
            .server;
        settings.clock = clock.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let application = match Application::build(settings).await {
                    Ok(application) => application,
                    Err(error) => panic!("{error}"),
                };
                tell.send(application.address()).unwrap();
                let told = async {
                    let _ = stopped.await;
                };
                application.run_until(told).await.unwrap();
            });
        });
        let address = told.recv().expect("the server starts");
        Self {
            address,
            stop,
            thread,
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shop {
    pub fn open(plan: Plan) -> Self {
        let clock = Clock::stopped_at(time(plan.starts));
        let wechat = Wechat::start(Settings {
            clock: clock.clone(),
            limit: PATIENCE,
            attempts: 1,
            ..Settings::default()
        });
        let wechat = wechat.unwrap();
        let mut config = format!(
            "listen = \"127.0.0.1:0\"\nlog_format = \"json\"\n{}\n",
            plan.sections
        );
        let first = (plan.name, plan.rights, plan.has_secret);
        let others = plan.others.iter();
        let others = others.map(|(name, rights)| (*name, *rights, true));
        let mut accounts = Vec::new();
        for (name, rights, has_secret) in std::iter::once(first).chain(others) {
            let settings = AccountSettings {
                mode: Mode::Secure,
                any_media: true,
                rights,
                ..AccountSettings::secure(name, "")
            };
            let secret = has_secret.then(|| format!("secret = \"{}\"\n", settings.secret));
            config += &format!(
                "[account.{name}]\napp_id = \"{}\"\nmode = \"secure\"\ntoken = \"{}\"\naes_key = \"{}\"\napi_base = \"{}\"\n{}",
                settings.app_id,
                settings.token,
                settings.aes_key.as_deref().unwrap(),
                wechat.api_base(),
                secret.unwrap_or_default(),
            );
            accounts.push(wechat.account(settings));
        }
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("wxreply.toml"), config).unwrap();
        let rules = directory.path().join("rules");
        fs::create_dir(&rules).unwrap();
        fs::write(rules.join("10-rules.toml"), HOURS).unwrap();
        for (name, text) in &plan.rules {
            fs::write(rules.join(name), text).unwrap();
        }
        let account = accounts.remove(0);
        let mut shop = Self {
            clock,
            wechat,
            account,
            others: accounts,
            variables: plan.variables,
            directory,
            running: None,
            agent: agent(),
        };
        shop.start();
        shop
    }

    fn start(&mut self) {
        let running = Running::start(self.directory.path(), &self.variables, &self.clock);
        for account in std::iter::once(&self.account).chain(&self.others) {
            let url = format!("http://{}/wx/{}", running.address, account.settings().name);
            account.change(|settings| settings.callback = url);
        }
        self.running = Some(running);
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            let ended = running.thread.join();
            assert!(std::thread::panicking() || ended.is_ok());
        }
    }

    /// Ends the server and starts it again on the same files, `away` later.
    pub fn restart(&mut self, away: Duration) {
        self.stop();
        self.clock.advance(away);
        self.start();
    }

    /// The same at once, with something done to the data meanwhile.
    pub fn while_stopped(&mut self, does: impl FnOnce(&Path)) {
        self.stop();
        does(&self.directory.path().join("data"));
        self.start();
    }

    /// What Prometheus reads.
    pub fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.address());
        let mut response = self.agent.get(&url).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
    }

    pub fn follower(&self, openid: &str) -> Follower {
        self.account.follower(openid)
    }

    /// Li says something; what came back.
    pub fn li_says(&self, text: &str) -> Delivered {
        self.follower(LI).says(text).wait()
    }

    pub fn call(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}/api/v1{path}", self.address()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        self.run(request.body(body.into_bytes()).unwrap())
    }

    /// Any request.
    pub fn run(&self, request: ureq::http::Request<Vec<u8>>) -> Answer {
        let mut response = self.agent.run(request).unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: BTreeMap::new(),
            body: response.body_mut().read_to_vec().unwrap(),
        }
    }

    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call(TOKEN, method, path, body)
    }

    /// A token for somebody who answers people.
    pub fn token(&self, name: &str, role: &str) -> String {
        let wanted = json!({ "name": name, "role": role });
        let made = self.api("POST", "/tokens", Some(&wanted));
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["secret"].as_str().unwrap().to_owned()
    }

    /// The conversation of a follower.
    pub fn conversation(&self, follower: &str) -> Value {
        let listed = self.api("GET", &format!("/conversations?follower={follower}"), None);
        listed.json()["conversations"][0].clone()
    }

    pub fn id(&self, follower: &str) -> String {
        self.conversation(follower)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn state(&self, follower: &str) -> String {
        let known = self.conversation(follower);
        known["state"].as_str().unwrap_or("none").to_owned()
    }

    /// Somebody does something with Li's conversation, and may.
    pub fn act(&self, token: &str, verb: &str, body: Option<&Value>) -> Value {
        let answer = self.tries(token, verb, body);
        assert!(
            (200..300).contains(&answer.status),
            "{verb}: {}",
            answer.text()
        );
        answer.json()
    }

    /// Somebody tries something with Li's conversation.
    pub fn tries(&self, token: &str, verb: &str, body: Option<&Value>) -> Answer {
        let path = format!("/conversations/{}/{verb}", self.id(LI));
        self.call(token, "POST", &path, body)
    }

    pub fn replies(&self, token: &str, text: &str) -> Value {
        self.act(token, "replies", Some(&json!({ "text": text })))["message"].clone()
    }

    /// Li's history, as `by kind text delivery`.
    pub fn history(&self, follower: &str) -> Vec<String> {
        let shown = self.api(
            "GET",
            &format!("/conversations/{}", self.id(follower)),
            None,
        );
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

    /// Waits until Li's conversation is in this state.
    pub fn becomes(&self, state: &str) {
        eventually(
            &format!("state {state}, now {:?}", self.conversation(LI)),
            || self.state(LI) == state,
        );
    }

    /// Time passes.
    pub fn passes(&self, by: Duration) {
        self.clock.advance(by);
    }
}

pub fn time(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

/// Asks again until it is so; what the server does by itself takes a moment.
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, is_so);
}

/// The same with a patience of its own.
pub fn eventually_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < patience, "never came: {what}");
        std::thread::yield_now();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}
