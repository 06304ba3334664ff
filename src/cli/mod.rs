//! Reads the command line and runs one command.
//! Owns: the commands, exit codes, what is printed where. Uses: everything below. Never: decides what a message leads to.
//!
//! Exit code 0: good; 1: the thing checked is bad; 2: wrong usage, or the command could not run.

mod backtest;
mod check;
mod config_show;
mod demo;
mod erase;
mod explain;
mod export;
mod fix;
mod healthcheck;
mod import;
mod local;
mod logging;
mod rules;
mod sample;
mod serve;
mod simulate;
mod token;
mod try_out;
mod user;

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
    /// 检查规则,跑规则旁边的测试 | Check rules and run the tests beside them
    Check(check::Args),
    /// 讲解 check 报的编号 | Explain a code that check reports
    Explain(explain::Args),
    /// 试一句话:会怎么回、为什么 | What would be answered, and why
    Try(try_out::Args),
    /// 不用公众号,在本机看一遍全过程 | See it all on this machine, without an account
    Demo(demo::Args),
    /// 启动服务 | Run the server
    Serve(serve::Args),
    /// 查看配置 | Look at the configuration
    #[command(subcommand)]
    Config(config_show::Args),
    /// 管理人员:客服、运营、管理员(需要服务在运行) | Manage the people of the running server
    #[command(subcommand)]
    User(user::Args),
    /// 管理接口令牌(需要服务在运行) | Make, list and revoke API tokens of the running server
    #[command(subcommand)]
    Token(token::Args),
    /// 从微信后台或表格导入规则 | Bring rules over from WeChat's console or a spreadsheet
    #[command(subcommand)]
    Import(import::Args),
    /// 把规则导出成表格 | Print the rules as a table
    Export(export::Args),
    /// 规则的版本:历史、比较、恢复、发布(需要服务在运行) | Revisions of the running server's rules
    #[command(subcommand)]
    Rules(rules::Args),
    /// 假微信:对任何回调地址发消息 | Play WeChat against any callback
    Simulate(simulate::Args),
    /// 彻底删除一个粉丝的数据(需要服务在运行) | Erase one follower everywhere, through the running server
    Erase(erase::Args),
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
        Ok(crate::config::load(
            self.config.as_deref(),
            crate::config::environment(),
        )?)
    }
}

/// Runs the command that the command line names.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Check(args) => args.run(),
        Command::Explain(args) => args.run(),
        Command::Try(args) => args.run(),
        Command::Demo(args) => args.run(),
        Command::Serve(args) => serve::run(&args),
        Command::Config(args) => config_show::run(&args),
        Command::User(args) => user::run(args),
        Command::Token(args) => token::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => args.run(),
        Command::Rules(args) => rules::run(args),
        Command::Simulate(args) => args.run(),
        Command::Erase(args) => erase::run(&args),
        Command::Healthcheck(args) => healthcheck::run(&args),
    };
    ended.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(2)
    })
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
