//! Understands the values of keys, or says in two languages what is wrong with them.
//! Owns: the meaning and limits of each value. Uses: the types that values become. Never: where a value came from.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::LogFormat;
use crate::model::conversation::HELD_FOR;
use crate::model::reply::TEXT_LIMIT;
use crate::outbound::AllowedHost;
use crate::server::PublicUrl;
use crate::wechat::{AesKey, Mode};

/// WeChat waits five seconds; the answer must leave before.
const LONGEST_DEADLINE: Duration = Duration::from_millis(4900);
/// What is wrong with a value, in Chinese and in English.
pub(super) type Wrong = (String, String);

fn wrong(zh: impl Into<String>, en: impl Into<String>) -> Wrong {
    (zh.into(), en.into())
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    let text = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_error| {
        wrong(
            "应该是 IP:端口,例如 127.0.0.1:8080",
            "must be IP:PORT, such as 127.0.0.1:8080",
        )
    })
}

pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() {
        Err(wrong("不能为空", "must not be empty"))
    } else {
        Ok(text.into())
    }
}

pub(super) fn public_url(text: &str) -> Result<PublicUrl, Wrong> {
    PublicUrl::parse(text).ok_or_else(|| {
        wrong(
            "应该是 http(s)://主机/前缀,不含 ? 和 #",
            "must be http(s)://HOST/PREFIX without query or fragment",
        )
    })
}

pub(super) fn timezone(text: &str) -> Result<jiff::tz::TimeZone, Wrong> {
    jiff::tz::TimeZone::get(text).map_err(|_error| {
        wrong(
            "不是时区名,例如 Asia/Shanghai",
            "is not the name of a time zone, such as Asia/Shanghai",
        )
    })
}

pub(super) fn network(text: &str) -> Result<IpNet, Wrong> {
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| single())
        .map_err(|_error| {
            wrong(
                format!("里的 {text:?} 不是网段,例如 10.0.0.0/8"),
                format!("has {text:?}, which is not a network such as 10.0.0.0/8"),
            )
        })
}

pub(super) fn hook_host(text: &str) -> Result<AllowedHost, Wrong> {
    AllowedHost::parse(text).map_err(|_error| {
        wrong(
            format!("里的 {text:?} 不是主机,例如 erp.example.com、*.example.org、http://10.0.0.5:8080,只写到端口为止"),
            format!("has {text:?}, which is not a host such as erp.example.com, *.example.org or http://10.0.0.5:8080, without a path"),
        )
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok());
    parsed.ok_or_else(|| {
        wrong(
            "应该是时长,例如 \"10m\"、\"4500ms\"",
            "must be a duration, such as \"10m\" or \"4500ms\"",
        )
    })
}

/// Days or weeks, or shorter units; zero means for ever.
pub(super) fn keep_messages(text: &str) -> Result<Duration, Wrong> {
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let span = text.parse::<jiff::Span>().ok();
    let lasts = span.and_then(|span| span.to_duration(days).ok());
    let lasts = lasts.and_then(|lasts| Duration::try_from(lasts).ok());
    match lasts {
        Some(lasts) if lasts.is_zero() || lasts >= HELD_FOR => Ok(lasts),
        _ => Err(wrong(
            "应该是天数,例如 \"180d\",至少 7d;\"0d\" 表示一直保留",
            "must be days, such as \"180d\", 7d at least; \"0d\" keeps them for ever",
        )),
    }
}

pub(super) fn deadline(text: &str) -> Result<Duration, Wrong> {
    let deadline = duration(text)?;
    if deadline.is_zero() || deadline > LONGEST_DEADLINE {
        return Err(wrong(
            "应该大于 0,不超过 4900ms",
            "must be more than 0 and at most 4900ms",
        ));
    }
    Ok(deadline)
}

pub(super) fn ack(text: &str) -> Result<Arc<str>, Wrong> {
    if text.len() > TEXT_LIMIT {
        return Err(wrong(
            format!("有 {} 字节,微信最多收 {TEXT_LIMIT}", text.len()),
            format!(
                "has {} bytes, WeChat takes at most {TEXT_LIMIT}",
                text.len()
            ),
        ));
    }
    Ok(text.into())
}

pub(super) fn log_filter(text: &str) -> Result<String, Wrong> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(wrong(
            "不是 RUST_LOG 写法,例如 info",
            "is not in the syntax of RUST_LOG, such as info",
        )),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(wrong("应该是 text 或 json", "must be text or json")),
    }
}

pub(super) fn app_id(text: &str) -> Result<String, Wrong> {
    if text.is_empty()
        || text.len() > 64
        || !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        return Err(wrong(
            "应该是公众平台上的 AppID,wx 开头",
            "must be the AppID of the platform's page, wx…",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn mode(text: &str) -> Result<Mode, Wrong> {
    match text {
        "plain" => Ok(Mode::Plain),
        "compatible" => Ok(Mode::Compatible),
        "secure" => Ok(Mode::Secure),
        _ => Err(wrong(
            "应该是 plain、compatible 或 secure",
            "must be plain, compatible or secure",
        )),
    }
}

pub(super) fn secret(text: &str) -> Result<SecretString, Wrong> {
    if text.is_empty() {
        Err(wrong("不能为空", "must not be empty"))
    } else {
        Ok(text.into())
    }
}

pub(super) fn encoding_key(text: &str) -> Result<AesKey, Wrong> {
    AesKey::parse(text).map_err(|_error| {
        wrong(
            "应该是 43 个字母和数字(EncodingAESKey)",
            "must be 43 letters and digits (EncodingAESKey)",
        )
    })
}

pub(super) fn api_base(text: &str) -> Result<String, Wrong> {
    let bad = || {
        wrong(
            "应该是 https:// 地址(本机可以用 http://)",
            "must be an https:// address (http:// on this machine only)",
        )
    };
    let url = PublicUrl::parse(text).ok_or_else(bad)?;
    if url.is_https() || url.is_loopback() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(bad())
    }
}
