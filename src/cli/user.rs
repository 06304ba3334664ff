//! Adds, lists, disables and enables people, changes their role and their password, through the running server.
//! Owns: how that is asked for and shown. Uses: the server's API over loopback. Never: keeps a password; takes one as an argument.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use super::local::Local;
use super::{ConfigFile, complain, print};
use crate::model::Role;

/// The longest input that is taken for a password, in bytes.
const PASSWORD_INPUT: u64 = 4096;

/// 管理人员 | Manage people.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// 加一个人,打印初始密码(一天内有效,首次登录要改) | Add somebody; prints an initial password, good for one day
    Add(Add),
    /// 列出所有人 | List everybody
    List(ConfigFile),
    /// 停用:马上退出登录、下班 | Disable: sessions end at once, off duty
    Disable(Named),
    /// 重新启用 | Enable again
    Enable(Named),
    /// 改角色 | Give another role
    Role(ChangeRole),
    /// 重设密码 | Set another password
    Passwd(Passwd),
}

/// Somebody to add.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// 登录名 | The name for logging in
    name: String,
    /// 显示的名字 | The name that people read
    #[arg(long)]
    shown: Option<String>,
    /// 能做什么 | What they may do
    #[arg(long, default_value = "agent", value_parser = roles())]
    role: String,
    /// 是组长:改派会话、改时限和危机词 | They lead the others
    #[arg(long)]
    lead: bool,
    /// 只能看这些公众号(可以写多次);不写就是全部 | The accounts they reach, repeatable; without it all
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// 密码从标准输入读一行,不再生成 | Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Somebody.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// 登录名 | The name for logging in
    name: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Another role for somebody.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeRole {
    /// 登录名 | The name for logging in
    name: String,
    /// 能做什么 | What they may do
    #[arg(value_parser = roles())]
    role: String,
    /// 是组长 | They lead the others
    #[arg(long)]
    lead: bool,
    /// 不再是组长 | They do not lead any more
    #[arg(long, conflicts_with = "lead")]
    no_lead: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Another password for somebody.
#[derive(Debug, clap::Args)]
pub(super) struct Passwd {
    /// 登录名 | The name for logging in
    name: String,
    /// 密码从标准输入读一行,不再生成 | Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    config: ConfigFile,
}

fn roles() -> PossibleValuesParser {
    PossibleValuesParser::new(Role::ALL.iter().map(|(_, word)| *word))
}

/// Asks the running server.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::Add(args) => add(&args)?,
        Args::List(config) => print(&listing(&Local::find(&config.load()?)?.get("/users")?))?,
        Args::Disable(Named { name, config }) => {
            Local::find(&config.load()?)?.delete(&path(&name))?;
            complain("已停用 | disabled");
        }
        Args::Enable(Named { name, config }) => {
            let server = Local::find(&config.load()?)?;
            server.patch(&path(&name), &json!({"disabled": false}))?;
            complain("已启用 | enabled");
        }
        Args::Role(ChangeRole {
            name,
            role,
            lead,
            no_lead,
            config,
        }) => {
            let mut wanted = Map::from_iter([("role".to_owned(), json!(role))]);
            if lead || no_lead {
                wanted.insert("lead".to_owned(), json!(lead));
            }
            let server = Local::find(&config.load()?)?;
            server.patch(&path(&name), &Value::Object(wanted))?;
            complain("已改,原来的登录都退出了 | changed; their sessions have ended");
        }
        Args::Passwd(Passwd {
            name,
            password_stdin,
            config,
        }) => {
            let wanted = json!({"new": password(password_stdin)?});
            let server = Local::find(&config.load()?)?;
            let set = server.post(&format!("{}/password", path(&name)), &wanted)?;
            show_initial(&set)?;
            complain(
                "密码已换,原来的登录都退出了 | the password is another one; their sessions have ended",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add(args: &Add) -> anyhow::Result<()> {
    let wanted = json!({
        "name": args.name, "shown": args.shown, "role": args.role, "lead": args.lead, "accounts": args.accounts,
        "password": password(args.password_stdin)?,
    });
    let added = Local::find(&args.config.load()?)?.post("/users", &wanted)?;
    show_initial(&added)
}

/// Shows a password that was made, if one was.
fn show_initial(answer: &Value) -> anyhow::Result<()> {
    let initial = word(answer, "initial_password");
    if initial.is_empty() {
        return Ok(());
    }
    print(&format!("{initial}\n"))?;
    complain(
        "初始密码只显示这一次,一天内有效,首次登录后要改 | the initial password, shown this once: good for one day, to be changed at the first login",
    );
    Ok(())
}

/// The first line of the standard input, if it is asked for.
fn password(from_input: bool) -> anyhow::Result<Option<String>> {
    if !from_input {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORD_INPUT)
        .read_to_string(&mut text)
        .context("标准输入读不了 | cannot read standard input")?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Some(line.to_owned()))
}

/// One line a user: name, shown name, role, lead, accounts, what they are doing.
fn listing(users: &Value) -> String {
    let mut text = String::new();
    let list = |value: &Value, name: &str| -> Vec<Value> {
        let list = value.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let is = |value: &Value, name: &str| value.get(name) == Some(&Value::Bool(true));
    for user in list(users, "users") {
        let accounts = list(&user, "accounts");
        let accounts: Vec<&str> = accounts.iter().filter_map(Value::as_str).collect();
        let accounts = if accounts.is_empty() {
            "*".to_owned()
        } else {
            accounts.join(",")
        };
        let lead = if is(&user, "lead") { "lead" } else { "-" };
        let state = if is(&user, "disabled") {
            "停用 disabled"
        } else if is(&user, "on_duty") {
            "值班 on duty"
        } else {
            "下班 off duty"
        };
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{lead}\t{accounts}\t{state}",
            word(&user, "name"),
            word(&user, "shown"),
            word(&user, "role"),
        );
    }
    text
}

fn path(name: &str) -> String {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("/users/{name}")
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
