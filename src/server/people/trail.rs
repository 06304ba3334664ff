//! Writes down what people did.
//! Owns: how an act becomes a record, the bounds of its texts. Uses: store, model. Never: a secret, a message's text.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use serde_json::{Value, json};

use crate::model::audit::{AuditRecord, TARGET_LIMIT, TEXT_LIMIT, What};
use crate::model::{AccountName, AgentName, Time};
use crate::server::Site;
use crate::server::access::Caller;
use crate::store::{Error, Store};

/// What somebody did, to what.
pub(in crate::server) struct Did {
    what: What,
    target: String,
    account: Option<AccountName>,
    before: Option<Value>,
    after: Option<Value>,
}

impl Did {
    /// An act and what it was done to. Neither this nor anything else here may carry a secret or a message's text.
    pub(in crate::server) fn to(what: What, target: impl Into<String>) -> Self {
        Self {
            what,
            target: target.into(),
            account: None,
            before: None,
            after: None,
        }
    }

    /// How it was: a JSON object.
    pub(in crate::server) fn before(mut self, before: Value) -> Self {
        self.before = Some(before);
        self
    }

    /// How it is since: a JSON object.
    pub(in crate::server) fn after(mut self, after: Value) -> Self {
        self.after = Some(after);
        self
    }

    /// The one account that it concerns: people who reach some accounts only may read of it then.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "erasing and exporting concern one account")
    )]
    pub(in crate::server) fn in_account(mut self, account: &AccountName) -> Self {
        self.account = Some(account.clone());
        self
    }

    fn record(self, by: Option<AgentName>, address: Option<IpAddr>, at: Time) -> AuditRecord {
        AuditRecord {
            seq: 0,
            at,
            by,
            what: self.what.word().into(),
            target: head(&self.target, TARGET_LIMIT).into(),
            before: self.before.as_ref().map(bounded),
            after: self.after.as_ref().map(bounded),
            address,
            account: self.account,
        }
    }
}

/// The JSON of a value, or of what fits of it.
fn bounded(value: &Value) -> Box<str> {
    let text = value.to_string();
    if text.len() <= TEXT_LIMIT {
        return text.into();
    }
    // Quoting makes a character six times as long at most.
    let head = head(&text, TEXT_LIMIT / 6 - 16);
    json!({"cut": head, "bytes": text.len()}).to_string().into()
}

/// The beginning of a text, in whole characters.
fn head(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// Where acts are written down.
pub(in crate::server) struct Trail(Arc<dyn Store>);

impl Trail {
    pub(in crate::server) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// Writes an act down. Durable on return.
    ///
    /// # Errors
    /// When the store refuses.
    pub(in crate::server) async fn note(
        &self,
        did: Did,
        by: Option<AgentName>,
        address: Option<IpAddr>,
        at: Time,
    ) -> Result<(), Error> {
        let record = did.record(by, address, at);
        tracing::info!(
            what = &*record.what,
            by = record.by.as_ref().map(tracing::field::display),
            target.name = &*record.target,
            "audit"
        );
        self.0.audit(record).await.map(drop)
    }
}

impl Site {
    /// Writes down what a caller did. Durable on return; to be called once the act is.
    ///
    /// # Errors
    /// When the store refuses: the act happened, the caller hears that it is not on record.
    pub(in crate::server) async fn audit(
        &self,
        caller: &Caller,
        request: &HttpRequest,
        did: Did,
    ) -> Result<(), Error> {
        let address = self.proxies.client(request);
        let by = Some(caller.name.clone());
        let noted = self.people.trail.note(did, by, address, self.clock.now());
        noted.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_stay_json() {
        for text in ["好".repeat(9000), "\u{1}".repeat(9000), "\"".repeat(9000)] {
            let did = Did::to(What::RulesPublished, text.clone())
                .before(json!({"text": text}))
                .after(json!({"short": 1}))
                .in_account(&AccountName::parse("shop").unwrap());
            let record = did.record(None, None, Time::default());
            let before = record.before.unwrap();
            assert!(before.len() <= TEXT_LIMIT, "{}", before.len());
            let value: Value = serde_json::from_str(&before).unwrap();
            assert!(value["bytes"].as_u64().unwrap() > 9000);
            assert_eq!(record.after.as_deref(), Some(r#"{"short":1}"#));
            assert!(record.target.len() <= TARGET_LIMIT && text.starts_with(&*record.target));
            assert_eq!(record.account.unwrap().as_str(), "shop");
        }
    }
}
