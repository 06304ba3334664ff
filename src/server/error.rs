//! Says what went wrong with a call of the API, as RFC 9457 problem details.
//! Owns: the one table of codes, statuses and titles. Uses: the errors of store, model and the keeper of the rules. Never: an unknown cause's detail in an answer.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::media::hex;
use crate::model::reply::TEXT_LIMIT;
use crate::model::{Refusal, UserRefusal};
use crate::server::body::Unread;
use crate::server::rules::Refused;
use crate::store::UserError;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $status:literal $word:literal $title:literal;)+) => {
        /// What went wrong, in one word for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code { $($(#[$doc])* $code,)+ }

        impl Code {
            /// Every code with its status, its word and its title.
            pub(super) const ALL: &'static [(Self, u16, &'static str, &'static str)] =
                &[$((Self::$code, $status, $word, $title)),+];
        }
    };
}

codes! {
    /// A parameter or body cannot be understood.
    BadRequest = 400 "bad-request" "请求看不懂";
    /// No token, or not one of ours.
    Unauthorized = 401 "unauthorized" "需要有效的令牌";
    /// No user has this name and password.
    BadLogin = 401 "bad-login" "用户名或密码不对";
    /// The password was right, but only meant for the first login, and that long ago.
    InitialOver = 401 "initial-password-over" "初始密码过期了";
    /// The caller may not do this.
    Forbidden = 403 "forbidden" "没有权限";
    /// The caller must have a password of their own first.
    MustChange = 403 "must-change-password" "请先改掉初始密码";
    /// There is no such thing, or the token does not reach it.
    NotFound = 404 "not-found" "没有这个东西";
    /// The path is right, the method is not.
    MethodNotAllowed = 405 "method-not-allowed" "不支持这种请求方法";
    /// Somebody else owns the conversation.
    Owned = 409 "owned" "会话已被别人接入";
    /// Nobody owns the conversation.
    Unowned = 409 "unowned" "会话还没有人接入";
    /// The follower wrote since the last message seen.
    Arrived = 409 "arrived" "粉丝又发来了新消息";
    /// Only a lead may do this with somebody else's conversation.
    NeedsLead = 403 "needs-lead" "只有主管能动别人的会话";
    /// The conversation is in no state for that.
    State = 409 "state" "会话现在的状态不能这样做";
    /// Only one of these runs at a time.
    Busy = 409 "busy" "已经有一个在运行";
    /// The name is in use.
    Taken = 409 "taken" "名字已被使用";
    /// Nobody would be left who manages users.
    LastAdmin = 409 "last-admin" "这是最后一个管理员";
    /// Whoever this is cannot be on duty.
    NoDuty = 409 "no-duty" "这个人不能值班";
    /// The rule files changed since the caller looked.
    Changed = 409 "changed" "规则文件已被别人改过";
    /// The rules directory cannot be read.
    Unreadable = 409 "unreadable" "规则目录读不了";
    /// The rules directory cannot be written.
    ReadOnly = 409 "read-only" "规则目录写不进去";
    /// The account cannot ask WeChat anything.
    NoSecret = 409 "no-secret" "公众号没有配 secret";
    /// The body is longer than the limit.
    TooLarge = 413 "too-large" "请求太大";
    /// The text is longer than WeChat takes.
    TooLong = 422 "too-long" "文字超过微信的长度限制";
    /// WeChat would not take the file.
    BadMedia = 422 "bad-media" "这种文件微信不收";
    /// Taking a conversation from its owner needs a reason.
    NeedsReason = 422 "needs-reason" "从同事手里接过会话要写原因";
    /// It cannot wait for the next visit, and it cannot be pushed.
    Unholdable = 422 "unholdable" "这种内容现在发不出去,也不能留着等粉丝下次来";
    /// There is nothing to send.
    Empty = 422 "empty" "没有内容";
    /// The password is too easy to guess.
    WeakPassword = 422 "weak-password" "密码太容易猜";
    /// The rules have errors, or tests beside them fail.
    BadRules = 422 "bad-rules" "规则有错误,或者测试没通过";
    /// The rule cannot be edited like this.
    BadEdit = 422 "bad-edit" "这条规则不能这样改";
    /// It was tried too often; later it may be tried again.
    Throttled = 429 "throttled" "试得太频繁,请稍等";
    /// The server is at fault.
    Internal = 500 "internal" "服务器出错了";
    /// As many follow the events as may.
    Crowded = 503 "crowded" "连接太多了";
    /// The store refuses for now.
    Unavailable = 503 "unavailable" "存储暂时不可用";
}

/// A problem on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem {
    code: Code,
    detail: String,
    extras: Map<String, Value>,
    allowed: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            extras: Map::new(),
            allowed: None,
        }
    }

    /// Adds a member beside the standard ones.
    pub(super) fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        self.extras.insert(
            name.to_owned(),
            serde_json::to_value(value).unwrap_or(Value::Null),
        );
        self
    }

    /// The path has other methods: these.
    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("the methods here are {allowed}");
        Self {
            allowed: Some(allowed),
            ..Self::new(Code::MethodNotAllowed, detail)
        }
    }

    /// Whether it says that a name and a password do not fit.
    pub(super) fn is_refused_login(&self) -> bool {
        matches!(self.code, Code::BadLogin | Code::InitialOver)
    }

    /// The caller may come again after this time.
    pub(super) fn throttled(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("try again in {seconds} s");
        Self::new(Code::Throttled, detail).with("retry_after", &seconds)
    }

    pub(super) fn not_found() -> Self {
        Self::new(Code::NotFound, "nothing is here")
    }

    fn row(&self) -> (StatusCode, &'static str, &'static str) {
        let (status, word, title) = Code::ALL
            .iter()
            .find(|(code, ..)| *code == self.code)
            .map_or((500, "internal", ""), |(_, status, word, title)| {
                (*status, *word, *title)
            });
        (
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            word,
            title,
        )
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.row().1, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, word, title) = self.row();
        let mut body = self.extras.clone();
        body.insert(
            "type".to_owned(),
            json!(format!("urn:wxreply:problem:{word}")),
        );
        body.insert("title".to_owned(), json!(title));
        body.insert("status".to_owned(), json!(status.as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        body.insert("code".to_owned(), json!(word));
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        match self.code {
            Code::Unauthorized | Code::BadLogin | Code::InitialOver => {
                response.insert_header((
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"wxreply\""),
                ));
            }
            Code::Throttled => {
                if let Some(seconds) = self.extras.get("retry_after").and_then(Value::as_u64) {
                    response.insert_header((RETRY_AFTER, seconds));
                }
            }
            Code::MethodNotAllowed => {
                if let Some(allowed) = self.allowed {
                    response.insert_header((ALLOW, HeaderValue::from_static(allowed)));
                }
            }
            _ => {}
        }
        response.body(Value::Object(body).to_string())
    }
}

impl From<crate::store::Error> for Problem {
    fn from(error: crate::store::Error) -> Self {
        tracing::error!(%error, "the store refused");
        Self::new(Code::Unavailable, "the store cannot do this now")
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::OwnedBy(owner) => Self::new(Code::Owned, detail).with("owner", owner),
            Refusal::Unowned => Self::new(Code::Unowned, detail),
            Refusal::Arrived => Self::new(Code::Arrived, detail),
            Refusal::TooLong { bytes } => Self::new(Code::TooLong, detail)
                .with("bytes", bytes)
                .with("limit", &TEXT_LIMIT),
            Refusal::Empty => Self::new(Code::Empty, detail),
            Refusal::Tags | Refusal::Words(_) | Refusal::Until => {
                Self::new(Code::BadRequest, detail)
            }
            Refusal::NeedsLead(owner) => Self::new(Code::NeedsLead, detail).with("owner", owner),
            Refusal::NeedsReason(owner) => {
                Self::new(Code::NeedsReason, detail).with("owner", owner)
            }
            Refusal::State { state } => Self::new(Code::State, detail).with("state", &state.word()),
            Refusal::Unholdable => Self::new(Code::Unholdable, detail),
            Refusal::Changed => Self::new(Code::Arrived, detail),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let detail = error.to_string();
        match error {
            UserError::NotFound => Self::new(Code::NotFound, detail),
            UserError::Refused(UserRefusal::LastAdmin) => Self::new(Code::LastAdmin, detail),
            UserError::Refused(UserRefusal::NoDuty) => Self::new(Code::NoDuty, detail),
            UserError::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Bad(diagnostics) => {
                Self::new(Code::BadRules, detail).with("diagnostics", &diagnostics)
            }
            Refused::Changed { digest, files } => Self::new(Code::Changed, detail)
                .with("directory_hash", &hex(&digest))
                .with("files", &files),
            Refused::Path(_) => Self::new(Code::BadRequest, detail),
            Refused::NoRevision(_) | Refused::NoRule(_) => Self::new(Code::NotFound, detail),
            Refused::Edit(_) => Self::new(Code::BadEdit, detail),
            Refused::Unreadable(_) => Self::new(Code::Unreadable, detail),
            Refused::Unwritable(_) => Self::new(Code::ReadOnly, detail),
            Refused::Store(error) => error.into(),
            Refused::Panicked => Self::new(Code::Internal, detail),
        }
    }
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::new(Code::TooLarge, "the body is too large"),
            Unread::Broken => Self::new(Code::BadRequest, "the body broke off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_their_statuses_are_errors() {
        let mut words: Vec<_> = Code::ALL
            .iter()
            .map(|(_, status, word, _)| {
                assert!((400..600).contains(status), "{word}");
                *word
            })
            .collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
    }
}
