//! Reads what was set in WeChat's own editor, and the media that it names.
//! Owns: the two calls and what their answers may be. Uses: client. Never: understands the rules in them.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::{Answer, Calls, Client, SendError, cause, refused, trouble};

/// The longest list of rules that is read, in bytes. WeChat takes 200 rules of some kilobytes each.
const RULES_LIMIT: u64 = 16 << 20;

impl Client {
    /// Asks for the replies that were set in WeChat's editor, as JSON. Runs to its end also when the returned future is
    /// dropped.
    ///
    /// # Errors
    /// [`SendError`]. Any account may ask.
    pub async fn autoreply_info(&self) -> Result<Vec<u8>, SendError> {
        self.read("/cgi-bin/get_current_autoreply_info", None, RULES_LIMIT)
            .await
    }

    /// Fetches a picture or voice message of at most `limit` bytes by its media id.
    ///
    /// # Errors
    /// [`SendError`]: 40007 when the id has expired, 48001 when the account may not.
    pub async fn download(&self, media_id: &str, limit: u64) -> Result<Vec<u8>, SendError> {
        self.read("/cgi-bin/media/get", Some(media_id.to_owned()), limit)
            .await
    }

    async fn read(
        &self,
        path: &'static str,
        media_id: Option<String>,
        limit: u64,
    ) -> Result<Vec<u8>, SendError> {
        let calls = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || calls.read(path, media_id.as_deref(), limit))
            .await
            .unwrap_or_else(|_| Err(SendError::Unclear("the call broke off".to_owned())))
    }
}

impl Calls {
    fn read(&self, path: &str, media_id: Option<&str>, limit: u64) -> Result<Vec<u8>, SendError> {
        self.as_account(|token| self.read_with(token, path, media_id, limit))
    }

    fn read_with(
        &self,
        token: &SecretString,
        path: &str,
        media_id: Option<&str>,
        limit: u64,
    ) -> Result<Vec<u8>, SendError> {
        let address = self.settings.api_base.trim_end_matches('/');
        let request = self
            .agent
            .get(format!("{address}{path}"))
            .query("access_token", token.expose_secret());
        let request = match media_id {
            Some(id) => request.query("media_id", id),
            None => request,
        };
        let mut response = request.call().map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(limit).read_to_vec();
        let body = body.map_err(|error| SendError::Unclear(cause(&error)))?;
        if status != 200 {
            return Err(SendError::Unclear(format!("HTTP status {status}")));
        }
        // A refusal comes with status 200 in place of whatever was asked for.
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) if answer.errcode != 0 => {
                Err(refused(answer.errcode, &self.words(&answer, Some(token))))
            }
            _ => Ok(body),
        }
    }
}
