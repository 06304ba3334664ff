//! Encrypts and decrypts WeChat's AES envelope.
//! Owns: the frame (random, length, message, AppID), its 32-byte padding, the key's text form. Uses: aes, cbc, base64.
//! Never: signatures, XML, which key is current.

use std::fmt;

use aes::cipher::array::Array;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};

/// WeChat pads to its own block of 32 bytes, not to the cipher's 16.
const PAD_BLOCK: usize = 32;
/// Random bytes, then the message's length in four bytes.
const HEAD: usize = 20;
const KEY_CHARACTERS: usize = 43;
/// 43 characters carry two bits more than a key has; WeChat's keys often have them set.
const KEY_TEXT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);

/// An EncodingAESKey. It is wiped when dropped and cannot be printed.
pub struct AesKey(SecretBox<[u8; 32]>);

/// A text is not an EncodingAESKey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an EncodingAESKey has 43 characters A-Z, a-z, 0-9")]
pub struct BadKey;

/// Why a ciphertext is not one of ours. Only logs may tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Not base64.
    #[error("not base64")]
    Base64,
    /// Empty, or not whole cipher blocks.
    #[error("not whole blocks")]
    Length,
    /// The padding is not 1 to 32 equal bytes: most likely another key.
    #[error("bad padding")]
    Padding,
    /// The length field says more than there is.
    #[error("truncated")]
    Truncated,
    /// Encrypted for another account.
    #[error("another AppID")]
    AppId,
}

impl CryptoError {
    /// The word for logs and metrics.
    pub const fn step(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Length => "length",
            Self::Padding => "padding",
            Self::Truncated => "truncated",
            Self::AppId => "appid",
        }
    }
}

impl AesKey {
    /// Reads the 43 characters of WeChat's console.
    ///
    /// # Errors
    /// [`BadKey`] for another length or alphabet.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if text.len() != KEY_CHARACTERS || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(BadKey);
        }
        let mut padded = String::with_capacity(KEY_CHARACTERS + 1);
        padded.push_str(text);
        padded.push('=');
        // A little more than a key, because the decoder wants room for whole quadruples.
        let mut room = [0; 33];
        let decoded = KEY_TEXT.decode_slice(padded.as_bytes(), &mut room);
        padded.zeroize();
        let key = match (decoded, room.first_chunk::<32>()) {
            (Ok(32), Some(key)) => Ok(Self(SecretBox::init_with(|| *key))),
            _ => Err(BadKey),
        };
        room.zeroize();
        key
    }

    /// The cipher's two inputs: the key, and its first half as the initial block.
    fn parts(&self) -> (&[u8; 32], &[u8; 16]) {
        let key = self.0.expose_secret();
        (key, key.first_chunk().expect("16 is less than 32"))
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey([redacted])")
    }
}

/// Encrypts a message for this AppID. The result is base64, as it stands in `Encrypt`.
pub fn encrypt(key: &AesKey, app_id: &str, random: [u8; 16], clear: &[u8]) -> String {
    let length = HEAD + clear.len() + app_id.len();
    let padding = PAD_BLOCK - length % PAD_BLOCK;
    let mut frame = Vec::with_capacity(length + padding);
    frame.extend_from_slice(&random);
    frame.extend_from_slice(
        &u32::try_from(clear.len())
            .expect("a message is far below 4 GiB")
            .to_be_bytes(),
    );
    frame.extend_from_slice(clear);
    frame.extend_from_slice(app_id.as_bytes());
    frame.resize(length + padding, u8::try_from(padding).expect("32 at most"));
    let (key, iv) = key.parts();
    let (blocks, _) = Array::slice_as_chunks_mut(&mut frame);
    cbc::Encryptor::<aes::Aes256Enc>::new(key.into(), iv.into()).encrypt_blocks(blocks);
    STANDARD.encode(&frame)
}

/// Decrypts the base64 text of `Encrypt` and takes the message out of its frame.
///
/// # Errors
/// [`CryptoError`] when it was not encrypted with this key for this AppID.
pub fn decrypt(key: &AesKey, app_id: &str, encrypted: &str) -> Result<Vec<u8>, CryptoError> {
    let Ok(mut frame) = STANDARD.decode(encrypted) else {
        return Err(CryptoError::Base64);
    };
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut frame);
    if blocks.is_empty() || !rest.is_empty() {
        return Err(CryptoError::Length);
    }
    let (key, iv) = key.parts();
    cbc::Decryptor::<aes::Aes256Dec>::new(key.into(), iv.into()).decrypt_blocks(blocks);
    let length = unframe(&frame, app_id)?.len();
    frame.truncate(HEAD + length);
    frame.drain(..HEAD);
    Ok(frame)
}

/// Takes the message out of a decrypted frame, after every check but that for UTF-8.
///
/// # Errors
/// [`CryptoError`] for padding, length field or AppID.
pub fn unframe<'a>(frame: &'a [u8], app_id: &str) -> Result<&'a [u8], CryptoError> {
    let pad = usize::from(*frame.last().ok_or(CryptoError::Length)?);
    let (content, padding) = frame
        .len()
        .checked_sub(pad)
        .filter(|_| (1..=PAD_BLOCK).contains(&pad))
        .and_then(|at| frame.split_at_checked(at))
        .ok_or(CryptoError::Padding)?;
    if padding.iter().any(|byte| usize::from(*byte) != pad) {
        return Err(CryptoError::Padding);
    }
    let (length, rest) = content
        .get(16..)
        .and_then(<[u8]>::split_first_chunk::<4>)
        .ok_or(CryptoError::Truncated)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let (message, tail) = rest
        .split_at_checked(length)
        .ok_or(CryptoError::Truncated)?;
    if tail == app_id.as_bytes() {
        Ok(message)
    } else {
        Err(CryptoError::AppId)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "tGcK0fKWr5A5F2diof9FWGaiAJUE5NXTnHJyXztB4CJ";

    #[test]
    fn keys_have_43_letters_and_digits_and_never_show() {
        let key = AesKey::parse(KEY).unwrap();
        assert_eq!(format!("{key:?}"), "AesKey([redacted])");
        for wrong in [
            "",
            &KEY.replace('W', ""),
            &format!("{KEY}A"),
            &KEY.replace('W', "-"),
        ] {
            assert_eq!(AesKey::parse(wrong).unwrap_err(), BadKey);
        }
    }

    #[test]
    fn the_other_account_s_ciphertext_is_refused() {
        let key = AesKey::parse(KEY).unwrap();
        let encrypted = encrypt(&key, "wx01", [7; 16], b"hello");
        assert_eq!(decrypt(&key, "wx02", &encrypted), Err(CryptoError::AppId));
        // Without its tail a frame would pass for a shorter AppID.
        assert_eq!(decrypt(&key, "wx0", &encrypted), Err(CryptoError::AppId));
        assert_eq!(decrypt(&key, "", &encrypted), Err(CryptoError::AppId));
    }

    proptest! {
        #[test]
        fn what_was_encrypted_is_decrypted(
            clear in proptest::collection::vec(any::<u8>(), 0..500),
            app_id in "[a-z0-9]{1,20}",
            random in any::<[u8; 16]>(),
        ) {
            let key = AesKey::parse(KEY).unwrap();
            let encrypted = encrypt(&key, &app_id, random, &clear);
            prop_assert_eq!(decrypt(&key, &app_id, &encrypted).unwrap(), clear);
        }

        #[test]
        fn no_frame_panics(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unframe(&frame, "wx01");
            let _ = decrypt(&AesKey::parse(KEY).unwrap(), "wx01", &STANDARD.encode(&frame));
        }
    }
}
