//! Runs the pretend WeChat against any callback: single deliveries, or a conversation typed line by line.
//! Owns: the flags and the typed commands. Uses: simulator. Never: a configuration file, the real WeChat.

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::clock::Clock;
use crate::model::Reply;
use crate::simulator::http::Address;
use crate::simulator::{
    Account, AccountSettings, Delivered, Follower, Mode, Push, Settings, Shown, Sight, Wechat,
};

/// 假装成微信,向一个回调地址发消息,打印粉丝看到的一切
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// 被测服务器的回调地址
    #[arg(long, value_name = "URL")]
    callback: String,
    /// 公众号的 AppID
    #[arg(long, value_name = "ID")]
    app_id: String,
    /// 回调的 Token
    #[arg(long)]
    token: String,
    /// 43 个字符的 EncodingAESKey;明文模式不用给
    #[arg(long, value_name = "KEY")]
    aes_key: Option<String>,
    /// plain、compatible 或 secure;默认:有密钥就是 secure,没有就是 plain
    #[arg(long)]
    mode: Option<Mode>,
    /// AppSecret;给了才提供接口(客服消息等)
    #[arg(long)]
    secret: Option<String>,
    /// 接口监听的地址
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// 公众号的原始 ID
    #[arg(long, value_name = "GH_ID", default_value = "gh_0123456789ab")]
    gh_id: String,
    /// 粉丝的 openid
    #[arg(
        long,
        value_name = "OPENID",
        default_value = "oSimulatedFollower0000000001"
    )]
    follower: String,
    /// 先验证回调地址(GET)
    #[arg(long)]
    verify: bool,
    /// 发一个事件:subscribe、unsubscribe、scan、click、view 或任意名字
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// 事件的 EventKey,例如菜单的 key 或二维码的场景值
    #[arg(long, requires = "event")]
    key: Option<String>,
    /// 依次发送的文字;什么都不给就逐行读标准输入
    text: Vec<String>,
}

/// What the typed commands do.
const HELP: &str = "直接输入文字就是发消息;还可以:
/menu KEY     点菜单        /scan SCENE   扫二维码
/follow       关注          /unfollow     取消关注
/image        发图片        /voice 文字   发语音(带识别结果)
/repeat       微信重发上一条 /as OPENID    换一个粉丝
/help         这段说明      /quit         结束";

impl Args {
    /// Delivers what the command line says, or what is typed. Exit status 1 when a delivery was rejected.
    ///
    /// # Errors
    /// Usage: an unusable key or address, a mode without its key.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.account()?;
        let wechat = Wechat::start(Settings {
            listen: self.listen,
            clock: Clock::system(),
            observer: Some(Arc::new(print_line)),
            ..Settings::default()
        })
        .with_context(|| format!("无法监听 {}", self.listen))?;
        if self.secret.is_some() {
            say(&format!("接口 API:{}", wechat.api_base()))?;
        }
        let account = wechat.account(settings);
        let mut good = true;
        if self.verify {
            match account.verifies().wait() {
                Ok(()) => say("验证成功:回调地址原样返回了 echostr")?,
                Err(reason) => {
                    good = false;
                    say(&format!("验证失败:{reason}"))?;
                }
            }
        }
        let follower = account.follower(&self.follower);
        let event = self.event.as_deref().map(|name| {
            let key = self.key.as_deref();
            event(&follower, name, key)
        });
        let texts = self.text.iter().map(|text| follower.says(text));
        let pushes: Vec<_> = event.into_iter().chain(texts).collect();
        if pushes.is_empty() && !self.verify {
            good &= converse(&account, follower)?;
        }
        for push in pushes {
            good &= report(&push.wait())?;
        }
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn account(&self) -> anyhow::Result<AccountSettings> {
        let mode = self.mode.unwrap_or(match self.aes_key {
            Some(_) => Mode::Secure,
            None => Mode::Plain,
        });
        let settings = AccountSettings {
            gh_id: self.gh_id.clone(),
            app_id: self.app_id.clone(),
            token: self.token.clone(),
            secret: self.secret.clone().unwrap_or_default(),
            aes_key: self.aes_key.clone(),
            mode,
            // Nobody knows what was uploaded to the real account.
            any_media: true,
            ..AccountSettings::plain("simulate", &self.callback)
        };
        if Address::parse(&self.callback).is_err() {
            bail!("--callback 要写完整的 http:// 或 https:// 地址");
        }
        if mode != Mode::Plain && !settings.has_key() {
            bail!("这个模式需要 --aes-key:43 个字母和数字");
        }
        Ok(settings)
    }
}

fn event(follower: &Follower, name: &str, key: Option<&str>) -> Push {
    match (name.to_ascii_lowercase().as_str(), key) {
        ("subscribe", key) => follower.follows(key.map(|key| key.trim_start_matches("qrscene_"))),
        ("unsubscribe", _) => follower.unfollows(),
        ("scan", key) => follower.scans(key.unwrap_or_default()),
        ("click" | "menu", key) => follower.taps_menu(key.unwrap_or_default()),
        ("view", key) => follower.opens_page(key.unwrap_or_default()),
        (_, Some(key)) => follower.causes(name, &[("EventKey", key)]),
        (_, None) => follower.causes(name, &[]),
    }
}

/// What a typed line asks for.
pub(super) enum Typed {
    Push(Push),
    /// Somebody else types from now on.
    Become(Follower),
    /// Nothing to send, but something to say.
    Say(String),
    Quit,
}

/// Reads lines until they end; says whether every delivery was good.
fn converse(account: &Account, mut follower: Follower) -> anyhow::Result<bool> {
    if io::stdin().is_terminal() {
        say(HELP)?;
    }
    let mut good = true;
    let mut last: Option<Delivered> = None;
    for line in io::stdin().lock().lines() {
        let line = line.context("读不了标准输入")?;
        if line.trim().is_empty() {
            continue;
        }
        match typed(&line, account, &follower, last.as_ref()) {
            Typed::Push(push) => {
                let delivered = push.wait();
                good &= report(&delivered)?;
                last = Some(delivered);
            }
            Typed::Become(other) => {
                follower = other;
                last = None;
            }
            Typed::Say(text) => say(&text)?,
            Typed::Quit => break,
        }
    }
    Ok(good)
}

pub(super) fn typed(
    line: &str,
    account: &Account,
    follower: &Follower,
    last: Option<&Delivered>,
) -> Typed {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    Typed::Push(match word {
        "/quit" => return Typed::Quit,
        "/help" => return Typed::Say(HELP.to_owned()),
        "/as" if rest.is_empty() => return Typed::Say("要写 openid:/as OPENID".to_owned()),
        "/as" => return Typed::Become(account.follower(rest)),
        "/repeat" => match last {
            Some(last) => follower.repeats(last),
            None => return Typed::Say("还没有发过".to_owned()),
        },
        "/menu" => follower.taps_menu(rest),
        "/scan" => follower.scans(rest),
        "/follow" => follower.follows(None),
        "/unfollow" => follower.unfollows(),
        "/image" => follower.sends_image(),
        "/voice" => follower.sends_voice(Some(rest).filter(|heard| !heard.is_empty())),
        unknown if unknown.starts_with('/') => {
            return Typed::Say(format!("没有 {unknown} 这个命令\n{HELP}"));
        }
        _ => follower.says(line),
    })
}

/// Prints what the phone does not show of a delivery; says whether it was good.
pub(super) fn report(delivered: &Delivered) -> anyhow::Result<bool> {
    let took = delivered.elapsed.as_millis();
    let attempts = delivered.attempts;
    let line = match (&delivered.fault, &delivered.reply) {
        (Some(fault), _) if delivered.status.is_some() => format!("  ✗ 回复无效:{fault}"),
        (Some(fault), _) => format!("  ✗ 发了 {attempts} 次,没有得到回复:{fault}"),
        (None, None) => match &delivered.agent {
            Some(agent) => format!("  · 没有推送:粉丝正由微信自带的客服 {agent} 接待"),
            None => format!("  · 无回复(success),{took} 毫秒"),
        },
        (None, Some(reply)) => {
            let sealed = if reply.sealed { "密文" } else { "明文" };
            let what = match reply.content {
                Reply::Transfer { .. } => "转给微信自带的客服",
                _ => "回复",
            };
            format!("  · {sealed}{what},{took} 毫秒,发了 {attempts} 次")
        }
    };
    say(&line)?;
    Ok(delivered.fault.is_none())
}

/// One line of a phone, as it appears.
pub(super) fn print_line(openid: &str, shown: &Shown) {
    let short: String = openid.chars().take(8).collect();
    let line = match &shown.sight {
        Sight::Own(text) => format!("{short} ▶ {text}"),
        Sight::Reply(reply) => format!("{short} ◀ {reply}"),
        Sight::Pushed(pushed) => format!("{short} ◀ [客服] {pushed}"),
        Sight::Typing | Sight::FaultNotice => format!("{short} ◀ {}", shown.sight),
    };
    // A closed pipe: there is nobody left to tell.
    let _ = say(&line);
}

pub(super) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
