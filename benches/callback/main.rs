//! Measures the server's callback against a bare actix handler: same machine, same run, servers on one core, load on the other.
//! Owns: which rows there are, their order and their targets. Uses: the release binary over HTTP. Never: the server's own code.
//!
//! `cargo bench --bench callback` prints the table of README.md; `-- --help` shows what can be chosen.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a measuring program: it prints, it counts in floating point, and it may stop at once when it is wrong itself"
)]

mod bare;
mod corpus;
mod load;
mod process;
mod report;
mod subject;
mod wire;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;

use corpus::Corpus;
use report::{Figure, Target};
use subject::{Plan, Subject, Traffic};
use wire::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the server's callback against a bare actix handler.
#[derive(Parser)]
struct Options {
    /// Short rounds, 100,000 stored messages in place of 1,000,000
    #[arg(long)]
    quick: bool,
    /// Only rows whose name contains this, besides the bare one
    #[arg(long)]
    only: Option<String>,
    /// Rounds at full speed
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Serve the constant reply on this address
    #[arg(long, hide = true)]
    bare: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

const MATCHED: &str = "matched, plain, 10,000 rules";
const MATCHED_10: &str = "matched, plain, 10 rules";
const MATCHED_100K: &str = "matched, plain, 100,000 rules";
const SECURE: &str = "matched, secure, 10,000 rules";
const UNMATCHED: &str = "unmatched, durable before the answer";

const TARGETS: &[Target] = &[
    Target {
        name: MATCHED,
        share: Some(0.60),
    },
    Target {
        name: MATCHED_10,
        share: None,
    },
    Target {
        name: MATCHED_100K,
        share: None,
    },
    Target {
        name: SECURE,
        share: Some(0.45),
    },
    Target {
        name: UNMATCHED,
        share: Some(0.35),
    },
];

fn plans() -> Vec<Plan> {
    let matched = |name, rules| Plan {
        name,
        traffic: Traffic::Matched(Corpus::new(rules)),
        mode: Mode::Plain,
        connections: 64,
    };
    vec![
        Plan {
            name: "bare actix handler",
            traffic: Traffic::Bare,
            mode: Mode::Plain,
            connections: 64,
        },
        matched(MATCHED, 10_000),
        matched(MATCHED_10, 10),
        matched(MATCHED_100K, 100_000),
        Plan {
            mode: Mode::Secure,
            ..matched(SECURE, 10_000)
        },
        Plan {
            traffic: Traffic::Unmatched(Corpus::new(10_000)),
            ..matched(UNMATCHED, 10_000)
        },
    ]
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(address) = &options.bare {
        return bare::serve(address);
    }
    anyhow::ensure!(corpus::is_sound(), "the corpus breaks its own promise");
    let is_pinned = process::pin_load();
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(disk)?;
    let chosen = |plan: &Plan| {
        matches!(plan.traffic, Traffic::Bare)
            || options
                .only
                .as_ref()
                .is_none_or(|only| plan.name.contains(only.as_str()))
    };
    let mut subjects = Vec::new();
    for plan in plans().into_iter().filter(chosen) {
        eprintln!("starting: {}", plan.name);
        subjects.push(Subject::start(plan, disk, is_pinned)?);
    }
    measure(&mut subjects, &options)?;
    let mut rows = report::rows(&subjects, TARGETS)?;
    let mut figures = figures(&mut subjects, &options)?;
    figures.insert(
        0,
        Figure {
            what: "one fsync of 4 KiB on this disk, median".into(),
            unit: "ms",
            value: fsync(disk)?,
            most: None,
        },
    );
    rows.push('\n');
    rows.push_str(&report::figures(&figures)?);
    println!(
        "\n`cargo bench --bench callback`: {}{}.\n\n{rows}",
        report::machine(),
        if is_pinned { "" } else { ", **not pinned**" }
    );
    Ok(())
}

fn measure(subjects: &mut [Subject], options: &Options) -> anyhow::Result<()> {
    let (rounds, time) = if options.quick {
        (3, Duration::from_millis(500))
    } else {
        (options.rounds, Duration::from_secs(2))
    };
    for round in 1..=rounds {
        for subject in &mut *subjects {
            subject.full_round(time)?;
            if let Some(last) = subject.rounds.last() {
                eprintln!(
                    "round {round}/{rounds} {:38} {:8.0}/s, server {:5.1} µs a request, busy {:3.0} %, load idle {:3.0} %",
                    subject.plan.name,
                    last.rate,
                    last.cpu.as_secs_f64() * 1e6,
                    last.server_busy * 100.0,
                    last.load_idle * 100.0
                );
            }
        }
    }
    for round in 1..=rounds.div_ceil(2) {
        for subject in &mut *subjects {
            subject.half_round(time)?;
            eprintln!(
                "half speed {round} {:38} p99 {:?}",
                subject.plan.name,
                subject.half.last().copied().unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// Memory, starting, and starting again after a crash.
fn figures(subjects: &mut [Subject], options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let rate_10 = subjects
        .iter()
        .find(|subject| subject.plan.name == MATCHED_10)
        .map(Subject::rate);
    if let Some(large) = subjects
        .iter()
        .find(|subject| subject.plan.name == MATCHED_100K)
    {
        if let Some(rate) = rate_10 {
            let slower = (1.0 - large.rate() / rate) * 100.0;
            figures.push(figure(
                "100,000 rules slower than 10 rules by",
                "%",
                slower,
                Some(10.0),
            ));
        }
        figures.push(figure(
            "resident with 100,000 rules, ready",
            "MiB",
            large.resident_at_start,
            Some(200.0),
        ));
        figures.push(figure(
            "resident with 100,000 rules, after the load",
            "MiB",
            large.process.resident()?,
            Some(200.0),
        ));
        let ready = large.process.ready_after.as_secs_f64();
        figures.push(figure(
            "from start to ready with 100,000 rules",
            "s",
            ready,
            Some(2.0),
        ));
    }
    if let Some(stored) = subjects
        .iter_mut()
        .find(|subject| subject.plan.name == MATCHED)
    {
        let total = if options.quick { 100_000 } else { 1_000_000 };
        while stored.sent < total {
            stored.send((total - stored.sent).min(100_000))?;
        }
        let grown = stored.process.resident()? - stored.resident_at_start;
        figures.push(figure(
            &format!(
                "memory grown after {} messages of 10,000 followers",
                stored.sent
            ),
            "MiB",
            grown,
            Some(50.0),
        ));
        stored.crash_and_restart()?;
        let ready = stored.process.ready_after.as_secs_f64();
        figures.push(figure(
            &format!("ready after kill -9 with {total} stored messages and 10,000 rules"),
            "s",
            ready,
            Some(2.0),
        ));
        figures.push(figure(
            "resident after that",
            "MiB",
            stored.process.resident()?,
            None,
        ));
    }
    Ok(figures)
}

fn figure(what: &str, unit: &'static str, value: f64, most: Option<f64>) -> Figure {
    Figure {
        what: what.to_owned(),
        unit,
        value,
        most,
    }
}

/// What one durable write costs on this disk, in milliseconds.
fn fsync(disk: &Path) -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(disk)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        File::write_all(&mut file, &[b'x'; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(report::median(times.into_iter()))
}
