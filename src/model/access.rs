//! Says who may call the API: tokens, their role and the accounts they reach.
//! Owns: roles and their order. Uses: ids, time. Never: the token's text (only its SHA-256 is kept).

use serde::{Deserialize, Serialize};

use super::ids::AccountName;
use super::time::Time;

/// What a caller may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Answers people.
    Agent,
    /// Edits rules.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role with its word.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Viewer, Self::Viewer.word()),
        (Self::Agent, Self::Agent.word()),
        (Self::Operator, Self::Operator.word()),
        (Self::Admin, Self::Admin.word()),
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// An API token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its name; its owner appears as `token:NAME`.
    pub name: Box<str>,
    /// What it may do.
    pub role: Role,
    /// The accounts it reaches; empty means all.
    pub accounts: Vec<AccountName>,
    /// SHA-256 of the token's text.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created_at: Time,
}

impl ApiToken {
    /// Whether the token reaches this account.
    pub fn reaches(&self, account: &AccountName) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }
}
