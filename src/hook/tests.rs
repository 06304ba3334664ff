//! Drives the caller against a receiver on a local socket, with the clock and the name service in the tests' hands.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc;

use futures_util::future::join_all;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::model::hook::HOOK_CACHED_FOR;
use crate::model::{AccountName, RuleId, TurnKey};

const START: i64 = 1_700_000_000_000;

/// What the receiver does with a request.
#[derive(Clone)]
enum Does {
    Answers(u16, String),
    Redirects,
    /// Announces more than it sends.
    Breaks,
    /// Keeps the connection and says nothing.
    Waits,
}

fn answers(body: &str) -> Does {
    Does::Answers(200, body.to_owned())
}

/// A receiver and everything it was sent: heads in lower case, and bodies.
struct Receiver {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, does) = (Arc::clone(&log), does.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &log, &does));
            }
        });
        Self { address, sent }
    }

    fn url(&self) -> String {
        format!("http://{}/wx/order?a=1", self.address)
    }

    fn count(&self) -> usize {
        self.sent.lock().len()
    }

    /// A caller that may ask this receiver by its address.
    fn caller(&self) -> Arc<HookCaller> {
        Bench::allowing(&[&format!("http://{}", self.address)]).caller
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<(String, String)>>, does: &Does) {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    let (head, body) = loop {
        let Some(count) = stream.read(&mut piece).ok().filter(|count| *count > 0) else {
            return;
        };
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            break (head, body.to_owned());
        }
    };
    log.lock().push((head, body));
    let (status, headers, length, text) = match does {
        Does::Answers(status, text) => (*status, "", text.len(), &**text),
        Does::Redirects => (307, "Location: /elsewhere\r\n", 0, ""),
        Does::Breaks => (200, "", 100, "{\"state\":"),
        Does::Waits => {
            let _until_it_is_closed = stream.read(&mut [0]);
            return;
        }
    };
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {length}\r\n"),
    };
    let head = format!("HTTP/1.1 {status} X\r\n{headers}{length}Connection: close\r\n\r\n");
    let _sent = stream.write_all(format!("{head}{text}").as_bytes());
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// A caller with a clock and a name service of its own.
struct Bench {
    caller: Arc<HookCaller>,
    clock: Arc<AtomicI64>,
    /// Rule, result.
    observed: Arc<Mutex<Vec<(String, &'static str)>>>,
}

impl Bench {
    fn allowing(hosts: &[&str]) -> Self {
        Self::resolving(hosts, |_, _| Err(io::ErrorKind::NotFound.into()))
    }

    fn resolving(
        hosts: &[&str],
        lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let parsed = hosts.iter().map(|host| AllowedHost::parse(host).unwrap());
        let secrets = [("HOOK_ERP", "s3cret"), ("OTHER", "no")];
        let settings = HookSettings {
            allowed: parsed.collect(),
            secrets: secrets
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
        };
        let clock = Arc::new(AtomicI64::new(START));
        let observed = Arc::new(Mutex::new(Vec::new()));
        let (time, seen) = (Arc::clone(&clock), Arc::clone(&observed));
        let caller = HookCaller::with_lookup(
            settings,
            Arc::new(move || Time::from_millis(time.load(Ordering::Relaxed))),
            Arc::new(move |call, result, _took| {
                seen.lock().push((call.rule.to_string(), result));
            }),
            Arc::new(lookup),
        );
        Self {
            caller: Arc::new(caller),
            clock,
            observed,
        }
    }

    async fn ask(&self, url: &str) -> HookAnswer {
        Arc::clone(&self.caller).ask(call(url)).await
    }
}

fn call(url: &str) -> HookCall {
    HookCall {
        account: AccountName::parse("shop").unwrap(),
        rule: RuleId::parse("order".to_owned()).unwrap(),
        key: TurnKey::of_text("turn"),
        url: url.into(),
        fields: vec![
            ("order".into(), "202611200001".into()),
            ("who".into(), "小明".into()),
        ],
        secret: None,
        timeout: HOOK_WITHIN,
    }
}

fn found(fields: &[(&str, &str)]) -> HookAnswer {
    let fields = fields.iter().map(|(a, b)| ((*a).into(), (*b).into()));
    HookAnswer::Found(fields.collect())
}

const SHIPPED: &str = r#"{"state":"已发货","eta":{"day":"明天"}}"#;

#[tokio::test]
async fn a_call_carries_its_key_and_a_signature_and_the_answer_is_read() {
    let receiver = Receiver::start(answers(SHIPPED));
    let mut signed = call(&receiver.url());
    signed.secret = Some("HOOK_ERP".into());
    let answer = receiver.caller().ask(signed).await;
    assert_eq!(answer, found(&[("state", "已发货"), ("eta.day", "明天")]));
    let sent = receiver.sent.lock();
    let (head, body) = &sent[0];
    assert!(
        head.starts_with("post /wx/order?a=1 http/1.1\r\n"),
        "{head}"
    );
    assert_eq!(body, r#"{"order":"202611200001","who":"小明"}"#);
    let key = TurnKey::of_text("turn").to_string();
    let agent = concat!("wxreply/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("content-type", "application/json"),
        ("idempotency-key", &key),
        ("user-agent", agent),
        ("x-wxreply-account", "shop"),
        ("x-wxreply-timestamp", "1700000000"),
        (
            "x-wxreply-signature",
            "sha256=61027a2d0f042f1c7af2ab482711f2a6474658a82d65632ce640874eb5c15641",
        ),
    ] {
        assert_eq!(header(head, name), Some(value), "{head}");
    }
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature_and_without_its_variable_no_call() {
    let receiver = Receiver::start(answers(SHIPPED));
    let _answer = receiver.caller().ask(call(&receiver.url())).await;
    assert_eq!(
        header(&receiver.sent.lock()[0].0, "x-wxreply-signature"),
        None
    );
    for unset in ["HOOK_OTHER", "OTHER"] {
        let mut call = call(&receiver.url());
        call.secret = Some(unset.into());
        let answer = receiver.caller().ask(call).await;
        assert_eq!(answer, HookAnswer::Failed(HookFault::NoSecret));
    }
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn each_answer_means_what_the_model_says() {
    let big = |length: usize| answers(&format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8)));
    let long = "x".repeat(500);
    let limit = crate::model::hook::HOOK_ANSWER_LIMIT;
    let unreadable = HookAnswer::Failed(HookFault::Unreadable);
    let status = HookAnswer::Failed(HookFault::Status);
    let cases = [
        (
            Does::Answers(404, "no such page".to_owned()),
            HookAnswer::Missing,
        ),
        (Does::Answers(204, String::new()), HookAnswer::Missing),
        (answers("null"), HookAnswer::Missing),
        (answers("{}"), HookAnswer::Missing),
        (
            Does::Answers(201, "{\"a\":1}".to_owned()),
            found(&[("a", "1")]),
        ),
        (answers("<html>"), unreadable.clone()),
        (answers(""), unreadable.clone()),
        (answers("[1]"), unreadable.clone()),
        (Does::Breaks, unreadable.clone()),
        (big(limit), found(&[("a", &long)])),
        (big(limit + 1), unreadable),
        (Does::Redirects, status.clone()),
        (Does::Answers(500, SHIPPED.to_owned()), status.clone()),
        (Does::Answers(401, SHIPPED.to_owned()), status),
    ];
    for (does, expected) in cases {
        let receiver = Receiver::start(does);
        let answer = receiver.caller().ask(call(&receiver.url())).await;
        assert_eq!(answer, expected);
        assert_eq!(
            receiver.count(),
            1,
            "one request, no redirect: {expected:?}"
        );
    }
}

#[tokio::test]
async fn silence_ends_with_the_calls_own_time() {
    let receiver = Receiver::start(Does::Waits);
    let mut call = call(&receiver.url());
    call.timeout = Duration::from_millis(100);
    let answer = receiver.caller().ask(call).await;
    assert_eq!(answer, HookAnswer::Failed(HookFault::Timeout));
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let bench = Bench::allowing(&[&host, "http://nowhere.example.com"]);
    for url in [&*host, "http://nowhere.example.com/"] {
        let answer = bench.ask(url).await;
        assert_eq!(answer, HookAnswer::Failed(HookFault::Unreachable), "{url}");
    }
}

#[tokio::test]
async fn only_listed_hosts_are_asked() {
    let receiver = Receiver::start(answers(SHIPPED));
    let port = receiver.address.port();
    let forbidden = HookAnswer::Failed(HookFault::Forbidden);
    assert_eq!(Bench::allowing(&[]).ask(&receiver.url()).await, forbidden);
    let bench = Bench::allowing(&["erp.example.com", &format!("127.0.0.1:{port}")]);
    for url in [
        // Listed for https only.
        receiver.url(),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1.nip.io:{port}/"),
        format!("http://erp.example.com@127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "nonsense".to_owned(),
        String::new(),
    ] {
        assert_eq!(bench.ask(&url).await, forbidden, "{url}");
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_unless_that_is_listed() {
    let receiver = Receiver::start(answers("{\"a\":1}"));
    let port = receiver.address.port();
    let url = format!("http://erp.example.com:{port}/");
    let listed = format!("http://erp.example.com:{port}");
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    let private: [Vec<SocketAddr>; 4] = [
        vec![receiver.address],
        vec![(mapped, port).into()],
        vec![([169, 254, 169, 254], port).into()],
        vec![([10, 0, 0, 5], port).into(), receiver.address],
    ];
    for addresses in private {
        let bench = Bench::resolving(&[&listed], move |_, _| Ok(addresses.clone()));
        let forbidden = HookAnswer::Failed(HookFault::Forbidden);
        assert_eq!(bench.ask(&url).await, forbidden);
    }
    assert_eq!(receiver.count(), 0);

    let address = receiver.address;
    let looked_up = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looked_up);
    let bench = Bench::resolving(&[&listed, "127.0.0.0/8"], move |name, port| {
        count.fetch_add(1, Ordering::Relaxed);
        assert_eq!((name, port), ("erp.example.com", address.port()));
        // The private one that is not listed is left out.
        Ok(vec![([10, 0, 0, 5], port).into(), address])
    });
    assert_eq!(bench.ask(&url).await, found(&[("a", "1")]));
    assert_eq!(looked_up.load(Ordering::Relaxed), 1);
    assert_eq!(
        header(&receiver.sent.lock()[0].0, "host"),
        Some(&*format!("erp.example.com:{port}"))
    );
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_minute_and_a_failure_is_not() {
    let receiver = Receiver::start(answers(SHIPPED));
    let host = format!("http://{}", receiver.address);
    let bench = Bench::allowing(&[&host]);
    let first = bench.ask(&receiver.url()).await;
    let again = bench.ask(&receiver.url()).await;
    assert_eq!(first, again);
    assert_eq!(receiver.count(), 1);
    bench.ask(&host).await;
    assert_eq!(receiver.count(), 2, "another URL is another question");
    let minute = i64::try_from(HOOK_CACHED_FOR.as_millis()).unwrap();
    bench.clock.fetch_add(minute, Ordering::Relaxed);
    bench.ask(&receiver.url()).await;
    assert_eq!(receiver.count(), 3);
    let results: Vec<_> = bench
        .observed
        .lock()
        .iter()
        .map(|(_, result)| *result)
        .collect();
    assert_eq!(results, ["found", "cached", "found", "found"]);

    let failing = Receiver::start(Does::Redirects);
    let caller = failing.caller();
    for _ in 0..2 {
        Arc::clone(&caller).ask(call(&failing.url())).await;
    }
    assert_eq!(failing.count(), 2);
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once_and_places_come_back() {
    let receiver = Receiver::start(answers(SHIPPED));
    let address = receiver.address;
    let (enter, mut entered) = unbounded_channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let listed = format!("http://{address}");
    let bench = Bench::resolving(&["http://*.example.com", &listed], move |_, _| {
        enter.send(()).unwrap();
        // Everybody stands here until the gate is gone.
        let _gone = gate.lock().recv();
        Err(io::ErrorKind::NotFound.into())
    });
    let calls: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let call = call(&format!("http://h{n}.example.com/"));
            tokio::spawn(Arc::clone(&bench.caller).ask(call))
        })
        .collect();
    for _ in 0..AT_ONCE {
        entered.recv().await.unwrap();
    }
    let busy = HookAnswer::Failed(HookFault::Busy);
    assert_eq!(bench.ask(&receiver.url()).await, busy);
    drop(open);
    for answer in join_all(calls).await {
        assert!(matches!(answer.unwrap(), HookAnswer::Failed(_)));
    }
    let all = u32::try_from(AT_ONCE).unwrap();
    drop(bench.caller.places.acquire_many(all).await.unwrap());
    let answer = bench.ask(&receiver.url()).await;
    assert!(matches!(answer, HookAnswer::Found(_)), "{answer:?}");
}
