//! Names what the server must be told before it starts.
//! Owns: the server's settings and the public address. Uses: wechat, model. Never: TOML, the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::clock::Clock;
use crate::hook::HookSettings;
use crate::model::desk::DeskSettings;
use crate::outbound::AllowedHost;
use crate::wechat::Account;
use crate::wechat::client::ClientSettings;

/// Under which path pictures are served; `-` is no account's name.
pub(super) const MEDIA_PATH: &str = "/wx/-/media/";

/// What the server must be told; each field is a key of `wxreply.toml`.
#[derive(Debug)]
pub struct Settings {
    /// What time it is.
    pub clock: Clock,
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The directory of the store.
    pub data: PathBuf,
    /// The directory of the rule files.
    pub rules: PathBuf,
    /// The address seen from outside.
    pub public_url: PublicUrl,
    /// The zone of times in rules.
    pub timezone: jiff::tz::TimeZone,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Timestamps further off are refused; zero turns it off.
    pub max_skew: Duration,
    /// The latest answer to WeChat.
    pub deadline: Duration,
    /// What the rules' own settings start from.
    pub desk: DeskSettings,
    /// How long messages are kept; zero means for ever.
    pub keep_messages: Duration,
    /// Whom rules may ask.
    pub hooks: HookSettings,
    /// To whom alerts may go, beside those whom rules may ask.
    pub alerts: Vec<AllowedHost>,
    /// The accounts; at least one.
    pub accounts: Vec<AccountSettings>,
    /// A token with all rights.
    pub api_token: Option<SecretString>,
}

/// One account.
#[derive(Debug)]
pub struct AccountSettings {
    /// What its callback needs.
    pub account: Arc<Account>,
    /// What pushing needs; without it nothing is pushed.
    pub client: Option<ClientSettings>,
}

/// An `http` or `https` address: scheme, host, optional port, optional path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    prefix: String,
}

impl PublicUrl {
    /// Reads an address; `None` when it is not one, or carries a user, a query or a fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: actix_web::http::Uri = text.parse().ok()?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let authority = uri.authority()?;
        let prefix = uri.path().trim_end_matches('/');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        let is_clean =
            uri.query().is_none() && !text.contains('#') && !authority.as_str().contains('@');
        let is_path =
            prefix.chars().all(is_plain) && !prefix.contains("//") && !prefix.contains("/.");
        (is_clean && is_path && !authority.host().is_empty()).then(|| Self {
            origin: format!("{scheme}://{authority}"),
            prefix: prefix.to_owned(),
        })
    }

    /// The path under which every route is mounted: empty, or `/…` without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What stands before the name of a picture that is served; `None` when nobody said how the server is reached.
    pub fn media_url(&self) -> Option<Box<str>> {
        let Self { origin, prefix } = self;
        (!origin.is_empty()).then(|| format!("{origin}{prefix}{MEDIA_PATH}").into())
    }

    /// What stands before the path of a page; `None` when nobody said how the server is reached.
    pub fn pages(&self) -> Option<String> {
        let Self { origin, prefix } = self;
        (!origin.is_empty()).then(|| format!("{origin}{prefix}"))
    }

    /// Whether the way there is encrypted.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Whether it leads to this machine.
    pub fn is_loopback(&self) -> bool {
        let Some(uri) = self.origin.parse::<actix_web::http::Uri>().ok() else {
            return false;
        };
        let host = uri.host().unwrap_or("").trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_may_carry_a_prefix_and_nothing_else() {
        let prefix = |text: &str| PublicUrl::parse(text).map(|url| url.prefix().to_owned());
        assert_eq!(prefix("https://wx.example.com"), Some(String::new()));
        assert_eq!(prefix("https://wx.example.com/"), Some(String::new()));
        assert_eq!(
            prefix("https://wx.example.com:8443/bot/"),
            Some("/bot".to_owned())
        );
        for bad in [
            "wx.example.com",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x/?a=1",
            "https://x/#a",
            "https://x/a//b",
            "https://x/../b",
            "https://x/{a}",
            "https://x/中",
        ] {
            assert_eq!(prefix(bad), None, "{bad}");
        }
    }

    #[test]
    fn pictures_are_found_under_the_public_address() {
        let url = PublicUrl::parse("https://wx.example.com/bot/").unwrap();
        let expected = "https://wx.example.com/bot/wx/-/media/";
        assert_eq!(url.media_url().as_deref(), Some(expected));
        assert_eq!(PublicUrl::default().media_url(), None);
    }

    #[test]
    fn loopback_is_told_from_the_host() {
        for (text, expected) in [
            ("http://127.0.0.1:9/x", true),
            ("http://[::1]:9", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(
                PublicUrl::parse(text).unwrap().is_loopback(),
                expected,
                "{text}"
            );
        }
    }
}
