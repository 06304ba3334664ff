//! Prints what was measured as Markdown, with the targets of the design beside it.
//! Owns: targets, tables, medians. Uses: subject. Never: measuring.

use std::fmt::{self, Write as _};
use std::fs;
use std::time::Duration;

use crate::subject::Subject;

/// The least share of the bare handler's rate a row should reach.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) share: Option<f64>,
}

/// p99 at half of a server's own maximum should stay under it.
const HALF_P99: Duration = Duration::from_millis(5);

/// A single figure with the most it should be.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) most: Option<f64>,
}

/// The middle of some numbers; 0 of none.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The rows of all servers; the first one is bare.
pub(crate) fn rows(subjects: &[Subject], targets: &[Target]) -> anyhow::Result<String> {
    let mut table = String::from(
        "| what | requests/s | × bare (least–most) | target | × bare by CPU time | p50 | p99 | p99 at half speed (target 5 ms) | resident MiB, ready → end |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let Some(bare) = subjects.first() else {
        return Ok(table);
    };
    for subject in subjects {
        let share = Shares::of(subject, bare);
        let target = targets
            .iter()
            .find(|target| target.name == subject.plan.name)
            .and_then(|target| target.share);
        let half = micros(median(subject.half.iter().map(Duration::as_secs_f64)));
        let is_slow = !subject.half.is_empty()
            && median(subject.half.iter().map(Duration::as_secs_f64)) > HALF_P99.as_secs_f64();
        writeln!(
            table,
            "| {} | {:.0} | {share} | {} | {:.2} | {} | {} | {half}{} | {:.0} → {:.0} |",
            subject.plan.name,
            subject.rate(),
            verdict(target, share.middle),
            cpu(bare) / cpu(subject),
            micros(median(
                subject.rounds.iter().map(|round| round.p50.as_secs_f64())
            )),
            micros(median(
                subject.rounds.iter().map(|round| round.p99.as_secs_f64())
            )),
            if is_slow { " **missed**" } else { "" },
            subject.resident_at_start,
            subject.process.resident()?,
        )?;
    }
    Ok(table)
}

/// Single figures.
pub(crate) fn figures(figures: &[Figure]) -> Result<String, fmt::Error> {
    let mut table = String::from("| what | measured | target |\n|---|--:|--:|\n");
    for Figure {
        what,
        unit,
        value,
        most,
    } in figures
    {
        let target = match most {
            Some(most) if value <= most => format!("at most {most:.2} {unit}"),
            Some(most) => format!("at most {most:.2} {unit} **missed**"),
            None => String::new(),
        };
        writeln!(table, "| {what} | {value:.2} {unit} | {target} |")?;
    }
    Ok(table)
}

/// One line about the machine.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown processor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} × {}, Linux {}, load average at the end {}",
        cores,
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown")
    )
}

/// A server's rate as a share of the bare one's in the same round.
struct Shares {
    least: f64,
    middle: f64,
    most: f64,
}

impl Shares {
    fn of(subject: &Subject, bare: &Subject) -> Self {
        let mut shares: Vec<f64> = subject
            .rounds
            .iter()
            .zip(&bare.rounds)
            .map(|(round, bare)| round.rate / bare.rate)
            .collect();
        shares.sort_unstable_by(f64::total_cmp);
        let (least, most) = (
            shares.first().copied().unwrap_or_default(),
            shares.last().copied().unwrap_or_default(),
        );
        Self {
            least,
            middle: median(shares.into_iter()),
            most,
        }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.middle, self.least, self.most)
    }
}

fn verdict(target: Option<f64>, share: f64) -> String {
    match target {
        Some(target) if share >= target => format!("{target:.2}"),
        Some(target) => format!("{target:.2} **missed**"),
        None => String::new(),
    }
}

fn cpu(subject: &Subject) -> f64 {
    median(subject.rounds.iter().map(|round| round.cpu.as_secs_f64()))
}

fn micros(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}
