//! Keeps what an account shares with WeChat: AppID, mode, and the tokens and keys that are valid now.
//! Owns: which combinations may start, current and previous secrets during a rotation. Uses: model. Never: prints a secret.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::crypto::AesKey;
use crate::model::AccountName;

/// The longest token that is taken; WeChat's own rule is 3 to 32 letters and digits.
const TOKEN_LIMIT: usize = 64;

/// How WeChat's pushes travel, as set in its console (明文、兼容、安全模式).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In clear, both ways.
    Plain,
    /// In clear and encrypted side by side; clear alone is taken too, for an account that is changing over.
    Compatible,
    /// Encrypted only.
    Secure,
}

/// Which of two secrets, during a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    Previous,
}

/// One account's side of the callback. `Debug` shows no secret.
pub struct Account {
    /// Its name in the configuration and the callback URL.
    pub name: AccountName,
    /// `wx…`: the tail of every encrypted frame.
    pub app_id: Box<str>,
    /// How its pushes travel.
    pub mode: Mode,
    token: SecretString,
    previous_token: Option<SecretString>,
    aes_key: Option<AesKey>,
    previous_aes_key: Option<AesKey>,
}

/// Why an account's settings cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// `app_id` is empty or has blanks in it.
    #[error("app_id must be the AppID from WeChat's console, like wx0123456789abcdef")]
    AppId,
    /// A token is empty, too long or not of visible ASCII characters.
    #[error("{0} must be the Token from WeChat's console: 3 to 32 letters and digits")]
    Token(&'static str),
    /// The mode encrypts and there is no key.
    #[error("mode needs aes_key, the EncodingAESKey of 43 characters from WeChat's console")]
    NeedsKey,
}

impl Account {
    /// Puts an account's secrets together.
    ///
    /// # Errors
    /// [`AccountError`] when AppID or a token cannot be right, or a key is missing that the mode needs.
    pub fn new(
        name: AccountName,
        app_id: impl Into<Box<str>>,
        mode: Mode,
        token: SecretString,
        previous_token: Option<SecretString>,
        aes_key: Option<AesKey>,
        previous_aes_key: Option<AesKey>,
    ) -> Result<Self, AccountError> {
        let app_id = app_id.into();
        if !is_visible_ascii(&app_id) {
            return Err(AccountError::AppId);
        }
        for (what, token) in [
            ("token", Some(&token)),
            ("previous_token", previous_token.as_ref()),
        ] {
            if let Some(token) = token.map(ExposeSecret::expose_secret)
                && !(is_visible_ascii(token) && token.len() <= TOKEN_LIMIT)
            {
                return Err(AccountError::Token(what));
            }
        }
        if mode != Mode::Plain && aes_key.is_none() {
            return Err(AccountError::NeedsKey);
        }
        Ok(Self {
            name,
            app_id,
            mode,
            token,
            previous_token,
            aes_key,
            previous_aes_key,
        })
    }

    /// The tokens that are valid now, the current one first.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (Which, &str)> {
        [Which::Current, Which::Previous]
            .into_iter()
            .filter_map(|which| Some((which, self.token(which)?)))
    }

    pub(super) fn token(&self, which: Which) -> Option<&str> {
        match which {
            Which::Current => Some(&self.token),
            Which::Previous => self.previous_token.as_ref(),
        }
        .map(ExposeSecret::expose_secret)
    }

    /// The keys that are valid now, the current one first.
    pub(super) fn keys(&self) -> impl Iterator<Item = (Which, &AesKey)> {
        [Which::Current, Which::Previous]
            .into_iter()
            .filter_map(|which| Some((which, self.key(which)?)))
    }

    pub(super) fn key(&self, which: Which) -> Option<&AesKey> {
        match which {
            Which::Current => self.aes_key.as_ref(),
            Which::Previous => self.previous_aes_key.as_ref(),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("app_id", &self.app_id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

fn is_visible_ascii(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(app_id: &str, mode: Mode, token: &str) -> Result<Account, AccountError> {
        let name = AccountName::parse("shop").unwrap();
        Account::new(name, app_id, mode, token.into(), None, None, None)
    }

    #[test]
    fn a_mode_that_encrypts_needs_a_key() {
        assert!(account("wx0123456789abcdef", Mode::Plain, "Tok3n").is_ok());
        for mode in [Mode::Compatible, Mode::Secure] {
            let error = account("wx0123456789abcdef", mode, "Tok3n").unwrap_err();
            assert_eq!(error, AccountError::NeedsKey);
        }
    }

    #[test]
    fn an_empty_token_or_app_id_stops_the_start() {
        let error = account("wx0123456789abcdef", Mode::Plain, "").unwrap_err();
        assert_eq!(error, AccountError::Token("token"));
        let error = account(" ", Mode::Plain, "Tok3n").unwrap_err();
        assert_eq!(error, AccountError::AppId);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", account("wx01", Mode::Plain, "Tok3n").unwrap());
        assert!(
            shown.contains("wx01") && !shown.contains("Tok3n"),
            "{shown}"
        );
    }

    #[test]
    fn modes_are_written_in_lower_case() {
        assert_eq!(serde_json::to_string(&Mode::Secure).unwrap(), "\"secure\"");
    }
}
