//! Fetches a follower's picture from where WeChat shows it, for accounts that may not call `media/get`.
//! Owns: which addresses are WeChat's. Uses: client. Never: calls another host, follows a redirect, shows a token.

use super::known::Api;
use super::{Client, SendError, cause, refused, trouble};

/// What stands for "there is no such media" where no code came.
const GONE: i64 = 40007;

impl Client {
    /// Fetches a picture of at most `limit` bytes from a host of WeChat's.
    ///
    /// # Errors
    /// [`SendError`]: refused with 40007 where the address is not WeChat's or nothing is there, with 45001 where there is
    /// too much.
    pub async fn picture(&self, url: &str, limit: u64) -> Result<Vec<u8>, SendError> {
        // A stand-in for WeChat names pictures that the real one never had.
        let is_real = self.0.settings.api_base.starts_with("https://");
        if !is_real || !is_wechats(url) {
            return Err(refused(GONE, "the picture's address is not WeChat's"));
        }
        let url = url.to_owned();
        self.blocking(move |calls| {
            calls.timed(Api::PICTURE, || {
                let mut response = calls
                    .agent
                    .get(&url)
                    .call()
                    .map_err(|error| trouble(&error))?;
                match response.status().as_u16() {
                    200 => {}
                    status @ 500.. => {
                        return Err(SendError::Unclear(format!("HTTP status {status}")));
                    }
                    status => return Err(refused(GONE, &format!("HTTP status {status}"))),
                }
                let body = response
                    .body_mut()
                    .with_config()
                    .limit(limit.saturating_add(1));
                let body = body
                    .read_to_vec()
                    .map_err(|error| too_long(&error, limit))?;
                within(body, limit)
            })
        })
        .await
    }
}

/// The body, if it is no longer than that.
pub(super) fn within(body: Vec<u8>, limit: u64) -> Result<Vec<u8>, SendError> {
    match u64::try_from(body.len()) {
        Ok(length) if length <= limit => Ok(body),
        _ => Err(too_large(limit)),
    }
}

/// What a body that could not be read means.
pub(super) fn too_long(error: &ureq::Error, limit: u64) -> SendError {
    match error {
        ureq::Error::BodyExceedsLimit(_) => too_large(limit),
        _ => SendError::Unclear(cause(error)),
    }
}

/// WeChat's own code for media that are too large.
fn too_large(limit: u64) -> SendError {
    refused(45001, &format!("more than {limit} bytes"))
}

/// Whether an address is on a host of WeChat's that shows pictures: `*.qpic.cn`, `*.qlogo.cn`, at the usual ports.
fn is_wechats(url: &str) -> bool {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else {
        return false;
    };
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let Some(authority) = uri.authority() else {
        return false;
    };
    let host = authority.host().to_ascii_lowercase();
    let is_known = [".qpic.cn", ".qlogo.cn"]
        .iter()
        .any(|end| host.ends_with(end));
    // Neither a user nor a port: nothing but the host stands there.
    is_web && is_known && authority.as_str().len() == host.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wechats_own_hosts_are_asked() {
        for good in [
            "http://mmbiz.qpic.cn/mmbiz_jpg/abc/0",
            "https://MMBIZ.QPIC.CN/x?wx_fmt=png",
            "https://wx.qlogo.cn/mmhead/a/0",
        ] {
            assert!(is_wechats(good), "{good}");
        }
        for bad in [
            "",
            "mmbiz.qpic.cn/x",
            "ftp://mmbiz.qpic.cn/x",
            "file:///etc/passwd",
            "http://qpic.cn.evil.example/x",
            "http://evilqpic.cn/x",
            "http://qpic.cn/x",
            "http://169.254.169.254/qpic.cn",
            "http://mmbiz.qpic.cn@evil.example/x",
            "http://u:p@mmbiz.qpic.cn/x",
            "http://mmbiz.qpic.cn:8080/x",
            "http://evil.example/#.qpic.cn",
            "http://evil.example\\.qpic.cn/",
        ] {
            assert!(!is_wechats(bad), "{bad}");
        }
    }
}
