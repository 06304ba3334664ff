//! Reads the command line and runs one command.
//! Owns: the commands, exit codes, what is printed where. Uses: everything below. Never: decides what a message leads to.
//!
//! Exit code 0: good; 1: the thing checked is bad; 2: wrong usage, or the command could not run.

mod check;
mod try_out;

use std::io::Write as _;
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
    /// 检查规则,跑规则旁边的测试 | Check rules and run the tests beside them
    Check(check::Args),
    /// 试一句话:会怎么回、为什么 | What would be answered, and why
    Try(try_out::Args),
}

/// Runs the command that the command line names.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Check(args) => args.run(),
        Command::Try(args) => args.run(),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::from(2)
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
