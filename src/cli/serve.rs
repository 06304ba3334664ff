//! Runs the server until the process is told to stop.
//! Owns: the order configuration, log, server; signals. Uses: config, server. Never: what the server does.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigFile, complain, logging};
use crate::server::Application;

/// 启动服务 | Run the server.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    logging::start(&config.log, config.log_format)?;
    for line in &config.lines {
        tracing::debug!(key = line.path, value = line.shown, origin = %line.origin, "configured");
    }
    // The workers bring runtimes of their own; this one carries the outbox.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("runtime")?;
    runtime.block_on(async {
        let mut stop = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let application = Application::build(config.server).await?;
        if let Some(notice) = application.notice() {
            complain(notice);
            complain("规则目录有错,现在运行的是上一个好的版本 | the rules directory has errors, the last good revision runs");
        }
        let told = async {
            tokio::select! {
                _ = stop.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        application.run_until(told).await.context("the listener failed")?;
        Ok(ExitCode::SUCCESS)
    })
}
