//! Asks the server of this machine whether it is alive, for a container's health check.
//! Owns: nothing but the question. Uses: config. Never: another machine.

use clap::Args;

use super::{ConfigFile, Verdict, complain, local};

/// 检查本机的服务是否活着 | Ask the server of this machine whether it is alive.
#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    config: ConfigFile,
}

impl Healthcheck {
    pub(super) fn run(self) -> anyhow::Result<Verdict> {
        let config = self.config.load()?;
        if local::is_alive(&config) {
            return Ok(Verdict::Good);
        }
        complain("服务没有应答 | the server does not answer");
        Ok(Verdict::Bad)
    }
}
