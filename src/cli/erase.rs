//! Has the running server erase one follower everywhere.
//! Owns: the question before, the words after. Uses: the server's API over loopback. Never: touches the data itself.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args as Arguments;
use serde_json::{Value, json};

use super::local::Local;
use super::{ConfigFile, complain, print};

/// 彻底删除一个粉丝的数据 | Erase one follower everywhere.
#[derive(Debug, Arguments)]
pub(super) struct Args {
    /// 公众号 | The account
    #[arg(long, value_name = "ACCOUNT")]
    account: String,
    /// 粉丝的 openid | The follower's openid
    #[arg(long, value_name = "OPENID")]
    follower: String,
    /// 不再确认 | Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Asks the person, then the running server.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let server = Local::find(&args.config.load()?)?;
    if !args.yes && !is_meant(args)? {
        complain("没有删除 | nothing was erased");
        return Ok(ExitCode::from(1));
    }
    let wanted = json!({"account": args.account, "follower": args.follower});
    let (status, answer) = server.ask("/followers/erase", &wanted)?;
    let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    if status != 200 {
        bail!("{status} {} | {}", word("title"), word("detail"));
    }
    let was_known = answer.get("erased").and_then(Value::as_bool) == Some(true);
    print(if was_known {
        "已删除。数据库文件会在几分钟内重写,重写后文件里也找不到了;自己做的备份请另行处理。\n\
         Erased. The database's files are rewritten within minutes, then nothing is left in them; your own backups are yours to deal with.\n"
    } else {
        "没有这个粉丝的会话;其他地方的痕迹也清掉了。\nNo conversation of that follower; whatever else there was is gone.\n"
    })?;
    Ok(ExitCode::SUCCESS)
}

fn is_meant(args: &Args) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("不能撤销,请加 --yes 确认 | this cannot be undone: confirm with --yes");
    }
    complain(&format!(
        "要彻底删除公众号 {} 的粉丝 {},不能撤销。输入 yes 确认:\n\
         This erases follower {} of account {} for good. Type yes to confirm:",
        args.account, args.follower, args.follower, args.account
    ));
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}
