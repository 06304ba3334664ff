//! Reads what was set in WeChat's own editor, and the media that it names.
//! Owns: the two calls and what their answers may be. Uses: client. Never: understands the rules in them.

use secrecy::{ExposeSecret, SecretString};

use super::known::Api;
use super::picture::{too_long, within};
use super::{Answer, Calls, Client, SendError, refused, trouble};

/// The longest list of rules that is read, in bytes. WeChat takes 200 rules of some kilobytes each.
const RULES_LIMIT: u64 = 16 << 20;

impl Client {
    /// Asks for the replies that were set in WeChat's editor, as JSON. Runs to its end also when the returned future is
    /// dropped.
    ///
    /// # Errors
    /// [`SendError`]. Any account may ask.
    pub async fn autoreply_info(&self) -> Result<Vec<u8>, SendError> {
        let path = "/cgi-bin/get_current_autoreply_info";
        self.blocking(|calls| calls.read(Api::AUTOREPLY_INFO, path, None, RULES_LIMIT))
            .await
    }

    /// Fetches a picture or voice message of at most `limit` bytes by its media id.
    ///
    /// # Errors
    /// [`SendError`]: 40007 when the id has expired, 48001 when the account may not, 45001 when it is longer.
    pub async fn download(&self, media_id: &str, limit: u64) -> Result<Vec<u8>, SendError> {
        let id = media_id.to_owned();
        self.blocking(move |calls| {
            let query = Some(("media_id", id.as_str()));
            calls.read(Api::MEDIA_GET, "/cgi-bin/media/get", query, limit)
        })
        .await
    }
}

impl Calls {
    pub(super) fn read(
        &self,
        api: Api,
        path: &str,
        query: Option<(&str, &str)>,
        limit: u64,
    ) -> Result<Vec<u8>, SendError> {
        self.as_account(|token| self.timed(api, || self.read_with(token, path, query, limit)))
    }

    fn read_with(
        &self,
        token: &SecretString,
        path: &str,
        query: Option<(&str, &str)>,
        limit: u64,
    ) -> Result<Vec<u8>, SendError> {
        let address = self.settings.api_base.trim_end_matches('/');
        let request = self
            .agent
            .get(format!("{address}{path}"))
            .query("access_token", token.expose_secret());
        let request = match query {
            Some((name, value)) => request.query(name, value),
            None => request,
        };
        let mut response = request.call().map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        // The reader refuses at its limit, even where nothing follows.
        let body = response
            .body_mut()
            .with_config()
            .limit(limit.saturating_add(1));
        let body = body
            .read_to_vec()
            .map_err(|error| too_long(&error, limit))?;
        if status != 200 {
            return Err(SendError::Unclear(format!("HTTP status {status}")));
        }
        // A refusal comes with status 200 in place of whatever was asked for.
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) if answer.errcode != 0 => {
                Err(refused(answer.errcode, &self.words(&answer, Some(token))))
            }
            _ => within(body, limit),
        }
    }
}
