//! Takes uploads and gives media back.
//! Owns: the multipart form of an upload. Uses: the shelf. Never: who may see what.

use serde_json::json;

use super::super::media::MediaKind;
use super::super::refusal::Refusal;
use super::{Answer, Call, Outcome};

/// `POST /cgi-bin/media/upload?type=…`.
pub(super) fn upload(call: &Call<'_>) -> Outcome {
    let kind = MediaKind::named(call.request.query("type")).ok_or(Refusal::new(40004))?;
    let bytes = file_part(&call.request.content_type, &call.request.body)
        .ok_or(Refusal::new(41005))?
        .to_vec();
    let now = call.request.now;
    let id = call.office.memory.lock().shelf.upload(kind, bytes, now)?;
    let id_field = match kind {
        MediaKind::Thumb => "thumb_media_id",
        MediaKind::Image | MediaKind::Voice | MediaKind::Video => "media_id",
    };
    Ok(Answer::Json(
        json!({"type": kind.name(), id_field: id, "created_at": now.seconds()}),
    ))
}

/// `GET /cgi-bin/media/get?media_id=…`. A video answers with a URL, as WeChat does; nothing is behind it here.
pub(super) fn download(call: &Call<'_>) -> Outcome {
    let id = call.request.query("media_id");
    if id.is_empty() {
        return Err(Refusal::new(41006));
    }
    let memory = call.office.memory.lock();
    let media = memory.shelf.find(id, call.request.now)?;
    if media.kind == MediaKind::Video {
        let url = format!("http://{}/video/{id}", call.platform.address);
        return Ok(Answer::Json(json!({"video_url": url})));
    }
    let extension = media.content_type.rsplit('/').next().unwrap_or("bin");
    Ok(Answer::File {
        content_type: media.content_type,
        name: format!("{id}.{extension}"),
        bytes: media.bytes.clone(),
    })
}

/// The content of the part named `media` that has a file name (RFC 7578).
fn file_part<'a>(content_type: &str, body: &'a [u8]) -> Option<&'a [u8]> {
    let (form, rest) = content_type.split_once(';')?;
    if !form.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(rest, "boundary").filter(|boundary| !boundary.is_empty())?;
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // The first delimiter may stand at the very beginning, without its line feed.
    let opening = delimiter.get(2..)?;
    let mut rest = match body.strip_prefix(opening) {
        Some(rest) => rest,
        None => split_at(body, &delimiter)?.1,
    };
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let (part, next) = split_at(part, &delimiter)?;
        let (head, content) = split_at(part, b"\r\n\r\n")?;
        let head = str::from_utf8(head).ok()?;
        let is_file = head.lines().any(|line| {
            let Some((name, value)) = line.split_once(':') else {
                return false;
            };
            name.eq_ignore_ascii_case("content-disposition")
                && parameter(value, "name").as_deref() == Some("media")
                && parameter(value, "filename").is_some_and(|name| !name.is_empty())
        });
        if is_file {
            return Some(content);
        }
        rest = next;
    }
    None
}

fn split_at<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = memchr::memmem::find(bytes, at)?;
    let (before, rest) = bytes.split_at_checked(start)?;
    Some((before, rest.get(at.len()..)?))
}

/// A parameter such as `name="media"` of a header's value.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    value.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "multipart/form-data; boundary=\"x y\"";

    #[test]
    fn the_file_is_found_among_other_parts() {
        let body = b"--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x y\r\ncontent-disposition: form-data; name=\"media\"; filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\nA\r\n-B\r\n--x y--\r\n";
        assert_eq!(file_part(FORM, body), Some(&b"A\r\n-B"[..]));
    }

    #[test]
    fn a_part_without_file_name_or_another_form_is_none() {
        let unnamed =
            b"--x y\r\nContent-Disposition: form-data; name=\"media\"\r\n\r\n1\r\n--x y--";
        assert_eq!(file_part(FORM, unnamed), None);
        assert_eq!(file_part("application/json", unnamed), None);
        assert_eq!(file_part("multipart/form-data", unnamed), None);
        assert_eq!(file_part(FORM, b""), None);
        assert_eq!(file_part(FORM, b"--x y\r\n"), None);
    }
}
