//! Sends genuine, stale, forged and broken callbacks, and reads what they are answered.

use proptest::prelude::*;

use super::*;
use crate::model::AccountName;
use crate::wechat::xml::read_tree;

const KEY: &str = "tGcK0fKWr5A5F2diof9FWGaiAJUE5NXTnHJyXztB4CJ";
const OLD_KEY: &str = "W5f1jzpDdnvl9JPetdhcNcHlcZoBEcD5HpaR8pvDTR6";
const OTHER_KEY: &str = "CfBddimyCs0RpoYOZedFGfmaGJrZLUbhsQ0M5l6avto";
const APP: &str = "wx0123456789abcdef";
const NOW: Time = Time::from_seconds(1_800_000_000);
const SKEW: Duration = Duration::from_secs(600);
const CLEAR: &str = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>hi</Content><MsgId>7</MsgId></xml>";

/// An account in the middle of a rotation.
fn account(mode: Mode) -> Account {
    let key = |text| Some(AesKey::parse(text).unwrap());
    let name = AccountName::parse("shop").unwrap();
    let (token, old) = ("Tok3n".into(), Some("Old".into()));
    Account::new(name, APP, mode, token, old, key(KEY), key(OLD_KEY)).unwrap()
}

fn query_signed(token: &str, timestamp: &str) -> String {
    let signature = signature::sign(&[token, timestamp, "n"]);
    format!("signature={signature}&timestamp={timestamp}&nonce=n&openid=o1")
}

fn query() -> String {
    query_signed("Tok3n", "1800000000")
}

/// An encrypted push: query and body.
fn sealed(token: &str, key: &str, app_id: &str, clear: &[u8]) -> (String, String) {
    let encrypted = crypto::encrypt(&AesKey::parse(key).unwrap(), app_id, [9; 16], clear);
    let signature = signature::sign(&[token, "1800000000", "n", &encrypted]);
    let query = query_signed(token, "1800000000");
    (
        format!("{query}&encrypt_type=aes&msg_signature={signature}"),
        format!(
            "<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        ),
    )
}

fn open_with(mode: Mode, query: &str, body: &str) -> Result<Opened, Refused> {
    open(&account(mode), query, body.as_bytes(), NOW, SKEW)
}

fn step(opened: Result<Opened, Refused>) -> (RefusedKind, &'static str) {
    let refused = opened.unwrap_err();
    (refused.kind, refused.step)
}

#[test]
fn each_mode_takes_what_it_should() {
    use RefusedKind::Forbidden;
    let (sealed_query, sealed_body) = sealed("Tok3n", KEY, APP, CLEAR.as_bytes());
    for (mode, clear, encrypted) in [
        (Mode::Plain, None, Some("aes_in_plain_mode")),
        (Mode::Compatible, None, None),
        (Mode::Secure, Some("downgrade"), None),
    ] {
        let opened = open_with(mode, &query(), CLEAR);
        assert_eq!(opened.err().map(|refused| refused.step), clear, "{mode:?}");
        let opened = open_with(mode, &sealed_query, &sealed_body);
        assert_eq!(
            opened.err().map(|refused| refused.step),
            encrypted,
            "{mode:?}"
        );
    }
    let raw = format!("{}&encrypt_type=raw", query());
    assert!(open_with(Mode::Plain, &raw, CLEAR).is_ok());
    let unknown = sealed_query.replace("aes", "rot13");
    let refused = step(open_with(Mode::Secure, &unknown, &sealed_body));
    assert_eq!(refused, (Forbidden, "encrypt_type"));
}

#[test]
fn freshness_is_the_query_s_and_zero_turns_it_off() {
    let open_at = |timestamp: &str, skew| {
        let query = query_signed("Tok3n", timestamp);
        open(&account(Mode::Plain), &query, CLEAR.as_bytes(), NOW, skew)
    };
    for fresh in ["1799999400", "1800000600"] {
        assert!(open_at(fresh, SKEW).is_ok(), "{fresh}");
    }
    for stale in ["1799999399", "1800000601", "", "x", "99999999999999999999"] {
        assert_eq!(
            step(open_at(stale, SKEW)),
            (RefusedKind::Forbidden, "stale")
        );
        assert!(open_at(stale, Duration::ZERO).is_ok(), "{stale}");
        let query = format!("{}&echostr=e", query_signed("Tok3n", stale));
        assert!(verify_url(&account(Mode::Secure), &query, NOW, SKEW).is_err());
    }
    // What is stale and forged is forged.
    let forged = query_signed("Other", "1");
    assert_eq!(
        step(open_with(Mode::Plain, &forged, CLEAR)),
        (RefusedKind::Forbidden, "signature")
    );
}

#[test]
fn nothing_of_a_forged_request_is_looked_at() {
    let forged = query_signed("Other", "1800000000");
    for body in ["", "{}", "<!DOCTYPE x>", CLEAR] {
        for mode in [Mode::Plain, Mode::Compatible, Mode::Secure] {
            let refused = step(open_with(mode, &forged, body));
            assert_eq!(refused, (RefusedKind::Forbidden, "signature"));
        }
    }
}

#[test]
fn what_cannot_be_read_is_a_bad_request() {
    let header = "<ToUserName>g</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType>";
    let bodies = [
        ("", "xml"),
        (
            r#"{"ToUserName":"g","FromUserName":"o","MsgType":"text"}"#,
            "xml",
        ),
        ("<!DOCTYPE xml><xml/>", "xml_doctype"),
        (
            &*format!("<xml>{header}<Content>&x;</Content></xml>"),
            "xml_entity",
        ),
        (
            &*format!("<xml>{header}<Content>&#1;</Content></xml>"),
            "xml_character",
        ),
        (
            &*format!("<xml>{header}<Content>\0</Content></xml>"),
            "xml_character",
        ),
        ("<xml><ToUserName>g</ToUserName></xml>", "xml_field"),
    ];
    for (body, why) in bodies {
        let expected = (RefusedKind::BadRequest, why);
        assert_eq!(
            step(open_with(Mode::Plain, &query(), body)),
            expected,
            "{body}"
        );
        let (query, body) = sealed("Tok3n", KEY, APP, body.as_bytes());
        assert_eq!(
            step(open_with(Mode::Secure, &query, &body)),
            expected,
            "{body}"
        );
    }
    let control = format!("<xml>{header}<Content>a\u{1}b</Content></xml>");
    assert!(open_with(Mode::Plain, &query(), &control).is_ok());
}

#[test]
fn an_envelope_has_one_ciphertext() {
    let (query, body) = sealed("Tok3n", KEY, APP, CLEAR.as_bytes());
    let twice = body.replace("</xml>", "<Encrypt/></xml>");
    let none = body.replace("Encrypt", "encrypt");
    let nested = body.replace("Encrypt><", "Encrypt><x/><");
    let deeper = body
        .replace("<Encrypt>", "<x><Encrypt>")
        .replace("</Encrypt>", "</Encrypt></x>");
    for (body, why) in [
        (&twice, "repeated_encrypt"),
        (&none, "missing_encrypt"),
        (&nested, "missing_encrypt"),
        (&deeper, "missing_encrypt"),
    ] {
        let refused = step(open_with(Mode::Secure, &query, body));
        assert_eq!(refused, (RefusedKind::BadRequest, why), "{body}");
    }
    let missing = query.split("&msg_signature").next().unwrap();
    let refused = step(open_with(Mode::Secure, missing, &body));
    assert_eq!(refused, (RefusedKind::BadRequest, "missing_parameter"));
}

#[test]
fn what_is_not_for_this_account_is_forbidden() {
    let cases: [(&str, &str, &[u8], &str); 3] = [
        (OTHER_KEY, APP, CLEAR.as_bytes(), "padding"),
        (KEY, "wx0", CLEAR.as_bytes(), "appid"),
        (KEY, APP, b"\xff", "utf8"),
    ];
    for (key, app_id, clear, why) in cases {
        let (query, body) = sealed("Tok3n", key, app_id, clear);
        let refused = step(open_with(Mode::Secure, &query, &body));
        assert_eq!(refused, (RefusedKind::Forbidden, why));
    }
}

#[test]
fn both_signatures_are_made_with_one_token() {
    let (query, body) = sealed("Tok3n", KEY, APP, CLEAR.as_bytes());
    let (_, msg_signature) = query.split_once("&msg_signature=").unwrap();
    let mixed = format!(
        "{}&encrypt_type=aes&msg_signature={msg_signature}",
        query_signed("Old", "1800000000")
    );
    let refused = step(open_with(Mode::Secure, &mixed, &body));
    assert_eq!(refused, (RefusedKind::Forbidden, "msg_signature"));
}

#[test]
fn compatible_mode_believes_only_what_was_encrypted() {
    let (query, body) = sealed("Tok3n", KEY, APP, CLEAR.as_bytes());
    let lie = body.replace(
        "</xml>",
        "<FromUserName>liar</FromUserName><MsgType>text</MsgType><Content>lie</Content></xml>",
    );
    let opened = open_with(Mode::Compatible, &query, &lie).unwrap();
    assert_eq!(opened.incoming.from.as_str(), "o1");
    assert_eq!(opened.incoming.content.words(), Some("hi"));
}

#[test]
fn the_answer_travels_as_the_push_came() {
    let reply = Reply::Text("回答".into());
    for (token, key) in [
        ("Tok3n", KEY),
        ("Old", OLD_KEY),
        ("Tok3n", OLD_KEY),
        ("Old", KEY),
    ] {
        let account = account(Mode::Compatible);
        let (query, body) = sealed(token, key, APP, CLEAR.as_bytes());
        let opened = open(&account, &query, body.as_bytes(), NOW, SKEW).unwrap();
        let answer = |reply| {
            answer(&account, &opened.seal, reply, 5, NOW, &mut |bytes| {
                bytes.fill(3)
            })
        };
        let envelope = read_tree(&answer(Some(&reply))).unwrap();
        let part = |name| envelope.text(&[name]).unwrap();
        let parts = [token, part("TimeStamp"), part("Nonce"), part("Encrypt")];
        assert!(signature::verify(&parts, part("MsgSignature")));
        let clear = crypto::decrypt(&AesKey::parse(key).unwrap(), APP, part("Encrypt")).unwrap();
        let clear = read_tree(&clear).unwrap();
        assert_eq!(clear.text(&["Content"]), Some("回答"));
        assert_eq!(
            (clear.text(&["ToUserName"]), clear.text(&["FromUserName"])),
            (Some("o1"), Some("gh_1"))
        );
        assert_eq!(clear.text(&["CreateTime"]), Some("5"));
        for nothing in [
            None,
            Some(&Reply::Text("".into())),
            Some(&Reply::News(Vec::new())),
        ] {
            assert_eq!(answer(nothing), SUCCESS);
        }
    }
    let account = account(Mode::Compatible);
    let opened = open(&account, &query(), CLEAR.as_bytes(), NOW, SKEW).unwrap();
    let body = answer(&account, &opened.seal, Some(&reply), 5, NOW, &mut |_| {
        panic!("not encrypted")
    });
    assert_eq!(read_tree(&body).unwrap().text(&["Content"]), Some("回答"));
}

#[test]
fn a_url_check_gets_its_echo() {
    let account = account(Mode::Secure);
    for token in ["Tok3n", "Old"] {
        let query = format!("{}&echostr=a%2Bb%20", query_signed(token, "1800000000"));
        assert_eq!(
            verify_url(&account, &query, NOW, SKEW).as_deref(),
            Ok("a+b ")
        );
    }
    let refused = verify_url(&account, &query(), NOW, SKEW).unwrap_err();
    assert_eq!(
        (refused.kind, refused.step),
        (RefusedKind::BadRequest, "missing_parameter")
    );
}

#[test]
fn a_repeat_has_the_same_key_in_clear_and_encrypted() {
    let clear = open_with(Mode::Compatible, &query(), CLEAR).unwrap();
    let (query, body) = sealed("Tok3n", KEY, APP, CLEAR.as_bytes());
    let encrypted = open_with(Mode::Compatible, &query, &body).unwrap();
    assert_eq!(clear.key, encrypted.key);
}

proptest! {
    #[test]
    fn no_callback_panics(query in "((signature|timestamp|nonce|encrypt_type|msg_signature|echostr|%73|x)(=(aes|raw|%|%f|%ff|[ -~])?)?&?){0,8}", body in ".{0,100}") {
        let _ = open_with(Mode::Compatible, &query, &body);
        let _ = verify_url(&account(Mode::Plain), &query, NOW, SKEW);
    }

    #[test]
    fn no_signed_body_panics(clear in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (query, body) = sealed("Tok3n", KEY, APP, &clear);
        prop_assert!(open_with(Mode::Secure, &query, &body).is_err());
    }
}
