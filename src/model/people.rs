//! Says who the people behind the desk are, what may be changed about them, and how long a session lasts.
//! Owns: names of users, the legal changes of a user, the life of a session. Uses: access, ids, time. Never: a password's text, the clock.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::Role;
use super::ids::{AccountName, AgentName, SessionId};
use super::media::Sha256Hash;
use super::time::Time;

/// The longest name of a user, in characters: four bytes each fit into an [`AgentName`].
pub const NAME_LENGTH: usize = 32;
/// The longest shown name, in characters.
pub const SHOWN_LENGTH: usize = 64;
/// A session ends after this time without a call: a shift.
pub const SESSION_IDLE: Duration = Duration::from_secs(8 * 3600);
/// A session ends this long after the login, however busy it is.
pub const SESSION_LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// A password that somebody else was given works for this long.
pub const INITIAL_LASTS: Duration = Duration::from_secs(24 * 3600);
/// At most so many sessions of one user; a further login ends the one that was silent longest.
pub const SESSIONS_EACH: usize = 16;

/// Names that no user may have: acts are written down under them already, or they would read as something else.
const RESERVED: [&str; 4] = ["system", "wxreply", "me", "current"];

/// What the name of a user must be, for messages.
pub const NAME_RULE: &str =
    "a letter, a digit or a Chinese character, then these, `-`, `_` or `.`; 32 characters at most";

/// The name of a user, if the text is one.
pub fn user_name(text: &str) -> Option<AgentName> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || is_han(c);
    let is_legal = text.starts_with(is_letter)
        && text.chars().all(|c| is_letter(c) || "-_.".contains(c))
        && text.chars().count() <= NAME_LENGTH
        && !RESERVED.contains(&folded(text).as_str());
    is_legal.then(|| AgentName::parse(text).ok()).flatten()
}

/// Whether the character is a Chinese one: the unified ideographs with their extensions, and 〇.
const fn is_han(c: char) -> bool {
    matches!(c, '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{323AF}')
}

/// What two names of users must differ in.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// What is kept of a password: an argon2id hash with what it takes to compute it again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Random, of its own.
    pub salt: [u8; 16],
    /// The hash.
    pub hash: [u8; 32],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A user's password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    /// What is kept of it.
    pub hash: PasswordHash,
    /// Since when it is theirs.
    pub at: Time,
    /// Whether somebody else knows it: nothing but changing it works with it, and that for [`INITIAL_LASTS`] only.
    pub is_initial: bool,
}

impl Password {
    /// Whether it is worth nothing any more.
    pub fn is_over(&self, now: Time) -> bool {
        self.is_initial && now.since(self.at) >= INITIAL_LASTS
    }
}

/// Somebody who may log in. A user is never removed, only disabled: what they did keeps its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name for logging in, under which acts are written down.
    pub name: AgentName,
    /// The name that people read.
    pub shown: Box<str>,
    /// What they may do.
    pub role: Role,
    /// Whether they lead the others: reassign, edit promises and crisis words, hear of tier-2 alerts.
    pub is_lead: bool,
    /// The accounts they reach; empty means all.
    pub accounts: Vec<AccountName>,
    /// Whether they may not log in.
    pub is_disabled: bool,
    /// Whether they are there to answer.
    pub is_on_duty: bool,
    /// When that last changed.
    pub duty_since: Time,
    /// When they were added.
    pub created_at: Time,
    /// The password.
    pub password: Password,
    /// Grows when all their sessions end; a session of another epoch is over.
    pub epoch: u64,
}

impl User {
    /// Whether they manage everything: users, tokens, every account.
    pub const fn is_head(&self) -> bool {
        matches!(self.role, Role::Admin) && self.accounts.is_empty() && !self.is_disabled
    }

    /// Whether they may answer people.
    pub fn may_answer(&self) -> bool {
        self.role >= Role::Agent && !self.is_disabled
    }
}

/// What somebody wants to be different about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Other facts; what is `None` stays.
    Edit(UserEdit),
    /// Another password. All sessions end.
    Password(Password),
    /// The same password, hashed with more effort; nothing happens when it is another one by now.
    Rehash {
        /// What is kept now.
        from: PasswordHash,
        /// What is kept then.
        to: PasswordHash,
    },
    /// They come, or go.
    Duty {
        /// Whether they are there from now on.
        on: bool,
    },
}

/// Facts about a user to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserEdit {
    /// The name that people read.
    pub shown: Option<Box<str>>,
    /// What they may do. All sessions end when it becomes another.
    pub role: Option<Role>,
    /// Whether they lead. All sessions end when it becomes another.
    pub is_lead: Option<bool>,
    /// The accounts they reach.
    pub accounts: Option<Vec<AccountName>>,
    /// Whether they may not log in. All sessions end when they no longer may.
    pub is_disabled: Option<bool>,
}

/// Why a change of a user does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserRefusal {
    /// Nobody would be left who manages users.
    #[error("this is the last admin who reaches every account; make another one first")]
    LastAdmin,
    /// Who may not answer people is not on duty.
    #[error("only enabled users with the role agent or above can be on duty")]
    NoDuty,
}

impl User {
    /// The user after the change, `all` being every user there is.
    ///
    /// # Errors
    /// [`UserRefusal`]; nothing changes then.
    pub fn changed(
        &self,
        change: &UserChange,
        all: &[Self],
        now: Time,
    ) -> Result<Self, UserRefusal> {
        let mut next = self.clone();
        match change {
            UserChange::Edit(edit) => next.edit(edit),
            UserChange::Password(password) => {
                next.password = password.clone();
                next.epoch += 1;
            }
            UserChange::Rehash { from, to } => {
                if next.password.hash == *from {
                    next.password.hash = to.clone();
                }
            }
            UserChange::Duty { on } => next.is_on_duty = *on,
        }
        if next.is_on_duty && !next.may_answer() {
            if matches!(change, UserChange::Duty { .. }) {
                return Err(UserRefusal::NoDuty);
            }
            next.is_on_duty = false;
        }
        if next.is_on_duty != self.is_on_duty {
            next.duty_since = now;
        }
        let is_other = |user: &&Self| user.name != self.name;
        let is_last = || !all.iter().filter(is_other).any(Self::is_head);
        if self.is_head() && !next.is_head() && is_last() {
            return Err(UserRefusal::LastAdmin);
        }
        Ok(next)
    }

    fn edit(&mut self, edit: &UserEdit) {
        let before = (self.role, self.is_lead, self.is_disabled);
        let UserEdit {
            shown,
            role,
            is_lead,
            accounts,
            is_disabled,
        } = edit;
        if let Some(shown) = shown {
            self.shown.clone_from(shown);
        }
        if let Some(accounts) = accounts {
            self.accounts.clone_from(accounts);
        }
        self.role = role.unwrap_or(self.role);
        self.is_lead = is_lead.unwrap_or(self.is_lead);
        self.is_disabled = is_disabled.unwrap_or(self.is_disabled);
        if before != (self.role, self.is_lead, self.is_disabled) {
            self.epoch += 1;
        }
    }
}

/// One login that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What people call it; worth nothing as a token.
    pub id: SessionId,
    /// SHA-256 of the token's text.
    pub token: Sha256Hash,
    /// Whose it is.
    pub user: AgentName,
    /// The user's epoch at the login.
    pub epoch: u64,
    /// When the login was.
    pub created_at: Time,
    /// When the password was last given: what needs a fresh proof looks here.
    pub fresh_at: Time,
    /// When it was last used, to within a few minutes.
    pub seen_at: Time,
    /// Where the login came from.
    pub address: Option<IpAddr>,
    /// What the login's client called itself.
    pub client: Box<str>,
}

impl Session {
    /// When it ends even if it is used.
    pub fn until(&self) -> Time {
        self.created_at.plus(SESSION_LASTS)
    }

    /// When it ends if it is not used.
    pub fn idle_until(&self) -> Time {
        self.seen_at.plus(SESSION_IDLE).min(self.until())
    }

    /// Whether it has not ended by itself.
    pub fn is_live(&self, now: Time) -> bool {
        now < self.idle_until()
    }

    /// Whether it is good for this user: not over, and begun since all their sessions last ended.
    pub fn is_of(&self, user: &User, now: Time) -> bool {
        self.is_live(now) && !user.is_disabled && self.epoch == user.epoch && self.user == user.name
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::TurnKey;

    const NOW: Time = Time::from_seconds(1_780_000_000);

    pub(crate) fn user(name: &str, role: Role) -> User {
        User {
            name: user_name(name).unwrap(),
            shown: name.into(),
            role,
            is_lead: false,
            accounts: Vec::new(),
            is_disabled: false,
            is_on_duty: false,
            duty_since: NOW,
            created_at: NOW,
            password: Password {
                hash: PasswordHash {
                    memory: 8,
                    passes: 1,
                    lanes: 1,
                    salt: [1; 16],
                    hash: [2; 32],
                },
                at: NOW,
                is_initial: false,
            },
            epoch: 0,
        }
    }

    fn edit(user: &User, all: &[User], edit: UserEdit) -> Result<User, UserRefusal> {
        user.changed(&UserChange::Edit(edit), all, NOW)
    }

    #[test]
    fn names_have_letters_digits_and_chinese_characters() {
        for good in ["mei", "Li.Lei", "小李", "陈_2", "0-9", &"梅".repeat(32)] {
            assert_eq!(user_name(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "token:mei",
            "-mei",
            "a b",
            "a\u{200B}",
            "é",
            "System",
            "me",
            &"梅".repeat(33),
        ] {
            assert_eq!(user_name(bad), None, "{bad}");
        }
        assert_eq!(folded("Mei"), folded("mEI"));
    }

    #[test]
    fn the_last_admin_stays() {
        let (boss, other) = (user("boss", Role::Admin), user("other", Role::Admin));
        let mut local = user("local", Role::Admin);
        local.accounts = vec![AccountName::parse("shop").unwrap()];
        let demoted = UserEdit {
            role: Some(Role::Agent),
            ..UserEdit::default()
        };
        let disabled = UserEdit {
            is_disabled: Some(true),
            ..UserEdit::default()
        };
        let bounded = UserEdit {
            accounts: Some(local.accounts.clone()),
            ..UserEdit::default()
        };
        let alone = [boss.clone(), local.clone(), user("mei", Role::Agent)];
        for change in [demoted, disabled, bounded] {
            assert_eq!(
                edit(&boss, &alone, change.clone()),
                Err(UserRefusal::LastAdmin)
            );
            assert!(edit(&boss, &[boss.clone(), other.clone()], change.clone()).is_ok());
            assert!(
                edit(&local, &alone, change).is_ok(),
                "one of some accounts is not the last"
            );
        }
        let renamed = UserEdit {
            shown: Some("老板".into()),
            ..UserEdit::default()
        };
        assert_eq!(&*edit(&boss, &alone, renamed).unwrap().shown, "老板");
    }

    #[test]
    fn whoever_may_not_answer_is_off_duty() {
        let viewer = user("screen", Role::Viewer);
        let come = UserChange::Duty { on: true };
        assert_eq!(viewer.changed(&come, &[], NOW), Err(UserRefusal::NoDuty));
        let later = NOW.plus(Duration::from_secs(9));
        let mei = user("mei", Role::Agent).changed(&come, &[], later).unwrap();
        assert!(mei.is_on_duty && mei.duty_since == later && mei.epoch == 0);
        assert_eq!(
            mei.changed(&come, &[], later.plus(Duration::from_secs(9)))
                .unwrap(),
            mei,
            "who is there comes no second time"
        );
        let gone = edit(
            &mei,
            &[],
            UserEdit {
                is_disabled: Some(true),
                ..UserEdit::default()
            },
        );
        let gone = gone.unwrap();
        assert!(!gone.is_on_duty && gone.epoch == 1);
        assert_eq!(gone.changed(&come, &[], NOW), Err(UserRefusal::NoDuty));
    }

    #[test]
    fn sessions_end_by_themselves_and_with_what_they_rest_on() {
        let mei = user("mei", Role::Agent);
        let mut session = Session {
            id: SessionId::at(NOW, 0, TurnKey::of_text("x")),
            token: [0; 32],
            user: mei.name.clone(),
            epoch: 0,
            created_at: NOW,
            fresh_at: NOW,
            seen_at: NOW,
            address: None,
            client: "".into(),
        };
        let second = Duration::from_secs(1);
        assert!(session.is_of(&mei, NOW.plus(SESSION_IDLE).minus(second)));
        assert!(!session.is_of(&mei, NOW.plus(SESSION_IDLE)));
        session.seen_at = NOW.plus(SESSION_LASTS).minus(second);
        assert!(session.is_of(&mei, session.seen_at));
        assert!(!session.is_of(&mei, NOW.plus(SESSION_LASTS)));
        session.seen_at = NOW;
        let other = UserChange::Password(Password {
            at: NOW,
            ..mei.password.clone()
        });
        assert!(!session.is_of(&mei.changed(&other, &[], NOW).unwrap(), NOW));
        for change in [
            UserEdit {
                role: Some(Role::Operator),
                ..UserEdit::default()
            },
            UserEdit {
                is_lead: Some(true),
                ..UserEdit::default()
            },
            UserEdit {
                is_disabled: Some(true),
                ..UserEdit::default()
            },
        ] {
            assert!(!session.is_of(&edit(&mei, &[], change).unwrap(), NOW));
        }
        let same = UserEdit {
            shown: Some("小梅".into()),
            role: Some(Role::Agent),
            ..UserEdit::default()
        };
        assert!(session.is_of(&edit(&mei, &[], same).unwrap(), NOW));
    }

    #[test]
    fn a_password_that_others_know_does_not_last() {
        let mut password = user("mei", Role::Agent).password;
        assert!(!password.is_over(NOW.plus(Duration::MAX)));
        password.is_initial = true;
        assert!(!password.is_over(NOW));
        assert!(password.is_over(NOW.plus(INITIAL_LASTS)));
        assert!(!format!("{password:?}").contains("2, 2"), "not in a log");
    }
}
