//! Says what is written down about what people do: who, what, before and after, from where.
//! Owns: the words for acts, the shape of a record, which records a question means. Uses: ids, time. Never: a secret, a message's text.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{AccountName, AgentName};
use super::time::Time;

/// How long records stay.
pub const AUDIT_LASTS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
/// The most bytes that `before` and `after` have each. With both full, the seventeen records of one leaf of the store stay
/// under the size from which it would put them elsewhere.
pub const TEXT_LIMIT: usize = 3 << 10;
/// The longest target, in bytes.
pub const TARGET_LIMIT: usize = 256;

macro_rules! acts {
    ($($(#[$doc:meta])* $what:ident = $word:literal;)+) => {
        /// What somebody did. Records keep the word, so a variant may go without making them unreadable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum What { $($(#[$doc])* $what,)+ }

        impl What {
            /// Every act.
            pub const ALL: &'static [Self] = &[$(Self::$what),+];

            /// Its word: the thing, a dot, what was done to it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$what => $word,)+ }
            }
        }
    };
}

acts! {
    /// Somebody logged in.
    LoggedIn = "login.good";
    /// Somebody gave a wrong name or password.
    LoginFailed = "login.failed";
    /// Somebody ended their own session.
    LoggedOut = "session.logout";
    /// Somebody ended sessions of somebody else, or all of their own.
    SessionEnded = "session.end";
    /// A user was added.
    UserAdded = "user.add";
    /// Facts about a user changed.
    UserChanged = "user.change";
    /// A user may not log in any more.
    UserDisabled = "user.disable";
    /// A user may log in again.
    UserEnabled = "user.enable";
    /// A user has another password.
    PasswordSet = "user.password";
    /// Somebody is there to answer.
    DutyOn = "duty.on";
    /// Somebody is not there any more.
    DutyOff = "duty.off";
    /// An API token was made.
    TokenAdded = "token.add";
    /// An API token was revoked.
    TokenRevoked = "token.revoke";
    /// Rule files were published.
    RulesPublished = "rules.publish";
    /// A revision was brought back.
    RulesRolledBack = "rules.rollback";
    /// A rule was added.
    RuleAdded = "rules.add";
    /// A rule was changed.
    RuleChanged = "rules.change";
    /// A rule was removed.
    RuleRemoved = "rules.remove";
    /// Somebody took a conversation.
    Claimed = "conversation.claim";
    /// A conversation was given to somebody, or taken over.
    Assigned = "conversation.assign";
    /// A conversation went back to the queue.
    Released = "conversation.release";
    /// A conversation went back to the rules.
    HandedBack = "conversation.handback";
    /// An episode was ended.
    Closed = "conversation.close";
    /// A conversation was put off.
    Snoozed = "conversation.snooze";
    /// Somebody said how urgent a conversation is.
    Prioritised = "conversation.priority";
    /// Somebody wrote to colleagues.
    Noted = "conversation.note";
    /// Somebody said what a follower is called.
    Tagged = "conversation.tags";
    /// Somebody said what colleagues call a follower.
    Remarked = "conversation.remark";
    /// Somebody answered a follower.
    Replied = "conversation.reply";
    /// Somebody answered a follower by another way.
    AnsweredElsewhere = "conversation.elsewhere";
    /// Somebody sent a follower to Tencent's desk.
    SentToDesk = "conversation.desk";
    /// Somebody saw that an episode ended without an answer.
    Acknowledged = "conversation.acknowledge";
    /// A follower was erased everywhere.
    FollowerErased = "follower.erase";
    /// Everything that is kept of a follower was handed out.
    FollowerExported = "follower.export";
    /// Somebody wrote about what many followers say, or said that it is over.
    IncidentEdited = "incident.edit";
    /// Something happened to a conversation by itself.
    Elapsed = "conversation.timer";
}

/// One act, written down for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its number, growing by one; the store gives it.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// Who; `None` when nobody was known.
    pub by: Option<AgentName>,
    /// What: a word of [`What`].
    pub what: Box<str>,
    /// To what: a user, a token, a rule.
    pub target: Box<str>,
    /// How it was, as a JSON object.
    pub before: Option<Box<str>>,
    /// How it is since, as a JSON object.
    pub after: Option<Box<str>>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The account it concerns; `None` when it concerns no single one.
    pub account: Option<AccountName>,
}

/// Which records, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Not before this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// By this one.
    pub by: Option<Box<str>>,
    /// With this word, or with one that begins with this one and a dot.
    pub what: Option<Box<str>>,
    /// To this target.
    pub target: Option<Box<str>>,
    /// What somebody who does not reach every account may read; `None`: everything.
    pub reader: Option<AuditReader>,
    /// Older than the record with this number.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Somebody who reaches some accounts only: reads what concerns these, and their own acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReader {
    /// Who.
    pub name: AgentName,
    /// The accounts.
    pub accounts: Vec<AccountName>,
}

/// Some records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Newest first.
    pub records: Vec<AuditRecord>,
    /// The number to go on after, when there may be more.
    pub next: Option<u64>,
}

impl AuditQuery {
    /// Whether the record is meant.
    pub fn fits(&self, record: &AuditRecord) -> bool {
        let is = |wanted: &Option<Box<str>>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| **wanted == *found)
        };
        let by = record.by.as_ref().map_or("", AgentName::as_str);
        self.since.is_none_or(|since| since <= record.at)
            && self.until.is_none_or(|until| record.at < until)
            && is(&self.by, by)
            && is(&self.target, &record.target)
            && self
                .what
                .as_ref()
                .is_none_or(|what| is_about(&record.what, what))
            && self
                .reader
                .as_ref()
                .is_none_or(|reader| reader.may_read(record))
    }
}

impl AuditReader {
    fn may_read(&self, record: &AuditRecord) -> bool {
        let is_theirs = record.by.as_ref() == Some(&self.name);
        let account = record.account.as_ref();
        is_theirs || account.is_some_and(|account| self.accounts.contains(account))
    }
}

fn is_about(word: &str, wanted: &str) -> bool {
    word.strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            seq: 7,
            at: Time::from_seconds(100),
            by: AgentName::parse("mei").ok(),
            what: What::UserAdded.word().into(),
            target: "jun".into(),
            before: None,
            after: None,
            address: None,
            account: AccountName::parse("shop").ok(),
        }
    }

    #[test]
    fn words_are_distinct_and_grouped() {
        let mut words: Vec<_> = What::ALL.iter().map(|what| what.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), What::ALL.len());
        assert!(words.iter().all(|word| word.matches('.').count() == 1));
    }

    #[test]
    fn a_question_means_what_fits_all_of_it() {
        let asked = |ask: fn(&mut AuditQuery)| {
            let mut query = AuditQuery::default();
            ask(&mut query);
            query.fits(&record())
        };
        assert!(asked(|_| {}));
        assert!(asked(|query| query.since = Some(Time::from_seconds(100))));
        assert!(!asked(|query| query.until = Some(Time::from_seconds(100))));
        assert!(asked(|query| query.what = Some("user".into())));
        assert!(asked(|query| query.what = Some("user.add".into())));
        assert!(!asked(|query| query.what = Some("use".into())));
        assert!(!asked(|query| query.by = Some("jun".into())));
        assert!(asked(|query| query.target = Some("jun".into())));
        let reader = |name: &str, account: &str| {
            Some(AuditReader {
                name: AgentName::parse(name).unwrap(),
                accounts: vec![AccountName::parse(account).unwrap()],
            })
        };
        let read = |reader| {
            AuditQuery {
                reader,
                ..AuditQuery::default()
            }
            .fits(&record())
        };
        assert!(read(reader("jun", "shop")) && read(reader("mei", "both")));
        assert!(!read(reader("jun", "both")));
    }
}
