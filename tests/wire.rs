//! Holds the wire against the vector files in `fixtures/vectors`: signatures, ciphertexts, pushes, replies.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wxreply::model::incoming::FieldValue;
use wxreply::model::reply::Article;
use wxreply::model::{AccountName, Content, Field, Reply, Time, TurnKey};
use wxreply::wechat::callback::{self, Opened, Refused, RefusedKind};
use wxreply::wechat::xml::{self, read_tree};
use wxreply::wechat::{Account, AesKey, Mode, crypto, signature};

/// Vectors are years old: freshness is off.
const ANY_TIME: (Time, Duration) = (Time::from_seconds(0), Duration::ZERO);
const KEY: &str = "tGcK0fKWr5A5F2diof9FWGaiAJUE5NXTnHJyXztB4CJ";

fn cases(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/tests/fixtures/vectors/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file["cases"].take()).unwrap()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}

fn name() -> AccountName {
    AccountName::parse("shop").unwrap()
}

fn account(
    app_id: &str,
    mode: Mode,
    token: &str,
    key: &str,
    previous_key: Option<&str>,
) -> Account {
    let key = AesKey::parse(key).unwrap();
    let previous = previous_key.map(|key| AesKey::parse(key).unwrap());
    Account::new(
        name(),
        app_id,
        mode,
        token.into(),
        None,
        Some(key),
        previous,
    )
    .unwrap()
}

fn open(account: &Account, query: &str, body: &str) -> Result<Opened, Refused> {
    callback::open(account, query, body.as_bytes(), ANY_TIME.0, ANY_TIME.1)
}

/// The word of the vector files for a refusal's step.
fn reason(refused: Refused) -> &'static str {
    let (reason, kind) = match refused.step {
        "signature" | "msg_signature" => ("bad_signature", RefusedKind::Forbidden),
        "missing_parameter" => ("missing_parameter", RefusedKind::BadRequest),
        "duplicate_parameter" => ("duplicate_parameter", RefusedKind::BadRequest),
        "missing_encrypt" => ("missing_encrypt", RefusedKind::BadRequest),
        "base64" => ("bad_base64", RefusedKind::Forbidden),
        "length" => ("bad_length", RefusedKind::Forbidden),
        "padding" => ("bad_padding", RefusedKind::Forbidden),
        "truncated" => ("truncated", RefusedKind::Forbidden),
        "appid" => ("appid_mismatch", RefusedKind::Forbidden),
        "utf8" => ("bad_utf8", RefusedKind::Forbidden),
        other => (other, refused.kind),
    };
    assert_eq!(refused.kind, kind, "{reason}");
    reason
}

fn assert_refused(case: &Value, main: &str, refused: Refused) {
    let expect = &case["expect"];
    let reason = reason(refused);
    let also = expect["also_acceptable"].as_array();
    let accepted = expect[main] == reason || also.is_some_and(|also| also.contains(&json!(reason)));
    assert!(accepted, "{}: {reason}", case["id"]);
}

#[test]
fn signatures() {
    for case in cases("signature.json") {
        let encrypt = case["encrypt"].as_str();
        let query = text(&case, "query");
        let mode = match encrypt {
            Some(_) if query.contains("encrypt_type=aes") => Mode::Secure,
            _ => Mode::Plain,
        };
        let account = account("wx01", mode, text(&case, "token"), KEY, None);
        let expected = case["expect"]["response_body"].as_str();
        let got = if case["method"] == "GET" {
            callback::verify_url(&account, query, ANY_TIME.0, ANY_TIME.1).map(Some)
        } else {
            let body = match encrypt {
                Some(encrypt) if mode == Mode::Secure => format!("<xml><Encrypt>{encrypt}</Encrypt></xml>"),
                _ => "<xml><ToUserName>g</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType></xml>".to_owned(),
            };
            match open(&account, query, &body) {
                // The vectors' ciphertext is none: reaching the cipher means that both signatures held.
                Err(Refused { step: "length", .. }) | Ok(_) => Ok(None),
                Err(refused) => Err(refused),
            }
        };
        match got {
            Ok(echo) => {
                assert_eq!(case["expect"]["valid"], true, "{}", case["id"]);
                assert_eq!(echo.as_deref(), expected, "{}", case["id"]);
            }
            Err(refused) => assert_refused(&case, "reason", refused),
        }
    }
}

#[test]
fn ciphertexts_that_come() {
    for case in cases("crypto.json")
        .iter()
        .filter(|case| case["op"] == "decrypt")
    {
        let previous = case["encoding_aes_keys_previous"][0].as_str();
        let mode = if case["mode"] == "compatible" {
            Mode::Compatible
        } else {
            Mode::Secure
        };
        let key = text(case, "encoding_aes_key");
        let account = account(
            text(case, "appid"),
            mode,
            text(case, "token"),
            key,
            previous,
        );
        let query = format!(
            "signature={}&timestamp={}&nonce={}&encrypt_type=aes&msg_signature={}",
            text(case, "signature"),
            text(case, "timestamp"),
            text(case, "nonce"),
            text(case, "msg_signature"),
        );
        let opened = open(&account, &query, text(case, "body"));
        let Some(clear) = case["expect"]["plaintext"].as_str() else {
            assert_refused(case, "error", opened.unwrap_err());
            continue;
        };
        // Some vectors carry no push: then the clear message is what cannot be read, and that is a 400.
        match (opened, xml::read(clear.as_bytes())) {
            (Ok(opened), Ok(incoming)) => {
                assert_eq!(opened.incoming, incoming, "{}", case["id"]);
                assert_eq!(
                    opened.key,
                    TurnKey::of(&name(), &incoming, clear.as_bytes())
                );
                assert_reply_is_sealed_with(previous.unwrap_or(key), &account, &opened);
            }
            (Err(refused), Err(_)) => assert_eq!(refused.kind, RefusedKind::BadRequest),
            (opened, read) => panic!("{}: {opened:?} but {read:?}", case["id"]),
        }
        let key = AesKey::parse(previous.unwrap_or(key)).unwrap();
        let decrypted = crypto::decrypt(&key, text(case, "appid"), text(case, "encrypt"));
        assert_eq!(decrypted.unwrap(), clear.as_bytes(), "{}", case["id"]);
    }
}

fn assert_reply_is_sealed_with(key: &str, account: &Account, opened: &Opened) {
    let reply = Reply::Text("收到".into());
    let now = Time::from_seconds(1_800_000_000);
    let body = callback::answer(
        account,
        &opened.seal,
        Some(&reply),
        5,
        now,
        &mut |bytes: &mut [u8]| bytes.fill(7),
    );
    let envelope = read_tree(&body).unwrap();
    let part = |name| envelope.text(&[name]).unwrap();
    assert_eq!(part("TimeStamp"), "1800000000");
    let signed = [
        "s3cretTokqI1bi6",
        part("TimeStamp"),
        part("Nonce"),
        part("Encrypt"),
    ];
    assert!(signature::verify(&signed, part("MsgSignature")));
    let key = AesKey::parse(key).unwrap();
    let clear = crypto::decrypt(&key, &account.app_id, part("Encrypt")).unwrap();
    let clear = read_tree(&clear).unwrap();
    assert_eq!(clear.text(&["Content"]), Some("收到"));
    assert_eq!(
        clear.text(&["ToUserName"]),
        Some(opened.incoming.from.as_str())
    );
}

#[test]
fn ciphertexts_that_go() {
    for case in cases("crypto.json")
        .iter()
        .filter(|case| case["op"] == "encrypt")
    {
        let key = AesKey::parse(text(case, "encoding_aes_key")).unwrap();
        let random = u128::from_str_radix(text(case, "random_hex"), 16)
            .unwrap()
            .to_be_bytes();
        let clear = text(case, "plaintext").as_bytes();
        let encrypted = crypto::encrypt(&key, text(case, "appid"), random, clear);
        assert_eq!(case["expect"]["encrypt"], encrypted, "{}", case["id"]);
        let (timestamp, nonce) = (text(case, "timestamp"), text(case, "nonce"));
        let signed = signature::sign(&[text(case, "token"), timestamp, nonce, &encrypted]);
        let envelope = xml::write_envelope(&encrypted, &signed, timestamp, nonce);
        let tree = tree_of(&read_tree(envelope.as_bytes()).unwrap().fields);
        assert_eq!(case["expect"]["envelope"], tree, "{}", case["id"]);
    }
}

#[test]
fn keys_that_are_none() {
    for case in cases("crypto.json")
        .iter()
        .filter(|case| case["op"] == "config")
    {
        assert!(
            AesKey::parse(text(case, "encoding_aes_key")).is_err(),
            "{}",
            case["id"]
        );
    }
}

/// The normal form of the vector files: a repeated name becomes an array.
fn tree_of(fields: &[Field]) -> Value {
    let mut object = Map::new();
    for field in fields {
        let value = match &field.value {
            FieldValue::Text(text) => json!(text),
            FieldValue::Fields(fields) => tree_of(fields),
        };
        match object.get_mut(&*field.name) {
            None => {
                object.insert(field.name.to_string(), value);
            }
            Some(Value::Array(array)) => array.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(object)
}

#[test]
fn pushes() {
    let mut keys = HashSet::new();
    for case in cases("inbound.json") {
        let (id, expect, body) = (&case["id"], &case["expect"], text(&case, "body"));
        if case["format"] == "json" {
            assert!(xml::read(body.as_bytes()).is_err(), "{id}");
            continue;
        }
        let tree = read_tree(body.as_bytes()).unwrap();
        assert_eq!(expect["root"], *tree.root, "{id}");
        assert_eq!(expect["tree"], tree_of(&tree.fields), "{id}");

        let incoming = xml::read(body.as_bytes()).unwrap();
        assert_eq!(expect["to"], *incoming.to, "{id}");
        assert_eq!(expect["from"], incoming.from.as_str(), "{id}");
        assert_eq!(expect["create_time"], incoming.create_time, "{id}");
        let msg_id = &incoming.msg_id;
        if let Content::Event(event) = &incoming.content {
            assert_eq!(
                (&expect["msg_type"], &expect["event"]),
                (&json!("event"), &json!(event.name)),
                "{id}"
            );
            assert_eq!(expect["tree"]["MsgID"].as_str(), msg_id.as_deref(), "{id}");
            let dedupe = json!([
                incoming.from.as_str(),
                incoming.create_time,
                event.name,
                event.key.as_deref().unwrap_or("")
            ]);
            assert_eq!(expect["dedupe"]["value"], dedupe, "{id}");
        } else {
            let kind = match &incoming.content {
                Content::Unknown { msg_type, .. } => &**msg_type,
                known => known.kind(),
            };
            assert_eq!(
                (&expect["msg_type"], &expect["msg_id"]),
                (&json!(kind), &json!(msg_id)),
                "{id}"
            );
            assert_eq!(expect["dedupe"]["value"], json!(msg_id), "{id}");
        }
        let made = format!("{incoming:?}");
        assert!(is_kept(&made, "xml", &expect["tree"]), "{id}: {made}");
        assert!(
            keys.insert(TurnKey::of(&name(), &incoming, body.as_bytes())),
            "{id}"
        );
        let repeat = format!("{body}<!-- another body -->");
        let again = xml::read(repeat.as_bytes()).unwrap();
        assert!(
            !keys.insert(TurnKey::of(&name(), &again, repeat.as_bytes())),
            "{id}"
        );
    }
}

/// Whether every text of the push is somewhere in what was made of it.
fn is_kept(made: &str, name: &str, value: &Value) -> bool {
    match value {
        // Where under an article a message was written is of no use to anybody here; the type has become a variant.
        _ if matches!(name, "MsgDataId" | "Idx" | "MsgType") => true,
        Value::Array(values) => values.iter().all(|value| is_kept(made, name, value)),
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| is_kept(made, name, value)),
        text => made.contains(format!("{:?}", text.as_str().unwrap()).trim_matches('"')),
    }
}

fn reply_of(reply: &Value) -> Option<Reply> {
    let part = |name: &str| reply[name].as_str().unwrap_or_default().into();
    Some(match text(reply, "type") {
        "text" => Reply::Text(part("content")),
        "image" => Reply::Image {
            media_id: part("media_id"),
        },
        "voice" => Reply::Voice {
            media_id: part("media_id"),
        },
        "video" => Reply::Video {
            media_id: part("media_id"),
            title: part("title"),
            description: part("description"),
        },
        "music" => Reply::Music {
            title: part("title"),
            description: part("description"),
            url: part("music_url"),
            hq_url: part("hq_music_url"),
            thumb_media_id: part("thumb_media_id"),
        },
        "news" => Reply::News(
            reply["articles"]
                .as_array()
                .unwrap()
                .iter()
                .map(article)
                .collect(),
        ),
        "transfer_customer_service" => Reply::Transfer {
            agent: reply["kf_account"].as_str().map(Into::into),
        },
        "none" | "success" => return None,
        other => panic!("a reply of type {other}"),
    })
}

fn article(article: &Value) -> Article {
    Article {
        title: text(article, "title").into(),
        description: text(article, "description").into(),
        pic_url: text(article, "pic_url").into(),
        url: text(article, "url").into(),
    }
}

/// A push in clear that the case's reply answers.
fn push_of(case: &Value) -> (Account, Opened) {
    let account = account("wx01", Mode::Plain, "Tok3n", KEY, None);
    let kind = match case["expect"]["answering"].as_str() {
        Some("event") => "event",
        _ => "text",
    };
    let body = format!(
        "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><MsgType>{kind}</MsgType><Event>subscribe</Event></xml>",
        text(&case["context"], "from"),
        text(&case["context"], "to"),
    );
    let query = format!(
        "timestamp=1&nonce=2&signature={}",
        signature::sign(&["Tok3n", "1", "2"])
    );
    let opened = open(&account, &query, &body).unwrap();
    (account, opened)
}

/// Takes empty elements out of the tree that the case says may be absent.
fn drop_optional(case: &Value, tree: &mut Value) {
    for path in case["expect"]["optional_empty"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let (container, name) = path.as_str().unwrap().split_once('.').unwrap();
        let container = tree[container].as_object_mut().unwrap();
        if container.get(name).is_some_and(|value| value == "") {
            container.remove(name);
        }
    }
}

#[test]
fn replies() {
    for case in cases("replies.json") {
        let (account, opened) = push_of(&case);
        let reply = reply_of(&case["reply"]);
        let at = case["context"]["create_time"].as_i64().unwrap();
        let no_random = &mut |_: &mut [u8]| panic!("nothing is encrypted");
        let body = callback::answer(
            &account,
            &opened.seal,
            reply.as_ref(),
            at,
            ANY_TIME.0,
            no_random,
        );
        let body = String::from_utf8(body).unwrap();
        if let Some(bodies) = case["expect"]["body_one_of"].as_array() {
            assert!(bodies.contains(&json!(body)), "{}: {body}", case["id"]);
            continue;
        }
        let read = read_tree(body.as_bytes()).unwrap();
        assert_eq!(&*read.root, "xml");
        if case["expect"]["rule"] == "truncate" {
            let cut = read.text(&["Content"]).unwrap();
            let limit = case["expect"]["max_utf8_bytes"].as_u64().unwrap();
            assert!(u64::try_from(cut.len()).unwrap() <= limit, "{}", case["id"]);
            assert!(
                text(&case["reply"], "content").starts_with(cut),
                "{}",
                case["id"]
            );
            assert_eq!(
                cut.matches("<a").count(),
                cut.matches("</a>").count(),
                "{}",
                case["id"]
            );
            assert!(
                cut.len() > 1500,
                "{}: {} bytes are left",
                case["id"],
                cut.len()
            );
            continue;
        }
        let mut tree = tree_of(&read.fields);
        drop_optional(&case, &mut tree);
        assert_eq!(case["expect"]["tree"], tree, "{}", case["id"]);
    }
}
