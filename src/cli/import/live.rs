//! Asks WeChat for the rules of its console, and for the media they name.
//! Owns: what WeChat's refusals mean to an operator. Uses: config, wechat's client. Never: prints a secret or a token.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use tokio::runtime::Runtime;

use super::landing::Landing;
use crate::clock::Clock;
use crate::config::Config;
use crate::model::AccountName;
use crate::rules::diagnostic::Words;
use crate::rules::import::native::{Console, Hosted, Wanted};
use crate::wechat::{Client, SendError};

/// An account that can call WeChat.
pub(super) struct Account {
    client: Client,
    runtime: Runtime,
    /// Whether the configuration has other accounts.
    pub(super) has_siblings: bool,
}

impl Account {
    /// Finds an account of the configuration.
    pub(super) fn find(config: &Config, name: &AccountName) -> anyhow::Result<Self> {
        let accounts = &config.server.accounts;
        let Some(found) = accounts.iter().find(|one| one.account.name == *name) else {
            let names: Vec<&str> = accounts
                .iter()
                .map(|one| one.account.name.as_str())
                .collect();
            bail!(
                "配置里没有公众号 {name},有这些 | no account {name}, there are: {}",
                names.join(", ")
            );
        };
        let settings = found.client.clone().with_context(|| {
            format!("公众号 {name} 没有 secret,问不了微信 | account {name} has no secret to ask WeChat with")
        })?;
        let clock = Clock::system();
        let now = Arc::new(move || clock.now());
        Ok(Self {
            client: Client::new(settings, now),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            has_siblings: accounts.len() > 1,
        })
    }

    /// WeChat's answer.
    pub(super) fn rules(&self) -> anyhow::Result<Vec<u8>> {
        let asked = self.runtime.block_on(self.client.autoreply_info());
        asked.map_err(|error| anyhow!("{error}{}", remedy(&error)))
    }

    /// Fetches media and puts them beside the rules. What cannot be had is said there, and is no error.
    pub(super) fn media(&self, console: &Console, landing: &mut Landing) -> anyhow::Result<Hosted> {
        let mut hosted = Hosted::new();
        for wanted in console.media() {
            let path = self.fetch(&wanted, landing)?;
            hosted.insert(wanted.media_id, path);
        }
        Ok(hosted)
    }

    fn fetch(
        &self,
        wanted: &Wanted,
        landing: &mut Landing,
    ) -> anyhow::Result<Result<String, Words>> {
        if !landing.has_directory() {
            return Ok(Err(Words::new(
                "写到标准输出时不下载",
                "not downloaded when the rules go to standard output",
            )));
        }
        let download = self.client.download(&wanted.media_id, wanted.kind.limit());
        let bytes = match self.runtime.block_on(download) {
            Ok(bytes) => bytes,
            Err(error) => {
                // The same refusal has another `rid` each time; it stays out of a file that is written again.
                let why = error.to_string();
                let why = why.split(" rid: ").next().unwrap_or_default();
                let words = format!("{why}{}", remedy(&error).replace('\n', "; "));
                return Ok(Err(Words::new(
                    format!("下载不了:{words}"),
                    format!("not to be downloaded: {words}"),
                )));
            }
        };
        Ok(landing.save(wanted.kind, &bytes)?.ok_or_else(|| {
            let formats = wanted.kind.formats();
            Words::new(
                format!("下载下来的不是 {formats},微信不收"),
                format!("what came is not {formats}, which WeChat takes"),
            )
        }))
    }
}

/// What an operator can do about a refusal, on a line of its own.
fn remedy(error: &SendError) -> String {
    let SendError::Refused { code, message } = error else {
        return String::new();
    };
    let remedy = match code {
        40164 => {
            return match address(message) {
                Some(ip) => format!(
                    "\n把 {ip} 加进微信后台「开发接口管理 → IP 白名单」 | add {ip} to the IP allow-list of WeChat's console"
                ),
                None => "\n把这台机器的 IP 加进微信后台的 IP 白名单 | add this machine's IP to the allow-list of WeChat's console".to_owned(),
            };
        }
        40013 => "app_id 不对 | app_id is wrong",
        40001 | 40125 => {
            "secret 不对,或在后台重置过 | the secret is wrong, or was reset in the console"
        }
        40243 => "secret 在后台被冻结了,去解冻 | the secret is frozen; unfreeze it in the console",
        40007 => "素材已过期 | the media have expired",
        45009 => "今天的调用次数用完了,明天再来 | today's calls are used up; come again tomorrow",
        48001 => "这个公众号没有这个接口的权限 | the account may not call this",
        89501 | 89503 => {
            "要管理员在微信里确认这个 IP | the administrator must confirm this IP in WeChat"
        }
        89506 | 89507 => {
            "管理员拒绝了这个 IP,过一阵再试 | the administrator refused this IP; try again later"
        }
        _ => return String::new(),
    };
    format!("\n{remedy}")
}

/// The address that WeChat saw: `invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist`.
fn address(message: &str) -> Option<std::net::IpAddr> {
    message
        .split(|c: char| c.is_whitespace() || c == ',')
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_allow_is_named() {
        let refused = |message: &str| SendError::Refused {
            code: 40164,
            message: message.to_owned(),
        };
        let told = remedy(&refused(
            "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 6653-ab",
        ));
        assert!(told.contains("add 203.0.113.7 to"), "{told}");
        let told = remedy(&refused("invalid ip 2001:db8::1, not in whitelist"));
        assert!(told.contains("add 2001:db8::1 to"), "{told}");
        assert!(remedy(&refused("not in whitelist")).contains("this machine's IP"));
    }
}
