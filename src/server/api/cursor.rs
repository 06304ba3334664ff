//! Writes the place where a page of conversations ended as an opaque text, and reads it back.
//! Owns: the cursor's form. Uses: model, base64. Never: trusts what comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{ConversationId, Time};

/// The cursor after the conversation that was last shown; with its level where conversations come by rank.
pub(super) fn write(level: Option<u8>, time: Time, id: ConversationId) -> String {
    let mut bytes = Vec::with_capacity(25);
    bytes.extend(level);
    bytes.extend_from_slice(&time.millis().to_be_bytes());
    bytes.extend_from_slice(id.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor names; `None` when it is not one of ours.
pub(super) fn read(cursor: &str) -> Option<(Option<u8>, Time, ConversationId)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (level, bytes) = match (bytes.len(), bytes.split_first()) {
        (25, Some((level, rest))) => (Some(*level), rest),
        _ => (None, bytes.as_slice()),
    };
    let (time, id) = bytes.split_first_chunk::<8>()?;
    let id: [u8; 16] = id.try_into().ok()?;
    let time = Time::from_millis(i64::from_be_bytes(*time));
    Some((level, time, ConversationId::from_bytes(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TurnKey;

    #[test]
    fn a_cursor_comes_back_and_anything_else_is_refused() {
        let at = Time::from_millis(1_764_000_000_123);
        let id = ConversationId::at(at, 0, TurnKey::of_text("x"));
        for level in [None, Some(3)] {
            assert_eq!(read(&write(level, at, id)), Some((level, at, id)));
        }
        for bad in ["", "x", "!!!!", &"A".repeat(31), &"A".repeat(35)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
