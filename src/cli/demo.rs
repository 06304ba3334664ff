//! Shows the whole program without an account: server, sample rules, the pretend WeChat, a short conversation.
//! Owns: the stage and the script. Uses: server, simulator, rules. Never: a real account, secrets that outlive it.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::check::read;
use super::local::Local;
use super::simulate::{Typed, print_line, report, say, typed};
use super::try_out::{candidate_in_words, danger};
use super::{logging, sample};
use crate::clock::Clock;
use crate::config::LogFormat;
use crate::decide::tried::{Tried, tried};
use crate::decide::{ActiveRules, Memory, decide, inline};
use crate::hook::HookSettings;
use crate::model::desk::DeskSettings;
use crate::model::{AccountName, OpenId, State, TurnKey};
use crate::rules::{Asked, Lang, Options, compile};
use crate::server::{AccountSettings, Application, PublicUrl, Settings};
use crate::simulator::{self, Delivered, Follower, Shown, Wechat};
use crate::wechat::client::ClientSettings;
use crate::wechat::{Account, AesKey, Mode};

/// The demo's account.
const ACCOUNT: &str = "demo";
/// The follower who types.
const FOLLOWER: &str = "oDemoXiaoWang0000000000000001";
/// How long the demo waits for a push to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to start, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// 监听的地址 | Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// 数据目录;不写就用一个临时目录,退出时删掉 | Data directory; by default one that goes when the demo ends
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// 允许别的机器访问 | Let other machines in
    #[arg(long)]
    expose: bool,
}

impl Args {
    /// Plays the script, then takes typed lines where there is a terminal, and serves until Ctrl-C.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if !self.listen.ip().is_loopback() && !self.expose {
            bail!(
                "{} 会让别的机器连进来;真要这样,加上 --expose | other machines could reach {}; add --expose if you mean it",
                self.listen,
                self.listen
            );
        }
        logging::start("warn", LogFormat::Text)?;
        let passing = tempfile::Builder::new().prefix("wxreply-demo-").tempdir()?;
        let home = self
            .data
            .clone()
            .unwrap_or_else(|| passing.path().to_owned());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("runtime")?;
        runtime.block_on(self.serve(&home))
    }

    async fn serve(&self, home: &Path) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        sample::unpack(&home.join("rules"))?;
        let platform = simulator::Settings {
            observer: Some(Arc::new(print_line)),
            ..Default::default()
        };
        let wechat = Wechat::start(platform).context("the pretend WeChat")?;
        let settings = account(&wechat.api_base())?;
        let application = Application::build(self.settings(home, &wechat, &settings)?).await?;
        let at = application.address();
        let account = wechat.account(simulator::AccountSettings {
            callback: format!("http://{at}/wx/{ACCOUNT}"),
            ..settings
        });
        let stage = Stage {
            follower: account.follower(FOLLOWER),
            account,
            api: Local::at(at, "", home)?,
            rules: rules(home)?,
        };
        say(&format!(
            "服务在 http://{at} 运行,数据在 {} | serving",
            home.display()
        ))?;
        let (finished, script) = oneshot::channel();
        std::thread::spawn(move || {
            let played = stage.play().and_then(|()| stage.converse());
            // The server has stopped already: nobody asks how the script ended.
            let _ = finished.send(played);
        });
        let told = async {
            let ended = tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                ended = script => ended.unwrap_or_else(|_| Err(anyhow!("the script broke off"))),
            };
            if ended? == After::Serve {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            anyhow::Ok(())
        };
        let mut ended = Ok(());
        application
            .run_until(async { ended = told.await })
            .await
            .context("the listener failed")?;
        ended.map(|()| ExitCode::SUCCESS)
    }

    fn settings(
        &self,
        home: &Path,
        wechat: &Wechat,
        account: &simulator::AccountSettings,
    ) -> anyhow::Result<Settings> {
        let secret = |text: &str| SecretString::from(text.to_owned());
        let key = account
            .aes_key
            .as_deref()
            .context("the account is in secure mode")?;
        let account_settings = AccountSettings {
            account: Arc::new(Account::new(
                AccountName::parse(ACCOUNT)?,
                &*account.app_id,
                Mode::Secure,
                secret(&account.token),
                None,
                Some(AesKey::parse(key)?),
                None,
            )?),
            client: Some(ClientSettings {
                api_base: wechat.api_base(),
                app_id: account.app_id.clone(),
                secret: secret(&account.secret),
            }),
        };
        Ok(Settings {
            clock: Clock::system(),
            listen: self.listen,
            data: home.to_owned(),
            rules: home.join("rules"),
            public_url: PublicUrl::default(),
            timezone: jiff::tz::TimeZone::get("Asia/Shanghai")?,
            trusted_proxies: Vec::new(),
            max_skew: Duration::from_secs(600),
            deadline: Duration::from_millis(4500),
            desk: DeskSettings::default(),
            keep_messages: Duration::ZERO,
            hooks: HookSettings::default(),
            alerts: Vec::new(),
            accounts: vec![account_settings],
            api_token: None,
        })
    }
}

/// A verified account in secure mode, with secrets that nobody has seen before.
fn account(api_base: &str) -> anyhow::Result<simulator::AccountSettings> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|error| anyhow!("no randomness: {error}"))?;
    let name = format!("{ACCOUNT} {api_base} {}", u128::from_be_bytes(seed));
    let settings = simulator::AccountSettings::secure(&name, "");
    Ok(simulator::AccountSettings {
        name: ACCOUNT.to_owned(),
        any_media: true,
        ..settings
    })
}

fn rules(home: &Path) -> anyhow::Result<ActiveRules> {
    let compiled = compile(&read(&home.join("rules"))?, &Options::default());
    let set = compiled
        .rules
        .context("the rules directory has errors; see `wxreply check`")?;
    Ok(ActiveRules {
        set,
        revision: None,
    })
}

/// What happens when the conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// There was nobody to type: serve until told to stop.
    Serve,
    /// The person at the terminal has finished.
    Stop,
}

/// Everybody who takes part.
struct Stage {
    account: simulator::Account,
    follower: Follower,
    api: Local,
    rules: ActiveRules,
}

impl Stage {
    fn play(&self) -> anyhow::Result<()> {
        say("\n— 微信验证回调地址 | WeChat verifies the callback")?;
        self.account
            .verifies()
            .wait()
            .map_err(|error| anyhow!("{error}"))?;
        say("  ✓ echostr")?;
        say("\n— 规则回答 | a rule answers")?;
        self.says("几点开门?")?;
        say("\n— 点菜单 | a menu click")?;
        let tap = self.follower.taps_menu("MAP").wait();
        self.show(
            &self.follower,
            &tap,
            &Asked::Event {
                name: "menu",
                key: Some("MAP"),
            },
        )?;
        say("\n— 没有规则管,转给人 | no rule covers it: a person must answer")?;
        self.says("能不能包场?")?;
        say("\n— 危机词,先于一切规则 | words of danger, before every rule")?;
        self.says("吃出异物,我要投诉!")?;
        say(
            "\n— 客服在接口里回答,推送到粉丝手机 | an agent answers through the API; it arrives by push",
        )?;
        self.answer(
            &self.follower,
            "非常抱歉,人有没有不舒服?我是值班经理,马上核实,十分钟内给你答复。",
        )?;
        self.state(&self.follower)
    }

    /// Takes lines from the terminal until they end.
    fn converse(&self) -> anyhow::Result<After> {
        if !io::stdin().is_terminal() {
            say("\n服务继续运行,按 Ctrl-C 退出 | serving until Ctrl-C")?;
            return Ok(After::Serve);
        }
        say(
            "\n现在你来打字:直接写就是粉丝说话,「/agent 话」是客服回答,/help 看别的,/quit 退出 | type as a follower",
        )?;
        let mut follower = self.follower.clone();
        let mut last: Option<Delivered> = None;
        for line in io::stdin().lock().lines() {
            let line = line.context("stdin")?;
            if line.trim().is_empty() {
                continue;
            }
            if let Some(words) = line.strip_prefix("/agent ") {
                // A refusal is told, not the end.
                self.answer(&follower, words)
                    .or_else(|error| say(&format!("  ✗ {error:#}")))?;
                continue;
            }
            match typed(&line, &self.account, &follower, last.as_ref()) {
                Typed::Push(push) => {
                    let delivered = push.wait();
                    self.show(&follower, &delivered, &Asked::Say(&line))?;
                    last = Some(delivered);
                }
                Typed::Become(other) => {
                    follower = other;
                    last = None;
                }
                Typed::Say(text) => say(&text)?,
                Typed::Quit => return Ok(After::Stop),
            }
        }
        Ok(After::Stop)
    }

    fn says(&self, words: &str) -> anyhow::Result<()> {
        let delivered = self.follower.says(words).wait();
        self.show(&self.follower, &delivered, &Asked::Say(words))
    }

    /// Prints how the message travelled, what the rules found, and where the conversation stands.
    fn show(
        &self,
        follower: &Follower,
        delivered: &Delivered,
        asked: &Asked<'_>,
    ) -> anyhow::Result<()> {
        let good = report(delivered)?;
        let account = AccountName::parse(ACCOUNT)?;
        let message = inline::incoming(asked, &OpenId::parse(follower.openid())?);
        let memory = Memory::empty(account, TurnKey::of_text(&asked.to_string()));
        let now = Clock::system().now();
        let step = decide(&message, &memory, &self.rules, now);
        let Tried {
            candidates, crisis, ..
        } = tried(&step, &message, &self.rules.set, now);
        if let Some(crisis) = &crisis {
            say(&format!("  决定  危机词{}", danger(crisis)))?;
        } else if candidates.is_empty() {
            say("  决定  没有规则对得上")?;
        }
        for candidate in &candidates {
            say(&format!(
                "  决定  {}",
                candidate_in_words(candidate, asked, Lang::Zh).replace('\n', " ")
            ))?;
        }
        self.state(follower)?;
        if good {
            Ok(())
        } else {
            Err(anyhow!("the delivery failed"))
        }
    }

    fn state(&self, follower: &Follower) -> anyhow::Result<()> {
        let Some(conversation) = self.conversation(follower)? else {
            return Ok(());
        };
        let word = conversation
            .get("state")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let meaning = State::named(word).map_or("", in_chinese);
        say(&format!("  会话  {word}({meaning})"))
    }

    fn conversation(&self, follower: &Follower) -> anyhow::Result<Option<Value>> {
        let list = self
            .api
            .get(&format!("/conversations?follower={}", follower.openid()))?;
        Ok(list.pointer("/conversations/0").cloned())
    }

    /// Answers as an agent, and waits until the answer is on the phone or is kept for later.
    fn answer(&self, follower: &Follower, words: &str) -> anyhow::Result<()> {
        let conversation = self
            .conversation(follower)?
            .context("这个粉丝还没有会话 | no conversation yet")?;
        let id = conversation
            .get("id")
            .and_then(Value::as_str)
            .context("id")?;
        let answer = self.api.post(
            &format!("/conversations/{id}/replies"),
            &json!({ "text": words }),
        )?;
        let delivery = answer
            .pointer("/message/delivery")
            .and_then(Value::as_str)
            .unwrap_or_default();
        say(&format!("客服     ▶ {words}"))?;
        if delivery == "held" {
            return say("  · 现在不能推送:留言待取,粉丝下次来就能看到 | held for the next visit");
        }
        let wanted = words.to_owned();
        let arrived = move |phone: &[Shown]| {
            phone
                .iter()
                .any(|shown| shown.sight.text().is_some_and(|text| text == wanted))
        };
        if !follower.sees(PATIENCE, arrived).wait() {
            bail!("推送没有到 | the push did not arrive");
        }
        self.settled(id)
    }

    /// Waits until the server has written down that the push arrived; the phone shows it a moment earlier.
    fn settled(&self, id: &str) -> anyhow::Result<()> {
        let end = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < end {
            let conversation = self.api.get(&format!("/conversations/{id}"))?;
            let delivery = conversation.pointer("/last_message/delivery");
            if !matches!(delivery.and_then(Value::as_str), Some("queued" | "sending")) {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }
}

const fn in_chinese(state: State) -> &'static str {
    match state {
        State::Bot => "规则在答",
        State::Waiting => "等人接",
        State::Assigned => "有人接了",
        State::Follower => "等粉丝",
        State::Held => "留言待取",
        State::External => "在微信自带的客服",
        State::Snoozed => "暂放",
        State::Closed => "已结束",
    }
}
