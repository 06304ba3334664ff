//! Speaks WeChat's side of the callback: makes requests, reads answers.
//! Owns: its own signatures, AES frames and XML, so that an answer is judged by other code than made it. Uses: sha1, aes, cbc, base64.
//! Never: sockets, the server's own code.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use sha1::{Digest as _, Sha1};

/// The callback's path on every server of the benchmark.
pub(crate) const PATH: &str = "/wx/shop";
/// The account's token.
pub(crate) const TOKEN: &str = "benchToken0123456789abcdef";
/// The account's AppID.
pub(crate) const APP_ID: &str = "wx0123456789abcdef";
/// 43 characters of base64: 32 bytes, every one `'k'`.
pub(crate) const AES_KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s";
const KEY: [u8; 32] = [b'k'; 32];
const IV: [u8; 16] = [b'k'; 16];
const GH: &str = "gh_7c1e40b95a2d";
const NONCE: &str = "1718706781";

/// How the account is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Clear bodies, one signature.
    Plain,
    /// Encrypted bodies, two signatures.
    Secure,
}

/// One text message of a follower.
pub(crate) struct Text<'a> {
    pub(crate) follower: usize,
    pub(crate) id: u64,
    pub(crate) content: &'a str,
}

/// A follower's openid: 28 characters, as WeChat's.
pub(crate) fn openid(follower: usize) -> String {
    format!("oBench{:022}", crate::corpus::scatter(follower))
}

/// A whole request; `timestamp` is now, in Unix seconds.
pub(crate) fn request(mode: Mode, text: &Text<'_>, timestamp: u64, out: &mut Vec<u8>) {
    let time = timestamp.to_string();
    let from = openid(text.follower);
    let clear = format!(
        "<xml><ToUserName><![CDATA[{GH}]]></ToUserName>\n<FromUserName><![CDATA[{from}]]></FromUserName>\n<CreateTime>{time}</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[{}]]></Content>\n<MsgId>{}</MsgId>\n</xml>",
        text.content, text.id
    );
    let signature = sign(&[TOKEN, &time, NONCE]);
    let mut query = format!("signature={signature}&timestamp={time}&nonce={NONCE}&openid={from}");
    let body = match mode {
        Mode::Plain => clear,
        Mode::Secure => {
            let sealed = seal(&clear, text.id);
            let msg_signature = sign(&[TOKEN, &time, NONCE, &sealed]);
            query.push_str("&encrypt_type=aes&msg_signature=");
            query.push_str(&msg_signature);
            format!(
                "<xml>\n    <ToUserName><![CDATA[{GH}]]></ToUserName>\n    <Encrypt><![CDATA[{sealed}]]></Encrypt>\n</xml>\n"
            )
        }
    };
    let head = format!(
        "POST {PATH}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

/// Checks that `body` says `expected` to this follower; `None` means the bare `success`.
pub(crate) fn check(
    mode: Mode,
    body: &[u8],
    follower: usize,
    expected: Option<&str>,
) -> anyhow::Result<()> {
    let Some(expected) = expected else {
        ensure!(
            body == b"success",
            "expected success, not {}",
            String::from_utf8_lossy(body)
        );
        return Ok(());
    };
    let opened;
    let clear = match mode {
        Mode::Plain => body,
        Mode::Secure => {
            opened = open(body)?;
            &opened
        }
    };
    let shown = || String::from_utf8_lossy(clear).into_owned();
    let to = openid(follower);
    ensure!(
        field(clear, "ToUserName").is_some_and(|found| found == to.as_bytes()),
        "not to {to}: {}",
        shown()
    );
    ensure!(
        field(clear, "FromUserName").is_some_and(|found| found == GH.as_bytes()),
        "not from {GH}: {}",
        shown()
    );
    ensure!(
        field(clear, "MsgType").is_some_and(|found| found == b"text"),
        "not a text: {}",
        shown()
    );
    ensure!(
        field(clear, "Content").is_some_and(|found| found == expected.as_bytes()),
        "expected {expected}, not {}",
        shown()
    );
    Ok(())
}

/// The text of an element, out of its CDATA section if it is in one.
fn field<'a>(xml: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let open = format!("<{name}>");
    let start = memmem::find(xml, open.as_bytes())? + open.len();
    let rest = xml.get(start..)?;
    let inner = rest.get(..memmem::find(rest, format!("</{name}>").as_bytes())?)?;
    Some(
        inner
            .strip_prefix(b"<![CDATA[")
            .and_then(|cut| cut.strip_suffix(b"]]>"))
            .unwrap_or(inner),
    )
}

fn sign(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for part in sorted {
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn seal(clear: &str, salt: u64) -> String {
    let length = u32::try_from(clear.len()).expect("a message is short");
    let mut frame = format!("{salt:016}").into_bytes();
    frame.truncate(16);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(clear.as_bytes());
    frame.extend_from_slice(APP_ID.as_bytes());
    let padding = 32 - frame.len() % 32;
    frame.resize(
        frame.len() + padding,
        u8::try_from(padding).expect("at most 32"),
    );
    let length = frame.len();
    cbc::Encryptor::<aes::Aes256>::new(&KEY.into(), &IV.into())
        .encrypt_padded::<NoPadding>(&mut frame, length)
        .expect("the frame is whole blocks");
    STANDARD.encode(&frame)
}

fn open(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let text = |name| -> anyhow::Result<&str> {
        let found = field(body, name)
            .with_context(|| format!("no {name} in {}", String::from_utf8_lossy(body)))?;
        Ok(std::str::from_utf8(found)?)
    };
    let (encrypt, signature) = (text("Encrypt")?, text("MsgSignature")?);
    if sign(&[TOKEN, text("TimeStamp")?, text("Nonce")?, encrypt]) != signature {
        bail!("the answer's signature is wrong");
    }
    let mut frame = STANDARD.decode(encrypt)?;
    cbc::Decryptor::<aes::Aes256>::new(&KEY.into(), &IV.into())
        .decrypt_padded::<NoPadding>(&mut frame)
        .map_err(|error| anyhow::anyhow!("the answer is not whole blocks: {error}"))?;
    let padding = frame.last().copied().map_or(0, usize::from);
    ensure!(
        (1..=32).contains(&padding) && frame.len() > padding + 20,
        "the answer's padding is wrong"
    );
    frame.truncate(frame.len() - padding);
    let length = frame
        .get(16..20)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes);
    let length = usize::try_from(length.context("the answer is cut off")?)?;
    ensure!(
        frame.get(20 + length..) == Some(APP_ID.as_bytes()),
        "the answer's AppID is wrong"
    );
    Ok(frame.drain(..20 + length).skip(20).collect())
}

/// Where a complete HTTP answer ends and its body begins; `None` while it is not complete.
pub(crate) fn answer(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(head_length) = memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, start) = (
        bytes.get(..head_length).unwrap_or_default(),
        head_length + 4,
    );
    ensure!(
        head.starts_with(b"HTTP/1.1 200 "),
        "status: {}",
        String::from_utf8_lossy(head)
    );
    let length: usize = head
        .split(|&byte| byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked(15)?;
            name.eq_ignore_ascii_case(b"content-length:")
                .then_some(value)
        })
        .and_then(|value| std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok())
        .with_context(|| format!("no length: {}", String::from_utf8_lossy(head)))?;
    let end = start + length;
    Ok((bytes.len() >= end).then_some((start, end)))
}
