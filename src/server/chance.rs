//! Takes what nobody can guess from the machine, for the whole server.
//! Owns: the only use of the machine's randomness. Uses: getrandom. Never: decides anything.

use crate::model::TurnKey;

/// Bytes that nobody can guess.
///
/// # Panics
/// When the operating system has no randomness: nothing secret could be made then.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills the bytes with what nobody can guess.
///
/// # Panics
/// As [`random`].
pub(super) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

/// A seed for the ids of what a person does.
pub(super) fn seed() -> TurnKey {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(32);
    for byte in random::<16>() {
        let _ = write!(text, "{byte:02x}");
    }
    TurnKey::of_text(&text)
}
