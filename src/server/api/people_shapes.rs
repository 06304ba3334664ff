//! Describes the JSON about people: users, sessions, duty, and what they did.
//! Owns: field names and types of version 1. Uses: model. Never: a hash of a password or of a token.

use std::net::IpAddr;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::shapes::RoleWord;
use crate::model::{AccountName, AgentName, AuditRecord, Role, Session, SessionId, Time, User};

/// A user as they are now.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserShape {
    /// The name for logging in; acts are written down under it.
    #[schema(value_type = String)]
    pub(super) name: AgentName,
    /// The name that people read.
    #[schema(value_type = String)]
    pub(super) shown: Box<str>,
    #[schema(inline, value_type = RoleWord)]
    pub(super) role: Role,
    /// Whether they lead the others.
    pub(super) lead: bool,
    /// None means all. Only those that the caller reaches too.
    #[schema(value_type = Vec<String>)]
    pub(super) accounts: Vec<AccountName>,
    /// Whether they may not log in.
    pub(super) disabled: bool,
    pub(super) on_duty: bool,
    /// When that last changed.
    #[schema(value_type = String, format = "date-time")]
    pub(super) duty_since: Time,
    #[schema(value_type = String, format = "date-time")]
    pub(super) created_at: Time,
    /// Whether they still have the password that somebody else gave them.
    pub(super) must_change: bool,
}

/// Users, by name.
#[derive(Serialize, ToSchema)]
#[schema(as = Users)]
pub(super) struct UsersShape {
    pub(super) users: Vec<UserShape>,
}

/// A user after a change.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedUser)]
pub(super) struct ChangedUserShape {
    pub(super) user: UserShape,
    /// Whoever is disabled gives these conversations back to the queue; at most 200 are named.
    pub(super) conversations: Vec<String>,
}

/// A new user.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedUser)]
pub(super) struct AddedUserShape {
    pub(super) user: UserShape,
    /// The password that was made for them, shown this once: good for one day, and for setting another.
    #[schema(required)]
    pub(super) initial_password: Option<String>,
}

/// What became of a password.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedPassword)]
pub(super) struct ChangedPasswordShape {
    /// The password that was made, shown this once: good for one day, and for setting another.
    #[schema(required)]
    pub(super) initial_password: Option<String>,
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewUser {
    /// A letter, digit or Chinese character, then these, `-`, `_`, `.`; 32 characters at most. Case makes no other name.
    pub(super) name: String,
    /// The name that people read; without it the other one.
    pub(super) shown: Option<String>,
    #[schema(inline, value_type = RoleWord)]
    pub(super) role: Role,
    #[serde(default)]
    pub(super) lead: bool,
    /// The accounts they reach; none means all.
    #[serde(default)]
    pub(super) accounts: Vec<String>,
    /// At least 12 characters; without it one is made.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schema(value_type = Option<String>)]
    pub(super) password: Option<SecretString>,
    /// Whether they must set another before anything else: unless said, if it was made here.
    pub(super) must_change: Option<bool>,
}

/// What is to be different about a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeUser {
    pub(super) shown: Option<String>,
    #[schema(inline, value_type = Option<RoleWord>)]
    pub(super) role: Option<Role>,
    pub(super) lead: Option<bool>,
    /// None means all.
    pub(super) accounts: Option<Vec<String>>,
    pub(super) disabled: Option<bool>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPassword {
    /// The password so far; needed for one's own.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schema(value_type = Option<String>)]
    pub(super) old: Option<SecretString>,
    /// At least 12 characters; for somebody else one is made without it.
    #[serde(default, deserialize_with = "maybe_secret")]
    #[schema(value_type = Option<String>)]
    pub(super) new: Option<SecretString>,
    /// For somebody else: whether they must set another before anything else. Unless said, if it was made here.
    pub(super) must_change: Option<bool>,
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewSession {
    pub(super) name: String,
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String)]
    pub(super) password: SecretString,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionShape {
    /// UUIDv7; no secret.
    #[schema(value_type = String, format = "uuid")]
    id: SessionId,
    #[schema(value_type = String)]
    user: AgentName,
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
    /// When it was last used, to within five minutes.
    #[schema(value_type = String, format = "date-time")]
    seen_at: Time,
    /// When the password was last given.
    #[schema(value_type = String, format = "date-time")]
    fresh_at: Time,
    /// When it ends if nobody uses it.
    #[schema(value_type = String, format = "date-time")]
    idle_until: Time,
    /// When it ends in any case.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Time,
    /// Where the login came from.
    #[schema(required, value_type = Option<String>)]
    address: Option<IpAddr>,
    /// What the login's client called itself.
    #[schema(value_type = String)]
    client: Box<str>,
}

/// Sessions, the last used first.
#[derive(Serialize, ToSchema)]
#[schema(as = Sessions)]
pub(super) struct SessionsShape {
    pub(super) sessions: Vec<SessionShape>,
}

/// A session that begins. Its token is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = LoggedIn)]
pub(super) struct LoggedInShape {
    /// The text to send as bearer token.
    pub(super) token: String,
    /// When it ends in any case.
    #[schema(value_type = String, format = "date-time")]
    pub(super) expires_at: Time,
    pub(super) session: SessionShape,
    pub(super) user: UserShape,
}

/// Who calls.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(super) struct MeShape {
    /// `token:NAME` for an API token.
    #[schema(value_type = String)]
    pub(super) name: AgentName,
    /// `user` or `token`.
    #[schema(value_type = String)]
    pub(super) kind: &'static str,
    #[schema(inline, value_type = RoleWord)]
    pub(super) role: Role,
    /// Whether the caller leads the others; admins do.
    pub(super) lead: bool,
    /// None means all.
    #[schema(value_type = Vec<String>)]
    pub(super) accounts: Vec<AccountName>,
    #[schema(required)]
    pub(super) user: Option<UserShape>,
    #[schema(required)]
    pub(super) session: Option<SessionShape>,
}

/// Whether somebody is there to answer.
#[derive(Deserialize, ToSchema)]
pub(super) struct SetDuty {
    pub(super) on: bool,
    /// Who; without it the caller.
    pub(super) user: Option<String>,
}

/// Who is there to answer, by name.
#[derive(Serialize, ToSchema)]
#[schema(as = Duty)]
pub(super) struct DutyShape {
    pub(super) people: Vec<PresentShape>,
}

/// Somebody who is there to answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Present)]
pub(super) struct PresentShape {
    #[schema(value_type = String)]
    pub(super) name: AgentName,
    /// The name that people read.
    #[schema(value_type = String)]
    pub(super) shown: Box<str>,
    /// None means all. Only those that the caller reaches too.
    #[schema(value_type = Vec<String>)]
    pub(super) accounts: Vec<AccountName>,
    #[schema(value_type = String, format = "date-time")]
    pub(super) since: Time,
    /// How many conversations they have.
    pub(super) conversations: usize,
}

/// Which records to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParameters {
    /// Not before this time, RFC 3339.
    pub(super) since: Option<String>,
    /// Before this time, RFC 3339.
    pub(super) until: Option<String>,
    /// By this user, or `token:NAME`.
    pub(super) by: Option<String>,
    /// An act (`user.add`) or a group of acts (`user`).
    pub(super) what: Option<String>,
    /// What it was done to.
    pub(super) target: Option<String>,
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
    /// At most so many: 50 unless said, 200 at most; as CSV 10000, which is the most.
    pub(super) limit: Option<usize>,
}

/// Records, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Audit)]
pub(super) struct AuditShape {
    pub(super) records: Vec<AuditRecordShape>,
    /// The cursor of the next page. A page may have fewer records than asked for, or none, and still go on.
    #[schema(required)]
    pub(super) next: Option<String>,
}

/// What somebody did.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(super) struct AuditRecordShape {
    /// Grows by one.
    seq: u64,
    #[schema(value_type = String, format = "date-time")]
    at: Time,
    /// Who; null when nobody was known.
    #[schema(required, value_type = Option<String>)]
    by: Option<AgentName>,
    /// The act: a group, a dot, and what was done.
    #[schema(value_type = String)]
    what: Box<str>,
    #[schema(value_type = String)]
    target: Box<str>,
    /// How it was.
    #[schema(required, value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    /// How it is since.
    #[schema(required, value_type = Option<Object>)]
    after: Option<Box<RawValue>>,
    #[schema(required, value_type = Option<String>)]
    address: Option<IpAddr>,
    #[schema(required, value_type = Option<String>)]
    account: Option<AccountName>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(Into::into)
}

fn maybe_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Into::into))
}

impl UserShape {
    /// The user, of whose accounts those stay that `reached` has; empty means all.
    pub(super) fn new(user: User, reached: &[AccountName]) -> Self {
        let User {
            name,
            shown,
            role,
            is_lead,
            accounts,
            is_disabled,
            is_on_duty,
            duty_since,
            created_at,
            password,
            epoch: _,
        } = user;
        Self {
            name,
            shown,
            role,
            lead: is_lead,
            accounts: visible(accounts, reached),
            disabled: is_disabled,
            on_duty: is_on_duty,
            duty_since,
            created_at,
            must_change: password.is_initial,
        }
    }
}

/// The accounts that somebody sees of another's who reaches only some.
pub(super) fn visible(accounts: Vec<AccountName>, reached: &[AccountName]) -> Vec<AccountName> {
    let is_reached = |account: &AccountName| reached.is_empty() || reached.contains(account);
    accounts.into_iter().filter(is_reached).collect()
}

impl From<Session> for SessionShape {
    fn from(session: Session) -> Self {
        Self {
            idle_until: session.idle_until(),
            expires_at: session.until(),
            id: session.id,
            user: session.user,
            created_at: session.created_at,
            seen_at: session.seen_at,
            fresh_at: session.fresh_at,
            address: session.address,
            client: session.client,
        }
    }
}

impl From<AuditRecord> for AuditRecordShape {
    fn from(record: AuditRecord) -> Self {
        let raw =
            |text: Option<Box<str>>| text.and_then(|text| RawValue::from_string(text.into()).ok());
        Self {
            seq: record.seq,
            at: record.at,
            by: record.by,
            what: record.what,
            target: record.target,
            before: raw(record.before),
            after: raw(record.after),
            address: record.address,
            account: record.account,
        }
    }
}
