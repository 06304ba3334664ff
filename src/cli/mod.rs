//! Reads the command line and runs one command.
//! Owns: the commands, exit codes, what is printed where. Uses: everything below. Never: decides what a message leads to.
//!
//! Exit code 0: good; 1: the thing checked is bad; 2: wrong usage, or the command could not run.

mod config_show;
mod healthcheck;
mod local;
mod logging;
mod serve;
mod simulate;
mod token;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// 微信公众号自动回复,答不了的转人工。 Auto-replies for WeChat official accounts, with people behind them.
#[derive(Debug, Parser)]
#[command(name = "wxreply", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 启动服务 | Run the server
    Serve(serve::Args),
    /// 查看配置 | Look at the configuration
    #[command(subcommand)]
    Config(config_show::Args),
    /// 管理接口令牌(需要服务在运行) | Make, list and revoke API tokens of the running server
    #[command(subcommand)]
    Token(token::Args),
    /// 假微信:对任何回调地址发消息 | Play WeChat against any callback
    Simulate(simulate::Args),
    /// 检查本机的服务是否活着 | Ask the server of this machine whether it is alive
    Healthcheck(healthcheck::Args),
}

/// Where the configuration is.
#[derive(Clone, Debug, clap::Args)]
struct ConfigFile {
    /// 配置文件;不写就用当前目录的 wxreply.toml(可以没有) | The configuration; without it wxreply.toml, if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> anyhow::Result<crate::config::Config> {
        Ok(crate::config::load(self.config.as_deref(), crate::config::environment())?)
    }
}

/// Runs the command that the command line names.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Serve(serve) => serve.run().map(ExitCode::from),
        Command::Config(config) => config.run().map(ExitCode::from),
        Command::Token(token) => token.run().map(ExitCode::from),
        Command::Simulate(simulate) => simulate.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run().map(ExitCode::from),
    };
    ended.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(2)
    })
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => Self::SUCCESS,
            Verdict::Bad => Self::from(1),
        }
    }
}

/// Prints a result. A reader who has gone away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints what the person at the terminal should know, beside the result.
fn complain(text: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}
