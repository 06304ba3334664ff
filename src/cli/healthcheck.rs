//! Asks the server of this machine whether it is alive, for a container's health check.
//! Owns: nothing but the question. Uses: config. Never: another machine.

use std::process::ExitCode;

use super::{ConfigFile, complain, local};

/// 检查本机的服务是否活着 | Ask the server of this machine whether it is alive.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

/// Exit code 0 when it is, 1 when not.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if local::is_alive(&args.config.load()?) {
        return Ok(ExitCode::SUCCESS);
    }
    complain("服务没有应答 | the server does not answer");
    Ok(ExitCode::from(1))
}
