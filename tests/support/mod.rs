//! A world to test in: the real binary on a free port with its own directory, and WeChat's side of the wire in a few verbs.

pub mod api;
pub mod media;
pub mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wxreply::wechat::{AesKey, crypto, signature};

/// The API token of every world.
pub const TOKEN: &str = "test-token-of-a-whole-world";
/// The EncodingAESKey of every account that has one.
pub const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
/// The AppID of every account.
pub const APP_ID: &str = "wx0123456789abcdef";
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Three accounts, one of each mode: `plain`, `both` and `shop` (secure). Their callback tokens are `Tok3n-NAME`.
const CONFIG: &str = r#"
listen = "127.0.0.1:0"
log_format = "json"

[account.plain]
app_id = "wx0123456789abcdef"
mode = "plain"
token = "Tok3n-plain"

[account.both]
app_id = "wx0123456789abcdef"
mode = "compatible"
token = "Tok3n-both"
aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

[account.shop]
app_id = "wx0123456789abcdef"
mode = "secure"
token = "Tok3n-shop"
aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
"#;

/// One rule, so that a message can be matched.
const RULES: &str = r#"
[[rule]]
id = "hours"
title = "营业时间"
any = ["几点开门", "营业时间"]
reply = "我们每天 10:00 到 22:00 营业。"
"#;

/// What a world starts from.
pub struct Setup {
    pub config: String,
    pub rules: BTreeMap<String, String>,
    pub variables: BTreeMap<String, String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: CONFIG.to_owned(),
            rules: BTreeMap::from([("10-basics.toml".to_owned(), RULES.to_owned())]),
            variables: BTreeMap::from([("WXREPLY_API_TOKEN".to_owned(), TOKEN.to_owned())]),
        }
    }
}

impl Setup {
    /// Puts lines at the top of the configuration, before the sections.
    pub fn with_top(mut self, lines: &str) -> Self {
        self.config = format!("{lines}\n{}", self.config);
        self
    }

    /// Writes the files and starts the binary; waits until it listens.
    pub fn start(self) -> World {
        self.into_stopped().start()
    }

    /// Writes the files only.
    pub fn into_stopped(self) -> Stopped {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("wxreply.toml"), &self.config).unwrap();
        fs::create_dir(directory.path().join("rules")).unwrap();
        for (name, text) in &self.rules {
            fs::write(directory.path().join("rules").join(name), text).unwrap();
        }
        Stopped {
            directory,
            variables: self.variables,
        }
    }
}

/// A world whose server does not run: its files stay.
pub struct Stopped {
    directory: TempDir,
    variables: BTreeMap<String, String>,
}

impl Stopped {
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The binary with this world's configuration and variables, and nothing else of ours.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wxreply"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WXREPLY_") {
                command.env_remove(name);
            }
        }
        command
            .envs(&self.variables)
            .current_dir(self.path())
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Starts the server again on the same files.
    pub fn start(self) -> World {
        let serve = self.command(&["serve"]);
        self.start_by(serve)
    }

    /// Starts the server with a signal of the kernel ignored that says its files have grown too large, as a full disk
    /// sends none.
    pub fn start_without_xfsz(self) -> World {
        self.start_through(r#"trap '' XFSZ; exec "$0" "$@""#)
    }

    /// Starts the server without root's right to write where the permissions forbid it.
    pub fn start_obedient(self) -> World {
        self.start_through(
            r#"[ "$(id -u)" = 0 ] || exec "$0" "$@"
            exec setpriv --bounding-set=-dac_override,-dac_read_search "$0" "$@""#,
        )
    }

    fn start_through(self, script: &str) -> World {
        let serve = self.command(&["serve"]);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .arg(serve.get_program())
            .args(serve.get_args())
            .current_dir(self.path());
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        self.start_by(shell)
    }

    fn start_by(self, mut serve: Command) -> World {
        let mut child = serve
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::of(&mut child);
        let line =
            log.wait(|line| line.contains("\"message\":\"listening\"") || line.contains("\"EOF\""));
        let address = serde_json::from_str::<Value>(&line).unwrap()["address"]
            .as_str()
            .map(|text| text.parse().unwrap());
        let address =
            address.unwrap_or_else(|| panic!("the server did not start:\n{}", log.text()));
        World {
            files: self,
            child,
            address,
            log,
            agent: agent(),
        }
    }
}

/// A running server and its files. Dropping it kills the server.
pub struct World {
    files: Stopped,
    child: Child,
    pub address: SocketAddr,
    pub log: Log,
    agent: ureq::Agent,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl World {
    pub fn start() -> Self {
        Setup::default().start()
    }

    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Runs a command beside the server.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.files.run(arguments)
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(mut self) -> Stopped {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.into_files()
    }

    /// Tells the server to stop and waits for its end.
    pub fn stop(mut self) -> (Stopped, std::process::ExitStatus) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let status = self.child.wait().unwrap();
        (self.into_files(), status)
    }

    fn into_files(mut self) -> Stopped {
        let empty = Stopped {
            directory: TempDir::new().unwrap(),
            variables: BTreeMap::new(),
        };
        std::mem::replace(&mut self.files, empty)
    }

    /// Any request.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: response.body_mut().read_to_vec().unwrap(),
        }
    }

    /// A call of the API with this token.
    pub fn api_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        let body = body.map(Value::to_string).unwrap_or_default();
        self.request(
            method,
            &format!("/api/v1{path}"),
            &[
                ("authorization", &bearer),
                ("content-type", "application/json"),
            ],
            body.as_bytes(),
        )
    }

    /// A call of the API with all rights.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.api_as(TOKEN, method, path, body)
    }

    /// WeChat's POST to an account, signed with its token and sealed as its mode wants.
    pub fn push(&self, account: &str, xml: &str) -> Answer {
        let sealed = (account != "plain").then(|| seal(xml));
        let signed = Signed::now(account, sealed.as_deref());
        let body = sealed.map_or_else(|| xml.to_owned(), |encrypt| envelope(&encrypt));
        self.request(
            "POST",
            &format!("/wx/{account}?{}", signed.query()),
            &[("content-type", "text/xml")],
            body.as_bytes(),
        )
    }

    /// A follower's text, in whatever mode the account has. Each call is a new message.
    pub fn says(&self, account: &str, follower: &str, text: &str) -> Answer {
        self.push(account, &text_message(follower, text))
    }

    /// The conversation of a follower, from the API.
    pub fn conversation(&self, follower: &str) -> Value {
        let listed = self
            .api("GET", &format!("/conversations?follower={follower}"), None)
            .json();
        listed["conversations"][0].clone()
    }
}

/// The parameters of a signed callback; each can be spoilt before it is sent.
#[derive(Clone, Debug)]
pub struct Signed {
    pub signature: String,
    pub timestamp: String,
    pub nonce: String,
    pub encrypt_type: Option<String>,
    pub msg_signature: Option<String>,
}

impl Signed {
    /// Signed now with the account's token; with `encrypt`, as encrypted.
    pub fn now(account: &str, encrypt: Option<&str>) -> Self {
        Self::at(
            account,
            wxreply::clock::Clock::system().now().seconds(),
            encrypt,
        )
    }

    pub fn at(account: &str, seconds: i64, encrypt: Option<&str>) -> Self {
        let (token, timestamp, nonce) = (
            format!("Tok3n-{account}"),
            seconds.to_string(),
            "1820573".to_owned(),
        );
        Self {
            signature: signature::sign(&[&token, &timestamp, &nonce]),
            encrypt_type: encrypt.map(|_| "aes".to_owned()),
            msg_signature: encrypt
                .map(|encrypt| signature::sign(&[&token, &timestamp, &nonce, encrypt])),
            timestamp,
            nonce,
        }
    }

    pub fn query(&self) -> String {
        let Self {
            signature,
            timestamp,
            nonce,
            encrypt_type,
            msg_signature,
        } = self;
        let mut query = format!("signature={signature}&timestamp={timestamp}&nonce={nonce}");
        for (name, value) in [
            ("encrypt_type", encrypt_type),
            ("msg_signature", msg_signature),
        ] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={value}"));
            }
        }
        query
    }
}

/// A text message with a `MsgId` that no other has.
pub fn text_message(follower: &str, text: &str) -> String {
    static NEXT: std::sync::atomic::AtomicU64 =
        std::sync::atomic::AtomicU64::new(6_000_000_000_000_000_000);
    let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let at = wxreply::clock::Clock::system().now().seconds();
    format!(
        "<xml><ToUserName><![CDATA[gh_7c1e40b95a2d]]></ToUserName><FromUserName><![CDATA[{follower}]]></FromUserName>\
         <CreateTime>{at}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content><MsgId>{id}</MsgId></xml>"
    )
}

/// The ciphertext of a clear body.
pub fn seal(clear: &str) -> String {
    seal_bytes(APP_ID, clear.as_bytes())
}

/// The ciphertext of whatever bytes, for whatever account.
pub fn seal_bytes(app_id: &str, clear: &[u8]) -> String {
    let key = AesKey::parse(AES_KEY).unwrap();
    crypto::encrypt(&key, app_id, *b"0123456789abcdef", clear)
}

/// The body that carries a ciphertext.
pub fn envelope(encrypt: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_7c1e40b95a2d]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    )
}

/// The clear reply inside an encrypted answer.
pub fn unseal(answer: &Answer) -> String {
    let encrypt = answer
        .text()
        .split("<Encrypt><![CDATA[")
        .nth(1)
        .unwrap()
        .split("]]>")
        .next()
        .unwrap();
    let clear = crypto::decrypt(&AesKey::parse(AES_KEY).unwrap(), APP_ID, encrypt).unwrap();
    String::from_utf8(clear).unwrap()
}

/// The child's log, read as it is written.
#[derive(Clone)]
pub struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    fn of(child: &mut Child) -> Self {
        let log = Self(Arc::new((Mutex::new(Vec::new()), Condvar::new())));
        let (lines, reader) = (log.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in reader
                .lines()
                .map_while(Result::ok)
                .chain([r#"{"message":"EOF"}"#.to_owned()])
            {
                lines.0.0.lock().unwrap().push(line);
                lines.0.1.notify_all();
            }
        });
        log
    }

    /// The first line for which this holds, as soon as it is there.
    pub fn wait(&self, wanted: impl Fn(&str) -> bool) -> String {
        let find = |lines: &Vec<String>| lines.iter().find(|line| wanted(line)).cloned();
        let lines = self.0.0.lock().unwrap();
        let (lines, _) = self
            .0
            .1
            .wait_timeout_while(lines, PATIENCE, |lines| find(lines).is_none())
            .unwrap();
        find(&lines).unwrap_or_else(|| panic!("no such line in\n{}", lines.join("\n")))
    }

    pub fn text(&self) -> String {
        self.0.0.lock().unwrap().join("\n")
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .build()
        .into()
}
