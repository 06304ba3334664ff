//! Makes, lists and revokes API tokens of the running server.
//! Owns: how they are asked for and shown. Uses: the server's API over loopback. Never: keeps a token's text.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::local::Local;
use super::{ConfigFile, complain, print};
use crate::model::Role;

/// 管理接口令牌 | Make, list and revoke API tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// 新建一个令牌,内容只显示这一次 | Make a token; its text is shown this once
    Add(Add),
    /// 列出令牌 | List the tokens
    List(ConfigFile),
    /// 作废一个令牌 | Revoke a token
    Revoke(Revoke),
}

/// The token to make.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// 名字 | Its name
    name: String,
    /// 能做什么 | What it may do
    #[arg(long, default_value = "agent", value_parser = PossibleValuesParser::new(Role::ALL.iter().map(|(_, word)| *word)))]
    role: String,
    /// 只能看这些公众号(可以写多次);不写就是全部 | The accounts it reaches, repeatable; without it all
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// The token to revoke.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// 名字 | Its name
    name: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Asks the running server.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::Add(Add {
            name,
            role,
            accounts,
            config,
        }) => {
            let wanted = json!({"name": name, "role": role, "accounts": accounts});
            let made = Local::find(&config.load()?)?.post("/tokens", &wanted)?;
            print(&format!("{}\n", word(&made, "secret")))?;
            complain("请现在就存好,不会再显示 | keep it now, it is not shown again");
        }
        Args::List(config) => print(&listing(&Local::find(&config.load()?)?.get("/tokens")?))?,
        Args::Revoke(Revoke { name, config }) => {
            let name: String =
                percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC)
                    .collect();
            Local::find(&config.load()?)?.delete(&format!("/tokens/{name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One line a token: name, role, accounts, when it was made.
fn listing(tokens: &Value) -> String {
    let mut text = String::new();
    for token in tokens
        .get("tokens")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let accounts = token
            .get("accounts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let accounts: Vec<&str> = accounts.filter_map(Value::as_str).collect();
        let accounts = if accounts.is_empty() {
            "*".to_owned()
        } else {
            accounts.join(",")
        };
        let _ = writeln!(
            text,
            "{}\t{}\t{accounts}\t{}",
            word(token, "name"),
            word(token, "role"),
            word(token, "created_at")
        );
    }
    text
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
