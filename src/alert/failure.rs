//! Says why a channel did not take a message, in words that hold no secret.
//! Owns: the words, which failures time alone does not mend. Uses: outbound, model. Never: what the other side wrote.

use std::time::Duration;

use crate::model::alert::ChannelKind;
use crate::outbound::Fault;

/// Robots that were asked too often want to be left alone this long, whatever they say.
const AFTER_TOO_MANY: Duration = Duration::from_secs(60);

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The host is not listed, or leads to a private address that is not.
    #[error("地址不在允许名单里:请写进 wxreply.toml 的 [alerts] allow")]
    Forbidden,
    /// The variable of `env:NAME` is not set.
    #[error("环境变量没有设,或者名字里没有 HOOK")]
    NoVariable,
    /// The address, the sender or a receiver cannot be understood.
    #[error("地址写得不对")]
    BadAddress,
    /// No connection.
    #[error("连不上")]
    Unreachable,
    /// No answer in time.
    #[error("等了太久没有回应")]
    Timeout,
    /// The answer is not what this kind of channel answers.
    #[error("对方的回应看不懂")]
    Unreadable,
    /// HTTP says no.
    #[error("对方回应 HTTP {status}")]
    Status {
        /// What it says.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A robot says no.
    #[error("机器人拒绝:{code}{}", meaning(*kind, *code))]
    Refused {
        /// Which robot.
        kind: ChannelKind,
        /// Its code.
        code: i64,
    },
    /// A mail server says no.
    #[error("邮件服务器拒绝:{code}{}", mail_meaning(*code))]
    Mail {
        /// Its code; 0 where it gave none.
        code: u16,
    },
    /// TLS could not be agreed on.
    #[error("加密连接建立不了:证书或协议不对")]
    Tls,
}

impl Failure {
    /// Whether an operator must mend it: time alone does not.
    pub(super) const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Forbidden
                | Self::NoVariable
                | Self::BadAddress
                | Self::Tls
                | Self::Status {
                    status: 400..=407 | 410,
                    ..
                }
                | Self::Refused {
                    code: 310_000 | 19_021 | 19_022 | 19_024 | 93_000,
                    ..
                }
                | Self::Mail { code: 500.. }
        )
    }

    /// How long the receiver wants to be left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status {
                status: 429,
                retry_after,
            } => Some(retry_after.unwrap_or(AFTER_TOO_MANY)),
            Self::Status { retry_after, .. } => *retry_after,
            Self::Refused {
                code: 45_009 | 130_101 | 660_026 | 11_232,
                ..
            } => Some(AFTER_TOO_MANY),
            _ => None,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Forbidden => Self::Forbidden,
            Fault::Timeout => Self::Timeout,
            Fault::Unreachable => Self::Unreachable,
            Fault::Unreadable => Self::Unreadable,
        }
    }
}

/// What a robot's code means, where that helps.
const fn meaning(kind: ChannelKind, code: i64) -> &'static str {
    match (kind, code) {
        (ChannelKind::Wecom, 45_009) | (ChannelKind::Dingtalk, 130_101 | 660_026) => "(发得太频繁)",
        (ChannelKind::Feishu, 11_232) => "(发得太频繁)",
        (ChannelKind::Wecom, 93_000) => "(机器人地址不对,或机器人已被移除)",
        (ChannelKind::Dingtalk, 310_000) => "(签名、关键词或 IP 不符合机器人的安全设置)",
        (ChannelKind::Dingtalk, 300_001) => "(机器人地址里的 access_token 不对)",
        (ChannelKind::Feishu, 19_021) => "(签名不对,或本机时间差得太多)",
        (ChannelKind::Feishu, 19_022) => "(本机 IP 不在机器人的白名单里)",
        (ChannelKind::Feishu, 19_024) => "(没有机器人要求的关键词)",
        _ => "",
    }
}

const fn mail_meaning(code: u16) -> &'static str {
    match code {
        535 | 534 | 530 => "(用户名或密码不对)",
        550 | 553 => "(收件人或发件人不被接受)",
        _ => "",
    }
}
