//! Serves the alert channels: how they stand, a test of each, what was given up.
//! Owns: the shapes of these. Uses: alert, model. Never: a channel's address or secret; what a follower wrote.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::ProblemShape;
use crate::alert::{ChannelStanding, TrialError};
use crate::model::alert::{AlertKind, ChannelKind};
use crate::model::notice::DeadNotice;
use crate::model::{AccountName, ConversationId, Time};
use crate::server::Site;
use crate::server::access::{Caller, Operator};
use crate::server::error::{Code, Problem};

/// The channels of the rules that run.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertChannels)]
pub(super) struct ChannelsShape {
    /// In the order of `rules/_desk.toml`.
    channels: Vec<ChannelShape>,
}

/// How a channel stands.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertChannel)]
pub(super) struct ChannelShape {
    #[schema(value_type = String)]
    name: Arc<str>,
    /// `webhook`, `wecom`, `dingtalk`, `feishu`, `slack` or `email`.
    #[schema(value_type = String)]
    kind: ChannelKind,
    /// Which tier it tells: 1, 2 or 3.
    tier: u8,
    /// Whether it is told at night of what is not urgent.
    night: bool,
    /// When it last took something.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    last_success: Option<Time>,
    /// Since when nothing gets through; null while it works.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    failing_since: Option<Time>,
    /// Why the last attempt failed, in Chinese.
    #[schema(required, value_type = Option<String>)]
    failure: Option<Arc<str>>,
    /// How many alerts wait for it.
    waiting: usize,
    /// How many were given up.
    dead: usize,
}

impl From<ChannelStanding> for ChannelShape {
    fn from(standing: ChannelStanding) -> Self {
        Self {
            name: standing.name,
            kind: standing.kind,
            tier: standing.tier,
            night: standing.night,
            last_success: standing.told_at,
            failing_since: standing.failing_since,
            failure: standing.failure,
            waiting: standing.waiting,
            dead: standing.dead,
        }
    }
}

/// How a test went.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertTest)]
pub(super) struct TestShape {
    /// Whether the channel took the message.
    ok: bool,
    /// Why not, in Chinese.
    #[schema(required)]
    failure: Option<String>,
}

/// What was given up.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadAlerts)]
pub(super) struct DeadShape {
    /// The newest 1000, newest first; a week old at most.
    dead: Vec<DeadAlertShape>,
}

/// One alert that a channel did not take.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadAlert)]
pub(super) struct DeadAlertShape {
    id: String,
    #[schema(value_type = String)]
    channel: Arc<str>,
    /// `escalated`, `realert`, `breach`, `window`, `surge`, `channel_failed` or `heartbeat`.
    #[schema(value_type = String)]
    kind: AlertKind,
    #[schema(required, value_type = Option<String>)]
    account: Option<AccountName>,
    #[schema(required, value_type = Option<String>, format = "uuid")]
    conversation: Option<ConversationId>,
    /// What happened, in Chinese.
    #[schema(value_type = String)]
    reason: Arc<str>,
    /// When it was raised.
    #[schema(value_type = String, format = "date-time")]
    raised_at: Time,
    /// When it was given up.
    #[schema(value_type = String, format = "date-time")]
    given_up_at: Time,
    /// How often it was tried.
    attempts: u8,
    /// Why it was not taken, in Chinese.
    #[schema(value_type = String)]
    failure: Arc<str>,
}

impl From<DeadNotice> for DeadAlertShape {
    fn from(dead: DeadNotice) -> Self {
        let (notice, alert) = (&dead.notice, &dead.notice.alert);
        Self {
            id: notice.id.to_string(),
            channel: Arc::clone(&notice.channel),
            kind: alert.kind,
            account: alert.account.clone(),
            conversation: alert.conversation,
            reason: Arc::clone(&alert.reason),
            raised_at: alert.at,
            given_up_at: dead.at,
            attempts: notice.attempts,
            failure: dead.failure,
        }
    }
}

/// Lists the alert channels and how they stand.
#[utoipa::path(
    get, path = "/alerts/channels", operation_id = "listAlertChannels",
    responses(
        (status = 200, body = ChannelsShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn channels(Operator(_): Operator, site: Data<Site>) -> Json<ChannelsShape> {
    let standing = site.alerts.standing().into_iter();
    let channels = standing.map(ChannelShape::from).collect();
    Json(ChannelsShape { channels })
}

/// Sends a test on a channel and says how that went. It passes everything that waits.
#[utoipa::path(
    post, path = "/alerts/channels/{name}/test", operation_id = "testAlertChannel",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = TestShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn test(
    Operator(caller): Operator,
    site: Data<Site>,
    name: Path<String>,
) -> Result<Json<TestShape>, Problem> {
    let failure = match site.alerts.test(&name).await {
        Ok(()) => None,
        Err(TrialError::Failed(failure)) => Some(failure.to_string()),
        Err(TrialError::NotFound) => {
            return Err(Problem::new(Code::NotFound, "there is no such channel"));
        }
    };
    tracing::info!(alert.channel = %name, by = %caller.name, ok = failure.is_none(), "alert channel tested");
    Ok(Json(TestShape {
        ok: failure.is_none(),
        failure,
    }))
}

/// Lists the alerts that were given up.
#[utoipa::path(
    get, path = "/alerts/dead", operation_id = "listDeadAlerts",
    responses(
        (status = 200, body = DeadShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn dead(
    Operator(caller): Operator,
    site: Data<Site>,
) -> Result<Json<DeadShape>, Problem> {
    let dead = site.alerts.dead().await?.into_iter();
    let dead = dead.filter(|dead| sees(&caller, dead));
    let dead = dead.map(DeadAlertShape::from).collect();
    Ok(Json(DeadShape { dead }))
}

/// Has an alert that was given up sent again, as if it were new.
#[utoipa::path(
    post, path = "/alerts/dead/{id}/resend", operation_id = "resendDeadAlert",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = DeadAlertShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn resend(
    Operator(caller): Operator,
    site: Data<Site>,
    id: Path<String>,
) -> Result<Json<DeadAlertShape>, Problem> {
    let mut dead = site.alerts.dead().await?.into_iter();
    let found = dead.find(|dead| dead.notice.id.to_string() == *id && sees(&caller, dead));
    let not_found = || Problem::new(Code::NotFound, "nothing of this id was given up");
    let found = found.ok_or_else(not_found)?;
    if !site.alerts.resend(found.notice.id).await? {
        return Err(not_found());
    }
    tracing::info!(alert.notice = %found.notice.id, alert.channel = %found.notice.channel, by = %caller.name,
        "an alert is sent again");
    Ok(Json(found.into()))
}

/// What concerns one account is for those who reach it.
fn sees(caller: &Caller, dead: &DeadNotice) -> bool {
    let account = dead.notice.alert.account.as_ref();
    account.is_none_or(|account| caller.reaches(account))
}
