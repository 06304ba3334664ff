//! Measures the desk with 100,000 open conversations: start, memory, lists, searches, figures, and what rewriting the database costs.
//! Owns: which figures there are and their targets. Uses: the store through the crate, the real binary over HTTP. Never: WeChat.
//!
//! `cargo bench --bench listing`; `WXREPLY_OPEN=20000` for another number of conversations.
#![expect(
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a measuring program: it prints, and it counts in floating point"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use wxreply::clock::Clock;
use wxreply::model::entry::{Move, Priority, Reason, Spoken};
use wxreply::model::{
    AccountName, Answer, By, Content, Incoming, OpenId, Reply, Time, Turn, TurnKey,
};
use wxreply::store::sled::SledStore;
use wxreply::store::{Claim, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each request is made.
const TIMES: usize = 20;
/// What a list or a search may take.
const TARGET: Duration = Duration::from_millis(50);
const TOKEN: &str = "bench-token-of-the-listing";
const FIRST: &str = "oBenchFollower0000000";

fn main() -> anyhow::Result<()> {
    let open: usize = match std::env::var_os("WXREPLY_OPEN") {
        Some(text) => text.to_string_lossy().parse()?,
        None => 100_000,
    };
    let directory = tempfile::tempdir()?;
    let home = directory.path();
    let started = Instant::now();
    tokio::runtime::Runtime::new()?.block_on(fill(&home.join("data"), open))?;
    println!(
        "{open} open conversations, and as many that rules answer, made in {:.1} s; {:.0} MiB on disk\n",
        started.elapsed().as_secs_f64(),
        size(&home.join("data").join("sled"))? as f64 / f64::from(1 << 20)
    );
    fs::create_dir(home.join("rules"))?;
    fs::write(
        home.join("rules").join("10.toml"),
        "[[rule]]\nid = \"hours\"\nany = [\"几点开门\"]\nreply = \"十点。\"\n",
    )?;
    fs::write(
        home.join("wxreply.toml"),
        "listen = \"127.0.0.1:0\"\nlog_format = \"json\"\n[account.shop]\napp_id = \"wx0123456789abcdef\"\nmode = \"plain\"\ntoken = \"Tok3n\"\n",
    )?;
    let server = Server::start(home)?;
    println!(
        "| start | {:.2} s |\n|--|--:|",
        server.ready_after.as_secs_f64()
    );
    println!("| memory | {:.0} MiB |\n", server.resident()?);
    lists(&server)?;
    rewriting(&server)
}

/// Makes the conversations: one in ten urgent, tags on none, words that differ.
async fn fill(data: &Path, open: usize) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let store = SledStore::open(data, now).await?;
    let turns = futures_util::stream::iter(0..2 * open).map(|n| {
        let store = Arc::clone(&store);
        async move { take(&store, n, now.minus(Duration::from_secs(n as u64 % 36_000))).await }
    });
    let mut turns = turns.buffer_unordered(1024);
    while let Some(taken) = turns.next().await {
        taken?;
    }
    store.close().await;
    Ok(())
}

async fn take(store: &SledStore, n: usize, at: Time) -> anyhow::Result<()> {
    let account = AccountName::parse("shop")?;
    let from = OpenId::parse(format!("{FIRST}{n:07}"))?;
    let key = TurnKey::of_text(&n.to_string());
    let Claim::First { ticket, .. } = store.claim_turn(&account, &from, key, at).await? else {
        anyhow::bail!("{n} was there before");
    };
    let text = format!("第{n}位顾客想问一下订单 A{n:06} 什么时候可以发货,谢谢");
    let answer = match n % 2 {
        0 => Answer {
            moved: Some(Move::Escalate {
                reason: Reason::Unmatched,
                priority: match n % 20 {
                    0 => Priority::Urgent,
                    _ => Priority::Normal,
                },
                note: None,
            }),
            ..Answer::default()
        },
        _ => Answer {
            own: Some(Spoken {
                by: By::Rule,
                rule: None,
                revision: None,
                reply: Reply::Text("十点。".into()),
            }),
            ..Answer::default()
        },
    };
    let turn = Turn {
        key,
        account,
        incoming: Incoming {
            to: "gh_123456789abc".into(),
            from,
            create_time: at.seconds(),
            msg_id: Some(n.to_string().into()),
            content: Content::Text {
                text: text.into(),
                menu_id: None,
            },
        },
        answer,
    };
    store.commit_turn(ticket, turn, at).await?;
    Ok(())
}

fn lists(server: &Server) -> anyhow::Result<()> {
    println!("| request | p50 | slowest | CPU each | target | |\n|--|--:|--:|--:|--:|--|");
    let rare = "q=A000042";
    for (what, path) in [
        ("waiting, newest 50", "/conversations?state=waiting"),
        (
            "waiting, newest 200",
            "/conversations?state=waiting&limit=200",
        ),
        (
            "waiting and assigned, most urgent",
            "/conversations?state=waiting,assigned&sort=urgency",
        ),
        (
            "waiting, urgent ones",
            "/conversations?state=waiting&priority=urgent",
        ),
        ("all states", "/conversations"),
        ("bot", "/conversations?state=bot"),
        (
            "search that finds most, waiting",
            "/conversations?state=waiting&q=%E5%8F%91%E8%B4%A7",
        ),
        (
            "search that finds one, waiting",
            &format!("/conversations?state=waiting&{rare}"),
        ),
        (
            "search that finds none, waiting",
            "/conversations?state=waiting&q=%E5%85%94%E5%AD%90",
        ),
        (
            "search that finds none, all states",
            "/conversations?q=%E5%85%94%E5%AD%90",
        ),
        (
            "search by openid, waiting",
            &format!("/conversations?state=waiting&q={FIRST}0000040"),
        ),
        (
            "tag that nobody has, waiting",
            "/conversations?state=waiting&tag=vip",
        ),
        (
            "one follower",
            &format!("/conversations?follower={FIRST}0000040"),
        ),
    ] {
        row(what, server, &format!("/api/v1{path}"))?;
    }
    deep(server)?;
    row("figures", server, "/metrics")
}

fn row(what: &str, server: &Server, path: &str) -> anyhow::Result<()> {
    let mut took = Vec::new();
    let before = server.cpu()?;
    for _ in 0..TIMES {
        let started = Instant::now();
        let (status, _) = server.ask("GET", path, "")?;
        took.push(started.elapsed());
        ensure!(status == 200, "{path}: {status}");
    }
    took.sort_unstable();
    print_row(what, &took, server.cpu()?.saturating_sub(before));
    Ok(())
}

/// The time that passes counts; the CPU's says what it would be on a machine that does nothing else.
fn print_row(what: &str, took: &[Duration], cpu: Duration) {
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let median = took.get(took.len() / 2);
    let verdict = match median.is_some_and(|median| *median < TARGET) {
        true => "good",
        false => "TOO SLOW",
    };
    println!(
        "| {what} | {:.1} ms | {:.1} ms | {:.1} ms | {} ms | {verdict} |",
        millis(median),
        millis(took.last()),
        millis(Some(&cpu)) / took.len() as f64,
        TARGET.as_millis()
    );
}

/// Goes a hundred pages back.
fn deep(server: &Server) -> anyhow::Result<()> {
    let mut took = Vec::new();
    let mut cursor = String::new();
    let before = server.cpu()?;
    for _ in 0..100 {
        let path = format!("/api/v1/conversations?state=waiting&cursor={cursor}");
        let started = Instant::now();
        let (_, body) = server.ask("GET", &path, "")?;
        took.push(started.elapsed());
        let page: serde_json::Value = serde_json::from_str(&body)?;
        let next = page.get("next").and_then(serde_json::Value::as_str);
        cursor = next.context("the last page came early")?.to_owned();
    }
    took.sort_unstable();
    let cpu = server.cpu()?.saturating_sub(before);
    print_row("each of a hundred pages, waiting", &took, cpu);
    Ok(())
}

/// Erases one follower and has the files rewritten, while others write notes, each durable.
fn rewriting(server: &Server) -> anyhow::Result<()> {
    let (_, body) = server.ask("GET", "/api/v1/conversations?state=waiting&limit=1", "")?;
    let page: serde_json::Value = serde_json::from_str(&body)?;
    let id = page
        .pointer("/conversations/0/id")
        .and_then(serde_json::Value::as_str);
    let path = format!(
        "/api/v1/conversations/{}/notes",
        id.context("nobody waits")?
    );
    let erase = format!(r#"{{"account":"shop","follower":"{FIRST}0000040"}}"#);
    let started = Instant::now();
    let (status, _) = server.ask("POST", "/api/v1/followers/erase", &erase)?;
    ensure!(status == 200, "erase: {status}");
    let erased = started.elapsed();
    let mut took = Vec::new();
    while !server.is_rewritten.load(Ordering::SeqCst) {
        let started = Instant::now();
        let (status, _) = server.ask("POST", &path, r#"{"text":"note"}"#)?;
        ensure!(status == 200, "note: {status}");
        took.push(started.elapsed());
    }
    let all = started.elapsed();
    took.sort_unstable();
    let quantile = |of: usize| took.get(took.len() * of / 100).copied().unwrap_or_default();
    println!(
        "\nerased in {:.0} ms; the database rewritten {:.1} s later; {} durable notes meanwhile: p50 {:.1} ms, p99 {:.1} ms, slowest {:.0} ms; memory then {:.0} MiB",
        erased.as_secs_f64() * 1000.0,
        (all - erased).as_secs_f64(),
        took.len(),
        quantile(50).as_secs_f64() * 1000.0,
        quantile(99).as_secs_f64() * 1000.0,
        took.last().copied().unwrap_or_default().as_secs_f64() * 1000.0,
        server.resident()?
    );
    Ok(())
}

/// The real binary on these files.
struct Server {
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
    is_rewritten: Arc<AtomicBool>,
}

impl Server {
    fn start(home: &Path) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wxreply"))
            .arg("serve")
            .current_dir(home)
            .env("WXREPLY_API_TOKEN", TOKEN)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = child.stderr.take().context("no log")?;
        let mut lines = BufReader::new(log).lines();
        let address = loop {
            let line = lines.next().context("the server did not start")??;
            let line: serde_json::Value = serde_json::from_str(&line)?;
            if let Some(address) = line.get("address").and_then(serde_json::Value::as_str) {
                break address.parse()?;
            }
        };
        let ready_after = started.elapsed();
        let is_rewritten = Arc::new(AtomicBool::new(false));
        std::thread::spawn({
            let is_rewritten = Arc::clone(&is_rewritten);
            move || {
                for line in lines.map_while(Result::ok) {
                    if line.contains("the database was rewritten") {
                        is_rewritten.store(true, Ordering::SeqCst);
                    }
                }
            }
        });
        Ok(Self {
            child,
            address,
            ready_after,
            is_rewritten,
        })
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// CPU time used so far by all threads; to a hundredth of a second.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no command in stat")?;
        let used = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = used.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        Ok(Duration::from_millis(10) * ticks)
    }

    /// Resident memory, MiB.
    fn resident(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .context("no VmRSS")?
            .trim()
            .trim_end_matches("kB")
            .trim()
            .parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(directory: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        sum += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(sum)
}
