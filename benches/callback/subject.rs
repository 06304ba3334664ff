//! Puts one server through its rounds and judges every answer.
//! Owns: what is sent to a server, what must come back, what was measured. Uses: corpus, wire, load, process. Never: targets, printing.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, ensure};
use tempfile::TempDir;

use crate::bare;
use crate::corpus::Corpus;
use crate::load::{Pace, Requests, Run, drive};
use crate::process::{Launch, Process, free_address};
use crate::wire::{self, Mode, Text};

/// Followers who write.
const FOLLOWERS: usize = 10_000;
/// The line for those who are waiting for a person.
const ACK: &str = "收到,这个问题我请同事来回答。";

/// What a server is asked.
#[derive(Clone, Copy)]
pub(crate) enum Traffic {
    /// Anything: it is the bare one.
    Bare,
    /// Questions that a rule of the set answers.
    Matched(Corpus),
    /// Messages that no rule of the set covers.
    Unmatched(Corpus),
}

/// What is to be measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) traffic: Traffic,
    pub(crate) mode: Mode,
    pub(crate) connections: usize,
}

/// One round at full speed.
pub(crate) struct Round {
    /// Answers a second.
    pub(crate) rate: f64,
    /// CPU time of the server for one request.
    pub(crate) cpu: Duration,
    /// Half of the requests stayed within it.
    pub(crate) p50: Duration,
    /// 99 of 100 requests stayed within it.
    pub(crate) p99: Duration,
    /// The share of the round in which the server was busy.
    pub(crate) server_busy: f64,
    /// The share of the round in which the load had nothing to do: near 0, the server could have done more.
    pub(crate) load_idle: f64,
}

/// A server under measurement.
pub(crate) struct Subject {
    pub(crate) plan: Plan,
    pub(crate) process: Process,
    pub(crate) rounds: Vec<Round>,
    /// p99 of each round at half speed.
    pub(crate) half: Vec<Duration>,
    /// Resident MiB when it was ready.
    pub(crate) resident_at_start: f64,
    /// Messages sent so far.
    pub(crate) sent: usize,
    _home: TempDir,
}

struct Batch {
    requests: Requests,
    expected: Vec<(usize, Option<String>)>,
}

impl Subject {
    /// Starts the server in a directory of its own below `disk`.
    pub(crate) fn start(plan: Plan, disk: &Path, is_pinned: bool) -> anyhow::Result<Self> {
        let home = TempDir::new_in(disk)?;
        let launch = launch(plan, home.path(), is_pinned)?;
        let process = Process::start(launch).with_context(|| format!("starting {}", plan.name))?;
        let resident_at_start = process.resident()?;
        Ok(Self {
            plan,
            process,
            rounds: Vec::new(),
            half: Vec::new(),
            resident_at_start,
            sent: 0,
            _home: home,
        })
    }

    /// Sends so many messages at full speed, not measured but judged.
    pub(crate) fn send(&mut self, count: usize) -> anyhow::Result<Run> {
        let batch = self.batch(count)?;
        self.judged(&batch, Pace::Full)
    }

    /// One round at full speed, about so long.
    pub(crate) fn full_round(&mut self, time: Duration) -> anyhow::Result<()> {
        let rate = match self.rounds.last() {
            Some(round) => round.rate,
            None => self.send(2 * FOLLOWERS)?.rate(),
        };
        let batch = self.batch(count_for(rate, time))?;
        let before = self.process.cpu()?;
        let run = self.driven(&batch, Pace::Full)?;
        let server = self.process.cpu()? - before;
        self.judge(&batch, &run)?;
        self.rounds.push(Round {
            rate: run.rate(),
            cpu: server.div_f64(batch.requests.len() as f64),
            p50: run.quantile(0.5),
            p99: run.quantile(0.99),
            server_busy: server.as_secs_f64() / run.took.as_secs_f64(),
            load_idle: run.idle.as_secs_f64() / run.took.as_secs_f64(),
        });
        Ok(())
    }

    /// One round at half of what it can do, about so long.
    pub(crate) fn half_round(&mut self, time: Duration) -> anyhow::Result<()> {
        let rate = self.rate() / 2.0;
        let batch = self.batch(count_for(rate, time))?;
        let run = self.judged(&batch, Pace::Rate(rate))?;
        self.half.push(run.quantile(0.99));
        Ok(())
    }

    /// Kills it with signal 9, starts it again on the same data, and repeats its last messages: the answers must be the same.
    pub(crate) fn crash_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.crash_and_restart()?;
        let again = self.sent.min(1000);
        self.sent -= again;
        self.send(again)?;
        Ok(())
    }

    /// The median of its rounds, answers a second.
    pub(crate) fn rate(&self) -> f64 {
        crate::report::median(self.rounds.iter().map(|round| round.rate))
    }

    fn judged(&mut self, batch: &Batch, pace: Pace) -> anyhow::Result<Run> {
        let run = self.driven(batch, pace)?;
        self.judge(batch, &run)?;
        Ok(run)
    }

    fn driven(&mut self, batch: &Batch, pace: Pace) -> anyhow::Result<Run> {
        let Plan {
            name, connections, ..
        } = self.plan;
        drive(self.process.address(), connections, &batch.requests, pace)
            .with_context(|| format!("{name}: {}", self.process.state()))
    }

    fn judge(&self, batch: &Batch, run: &Run) -> anyhow::Result<()> {
        for (number, place) in &run.answers {
            let body = &run.bytes[place.clone()];
            let (follower, expected) = &batch.expected[*number];
            match self.plan.traffic {
                Traffic::Bare => ensure!(
                    body == bare::REPLY.as_bytes(),
                    "the bare handler says something else"
                ),
                _ => wire::check(self.plan.mode, body, *follower, expected.as_deref())
                    .with_context(|| self.plan.name)?,
            }
        }
        Ok(())
    }

    fn batch(&mut self, count: usize) -> anyhow::Result<Batch> {
        let now = unix_now()?;
        let mut batch = Batch {
            requests: Requests::default(),
            expected: Vec::with_capacity(count),
        };
        for number in self.sent..self.sent + count {
            // 7919 and 10,000 have no common factor: everybody writes once before anybody writes again.
            let (follower, n) = (number * 7919 % FOLLOWERS, number / FOLLOWERS);
            let (content, expected) = match self.plan.traffic {
                Traffic::Bare => (Corpus::unmatched(follower, n), None),
                Traffic::Matched(corpus) => {
                    let (question, reply) = corpus.question(follower, n);
                    (question, Some(reply))
                }
                Traffic::Unmatched(_) => (
                    Corpus::unmatched(follower, n),
                    (n == 0).then(|| ACK.to_owned()),
                ),
            };
            let id = FIRST_MESSAGE + u64::try_from(number)?;
            let text = Text {
                follower,
                id,
                content: &content,
            };
            wire::request(self.plan.mode, &text, now, &mut batch.requests.bytes);
            batch.requests.ends.push(batch.requests.bytes.len());
            batch.expected.push((follower, expected));
        }
        self.sent += count;
        Ok(batch)
    }
}

/// The first `MsgId`; as long as WeChat's.
const FIRST_MESSAGE: u64 = 24_500_000_000_000_000;

fn launch(plan: Plan, home: &Path, is_pinned: bool) -> anyhow::Result<Launch> {
    let address = free_address()?;
    let log = home.join("log");
    let (program, arguments) = match plan.traffic {
        Traffic::Bare => (
            std::env::current_exe()?,
            vec!["--bare".to_owned(), address.to_string()],
        ),
        Traffic::Matched(corpus) | Traffic::Unmatched(corpus) => {
            corpus.write(&home.join("rules"))?;
            let file = home.join("wxreply.toml");
            fs::write(&file, configuration(plan.mode, &address.to_string()))?;
            let file = file
                .into_os_string()
                .into_string()
                .map_err(|path| anyhow!("{} is not UTF-8", path.display()))?;
            (
                env!("CARGO_BIN_EXE_wxreply").into(),
                vec!["serve".to_owned(), "--config".to_owned(), file],
            )
        }
    };
    Ok(Launch {
        program,
        arguments,
        address,
        log,
        is_pinned,
    })
}

fn configuration(mode: Mode, address: &str) -> String {
    let mode = match mode {
        Mode::Plain => "mode = \"plain\"".to_owned(),
        Mode::Secure => format!("mode = \"secure\"\naes_key = \"{}\"", wire::AES_KEY),
    };
    format!(
        "listen = \"{address}\"\n\n[desk]\nack = \"{ACK}\"\nack_every = \"24h\"\n\n[account.shop]\napp_id = \"{}\"\ntoken = \"{}\"\n{mode}\n",
        wire::APP_ID,
        wire::TOKEN
    )
}

fn count_for(rate: f64, time: Duration) -> usize {
    ((rate * time.as_secs_f64()) as usize).max(1000)
}

#[expect(
    clippy::disallowed_methods,
    reason = "WeChat's side of the wire has a clock of its own"
)]
fn unix_now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
