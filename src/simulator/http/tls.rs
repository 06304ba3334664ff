//! Calls `https` callbacks through ureq, on a thread that may block.
//! Owns: what of ureq's errors may be told. Uses: ureq. Never: keeps connections.

use std::time::Duration;

use super::{Answer, BODY_LIMIT, Error};

/// One GET or POST; `limit` ends it even when nobody waits any more.
pub(super) async fn call(
    url: String,
    body: Option<Vec<u8>>,
    limit: Duration,
) -> Result<Answer, Error> {
    let call = move || -> Result<Answer, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        let mut answer = match body {
            Some(body) => agent
                .post(&url)
                .header("User-Agent", "Mozilla/4.0")
                .header("Content-Type", "text/xml")
                .send(&body)?,
            None => agent.get(&url).header("User-Agent", "Mozilla/4.0").call()?,
        };
        let content_type = answer.headers().get("content-type");
        Ok(Answer {
            status: answer.status().as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            body: answer
                .body_mut()
                .with_config()
                .limit(u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX))
                .read_to_vec()?,
        })
    };
    match tokio::task::spawn_blocking(call).await {
        Ok(Ok(answer)) => Ok(answer),
        // ureq's errors may carry the URL, whose query is signed: only the kind of failure is kept.
        Ok(Err(ureq::Error::Io(error))) => Err(Error::Tls(error.kind().to_string())),
        Ok(Err(ureq::Error::Timeout(_))) => Err(Error::Tls("timeout".to_owned())),
        Ok(Err(ureq::Error::HostNotFound)) => Err(Error::Tls("host not found".to_owned())),
        Ok(Err(ureq::Error::ConnectionFailed)) => Err(Error::Tls("not connected".to_owned())),
        Ok(Err(_other)) => Err(Error::Tls("the TLS call failed".to_owned())),
        Err(_stopped) => Err(Error::Tls("stopped".to_owned())),
    }
}
