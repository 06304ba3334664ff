//! Drives the callback of the real binary: the status table of ARCHITECTURE.md row by row, and that a refusal leaves nothing behind.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use crate::support::{
    APP_ID, Setup, Signed, World, envelope, seal, seal_bytes, text_message, unseal,
};

const FOLLOWER: &str = "orsRcgT0iw2kOI8rlnJACDdyB7vN";

fn nothing_is_stored(world: &World) {
    let listed = world.api("GET", "/conversations", None).json();
    assert_eq!(
        listed["conversations"].as_array().unwrap().len(),
        0,
        "{listed}"
    );
}

/// Sends a body with this query and compares status, log line and silence.
fn refused(world: &World, account: &str, query: &str, body: &[u8], status: u16, step: &str) {
    let answer = world.request("POST", &format!("/wx/{account}?{query}"), &[], body);
    assert_eq!((answer.status, answer.text()), (status, ""), "{step}");
    let line = world.log.wait(|line| {
        line.contains("callback refused") && line.contains(&format!("\"step\":\"{step}\""))
    });
    assert!(
        line.contains(&format!("\"account\":\"{account}\""))
            && line.contains("\"remote\":\"127.0.0.1\""),
        "{line}"
    );
    assert!(
        !line.contains("signature=") && !line.contains("Tok3n"),
        "{line}"
    );
}

#[test]
fn wrong_method_and_unknown_account_come_before_everything_else() {
    let world = World::start();
    for method in ["PUT", "DELETE", "PATCH", "HEAD"] {
        let answer = world.request(method, "/wx/shop", &[], b"");
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET, POST"),
            "{method}"
        );
    }
    assert_eq!(world.request("PUT", "/wx/nobody", &[], b"").status, 405);
    for path in ["/wx/nobody", "/wx/Shop", "/wx/%73hop2", "/wx/"] {
        assert_eq!(
            world
                .request("POST", path, &[], &vec![b'x'; 2 << 20])
                .status,
            404,
            "{path}"
        );
        assert_eq!(world.request("GET", path, &[], b"").status, 404, "{path}");
    }
}

#[test]
fn what_cannot_be_read_is_400() {
    let world = World::start();
    let good = text_message(FOLLOWER, "你好");
    let signed = Signed::now("plain", None);
    let query = signed.query();
    for (query, step) in [
        (String::new(), "missing"),
        (format!("{query}&nonce=1"), "repeated"),
    ] {
        let answer = world.request("POST", &format!("/wx/plain?{query}"), &[], good.as_bytes());
        assert_eq!(answer.status, 400, "{step}");
    }
    let without = |element: &str| {
        let (head, rest) = good.split_once(&format!("<{element}>")).unwrap();
        format!(
            "{head}{}",
            rest.split_once(&format!("</{element}>")).unwrap().1
        )
    };
    let bomb = format!(
        "<!DOCTYPE xml [<!ENTITY a \"ha\"><!ENTITY b \"{}\">]>{}",
        "&a;".repeat(1000),
        good.replace("你好", "]]>&b;<![CDATA[")
    );
    for (body, name) in [
        (good[..good.len() / 2].to_owned(), "truncated"),
        (String::new(), "empty"),
        (
            r#"{"ToUserName":"a","FromUserName":"b","MsgType":"text"}"#.to_owned(),
            "json",
        ),
        (bomb, "bomb"),
        (good.replace("你好", "]]>&unknown;<![CDATA["), "entity"),
        (
            good.replace("你好", "]]>&#0;<![CDATA["),
            "forbidden reference",
        ),
        (good.replace("你好", "a\0b"), "NUL"),
        (without("ToUserName"), "ToUserName"),
        (without("FromUserName"), "FromUserName"),
        (without("MsgType"), "MsgType"),
        (good.replace("[text]", "[event]"), "Event"),
        (
            format!("<xml>{}{}</xml>", "<a>".repeat(2000), "</a>".repeat(2000)),
            "deep",
        ),
    ] {
        let answer = world.request("POST", &format!("/wx/plain?{query}"), &[], body.as_bytes());
        assert_eq!((answer.status, answer.text()), (400, ""), "{name}");
    }
    let query = Signed::now("shop", Some("x")).query();
    let answer = world.request("POST", &format!("/wx/shop?{query}"), &[], good.as_bytes());
    assert_eq!(answer.status, 400, "no Encrypt");
    nothing_is_stored(&world);
}

#[test]
fn what_is_not_wechats_is_403() {
    let world = World::start();
    let good = text_message(FOLLOWER, "你好");
    let plain = Signed::now("plain", None);
    let forged = Signed {
        signature: "0".repeat(40),
        ..plain.clone()
    };
    refused(
        &world,
        "plain",
        &forged.query(),
        good.as_bytes(),
        403,
        "signature",
    );
    let hour = 3600;
    let now = wxreply::clock::Clock::system().now().seconds();
    for at in [now - hour, now + hour] {
        refused(
            &world,
            "plain",
            &Signed::at("plain", at, None).query(),
            good.as_bytes(),
            403,
            "stale",
        );
    }
    let encrypt = seal(&good);
    let aes = Signed::now("plain", Some(&encrypt));
    refused(
        &world,
        "plain",
        &aes.query(),
        envelope(&encrypt).as_bytes(),
        403,
        "aes_in_plain_mode",
    );
    let secure = Signed::now("shop", Some(&encrypt));
    refused(
        &world,
        "shop",
        &Signed::now("shop", None).query(),
        good.as_bytes(),
        403,
        "downgrade",
    );
    let forged = Signed {
        msg_signature: Some("0".repeat(40)),
        ..secure.clone()
    };
    refused(
        &world,
        "shop",
        &forged.query(),
        envelope(&encrypt).as_bytes(),
        403,
        "msg_signature",
    );
    for (encrypt, name) in [
        ("!!!!".to_owned(), "base64"),
        (encrypt[..encrypt.len() - 8].to_owned(), "length"),
        ("A".repeat(128), "padding"),
    ] {
        let query = Signed::now("shop", Some(&encrypt)).query();
        let answer = world.request(
            "POST",
            &format!("/wx/shop?{query}"),
            &[],
            envelope(&encrypt).as_bytes(),
        );
        assert_eq!((answer.status, answer.text()), (403, ""), "{name}");
    }
    nothing_is_stored(&world);
    let metrics = world.request("GET", "/metrics", &[], b"");
    assert!(
        metrics
            .text()
            .contains(r#"wxreply_signature_failures_total{account="plain",step="stale"} 2"#),
        "{}",
        metrics.text()
    );
}

#[test]
fn bytes_that_are_no_text_are_403_in_clear_and_under_the_seal() {
    let world = World::start();
    let mut body = text_message(FOLLOWER, "你好").into_bytes();
    let at = body
        .windows(3)
        .position(|bytes| bytes == "你".as_bytes())
        .unwrap();
    body[at] = 0xff;
    let query = Signed::now("plain", None).query();
    refused(&world, "plain", &query, &body, 403, "xml_utf8");
    let encrypt = seal_bytes(APP_ID, &body);
    let query = Signed::now("shop", Some(&encrypt)).query();
    refused(
        &world,
        "shop",
        &query,
        envelope(&encrypt).as_bytes(),
        403,
        "utf8",
    );
    nothing_is_stored(&world);
}

#[test]
fn what_is_sealed_for_another_account_or_in_another_way_is_403() {
    let world = World::start();
    let good = text_message(FOLLOWER, "几点开门");
    let elsewhere = seal_bytes("wxfedcba9876543210", good.as_bytes());
    let query = Signed::now("shop", Some(&elsewhere)).query();
    refused(
        &world,
        "shop",
        &query,
        envelope(&elsewhere).as_bytes(),
        403,
        "appid",
    );
    let encrypt = seal(&good);
    let query = Signed::now("shop", Some(&encrypt)).query();
    let other = query.replace("encrypt_type=aes", "encrypt_type=des");
    refused(
        &world,
        "shop",
        &other,
        envelope(&encrypt).as_bytes(),
        403,
        "encrypt_type",
    );
    // Stale although everything else is right.
    let hour_ago = wxreply::clock::Clock::system().now().seconds() - 3600;
    let query = Signed::at("shop", hour_ago, Some(&encrypt)).query();
    refused(
        &world,
        "shop",
        &query,
        envelope(&encrypt).as_bytes(),
        403,
        "stale",
    );
    nothing_is_stored(&world);
}

#[test]
fn each_parameter_is_there_exactly_once_and_so_is_the_ciphertext() {
    let world = World::start();
    let encrypt = seal(&text_message(FOLLOWER, "几点开门"));
    let good = Signed::now("shop", Some(&encrypt)).query();
    let body = envelope(&encrypt);
    for name in [
        "signature",
        "timestamp",
        "nonce",
        "msg_signature",
        "encrypt_type",
    ] {
        let part = good
            .split('&')
            .find(|part| part.starts_with(&format!("{name}=")))
            .unwrap();
        let twice = format!("{good}&{part}");
        refused(
            &world,
            "shop",
            &twice,
            body.as_bytes(),
            400,
            "duplicate_parameter",
        );
        if name != "encrypt_type" {
            let parts: Vec<&str> = good.split('&').filter(|known| *known != part).collect();
            refused(
                &world,
                "shop",
                &parts.join("&"),
                body.as_bytes(),
                400,
                "missing_parameter",
            );
        }
    }
    for (body, step) in [
        (
            body.replace("</xml>", "<Encrypt>x</Encrypt></xml>"),
            "repeated_encrypt",
        ),
        (body.replace("Encrypt>", "Other>"), "missing_encrypt"),
    ] {
        refused(&world, "shop", &good, body.as_bytes(), 400, step);
    }
    let json = seal("{\"ToUserName\":\"a\",\"FromUserName\":\"b\",\"MsgType\":\"text\"}");
    let query = Signed::now("shop", Some(&json)).query();
    let answer = world.request(
        "POST",
        &format!("/wx/shop?{query}"),
        &[],
        envelope(&json).as_bytes(),
    );
    assert_eq!((answer.status, answer.text()), (400, ""));
    nothing_is_stored(&world);
}

#[test]
fn xml_that_is_strange_but_harmless_is_taken() {
    let world = World::start();
    let query = Signed::now("plain", None).query();
    let good = text_message(FOLLOWER, "几点开门");
    let created = good
        .split("<CreateTime>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    for (number, (strange, name)) in [
        (
            good.replace("几点开门", "\u{1}几点开门\u{b}吗\u{1f}"),
            "raw control characters",
        ),
        (
            good.replace(
                &format!("<CreateTime>{created}<"),
                "<CreateTime>1000000000<",
            ),
            "an old CreateTime",
        ),
        (
            good.replace("几点开门", "几点]]><![CDATA[开门"),
            "a split CDATA",
        ),
        (
            good.replace("<MsgId>", "<Unheard>x</Unheard><MsgId>"),
            "an unknown element",
        ),
        (
            good.replace(FOLLOWER, &"长".repeat(42)),
            "an openid of 126 bytes",
        ),
        (good.replace(FOLLOWER, "o"), "an openid of one byte"),
    ]
    .into_iter()
    .enumerate()
    {
        let strange = strange.replace("<MsgId>", &format!("<MsgId>{number}"));
        let answer = world.request(
            "POST",
            &format!("/wx/plain?{query}"),
            &[],
            strange.as_bytes(),
        );
        assert!(
            answer.status == 200 && answer.text().contains("10:00"),
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let unknown = good.replace("[text]", "[hologram]");
    let answer = world.request(
        "POST",
        &format!("/wx/plain?{query}"),
        &[],
        unknown.as_bytes(),
    );
    assert_eq!((answer.status, answer.text()), (200, "success"));
}

#[test]
fn a_body_that_has_only_a_dtd_or_one_bad_character_is_400() {
    let world = World::start();
    let query = Signed::now("plain", None).query();
    let good = text_message(FOLLOWER, "几点开门");
    for (bad, step) in [
        (format!("<!DOCTYPE xml>{good}"), "dtd"),
        (
            good.replace("几点", "]]>&amp;&#xFFFE;<![CDATA["),
            "character",
        ),
        (good.replace("几点", "]]>&#1;<![CDATA["), "character"),
    ] {
        let answer = world.request("POST", &format!("/wx/plain?{query}"), &[], bad.as_bytes());
        assert_eq!((answer.status, answer.text()), (400, ""), "{step}");
    }
    nothing_is_stored(&world);
}

#[test]
fn a_large_body_is_told_so_even_when_it_is_very_large() {
    let world = World::start();
    let query = Signed::now("plain", None).query();
    for size in [(1 << 20) + 1, 12_000_000] {
        let answer = world.request(
            "POST",
            &format!("/wx/plain?{query}"),
            &[],
            &vec![b'x'; size],
        );
        assert_eq!((answer.status, answer.text()), (413, ""), "{size}");
    }
    let fits = format!(
        "{}{}",
        text_message(FOLLOWER, "几点开门"),
        " ".repeat(900_000)
    );
    assert_eq!(
        world
            .request("POST", &format!("/wx/plain?{query}"), &[], fits.as_bytes())
            .status,
        200
    );
}

#[test]
fn verification_gives_the_echo_and_nothing_else() {
    let world = World::start();
    for account in ["plain", "both", "shop"] {
        let query = Signed::now(account, None).query();
        let answer = world.request(
            "GET",
            &format!("/wx/{account}?{query}&echostr=a%2Bb%20%E4%BD%A0"),
            &[],
            b"",
        );
        assert_eq!((answer.status, answer.text()), (200, "a+b 你"));
        assert!(answer.header("content-type").starts_with("text/plain"));
        assert_eq!(
            world
                .request("GET", &format!("/wx/{account}?{query}"), &[], b"")
                .status,
            400
        );
        let forged = query.replace("nonce=", "nonce=9");
        let answer = world.request(
            "GET",
            &format!("/wx/{account}?{forged}&echostr=secret"),
            &[],
            b"",
        );
        assert_eq!((answer.status, answer.text()), (403, ""));
    }
}

#[test]
fn a_matched_message_is_answered_in_each_mode() {
    let world = World::start();
    for (account, is_sealed) in [("plain", false), ("both", true), ("shop", true)] {
        let answer = world.says(account, FOLLOWER, "请问几点开门?");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/xml; charset=utf-8");
        let clear = if is_sealed {
            unseal(&answer)
        } else {
            answer.text().to_owned()
        };
        assert!(clear.contains("我们每天 10:00 到 22:00 营业。"), "{clear}");
    }
}

#[test]
fn compatible_mode_takes_a_clear_body_and_answers_in_clear() {
    let world = World::start();
    let query = Signed::now("both", None).query();
    let answer = world.request(
        "POST",
        &format!("/wx/both?{query}"),
        &[],
        text_message(FOLLOWER, "几点开门").as_bytes(),
    );
    assert!(answer.text().contains("10:00"), "{}", answer.text());
}

#[test]
fn an_event_that_no_rule_covers_is_answered_with_the_seven_bytes() {
    let world = World::start();
    let event = text_message(FOLLOWER, "")
        .replace("[text]", "[event]")
        .replace("<Content>", "<Event><![CDATA[VIEW]]></Event><Content>");
    for account in ["plain", "shop"] {
        let answer = world.push(account, &event);
        assert_eq!((answer.status, answer.text()), (200, "success"));
    }
    nothing_is_stored(&world);
}

#[test]
fn one_signed_query_may_carry_many_messages() {
    let world = World::start();
    let query = Signed::now("plain", None).query();
    for n in 0..20 {
        let follower = format!("oFollower{n:020}");
        let answer = world.request(
            "POST",
            &format!("/wx/plain?{query}"),
            &[],
            text_message(&follower, "几点开门").as_bytes(),
        );
        assert!(answer.text().contains(&follower));
    }
}

#[test]
fn everything_moves_under_the_prefix() {
    let world = Setup::default()
        .with_top("public_url = \"https://wx.example.com/bot\"")
        .start();
    let query = Signed::now("plain", None).query();
    let message = text_message(FOLLOWER, "几点开门");
    assert_eq!(
        world
            .request(
                "POST",
                &format!("/bot/wx/plain?{query}"),
                &[],
                message.as_bytes()
            )
            .status,
        200
    );
    assert_eq!(
        world
            .request(
                "POST",
                &format!("/wx/plain?{query}"),
                &[],
                message.as_bytes()
            )
            .status,
        404
    );
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/bot/healthz",
        "/bot/readyz",
        "/bot/metrics",
        "/bot/api/v1/openapi.json",
    ] {
        assert_eq!(world.request("GET", path, &[], b"").status, 200, "{path}");
    }
    assert_eq!(
        world
            .request("GET", "/api/v1/openapi.json", &[], b"")
            .status,
        404
    );
}

#[test]
fn the_log_names_the_client_behind_a_trusted_proxy() {
    let world = Setup::default()
        .with_top("trusted_proxies = [\"127.0.0.1/32\"]")
        .start();
    let headers = [("x-forwarded-for", "6.6.6.6, 203.0.113.9")];
    assert_eq!(
        world.request("POST", "/wx/plain", &headers, b"").status,
        400
    );
    world.log.wait(|line| {
        line.contains("callback refused") && line.contains("\"remote\":\"203.0.113.9\"")
    });
}

/// Sends raw bytes and reads until the server closes.
fn raw(world: &World, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let world = World::start();
    let query = Signed::now("plain", None).query();
    let head = format!(
        "POST /wx/plain?{query} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    let chunks = |sizes: &[usize]| {
        let chunk = |size: &usize| format!("{size:x}\r\n{}\r\n", "x".repeat(*size));
        format!(
            "{head}{}0\r\n\r\n",
            sizes.iter().map(chunk).collect::<String>()
        )
    };
    let large = raw(&world, chunks(&[60_000; 20]).as_bytes());
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let message = text_message(FOLLOWER, "几点开门");
    let (first, second) = message.as_bytes().split_at(100);
    let mut request = head.clone().into_bytes();
    for piece in [first, second, b""] {
        request.extend(format!("{:x}\r\n", piece.len()).bytes());
        request.extend(piece);
        request.extend(b"\r\n");
    }
    assert!(raw(&world, &request).contains("10:00"));
}

#[test]
fn a_body_that_breaks_off_is_refused_and_named() {
    let world = World::start();
    let query = Signed::now("plain", None).query();
    raw(
        &world,
        format!("POST /wx/plain?{query} HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\r\n<xml>")
            .as_bytes(),
    );
    world
        .log
        .wait(|line| line.contains("callback refused") && line.contains("\"step\":\"body\""));
    nothing_is_stored(&world);
}
