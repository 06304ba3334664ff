//! Makes one attempt to tell something on a channel.
//! Owns: which secret and which address, what counts as taken. Uses: outbound, robots, webhook, email. Never: when, or whether again;
//! a secret or an address in a log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::email::{self, Letter};
use super::failure::Failure;
use super::wording::Message;
use super::{robots, webhook, wording};
use crate::model::alert::{AlertChannel, ChannelKind};
use crate::model::notice::Notice;
use crate::model::{Time, TurnKey};
use crate::outbound::{AllowedHost, Exchange, Post, Secrets, sign};

/// The longest an attempt may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Mail servers greet slowly on purpose.
const MAIL_WITHIN: Duration = Duration::from_secs(20);
/// The most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 16 << 10;

/// What is told.
pub(super) enum Telling {
    /// These, at least one; on a webhook exactly one. So many more were not kept.
    Notices(Vec<Notice>, usize),
    /// That the channel works.
    Trial,
}

/// Where things are told from.
pub(super) struct Postman {
    pub(super) exchange: Exchange,
    pub(super) secrets: Secrets,
    pub(super) public_url: Option<String>,
}

impl Postman {
    /// Makes one attempt; always ends.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(super) async fn tell(
        self: &Arc<Self>,
        channel: AlertChannel,
        telling: Telling,
        now: Time,
    ) -> Result<(), Failure> {
        let within = match channel.kind {
            ChannelKind::Email => MAIL_WITHIN,
            _ => WITHIN,
        };
        let (postman, until) = (Arc::clone(self), Instant::now() + within);
        let work =
            tokio::task::spawn_blocking(move || postman.tell_until(&channel, &telling, now, until));
        // The name service cannot be interrupted: its thread is left alone.
        match timeout(within, work).await {
            Ok(Ok(told)) => told,
            Ok(Err(_broken_off)) => Err(Failure::Unreadable),
            Err(_past_its_time) => Err(Failure::Timeout),
        }
    }

    fn tell_until(
        &self,
        channel: &AlertChannel,
        telling: &Telling,
        now: Time,
        until: Instant,
    ) -> Result<(), Failure> {
        let url = self.revealed(&channel.url)?;
        let url = url.expose_secret();
        let secret = channel.secret.as_deref();
        let secret = secret.map(|name| self.revealed(name)).transpose()?;
        let secret = secret.as_ref();
        match channel.kind {
            ChannelKind::Webhook => {
                let document = match telling {
                    Telling::Notices(notices, _) => {
                        let first = notices.first().ok_or(Failure::Unreadable)?;
                        webhook::document(first, self.public_url.as_deref())
                    }
                    Telling::Trial => webhook::trial(self.public_url.as_deref(), now),
                };
                let body = document.to_string();
                let mut headers = vec![("Idempotency-Key", telling.id(channel, now).to_string())];
                if let Some(secret) = secret {
                    let timestamp = now.seconds().to_string();
                    headers.push(("X-Wxreply-Signature", sign(secret, &timestamp, &body)));
                    headers.push(("X-Wxreply-Timestamp", timestamp));
                }
                self.post(channel.kind, url, headers, body, until)
            }
            ChannelKind::Email => {
                let message = self.message(channel, telling, now);
                let letter = Letter {
                    channel,
                    message: &message,
                    id: telling.id(channel, now),
                    now,
                };
                email::send(&self.exchange, url, secret, &letter, until)
            }
            robot => {
                let message = self.message(channel, telling, now);
                let body = robots::body(robot, &message, secret, now).to_string();
                let url = robots::address(robot, url, secret, now);
                self.post(robot, &url, Vec::new(), body, until)
            }
        }
    }

    fn message(&self, channel: &AlertChannel, telling: &Telling, now: Time) -> Message {
        let public_url = self.public_url.as_deref();
        match telling {
            Telling::Notices(notices, unlisted) => {
                wording::message(notices, *unlisted, public_url, now)
            }
            Telling::Trial => wording::trial(&channel.name, public_url),
        }
    }

    fn post(
        &self,
        kind: ChannelKind,
        url: &str,
        headers: Vec<(&'static str, String)>,
        body: String,
        until: Instant,
    ) -> Result<(), Failure> {
        let known = robots::hosts(kind).iter();
        let known: Vec<AllowedHost> = known
            .filter_map(|host| AllowedHost::parse(host).ok())
            .collect();
        let post = Post {
            to: self.exchange.checked(url, &known)?,
            content_type: "application/json; charset=utf-8",
            headers,
            body,
        };
        let answer = self.exchange.post(post, until)?;
        let status = answer.status();
        if !(200..300).contains(&status) {
            let retry_after = answer.retry_after();
            return Err(Failure::Status {
                status,
                retry_after,
            });
        }
        match kind {
            // A program's answer is its own.
            ChannelKind::Webhook | ChannelKind::Email => Ok(()),
            robot => robots::read(robot, &answer.body(ANSWER_LIMIT)?),
        }
    }

    /// What stands in a file, or the variable that `env:NAME` names.
    fn revealed(&self, text: &str) -> Result<SecretString, Failure> {
        match text.strip_prefix("env:") {
            Some(name) => self.secrets.of(name).cloned().ok_or(Failure::NoVariable),
            None => Ok(text.into()),
        }
    }
}

impl Telling {
    /// Identifies a message over its repeats.
    fn id(&self, channel: &AlertChannel, now: Time) -> TurnKey {
        let text: String = match self {
            Self::Notices(notices, _) => notices.iter().map(|one| one.id.to_string()).collect(),
            Self::Trial => format!("trial/{}/{now}", channel.name),
        };
        TurnKey::of_text(&text)
    }
}
