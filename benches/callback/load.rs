//! Drives a server over HTTP/1.1 keep-alive connections from one thread and keeps every answer.
//! Owns: the connections, when a request is sent, what it took. Uses: mio. Never: what is in a request or an answer.
//!
//! The load never sleeps: waking a sleeping peer is dear in a virtual machine, and the server would pay for it, the more the
//! slower it is. Answers are judged after the clock has stopped.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::wire;

/// Requests, ready to be written, one after another.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

impl Requests {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn one(&self, n: usize) -> &[u8] {
        let start = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[n]]
    }
}

/// How a load went.
pub(crate) struct Run {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// How long of it nothing was there to be read: near 0, the server could have done more.
    pub(crate) idle: Duration,
    /// How long each request took, ascending: from when it was sent, or from when it should have been sent.
    pub(crate) latencies: Vec<Duration>,
    /// Answers' bodies with the number of their request.
    pub(crate) answers: Vec<(usize, Range<usize>)>,
    /// Where the bodies are.
    pub(crate) bytes: Vec<u8>,
}

impl Run {
    /// Room for so many answers, its pages touched before the clock starts.
    fn with_room(count: usize) -> Self {
        let mut bytes = vec![1; count * BODY_ROOM];
        bytes.clear();
        let mut answers = vec![(1, 1..1); count];
        answers.clear();
        let mut latencies = vec![Duration::MAX; count];
        latencies.clear();
        Self {
            took: Duration::ZERO,
            idle: Duration::ZERO,
            latencies,
            answers,
            bytes,
        }
    }

    /// So many answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the requests stayed within.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies
            .get(at)
            .or(self.latencies.last())
            .copied()
            .unwrap_or_default()
    }
}

/// When requests are sent.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// The next one on every connection as soon as the last one is answered.
    Full,
    /// So many a second, whether answers come or not.
    Rate(f64),
}

/// Room for one body: an encrypted reply has about 600 bytes.
const BODY_ROOM: usize = 700;
/// How long the load waits for any answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    running: Option<(usize, Instant)>,
}

/// Sends all requests and waits for all answers.
pub(crate) fn drive(
    server: SocketAddr,
    connections: usize,
    requests: &Requests,
    pace: Pace,
) -> anyhow::Result<Run> {
    let mut poll = Poll::new()?;
    let mut connections = connect(&poll, server, connections)?;
    let mut run = Run::with_room(requests.len());
    let mut free: VecDeque<usize> = (0..connections.len()).collect();
    let mut events = Events::with_capacity(1024);
    let (mut sent, start) = (0, Instant::now());
    let mut last = start;
    while run.answers.len() < requests.len() {
        while sent < requests.len() && !free.is_empty() {
            let now = Instant::now();
            let since = match pace {
                Pace::Full => now,
                Pace::Rate(rate) => start + Duration::from_secs_f64(sent as f64 / rate),
            };
            if since > now {
                break;
            }
            let at = free.pop_front().expect("one is free");
            connections[at].send(sent, requests.one(sent), since)?;
            sent += 1;
        }
        let before = Instant::now();
        poll.poll(&mut events, Some(Duration::ZERO))?;
        if events.is_empty() {
            run.idle += before.elapsed();
            ensure!(last.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
        } else {
            last = before;
        }
        for event in &events {
            let at = event.token().0;
            if connections[at].receive(&mut run)? {
                free.push_back(at);
            }
        }
    }
    run.took = start.elapsed();
    run.latencies.sort_unstable();
    Ok(run)
}

fn connect(poll: &Poll, server: SocketAddr, count: usize) -> anyhow::Result<Vec<Connection>> {
    (0..count)
        .map(|at| {
            let stream = std::net::TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(at), Interest::READABLE)?;
            Ok(Connection {
                stream,
                input: vec![0; 8192],
                filled: 0,
                running: None,
            })
        })
        .collect()
}

impl Connection {
    fn send(&mut self, number: usize, request: &[u8], since: Instant) -> anyhow::Result<()> {
        let written = self.stream.write(request).context("the server hung up")?;
        ensure!(
            written == request.len(),
            "a request did not fit the socket's buffer"
        );
        self.running = Some((number, since));
        Ok(())
    }

    /// Reads what is there; whether the running request is answered now.
    fn receive(&mut self, run: &mut Run) -> anyhow::Result<bool> {
        loop {
            let free = self.input.get_mut(self.filled..).unwrap_or_default();
            let space = free.len();
            let got = match self.stream.read(free) {
                Ok(0) => bail!("the server hung up, or an answer is over 8 KiB"),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            self.filled += got;
            let input = &self.input[..self.filled];
            if let Some((start, end)) = wire::answer(input)? {
                ensure!(end == self.filled, "more than one answer");
                let (number, since) = self.running.take().context("an answer to nothing")?;
                run.latencies.push(since.elapsed());
                run.answers
                    .push((number, run.bytes.len()..run.bytes.len() + end - start));
                run.bytes.extend_from_slice(&input[start..end]);
                self.filled = 0;
                return Ok(true);
            }
            if got < space {
                // A short read has emptied the socket; the rest will be announced.
                return Ok(false);
            }
        }
    }
}
