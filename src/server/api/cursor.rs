//! Writes the place where a page of conversations ended as an opaque text, and reads it back.
//! Owns: the cursor's form. Uses: model, base64. Never: trusts what comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{ConversationId, Time};

/// The cursor after the conversation that was last shown.
pub(super) fn write(updated_at: Time, id: ConversationId) -> String {
    let mut bytes = [0; 24];
    let (time, rest) = bytes.split_at_mut(8);
    time.copy_from_slice(&updated_at.millis().to_be_bytes());
    rest.copy_from_slice(id.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor names; `None` when it is not one of ours.
pub(super) fn read(cursor: &str) -> Option<(Time, ConversationId)> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let (time, id) = bytes.split_first_chunk::<8>()?;
    let id: [u8; 16] = id.try_into().ok()?;
    Some((
        Time::from_millis(i64::from_be_bytes(*time)),
        ConversationId::from_bytes(id),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TurnKey;

    #[test]
    fn a_cursor_comes_back_and_anything_else_is_refused() {
        let at = Time::from_millis(1_764_000_000_123);
        let id = ConversationId::at(at, 0, TurnKey::of_text("x"));
        assert_eq!(read(&write(at, id)), Some((at, id)));
        for bad in ["", "x", "!!!!", &"A".repeat(31), &"A".repeat(33)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
