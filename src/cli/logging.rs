//! Sends the log to stderr, for people or as JSON.
//! Owns: the log's form. Uses: config. Never: decides what is logged where.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging for the whole process.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub(super) fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    // The listener's own remarks on its start and stop say nothing that ours do not; a later word for it wins.
    let filter = EnvFilter::try_new(format!("actix_server=warn,{filter}")).context("log")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging: {error}"))
}
