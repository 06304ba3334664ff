//! Signs what is sent, so that its receiver knows who sent it.
//! Owns: the form of `X-Wxreply-Signature`. Uses: hmac, sha2. Never: which secret it is.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The HMAC with SHA-256 of these parts in order.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// `sha256=` and the HMAC of time stamp, a dot, and the body, in hexadecimal.
pub fn sign(secret: &SecretString, timestamp: &str, body: &str) -> String {
    let key = secret.expose_secret().as_bytes();
    let parts = [timestamp.as_bytes(), b".", body.as_bytes()];
    let mut text = String::from("sha256=");
    for byte in hmac_sha256(key, &parts) {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // Computed with another implementation of HMAC-SHA-256.
        assert_eq!(
            sign(
                &"s3cret".into(),
                "1700000000",
                r#"{"order":"202611200001","who":"小明"}"#
            ),
            "sha256=61027a2d0f042f1c7af2ab482711f2a6474658a82d65632ce640874eb5c15641"
        );
    }
}
