//! Moves the clock of a server and of the pretend WeChat together: what a slow, wrong or absent API leads to, and what
//! accounts may do.

mod api;
mod desk;
mod media;
mod outage;
mod parts;
mod rights;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use wxreply::clock::Clock;
use wxreply::hook::HookSettings;
use wxreply::model::desk::DeskSettings;
use wxreply::model::{AccountName, Time};
use wxreply::server::{AccountSettings, Application, PublicUrl, Settings};
use wxreply::simulator::{self, Account, Follower, Wechat};
use wxreply::wechat::client::ClientSettings;
use wxreply::wechat::{self, AesKey, Mode};

const START: Time = Time::from_seconds(1_718_200_000);
const SEND: &str = "/cgi-bin/message/custom/send";
/// Far more than anything needs, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "test-token-of-a-moved-world";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const RULES: &str = r#"
[[rule]]
id = "hours"
any = ["几点开门"]
reply = "十点开门。"

[[rule]]
id = "desk"
exact = ["找客服"]
replies = [{ desk = {} }]
"#;

/// A server in this process and a pretend WeChat, on one clock that stands until a test moves it.
struct Stage {
    clock: Clock,
    wechat: Wechat,
    accounts: Vec<Account>,
    files: TempDir,
    server: Option<Running>,
    agent: ureq::Agent,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Stage {
    /// With accounts of these names, all of them verified.
    fn open(names: &[&str]) -> Self {
        let clock = Clock::stopped_at(START);
        let wechat = Wechat::start(simulator::Settings {
            clock: clock.clone(),
            limit: PATIENCE,
            attempts: 1,
            ..simulator::Settings::default()
        })
        .unwrap();
        let account = |name: &&str| wechat.account(simulator::AccountSettings::secure(name, ""));
        let accounts = names.iter().map(account).collect();
        let files = TempDir::new().unwrap();
        fs::create_dir(files.path().join("rules")).unwrap();
        fs::write(files.path().join("rules/10-rules.toml"), RULES).unwrap();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let mut stage = Self {
            clock,
            wechat,
            accounts,
            files,
            server: None,
            agent: agent.into(),
        };
        stage.start();
        stage
    }

    fn start(&mut self) {
        let settings = self.settings();
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let application = Application::build(settings).await.unwrap();
                tell.send(application.address()).unwrap();
                let told = async {
                    // A stage that is dropped stops as well.
                    let _dropped = stopped.await;
                };
                application.run_until(told).await.unwrap();
            });
        });
        let address = told.recv_timeout(PATIENCE).expect("the server starts");
        for account in &self.accounts {
            let url = format!("http://{address}/wx/{}", account.settings().name);
            account.change(|settings| settings.callback = url);
        }
        self.server = Some(Running {
            address,
            stop,
            thread,
        });
    }

    fn stop(&mut self) {
        let Running { stop, thread, .. } = self.server.take().unwrap();
        stop.send(()).unwrap();
        thread.join().unwrap();
    }

    fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn settings(&self) -> Settings {
        let account = |account: &Account| {
            let of = account.settings();
            let key = AesKey::parse(of.aes_key.as_deref().unwrap()).unwrap();
            AccountSettings {
                account: Arc::new(
                    wechat::Account::new(
                        AccountName::parse(of.name.as_str()).unwrap(),
                        of.app_id.as_str(),
                        Mode::Secure,
                        of.token.as_str().into(),
                        None,
                        Some(key),
                        None,
                    )
                    .unwrap(),
                ),
                client: Some(ClientSettings {
                    api_base: self.wechat.api_base(),
                    app_id: of.app_id.clone(),
                    secret: of.secret.as_str().into(),
                }),
            }
        };
        Settings {
            alerts: Vec::new(),
            keep_messages: Duration::ZERO,
            clock: self.clock.clone(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: self.files.path().join("data"),
            rules: self.files.path().join("rules"),
            public_url: PublicUrl::default(),
            timezone: jiff::tz::TimeZone::UTC,
            trusted_proxies: Vec::new(),
            max_skew: Duration::from_secs(600),
            deadline: Duration::from_millis(4500),
            desk: DeskSettings::default(),
            hooks: HookSettings::default(),
            accounts: self.accounts.iter().map(account).collect(),
            api_token: Some(TOKEN.into()),
        }
    }

    /// Any request with all rights: status, a few headers, body.
    fn request(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let address = self.server.as_ref().unwrap().address;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("authorization", format!("Bearer {TOKEN}"));
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
        };
        let headers = [
            "content-type",
            "content-disposition",
            "content-security-policy",
            "x-content-type-options",
        ]
        .map(header);
        Answer {
            status: response.status().as_u16(),
            headers,
            body: response
                .body_mut()
                .with_config()
                .limit(1 << 24)
                .read_to_vec()
                .unwrap(),
        }
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.request(method, &format!("/api/v1{path}"), body.as_bytes());
        (answer.status, answer.json())
    }

    fn get(&self, path: &str) -> Value {
        let (status, value) = self.api("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    fn conversation(&self, account: &str, follower: &str) -> Value {
        let found = self.get(&format!(
            "/conversations?account={account}&follower={follower}"
        ));
        found["conversations"][0].clone()
    }

    /// An agent answers; the message's `delivery`.
    fn agent_says(&self, account: &str, follower: &str, text: &str) -> String {
        let id = self.conversation(account, follower)["id"].clone();
        let path = format!("/conversations/{}/replies", id.as_str().unwrap());
        let (status, said) = self.api("POST", &path, &json!({ "text": text }));
        assert_eq!(status, 201, "{said}");
        said["message"]["delivery"].as_str().unwrap().to_owned()
    }

    /// Every line of a follower's history, as `by kind text delivery`.
    fn history(&self, account: &str, follower: &str) -> Vec<String> {
        let id = self.conversation(account, follower)["id"].clone();
        let shown = self.get(&format!("/conversations/{}", id.as_str().unwrap()));
        let line = |message: &Value| {
            ["by", "kind", "text", "delivery"]
                .map(|name| message[name].as_str().unwrap().to_owned())
                .join(" ")
        };
        shown["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect()
    }

    /// How an account stands, from the API.
    fn account(&self, name: &str) -> Value {
        let listed = self.get("/accounts");
        let mut accounts = listed["accounts"].as_array().unwrap().iter();
        accounts.find(|one| one["name"] == name).unwrap().clone()
    }

    fn readyz(&self) -> (u16, Value) {
        let answer = self.request("GET", "/readyz", b"");
        (answer.status, answer.json())
    }

    /// How often WeChat was asked this.
    fn asked(&self, path: &str) -> usize {
        let calls = self.wechat.calls();
        calls.iter().filter(|call| call.path == path).count()
    }

    /// The words that were pushed to a follower, in order.
    fn pushed(&self, account: usize, follower: &str) -> Vec<String> {
        let pushed = self.accounts[account].pushed().into_iter();
        let to_them = pushed.filter(|one| one.to == follower);
        to_them
            .map(|one| one.text().unwrap_or("").to_owned())
            .collect()
    }

    /// Lets time pass, second by second, until it is so; no more than some hours.
    fn passes(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..20_000 {
            if is_so() {
                return;
            }
            self.clock.advance(SECOND);
            // The server gets a word in.
            self.readyz();
        }
        panic!("{what} never came");
    }

    fn follower(&self, account: usize, name: &str) -> Follower {
        self.accounts[account].follower(name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(Running { stop, thread, .. }) = self.server.take() {
            // It may have ended by itself, and then the test has failed already.
            let _ended = stop.send(());
            let _panicked = thread.join();
        }
    }
}

/// An answer over HTTP.
struct Answer {
    status: u16,
    /// Type, disposition, policy, sniffing.
    headers: [String; 4],
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Asks again until it is so; what the server does by itself takes a moment.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        std::thread::yield_now();
    }
}
