//! Serves how each account stands with WeChat, and measures what it may do.
//! Owns: the shape of an account. Uses: wechat's client, delivery, rights, received, store. Never: a secret, a token, an openid.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::web::{Data, Json, Path, Payload};
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::ProblemShape;
use crate::model::{Ability, AccountName, Measured, State, Time, Verdict};
use crate::server::access::{Admin, Caller, Viewer};
use crate::server::error::{Code, Problem};
use crate::server::webhook::Door;
use crate::server::{Site, body};
use crate::wechat::client::{Failure, Probed};
use crate::wechat::{Lease, Mode};

/// How one account stands with WeChat.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountShape {
    /// Its name in the configuration, which ends its callback's address.
    #[schema(value_type = String)]
    name: AccountName,
    /// `plain`, `compatible` or `secure`.
    #[schema(value_type = String)]
    mode: Mode,
    /// Whether an AppSecret is configured; without one nothing can be asked of WeChat.
    has_secret: bool,
    /// Whether answers can be pushed now, as far as is known.
    can_push: bool,
    capabilities: CapabilitiesShape,
    /// The access token in use; `null` while there is none.
    #[schema(required)]
    token: Option<TokenTimesShape>,
    /// When WeChat last sent something for this account.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    last_inbound_at: Option<Time>,
    /// Why, and until when, nothing is pushed.
    #[schema(required)]
    paused: Option<PauseShape>,
    /// The address that WeChat refuses (40164): to be added to the account's IP whitelist.
    #[schema(required, value_type = Option<String>)]
    ip_to_allow: Option<IpAddr>,
    /// Why nothing gets through to WeChat now.
    #[schema(required)]
    trouble: Option<FailureShape>,
    /// The last call of WeChat's API that went wrong.
    #[schema(required)]
    last_error: Option<FailureShape>,
    queues: QueuesShape,
}

/// What WeChat lets the account do, as its answers showed.
#[derive(Serialize, ToSchema)]
#[schema(as = Capabilities)]
struct CapabilitiesShape {
    /// Customer-service messages.
    push: CapabilityShape,
    /// Uploading and fetching media.
    media: CapabilityShape,
    /// Information about followers.
    users: CapabilityShape,
    /// Tencent's own desk.
    desk: CapabilityShape,
}

/// One right, and what showed it.
#[derive(Serialize, ToSchema)]
#[schema(as = Capability)]
struct CapabilityShape {
    /// `unknown`, `yes` or `no`.
    #[schema(value_type = String)]
    state: Verdict,
    /// When WeChat last showed it.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    at: Option<Time>,
    /// `accepted`, or the `errcode` that showed it.
    #[schema(required)]
    evidence: Option<String>,
}

/// The times of an access token.
#[derive(Serialize, ToSchema)]
#[schema(as = TokenTimes)]
struct TokenTimesShape {
    #[schema(value_type = String, format = "date-time")]
    fetched_at: Time,
    #[schema(value_type = String, format = "date-time")]
    expires_at: Time,
}

/// Why, and until when, nothing is pushed.
#[derive(Serialize, ToSchema)]
#[schema(as = Pause)]
struct PauseShape {
    #[schema(value_type = String, format = "date-time")]
    until: Time,
    /// WeChat's `errcode`; 0 where it did not answer clearly.
    code: i64,
    #[schema(value_type = String)]
    message: Arc<str>,
}

/// A call that went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiFailure)]
struct FailureShape {
    #[schema(value_type = String, format = "date-time")]
    at: Time,
    /// Which call, as in the metrics.
    api: String,
    /// WeChat's `errcode`; 0 where it did not answer clearly.
    code: i64,
    #[schema(value_type = String)]
    message: Arc<str>,
}

/// What waits.
#[derive(Serialize, ToSchema)]
#[schema(as = Queues)]
struct QueuesShape {
    /// Followers with something to be pushed.
    pushes: usize,
    /// Files of followers to be fetched.
    media: usize,
    /// Conversations that wait for a person.
    waiting: usize,
    /// Conversations with an answer for the follower's next visit.
    held: usize,
}

/// All accounts that the caller reaches, by name.
#[derive(Serialize, ToSchema)]
#[schema(as = Accounts)]
pub(super) struct AccountsShape {
    accounts: Vec<AccountShape>,
}

/// An account after it was measured.
#[derive(Serialize, ToSchema)]
#[schema(as = CheckedAccount)]
pub(super) struct CheckedShape {
    account: AccountShape,
    /// What was asked, in order; after a token that could not be had nothing more.
    probes: Vec<ProbeShape>,
}

/// One question to WeChat, and its answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Probe)]
struct ProbeShape {
    /// `token`, `push`, `media`, `users` or `desk`.
    probe: String,
    /// WeChat's `errcode`, 0 when it did what it was asked; `null` when it did not answer clearly. The probes name a
    /// follower and a file that nobody has: 40003 and 40007 are good answers.
    #[schema(required)]
    code: Option<i64>,
    /// What it said.
    message: String,
}

/// Lists the accounts and how they stand with WeChat.
#[utoipa::path(
    get, path = "/accounts", operation_id = "listAccounts",
    responses(
        (status = 200, body = AccountsShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Viewer(caller): Viewer,
    site: Data<Site>,
) -> Result<Json<AccountsShape>, Problem> {
    let counts = site.store.counts();
    let mut doors: Vec<&Door> = site.doors.values().collect();
    doors.retain(|door| caller.reaches(&door.account.name));
    doors.sort_unstable_by(|one, other| one.account.name.cmp(&other.account.name));
    let accounts = doors.into_iter().map(|door| shape(&site, door, &counts));
    Ok(Json(AccountsShape {
        accounts: accounts.collect(),
    }))
}

/// Asks WeChat now what an account may do. Nothing reaches a follower: the token is fetched again, and what is asked with
/// it names a follower and a file that do not exist. A refused right that WeChat gives now is used from now on.
#[utoipa::path(
    post, path = "/accounts/{name}/check", operation_id = "checkAccount",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = CheckedShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn check(
    Admin(caller): Admin,
    site: Data<Site>,
    name: Path<String>,
    mut payload: Payload,
) -> Result<Json<CheckedShape>, Problem> {
    body::discard(&mut payload).await;
    let door = reached(&site, &caller, &name)?;
    let account = &door.account.name;
    let probed = site.rights.check(account).await.ok_or_else(|| {
        Problem::new(
            Code::NoSecret,
            "the account has no `secret`: WeChat cannot be asked",
        )
    })?;
    tracing::info!(%account, by = %caller.name, "the account was measured");
    Ok(Json(CheckedShape {
        account: shape(&site, door, &site.store.counts()),
        probes: probed.into_iter().map(ProbeShape::from).collect(),
    }))
}

fn reached<'a>(site: &'a Site, caller: &Caller, name: &str) -> Result<&'a Door, Problem> {
    let door = site.doors.get(name);
    door.filter(|door| caller.reaches(&door.account.name))
        .ok_or_else(|| Problem::new(Code::NotFound, "there is no such account"))
}

fn shape(site: &Site, door: &Door, counts: &[(AccountName, State, usize)]) -> AccountShape {
    let name = &door.account.name;
    let client = site.clients.get(name);
    let known = client.map(|client| client.known()).unwrap_or_default();
    let lease = client.and_then(|client| client.lease());
    let last_inbound = door.last_inbound.load(Ordering::Relaxed);
    let paused = site.delivery.pause(name).map(|pause| PauseShape {
        until: pause.until,
        code: pause.code,
        message: pause.message,
    });
    let in_state = |state| {
        let mut counts = counts.iter();
        let found = counts.find(|(account, of, _)| account == name && *of == state);
        found.map_or(0, |(.., count)| *count)
    };
    AccountShape {
        name: name.clone(),
        mode: door.account.mode,
        has_secret: client.is_some(),
        can_push: site.turns.can_push(name),
        capabilities: CapabilitiesShape {
            push: known.ability(Ability::Push).into(),
            media: known.ability(Ability::Media).into(),
            users: known.ability(Ability::Users).into(),
            desk: known.ability(Ability::Desk).into(),
        },
        token: lease.map(TokenTimesShape::from),
        last_inbound_at: (last_inbound > 0).then(|| Time::from_millis(last_inbound)),
        paused,
        ip_to_allow: known.ip_to_allow,
        trouble: known.trouble.map(FailureShape::from),
        last_error: known.last_error.map(FailureShape::from),
        queues: QueuesShape {
            pushes: site.store.pushes_waiting(name),
            media: site.received.waiting(name),
            waiting: in_state(State::Waiting),
            held: in_state(State::Held),
        },
    }
}

impl From<Measured> for CapabilityShape {
    fn from(measured: Measured) -> Self {
        let Measured { verdict, at, code } = measured;
        let is_known = verdict != Verdict::Unknown;
        let evidence = || match code {
            0 => "accepted".to_owned(),
            code => code.to_string(),
        };
        Self {
            state: verdict,
            at: is_known.then_some(at),
            evidence: is_known.then(evidence),
        }
    }
}

impl From<Lease> for TokenTimesShape {
    fn from(Lease { since, until }: Lease) -> Self {
        Self {
            fetched_at: since,
            expires_at: until,
        }
    }
}

impl From<Failure> for FailureShape {
    fn from(failure: Failure) -> Self {
        let Failure {
            at,
            api,
            code,
            message,
        } = failure;
        Self {
            at,
            api: api.to_owned(),
            code,
            message,
        }
    }
}

impl From<Probed> for ProbeShape {
    fn from(probed: Probed) -> Self {
        let Probed {
            probe,
            code,
            message,
        } = probed;
        Self {
            probe: probe.to_owned(),
            code,
            message,
        }
    }
}
