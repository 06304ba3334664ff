//! Uploads a file as temporary media (新增临时素材).
//! Owns: the multipart form. Uses: model. Never: reads a file, remembers an id.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::known::Api;
use super::{Client, Request, SendError};
use crate::model::MediaKind;

/// Ten megabytes at 1.4 Mbit/s.
const UPLOAD_WITHIN: Duration = Duration::from_secs(60);

impl Client {
    /// Uploads a file and gives its media id, which WeChat keeps for three days. Tried once; with a token that WeChat no
    /// longer takes once more. `name` is what WeChat is told the file is called: ASCII letters, digits, dots and dashes.
    ///
    /// # Errors
    /// [`SendError`]; an upload of which nobody knows how it ended may be made again, the first id is then never used.
    pub async fn upload(
        &self,
        kind: MediaKind,
        name: &str,
        content_type: &str,
        bytes: Bytes,
    ) -> Result<Arc<str>, SendError> {
        let (boundary, body) = form(name, content_type, &bytes);
        let content_type = format!("multipart/form-data; boundary={boundary}");
        self.blocking(move |calls| {
            let request = Request {
                api: Api::MEDIA_UPLOAD,
                path: "/cgi-bin/media/upload",
                query: Some(("type", kind.word())),
                content_type: &content_type,
                body: &body,
                within: Some(UPLOAD_WITHIN),
            };
            let answer = calls.call_as_account(&request)?;
            let id = answer.media_id.or(answer.thumb_media_id);
            id.filter(|id| !id.is_empty())
                .map(Arc::from)
                .ok_or_else(|| SendError::Unclear("no media id came back".to_owned()))
        })
        .await
    }
}

/// A form with one part named `media`, and its boundary, which the file does not contain (RFC 7578).
fn form(name: &str, content_type: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let boundary = (0_u64..)
        .map(|n| format!("----wxreply{n}"))
        .find(|boundary| memchr::memmem::find(bytes, boundary.as_bytes()).is_none())
        .expect("no file holds every number");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"{name}\"\r\n\
         Content-Type: {content_type}\r\n\r\n"
    );
    let mut body = head.into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (boundary, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_not_in_the_file() {
        let file = b"a ----wxreply0 b ----wxreply1 c";
        let (boundary, body) = form("a.png", "image/png", file);
        assert_eq!(boundary, "----wxreply2");
        let text = String::from_utf8(body).unwrap();
        assert_eq!(
            text,
            "------wxreply2\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.png\"\r\n\
             Content-Type: image/png\r\n\r\na ----wxreply0 b ----wxreply1 c\r\n------wxreply2--\r\n"
        );
    }
}
