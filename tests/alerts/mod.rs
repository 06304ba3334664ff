//! Tells people through receivers on this machine: each checks what it gets as its platform would.

mod channels;
mod failing;
mod mail;
mod served;
mod timing;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use wxreply::alert::{AlertSettings, Alerts, ChannelStanding, Surroundings};
use wxreply::clock::Clock;
use wxreply::model::desk::DeskSettings;
use wxreply::model::entry::Priority;
use wxreply::model::{
    AccountName, Alert, AlertChannel, AlertKind, Calendar, ChannelKind, Time, TurnKey,
};
use wxreply::outbound::AllowedHost;
use wxreply::store::Store;
use wxreply::store::sled::{Settings as StoreSettings, SledStore};

/// Wednesday, 3 June 2026, 02:00 in Shanghai: the heartbeat is six hours away.
pub const NIGHT: Time = Time::from_seconds(1_780_423_200);
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as a receiver got it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request line and the headers, names in lower case.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A parameter of the query, as it stands there.
    pub fn parameter(&self, name: &str) -> &str {
        let query = self
            .line
            .split(' ')
            .nth(1)
            .unwrap()
            .split_once('?')
            .unwrap()
            .1;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).unwrap().1
    }

    /// What people read, whatever the platform.
    pub fn text(&self) -> String {
        let json = self.json();
        let places = [
            &json["text"]["content"],
            &json["content"]["text"],
            &json["text"],
        ];
        let mut texts = places.iter().filter_map(|place| place.as_str());
        texts.next().unwrap().to_owned()
    }
}

/// What a receiver answers: status, a header line or none, body.
pub type Answer = (u16, &'static str, &'static str);

pub const TAKEN: Answer = (200, "", r#"{"errcode":0,"errmsg":"ok"}"#);

/// A receiver over HTTP. It answers in the order of its script, and then with its last answer for ever.
pub struct Receiver {
    pub address: SocketAddr,
    pub got: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
    arrived: Mutex<mpsc::Receiver<()>>,
}

impl Receiver {
    pub fn answering(script: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script.to_vec())));
        let (log, answers) = (Arc::clone(&got), Arc::clone(&script));
        let (tell, arrived) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &log, &answers);
                let _gone = tell.send(());
            }
        });
        Self {
            address,
            got,
            script,
            arrived: Mutex::new(arrived),
        }
    }

    pub fn taking() -> Self {
        Self::answering(&[TAKEN])
    }

    /// The first request of this kind, as soon as it is there.
    pub fn wait(&self, is_wanted: impl Fn(&Request) -> bool) -> Request {
        let arrived = self.arrived.lock().unwrap();
        loop {
            let found = self
                .got
                .lock()
                .unwrap()
                .iter()
                .find(|one| is_wanted(one))
                .cloned();
            match found {
                Some(found) => return found,
                None => arrived.recv_timeout(PATIENCE).expect("no such request"),
            }
        }
    }

    /// What it answers from now on.
    pub fn answers(&self, script: &[Answer]) {
        *self.script.lock().unwrap() = VecDeque::from(script.to_vec());
    }

    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn url(&self) -> String {
        format!("{}/robot/send?key=very-secret-key", self.host())
    }

    pub fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// When each message left, by DingTalk's time stamp: seconds after the start.
    pub fn seconds(&self) -> Vec<i64> {
        let got = self.got.lock().unwrap();
        let stamps = got.iter().map(|request| request.parameter("timestamp"));
        stamps
            .map(|stamp| (stamp.parse::<i64>().unwrap() - NIGHT.millis()) / 1000)
            .collect()
    }

    pub fn texts(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(Request::text).collect()
    }

    pub fn last(&self) -> Request {
        self.got.lock().unwrap().last().unwrap().clone()
    }

    /// A DingTalk robot here: its requests say when they were made.
    pub fn clocked(&self, name: &str) -> AlertChannel {
        AlertChannel {
            secret: Some("env:HOOK_DUTY".into()),
            ..self.channel(name, ChannelKind::Dingtalk)
        }
    }

    /// A channel of this kind that leads here.
    pub fn channel(&self, name: &str, kind: ChannelKind) -> AlertChannel {
        AlertChannel {
            name: name.into(),
            kind,
            url: self.url().into(),
            secret: None,
            tier: 1,
            night: true,
            excerpt: 0,
            from: None,
            to: Vec::new(),
        }
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, script: &Mutex<VecDeque<Answer>>) {
    // Whoever is killed while it speaks has said nothing.
    let Ok(request) = read(&stream) else { return };
    log.lock().unwrap().push(request);
    let mut script = script.lock().unwrap();
    let (status, header, body) = match script.len() {
        1 => script[0],
        _ => script.pop_front().unwrap(),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _gone = stream.write_all(answer.as_bytes());
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut request = Request {
        line,
        headers,
        body: String::new(),
    };
    let length = request.header("content-length").parse();
    let mut body = vec![0; length.map_err(std::io::Error::other)?];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8(body).unwrap();
    Ok(request)
}

/// What a stand is made of.
#[derive(Clone)]
pub struct Plan {
    pub channels: Vec<AlertChannel>,
    /// Entries of the list of hosts.
    pub allowed: Vec<String>,
    pub secrets: Vec<(&'static str, String)>,
    pub start: Time,
    /// Where every name leads, if the machine's name service is not asked.
    pub leads_to: Option<SocketAddr>,
    /// While this says so, the store's disk refuses.
    pub is_full: Arc<AtomicBool>,
}

impl Plan {
    /// These channels, at these receivers.
    pub fn of(channels: Vec<AlertChannel>, receivers: &[&Receiver]) -> Self {
        Self {
            channels,
            allowed: receivers.iter().map(|receiver| receiver.host()).collect(),
            secrets: vec![("HOOK_DUTY", "s3cret-of-duty".to_owned())],
            start: NIGHT,
            leads_to: None,
            is_full: Arc::default(),
        }
    }

    pub async fn open(self) -> Stand {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::stopped_at(self.start);
        Stand::open_in(dir, clock, self).await
    }
}

/// Alerts that run, on a clock that the test moves.
pub struct Stand {
    pub alerts: Arc<Alerts>,
    pub clock: Clock,
    pub store: Arc<dyn Store>,
    pub desk: Arc<Mutex<Arc<DeskSettings>>>,
    results: UnboundedReceiver<(String, &'static str)>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    dir: TempDir,
    plan: Plan,
}

impl Stand {
    async fn open_in(dir: TempDir, clock: Clock, plan: Plan) -> Self {
        let is_full = Arc::clone(&plan.is_full);
        let settings = StoreSettings {
            spill_bytes: 64 << 10,
            before_io: Some(Arc::new(move |_| match is_full.load(Ordering::Relaxed) {
                true => Err(std::io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            })),
            ..StoreSettings::default()
        };
        let store = SledStore::open_with(dir.path(), settings, clock.now());
        let store: Arc<dyn Store> = store.await.unwrap();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let desk = DeskSettings {
            alerts: plan.channels.clone(),
            daytime: Some(Arc::new(Calendar::hours("08:00-23:00", zone).unwrap())),
            ..DeskSettings::default()
        };
        let desk = Arc::new(Mutex::new(Arc::new(desk)));
        let (tell, results) = unbounded_channel();
        let now = Arc::clone(&desk);
        let world = Surroundings {
            count_waiting: Arc::new(|| 3),
            observe: Arc::new(move |channel, result| {
                let _gone = tell.send((channel.to_owned(), result));
            }),
            lookup: match plan.leads_to {
                Some(address) => Arc::new(move |_, _| Ok(vec![address])),
                None => wxreply::outbound::system_lookup(),
            },
            ..Surroundings::new(
                Arc::clone(&store),
                clock.clone(),
                Arc::new(move || Arc::clone(&now.lock().unwrap())),
            )
        };
        let allowed = plan.allowed.iter();
        let secrets = plan.secrets.iter();
        let settings = AlertSettings {
            allowed: allowed
                .map(|host| AllowedHost::parse(host).unwrap())
                .collect(),
            secrets: secrets
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            public_url: Some("https://wx.example.com".to_owned()),
        };
        let alerts = Arc::new(Alerts::open(settings, world).await.unwrap());
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&alerts).run(stop.clone()));
        Self {
            alerts,
            clock,
            store,
            desk,
            results,
            stop,
            running,
            dir,
            plan,
        }
    }

    /// Stops everything and starts it again on the same files.
    pub async fn restarted(self) -> Self {
        self.stop.cancel();
        self.running.await.unwrap();
        self.store.close().await;
        drop(self.alerts);
        drop(self.store);
        Self::open_in(self.dir, self.clock, self.plan).await
    }

    /// The next attempt or loss, whichever channel's.
    pub async fn result(&mut self) -> (String, &'static str) {
        let result = tokio::time::timeout(PATIENCE, self.results.recv());
        result.await.expect("nothing happens").unwrap()
    }

    /// Waits for this on that channel; nothing else may happen before.
    pub async fn expect(&mut self, channel: &str, result: &'static str) {
        assert_eq!(self.result().await, (channel.to_owned(), result));
    }

    pub fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn raise(&self, alert: Alert) {
        self.alerts.raise(alert).await.unwrap();
    }

    pub fn standing(&self, name: &str) -> ChannelStanding {
        let standing = self.alerts.standing().into_iter();
        let mut found = standing.filter(|channel| &*channel.name == name);
        found.next().unwrap()
    }

    pub fn alert(&self, reason: &str, priority: Priority) -> Alert {
        self.alert_of(AlertKind::Escalated, reason, priority)
    }

    pub fn alert_of(&self, kind: AlertKind, reason: &str, priority: Priority) -> Alert {
        Alert {
            id: TurnKey::of_text(reason),
            kind,
            account: Some(AccountName::parse("shop").unwrap()),
            conversation: None,
            priority,
            reason: reason.into(),
            waiting: Duration::ZERO,
            at: self.clock.now(),
            tier: 1,
            to: None,
            excerpt: "吃出头发了,怎么办".into(),
        }
    }
}
