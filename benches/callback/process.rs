//! Starts the servers of the benchmark on their core and reads what they use.
//! Owns: child processes, pinning, /proc. Uses: taskset. Never: what they serve.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Clock ticks a second in /proc; 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// How a server is started.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where it will answer `/readyz`.
    pub(crate) address: SocketAddr,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    /// Whether it gets the first core for itself.
    pub(crate) is_pinned: bool,
}

/// A running server; killed when dropped.
pub(crate) struct Process {
    launch: Launch,
    child: Child,
    /// From its start until it was ready.
    pub(crate) ready_after: Duration,
}

/// Pins this process, and so its threads to come, to the second core. `false`: the machine cannot, and nothing is pinned.
pub(crate) fn pin_load() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pinned = cores > 1
        && Command::new("taskset")
            .args(["-cp", "1", &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !pinned {
        eprintln!(
            "\n*** taskset or a second core is missing: server and load share cores, the ratios below mean little ***\n"
        );
    }
    pinned
}

/// A free address on the loopback.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Process {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(launch: Launch) -> anyhow::Result<Self> {
        let started = Instant::now();
        let child = launch.spawn()?;
        let mut process = Self {
            launch,
            child,
            ready_after: Duration::ZERO,
        };
        process.await_ready(started)?;
        Ok(process)
    }

    /// Kills it with signal 9, starts it again and waits until it is ready.
    pub(crate) fn crash_and_restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        let started = Instant::now();
        self.child = self.launch.spawn()?;
        self.await_ready(started)
    }

    /// What may explain a failure: whether it still runs, and the end of its log.
    pub(crate) fn state(&mut self) -> String {
        let status = match self.child.try_wait() {
            Ok(None) => "it still runs".to_owned(),
            Ok(Some(status)) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        };
        let log = fs::read_to_string(&self.launch.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        format!("{status}; {}", tail.join("; "))
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.launch.address
    }

    fn await_ready(&mut self, started: Instant) -> anyhow::Result<()> {
        let log = &self.launch.log;
        while !is_ready(self.launch.address) {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the server ended with {status}: {}",
                    fs::read_to_string(log)?
                );
            }
            if started.elapsed() > Duration::from_secs(120) {
                bail!(
                    "the server is not ready after two minutes: {}",
                    fs::read_to_string(log)?
                );
            }
            pause(Duration::from_millis(1));
        }
        self.ready_after = started.elapsed();
        Ok(())
    }

    /// Resident memory, MiB.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// CPU time used so far by all its threads.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no command in stat")?;
        let used = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = used.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        Ok(TICK * ticks)
    }
}

impl Launch {
    fn spawn(&self) -> anyhow::Result<Child> {
        let mut command = if self.is_pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        let output = File::options().create(true).append(true).open(&self.log)?;
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        command
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// Waits for time to pass, there being no event to wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "another process cannot tell us when it is ready, or settled"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
