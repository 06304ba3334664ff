//! Tells who calls the API and what that caller may do.
//! Owns: bearer tokens, their comparison, roles and accounts at the door. Uses: store, model. Never: cookies; a token's text in a log or an answer.

use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

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
use crate::model::{AccountName, Actor, AgentName, Role};
use crate::store::Store;

/// The file in the data directory that holds the command line's token.
pub const CLI_TOKEN_FILE: &str = "cli.token";
/// Names that no stored token may have: they belong to the built-in ones.
pub(super) const RESERVED: [&str; 2] = ["env", "cli"];

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The name under which acts are written down.
    pub(super) name: AgentName,
    /// What the caller may do.
    pub(super) role: Role,
    /// The accounts the caller reaches; empty means all.
    pub(super) accounts: Vec<AccountName>,
}

impl Caller {
    /// Who acts, in the words of a conversation.
    /// `as_lead` where the caller means to act over an owner's head, and then only if the caller is a lead.
    pub(super) fn actor(&self, as_lead: bool) -> Actor {
        Actor {
            name: self.name.clone(),
            is_lead: as_lead && self.role >= Role::Admin,
        }
    }

    /// Whether the caller reaches this account.
    pub(super) fn reaches(&self, account: &AccountName) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    fn named(name: &str, role: Role, accounts: Vec<AccountName>) -> Result<Self, Problem> {
        let name = AgentName::parse(format!("token:{name}")).map_err(|_error| unauthorized())?;
        Ok(Self {
            name,
            role,
            accounts,
        })
    }
}

/// The tokens that are good.
pub(super) struct Access {
    store: Arc<dyn Store>,
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
        environment: Option<&SecretString>,
        data: &Path,
    ) -> std::io::Result<Self> {
        let token = new_token();
        write_private(data, CLI_TOKEN_FILE, token.expose_secret())?;
        Ok(Self {
            store,
            environment: environment.map(|token| digest(token.expose_secret())),
            cli: digest(token.expose_secret()),
        })
    }

    /// The caller whose token the request carries.
    ///
    /// # Errors
    /// 401 without a token that is good; 503 when the store cannot say.
    pub(super) async fn caller(&self, request: &HttpRequest) -> Result<Caller, Problem> {
        let presented = digest(bearer(request).ok_or_else(unauthorized)?);
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

    /// Whether the caller may see what concerns operation: a process of this machine, or anybody with a token.
    pub(super) async fn is_insider(&self, request: &HttpRequest) -> bool {
        is_local(request) || self.caller(request).await.is_ok()
    }
}

/// A new token's text.
pub(super) fn new_token() -> SecretString {
    format!("wxr_{}", URL_SAFE_NO_PAD.encode(chance::random::<32>())).into()
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
    ($($(#[$doc:meta])* $type:ident = $role:expr;)+) => {$(
        $(#[$doc])*
        pub(super) struct $type(pub(super) Caller);

        impl FromRequest for $type {
            type Error = Problem;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

            fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
                let request = request.clone();
                Box::pin(async move { admit(&request, $role).await.map(Self) })
            }
        }
    )+};
}

admitted! {
    /// A caller who may read.
    Viewer = Role::Viewer;
    /// A caller who may answer people.
    Agent = Role::Agent;
    /// A caller who may edit rules.
    Operator = Role::Operator;
    /// A caller who may do everything.
    Admin = Role::Admin;
}

async fn admit(request: &HttpRequest, role: Role) -> Result<Caller, Problem> {
    let site = request
        .app_data::<web::Data<Site>>()
        .ok_or_else(|| Problem::new(Code::Internal, "no site"))?;
    let caller = site.access.caller(request).await?;
    if caller.role < role {
        return Err(Problem::new(
            Code::Forbidden,
            "the token's role does not allow this",
        ));
    }
    Ok(caller)
}
