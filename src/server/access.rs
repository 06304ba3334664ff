//! Tells who calls the API and what that caller may do.
//! Owns: bearer tokens of programs and of sessions, their comparison, roles and accounts at the door. Uses: store, model, clock. Never: cookies; a token's text in a log or an answer.

use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, dev, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Site;
use super::chance;
use super::error::{Code, Problem};
use super::remote::is_local;
use crate::clock::Clock;
use crate::model::{AccountName, Actor, AgentName, Role, Session, User};
use crate::store::Store;

/// The file in the data directory that holds the command line's token.
pub const CLI_TOKEN_FILE: &str = "cli.token";
/// Names that no stored token may have: they belong to the built-in ones.
pub(super) const RESERVED: [&str; 2] = ["env", "cli"];

/// What the text of a session's token begins with.
const SESSION_PREFIX: &str = "wxs_";
/// How exactly the last use of a session is kept.
const SEEN_EVERY: Duration = Duration::from_secs(300);
/// At most so many names say who can grant a role.
const GRANTERS: usize = 10;

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The name under which acts are written down: a user's, or `token:NAME`.
    pub(super) name: AgentName,
    /// A program, or a person with a session.
    pub(super) kind: Kind,
    /// What the caller may do.
    pub(super) role: Role,
    /// Whether the caller leads the others. Who may do everything does.
    pub(super) is_lead: bool,
    /// The accounts the caller reaches; empty means all.
    pub(super) accounts: Vec<AccountName>,
}

/// What kind of caller.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A program, with an API token.
    Token,
    /// A person who logged in.
    User {
        /// The login.
        session: Box<Session>,
        /// Who, as the store knows them now.
        user: Box<User>,
    },
}

impl Caller {
    /// Who acts, in the words of a conversation.
    /// `as_lead` where the caller means to act over an owner's head, and then only if the caller is a lead.
    pub(super) fn actor(&self, as_lead: bool) -> Actor {
        Actor {
            name: self.name.clone(),
            is_lead: as_lead && self.is_lead,
        }
    }

    /// Whether the caller reaches this account.
    pub(super) fn reaches(&self, account: &AccountName) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    /// The session, if a person calls.
    pub(super) fn session(&self) -> Option<&Session> {
        match &self.kind {
            Kind::Token => None,
            Kind::User { session, .. } => Some(session),
        }
    }

    /// The user, if a person calls.
    pub(super) fn user(&self) -> Option<&User> {
        match &self.kind {
            Kind::Token => None,
            Kind::User { user, .. } => Some(user),
        }
    }

    /// Whether the caller reaches every account, as whoever manages users and tokens must.
    ///
    /// # Errors
    /// 403 when not.
    pub(super) fn must_reach_all(&self) -> Result<(), Problem> {
        if self.accounts.is_empty() {
            Ok(())
        } else {
            let detail = "this is for those who reach every account; you reach some only";
            Err(Problem::new(Code::Forbidden, detail))
        }
    }

    fn named(name: &str, role: Role, accounts: Vec<AccountName>) -> Result<Self, Problem> {
        let name = AgentName::parse(format!("token:{name}")).map_err(|_error| unauthorized())?;
        Ok(Self {
            name,
            kind: Kind::Token,
            role,
            is_lead: role == Role::Admin,
            accounts,
        })
    }

    fn person(session: Session, user: User) -> Self {
        Self {
            name: user.name.clone(),
            role: user.role,
            is_lead: user.is_lead || user.role == Role::Admin,
            accounts: user.accounts.clone(),
            kind: Kind::User {
                session: Box::new(session),
                user: Box::new(user),
            },
        }
    }
}

/// The tokens that are good.
pub(super) struct Access {
    store: Arc<dyn Store>,
    clock: Clock,
    environment: Option<[u8; 32]>,
    cli: [u8; 32],
}

impl Access {
    /// Tokens of the store, of the environment, and one of the command line's that is written to the data directory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        environment: Option<&SecretString>,
        data: &Path,
    ) -> std::io::Result<Self> {
        let token = new_token();
        write_private(data, CLI_TOKEN_FILE, token.expose_secret())?;
        Ok(Self {
            store,
            clock,
            environment: environment.map(|token| digest(token.expose_secret())),
            cli: digest(token.expose_secret()),
        })
    }

    /// The caller whose token the request carries.
    ///
    /// # Errors
    /// 401 without a token that is good; 503 when the store cannot say.
    pub(super) async fn caller(&self, request: &HttpRequest) -> Result<Caller, Problem> {
        let text = bearer(request).ok_or_else(unauthorized)?;
        let presented = digest(text);
        if text.starts_with(SESSION_PREFIX) {
            return self.person(&presented).await;
        }
        let is = |known: &[u8; 32]| bool::from(known.ct_eq(&presented));
        if self.environment.as_ref().is_some_and(is) {
            return Caller::named("env", Role::Admin, Vec::new());
        }
        if is(&self.cli) {
            return if is_local(request) {
                Caller::named("cli", Role::Admin, Vec::new())
            } else {
                Err(unauthorized())
            };
        }
        let tokens = self.store.tokens().await?;
        let found = tokens
            .into_iter()
            .find(|token| is(&token.sha256))
            .ok_or_else(unauthorized)?;
        Caller::named(&found.name, found.role, found.accounts)
    }

    /// The person whose session has this token. What is found by a hash is not found by how long comparing took.
    async fn person(&self, token: &[u8; 32]) -> Result<Caller, Problem> {
        let now = self.clock.now();
        let found = self.store.session(token, now).await?;
        let (session, user) = found.ok_or_else(unauthorized)?;
        if now.since(session.seen_at) >= SEEN_EVERY
            && let Err(error) = self.store.see_session(token, now).await
        {
            // Reading must work on a full disk too.
            tracing::warn!(%error, "the use of a session could not be noted");
        }
        Ok(Caller::person(session, user))
    }

    /// Whether the caller may do what needs this.
    ///
    /// # Errors
    /// 403 that says what is missing and who can grant it, or that an initial password comes first; 503 when the store
    /// cannot say.
    pub(super) async fn permit(&self, caller: &Caller, needs: Needs) -> Result<(), Problem> {
        let must_change = caller.user().is_some_and(|user| user.password.is_initial);
        if must_change && needs != Needs::Known {
            let detail = "set a password of your own first: POST /users/{name}/password";
            return Err(Problem::new(Code::MustChange, detail));
        }
        let (is_good, word) = match needs {
            Needs::Known => (true, ""),
            Needs::Role(role) => (caller.role >= role, role.word()),
            Needs::Lead => (caller.is_lead, "lead"),
        };
        if is_good {
            return Ok(());
        }
        Err(lacking(word, &self.granters().await?))
    }

    /// Who can give somebody another role.
    async fn granters(&self) -> Result<Vec<AgentName>, Problem> {
        let users = self.store.users().await?;
        let heads = users.into_iter().filter(User::is_head);
        Ok(heads.map(|user| user.name).take(GRANTERS).collect())
    }

    /// Whether the caller may see what concerns operation: a process of this machine, or anybody with a token.
    pub(super) async fn is_insider(&self, request: &HttpRequest) -> bool {
        is_local(request) || self.caller(request).await.is_ok()
    }
}

/// A new token's text.
pub(super) fn new_token() -> SecretString {
    format!("wxr_{}", URL_SAFE_NO_PAD.encode(chance::random::<32>())).into()
}

/// A new session's text.
pub(super) fn new_session_token() -> SecretString {
    let random = URL_SAFE_NO_PAD.encode(chance::random::<32>());
    format!("{SESSION_PREFIX}{random}").into()
}

/// What is kept of a token.
pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

fn unauthorized() -> Problem {
    Problem::new(
        Code::Unauthorized,
        "send `Authorization: Bearer TOKEN` with a token that is good here",
    )
}

/// Writes a file that only its owner can read, as a whole or not at all.
fn write_private(directory: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = directory.join(name);
    let new = directory.join(format!("{name}.new"));
    let _ = std::fs::remove_file(&new);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, &path)
}

macro_rules! admitted {
    ($($(#[$doc:meta])* $type:ident = $needs:expr;)+) => {$(
        $(#[$doc])*
        pub(super) struct $type(pub(super) Caller);

        impl FromRequest for $type {
            type Error = Problem;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

            fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
                let request = request.clone();
                Box::pin(async move { admit(&request, $needs).await.map(Self) })
            }
        }
    )+};
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// To be known at all, even with an initial password.
    Known,
    /// This role, or one above it.
    Role(Role),
    /// To lead the others, or do everything.
    Lead,
}

admitted! {
    /// A caller who is known, even one who must change the password before anything else.
    Known = Needs::Known;
    /// A caller who may read.
    Viewer = Needs::Role(Role::Viewer);
    /// A caller who may answer people.
    Agent = Needs::Role(Role::Agent);
    /// A caller who may edit rules.
    Operator = Needs::Role(Role::Operator);
    /// A caller who leads the others.
    Lead = Needs::Lead;
    /// A caller who may do everything.
    Admin = Needs::Role(Role::Admin);
}

async fn admit(request: &HttpRequest, needs: Needs) -> Result<Caller, Problem> {
    let site = request
        .app_data::<web::Data<Site>>()
        .ok_or_else(|| Problem::new(Code::Internal, "no site"))?;
    let caller = site.access.caller(request).await?;
    site.access.permit(&caller, needs).await?;
    Ok(caller)
}

/// The refusal that names what is missing and who can grant it.
fn lacking(needs: &str, granters: &[AgentName]) -> Problem {
    let names: Vec<&str> = granters.iter().map(AgentName::as_str).collect();
    let who = if names.is_empty() {
        "whoever runs the server (`wxreply user role`)".to_owned()
    } else {
        names.join(", ")
    };
    let what = if needs == "lead" {
        "the flag"
    } else {
        "the role"
    };
    let detail = format!("this needs {what} {needs}; {who} can grant it");
    Problem::new(Code::Forbidden, detail)
        .with("needs", &needs)
        .with("granted_by", &names)
}
