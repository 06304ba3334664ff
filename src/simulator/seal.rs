//! Signs, seals and opens pushes as WeChat does, written apart from `wechat` so that a mistake of one shows against the other.
//! Owns: the signature, the AES frame. Uses: sha1, aes, cbc, base64. Never: `crate::wechat`, or the server's secrets beyond what it is handed.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// WeChat pads to 32 bytes, twice the block of AES.
const PAD: usize = 32;

/// 43 characters carry 258 bits: the last two are noise in WeChat's keys, which strict decoders refuse.
const KEY_TEXT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// An account's `EncodingAESKey`, decoded.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Decodes 43 characters of base64; `None` when they are not that.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = KEY_TEXT.decode(text).ok()?;
        (text.len() == 43).then_some(())?;
        Some(Self(bytes.try_into().ok()?))
    }

    fn iv(&self) -> [u8; 16] {
        let mut iv = [0; 16];
        iv.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        iv
    }
}

/// The lower-case SHA-1 of the parts, sorted by bytes and joined.
pub(super) fn signature(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    Sha1::digest(sorted.concat())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Random bytes, length, message, AppID: what is encrypted, before padding.
pub(super) fn frame(random: [u8; 16], clear: &[u8], app_id: &str) -> Vec<u8> {
    let length = u32::try_from(clear.len()).unwrap_or(u32::MAX);
    [&random[..], &length.to_be_bytes(), clear, app_id.as_bytes()].concat()
}

/// Adds 1 to 32 bytes, each saying how many.
pub(super) fn pad(mut frame: Vec<u8>) -> Vec<u8> {
    let missing = PAD - frame.len() % PAD;
    let byte = u8::try_from(missing).unwrap_or_default();
    frame.resize(frame.len() + missing, byte);
    frame
}

/// Encrypts a padded frame and writes it as base64.
pub(super) fn encrypt(key: &Key, mut padded: Vec<u8>) -> String {
    let length = padded.len();
    let cipher = cbc::Encryptor::<Aes256>::new(&key.0.into(), &key.iv().into());
    let sealed = cipher
        .encrypt_padded::<NoPadding>(&mut padded, length)
        .map(|bytes| STANDARD.encode(bytes));
    sealed.expect("a padded frame is a whole number of blocks")
}

/// Opens a framed, padded and encrypted reply, or says at which step it is not that.
pub(super) fn open(key: &Key, app_id: &str, sealed: &str) -> Result<String, &'static str> {
    let mut bytes = STANDARD
        .decode(sealed)
        .map_err(|_not_base64| "Encrypt is not base64")?;
    let cipher = cbc::Decryptor::<Aes256>::new(&key.0.into(), &key.iv().into());
    let padded = cipher
        .decrypt_padded::<NoPadding>(&mut bytes)
        .map_err(|_uneven| "Encrypt is not a whole number of blocks")?;
    let (message, tail) = split(padded).ok_or("the decrypted frame is broken")?;
    if tail != app_id.as_bytes() {
        return Err("the frame ends in another AppID");
    }
    String::from_utf8(message.to_vec()).map_err(|_not_utf8| "the decrypted reply is not UTF-8")
}

/// Message and AppID of a decrypted, padded frame.
fn split(padded: &[u8]) -> Option<(&[u8], &[u8])> {
    let count = usize::from(*padded.last()?);
    if !(1..=PAD).contains(&count) {
        return None;
    }
    let (frame, padding) = padded.split_at_checked(padded.len().checked_sub(count)?)?;
    if padding.iter().any(|byte| usize::from(*byte) != count) {
        return None;
    }
    let (_random, rest) = frame.split_at_checked(16)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Bytes that nobody can foresee.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Random letters and digits: nonces, tokens, media ids.
pub(super) fn word(length: usize) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut word = String::with_capacity(length);
    while word.len() < length {
        let letters = random::<32>()
            .into_iter()
            .map(|byte| usize::from(byte & 63));
        let usable = letters.filter_map(|at| LETTERS.get(at).copied().map(char::from));
        word.extend(usable.take(length - word.len()));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    // Vector B of WeChat's protocol notes: made by a third implementation, reproduced by two well-known libraries.
    const KEY: &str = "tGcK0fKWr5A5F2diof9FWGaiAJUE5NXTnHJyXztB4CJ";
    const APP_ID: &str = "wxfe815c706eab338d";
    const CLEAR: &str = "<xml><ToUserName><![CDATA[oxKCT9TocfQLnYDtFVhSl2GnuFKv]]></ToUserName><FromUserName><![CDATA[gh_7c1e40b95a2d]]></FromUserName><CreateTime>1718400000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[收到啦🎉，稍等]]></Content></xml>";
    const SEALED: &str = "y4FxJ9W4qPFxa3ofDKCqeXVXr7zWAD+3LBC0NH4iSHOibjcfoF+Ljtn8Hsv3fVTlt+maGdIP4SqqPUlobsvQndbBB/I/+T3bJdokh52hXpdLV92/NGaHsColUp59yi5gd1Fpd6q7/I6GM5pOTccotR5YwOW0DC68HlgRInNXrjAKK3a+gY8AajSZmqSaPwNckM7Vs8Pp/6PzxVki4m7f+IfyWGwsL9VuLFAbKoYpQ6HuXmhmOKFlKF8HJCNg7t9+ylSmIttOi0tZhqhECNyF6G/M39iV4o9xi52pTk2Veiee0+fqac34F+xEZqGgKZUEKvWBvQ69+xtZ0ktkuzQi2pYc/uVJPSbixDUxCqVbZ6jIiWNBhQcDv7npxreMISRleEtxtPY9CLSSEzuT4WDY+elnOVKLwcuWL6CplCWlR+Y=";

    #[test]
    fn the_published_vector_comes_out_byte_for_byte() {
        let key = Key::parse(KEY).unwrap();
        let random = 0xee08_8c5a_4680_a18a_65e3_13aa_a495_e21d_u128.to_be_bytes();
        let padded = pad(frame(random, CLEAR.as_bytes(), APP_ID));
        assert_eq!(encrypt(&key, padded), SEALED);
        assert_eq!(open(&key, APP_ID, SEALED).unwrap(), CLEAR);
        assert_eq!(
            signature(&["s3cretTokqI1bi6", "1718706781", "9823305511", SEALED]),
            "b29a4a8f3a4d98d13513a89464ee52c7981bad9a"
        );
        assert_eq!(
            signature(&["s3cretTokqI1bi6", "1718857869", "3429661196"]),
            "ed01145e74512ebe628f93a149bad05d6417b31f"
        );
    }

    #[test]
    fn every_kind_of_damage_is_an_error_and_never_a_panic() {
        let key = Key::parse(KEY).unwrap();
        let with = |frame: Vec<u8>| open(&key, APP_ID, &encrypt(&key, frame));
        assert!(open(&key, "wx0000000000000000", SEALED).is_err());
        assert!(open(&key, APP_ID, "%%%").is_err());
        assert!(open(&key, APP_ID, "AAAA").is_err());
        assert!(open(&key, APP_ID, "").is_err());
        assert!(with(vec![0; 32]).is_err());
        assert!(with(vec![33; 64]).is_err());
        assert!(with(pad(frame([7; 16], b"\xff", APP_ID))).is_err());
        assert!(with(pad([&[7; 16][..], &u32::MAX.to_be_bytes(), b"x"].concat())).is_err());
        assert!(Key::parse(KEY.trim_start_matches('t')).is_none() && Key::parse("").is_none());
        assert!(Key::parse(&format!("{KEY}=")).is_none());
    }

    #[test]
    fn an_aligned_frame_gets_a_whole_block_of_padding() {
        assert_eq!(pad(vec![0; 32]), [vec![0; 32], vec![32; 32]].concat());
        assert_eq!(pad(vec![0; 31]).last(), Some(&1));
    }
}
