//! Writes messages the way the robots of chat groups want them, and reads what they answer.
//! Owns: their hosts, their JSON, their signatures, their codes. Uses: outbound's HMAC, base64. Never: opens a connection.
//!
//! Sources: WeCom 消息推送 (developer.work.weixin.qq.com/document/path/91770), DingTalk 自定义机器人接入 and 加签
//! (open.dingtalk.com), Feishu 自定义机器人使用指南 (open.feishu.cn), Slack incoming webhooks (docs.slack.dev).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::wording::Message;
use crate::model::Time;
use crate::model::alert::ChannelKind;
use crate::outbound::hmac_sha256;

/// WeCom takes 2048 bytes of text.
const WECOM_LIMIT: usize = 2048;
/// DingTalk and Feishu take bodies of 20 KB; a text of this length stays below it however it is escaped.
const TEXT_LIMIT: usize = 6000;

/// The hosts at which a kind of robot always lives.
pub(super) const fn hosts(kind: ChannelKind) -> &'static [&'static str] {
    match kind {
        ChannelKind::Wecom => &["qyapi.weixin.qq.com"],
        ChannelKind::Dingtalk => &["oapi.dingtalk.com"],
        ChannelKind::Feishu => &["open.feishu.cn", "open.larksuite.com"],
        ChannelKind::Slack => &["hooks.slack.com"],
        ChannelKind::Webhook | ChannelKind::Email => &[],
    }
}

/// The address to post to: DingTalk's signature stands in it.
pub(super) fn address(
    kind: ChannelKind,
    url: &str,
    secret: Option<&SecretString>,
    now: Time,
) -> String {
    let (ChannelKind::Dingtalk, Some(secret)) = (kind, secret) else {
        return url.to_owned();
    };
    let timestamp = now.millis().to_string();
    let secret = secret.expose_secret().as_bytes();
    let digest = hmac_sha256(secret, &[timestamp.as_bytes(), b"\n", secret]);
    let sign = STANDARD.encode(digest);
    let sign = utf8_percent_encode(&sign, NON_ALPHANUMERIC);
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}timestamp={timestamp}&sign={sign}")
}

/// The body to post.
pub(super) fn body(
    kind: ChannelKind,
    message: &Message,
    secret: Option<&SecretString>,
    now: Time,
) -> Value {
    match kind {
        ChannelKind::Wecom => {
            let text = message.text(WECOM_LIMIT, str::to_owned);
            let called: &[&str] = if message.calls_all { &["@all"] } else { &[] };
            json!({"msgtype": "text", "text": {"content": text, "mentioned_list": called}})
        }
        ChannelKind::Dingtalk => {
            let text = message.text(TEXT_LIMIT, str::to_owned);
            let at = json!({"isAtAll": message.calls_all});
            json!({"msgtype": "text", "text": {"content": text}, "at": at})
        }
        ChannelKind::Feishu => {
            let mut text = message.text(TEXT_LIMIT, without_tags);
            if message.calls_all {
                text.push_str("\n<at user_id=\"all\">所有人</at>");
            }
            let mut body = json!({"msg_type": "text", "content": {"text": text}});
            if let (Some(secret), Some(fields)) = (secret, body.as_object_mut()) {
                let timestamp = now.seconds().to_string();
                let key = format!("{timestamp}\n{}", secret.expose_secret());
                let sign = STANDARD.encode(hmac_sha256(key.as_bytes(), &[]));
                fields.insert("timestamp".to_owned(), timestamp.into());
                fields.insert("sign".to_owned(), sign.into());
            }
            body
        }
        ChannelKind::Slack | ChannelKind::Webhook | ChannelKind::Email => {
            let mut text = message.text(TEXT_LIMIT, escaped);
            if message.calls_all {
                text.push_str("\n<!channel>");
            }
            json!({"text": text})
        }
    }
}

/// Feishu knows a tag in a text, `<at …>`: nobody outside may write one.
fn without_tags(text: &str) -> String {
    text.replace('<', "〈")
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

/// WeCom and DingTalk say `errcode`, Feishu `code`, or `StatusCode` in its old form.
#[derive(Deserialize)]
struct Told {
    #[serde(alias = "errcode", alias = "StatusCode")]
    code: i64,
}

/// Feishu sends both forms at once, which is one key too many.
#[derive(Deserialize)]
struct Feishu {
    code: i64,
}

/// Whether a robot took the message. Robots answer 200 when they refuse.
///
/// # Errors
/// [`Failure`] as the robot says it.
pub(super) fn read(kind: ChannelKind, body: &[u8]) -> Result<(), Failure> {
    if kind == ChannelKind::Slack {
        return match body.trim_ascii() {
            b"ok" => Ok(()),
            _ => Err(Failure::Unreadable),
        };
    }
    let feishu = serde_json::from_slice::<Feishu>(body).map(|told| told.code);
    let code = feishu.or_else(|_| serde_json::from_slice::<Told>(body).map(|told| told.code));
    match code {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::Refused { kind, code }),
        Err(_not_one) => Err(Failure::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_780_459_200_123);

    fn message(heading: &str, calls_all: bool) -> Message {
        Message {
            heading: heading.to_owned(),
            blocks: vec!["<at user_id=\"all\">x</at> & y".to_owned()],
            more: 0,
            link: None,
            calls_all,
        }
    }

    #[test]
    fn signatures_are_those_that_others_compute() {
        // Both computed with Python's hmac and base64 as the platforms' pages show it.
        let secret = SecretString::from("SECthis is secret");
        let url = "https://oapi.dingtalk.com/robot/send?access_token=x";
        let address = address(ChannelKind::Dingtalk, url, Some(&secret), NOW);
        assert_eq!(
            address,
            format!(
                "{url}&timestamp=1780459200123&sign=bTj%2FqLHHKXenmSI6Bf6ehF8WogmejFEAxej%2B6fvWuLc%3D"
            )
        );
        let body = body(
            ChannelKind::Feishu,
            &message("h", false),
            Some(&secret),
            NOW,
        );
        assert_eq!(body["timestamp"], "1780459200");
        assert_eq!(body["sign"], "YR9wtnRxlv6tdEbFWxdZtgK4ODMZbbosdTlcMwXlUuY=");
    }

    #[test]
    fn nobody_outside_calls_the_whole_group() {
        let shown = |kind| body(kind, &message("h", false), None, NOW).to_string();
        assert!(!shown(ChannelKind::Feishu).contains("<at"));
        assert!(shown(ChannelKind::Slack).contains("&lt;at user_id"));
        let called = |kind| body(kind, &message("h", true), None, NOW);
        let wecom = called(ChannelKind::Wecom);
        assert_eq!(wecom["text"]["mentioned_list"], json!(["@all"]));
        assert_eq!(called(ChannelKind::Dingtalk)["at"]["isAtAll"], true);
        let feishu = called(ChannelKind::Feishu);
        let text = feishu["content"]["text"].as_str().unwrap();
        assert!(text.ends_with("<at user_id=\"all\">所有人</at>"), "{text}");
        assert!(shown(ChannelKind::Slack).len() < called(ChannelKind::Slack).to_string().len());
    }

    #[test]
    fn a_refusal_comes_with_status_200() {
        let refused = |kind, body: &str| match read(kind, body.as_bytes()) {
            Ok(()) => "ok".to_owned(),
            Err(failure) => failure.to_string(),
        };
        let wecom = ChannelKind::Wecom;
        assert_eq!(refused(wecom, r#"{"errcode":0,"errmsg":"ok"}"#), "ok");
        let limited = refused(
            wecom,
            r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
        );
        assert!(limited.contains("45009"), "{limited}");
        let dingtalk = ChannelKind::Dingtalk;
        let unsigned = refused(dingtalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#);
        assert!(unsigned.contains("310000"), "{unsigned}");
        let feishu = ChannelKind::Feishu;
        assert_eq!(
            refused(feishu, r#"{"code":0,"msg":"success","StatusCode":0}"#),
            "ok"
        );
        assert_eq!(
            refused(feishu, r#"{"StatusCode":0,"StatusMessage":"success"}"#),
            "ok"
        );
        let bad = refused(feishu, r#"{"code":19021,"msg":"sign match fail"}"#);
        assert!(bad.contains("19021"), "{bad}");
        assert_eq!(refused(ChannelKind::Slack, "ok"), "ok");
        for (kind, body) in [
            (wecom, "<html>"),
            (ChannelKind::Slack, "no_service"),
            (feishu, "{}"),
        ] {
            assert_eq!(refused(kind, body), Failure::Unreadable.to_string());
        }
    }
}
