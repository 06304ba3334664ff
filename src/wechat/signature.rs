//! Computes and checks WeChat's signatures: the SHA-1 of the sorted parts.
//! Owns: that rule. Uses: sha1, subtle. Never: tells how much of a signature was right.

use sha1::{Digest, Sha1};
use smallvec::SmallVec;
use subtle::ConstantTimeEq;

/// The signature of these parts (token, time stamp, nonce and, for `msg_signature`, the ciphertext) in any order:
/// 40 lower-case hex digits.
pub fn sign(parts: &[&str]) -> String {
    digits(parts).iter().copied().map(char::from).collect()
}

/// Whether `claimed` is the signature of these parts. Takes as long for a wrong one as for the right one.
pub fn verify(parts: &[&str], claimed: &str) -> bool {
    digits(parts).ct_eq(claimed.as_bytes()).into()
}

fn digits(parts: &[&str]) -> [u8; 40] {
    let mut sorted: SmallVec<[&str; 4]> = parts.into();
    sorted.sort_unstable();
    let mut digest = Sha1::new();
    for part in sorted {
        digest.update(part.as_bytes());
    }
    let mut digits = [0; 40];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest.finalize()) {
        if let [high, low] = pair {
            *high = hex_digit(byte >> 4);
            *low = hex_digit(byte & 15);
        }
    }
    digits
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_sorted_as_bytes_and_not_as_numbers() {
        let parts = ["10x", "1718100004", "9"];
        assert_eq!(sign(&parts), "f222cad8012a4fa98e9bf69d9b10daff5896c46e");
        assert!(verify(
            &["9", "1718100004", "10x"],
            "f222cad8012a4fa98e9bf69d9b10daff5896c46e"
        ));
    }

    #[test]
    fn a_prefix_a_longer_one_and_another_case_are_wrong() {
        let right = sign(&["a", "b", "c"]);
        assert!(verify(&["a", "b", "c"], &right));
        for wrong in [
            "",
            right.get(..20).unwrap(),
            &format!("{right}0"),
            &right.to_uppercase(),
        ] {
            assert!(!verify(&["a", "b", "c"], wrong), "{wrong}");
        }
    }
}
