//! Fetches what followers send, serves it without harm, and throws it away.

use wxreply::simulator::{Fault, POINT_PNG, Push, Times};

use super::{HOUR, Stage, eventually};

const GET: &str = "/cgi-bin/media/get";

/// Sends it; the id of its message.
fn sent(stage: &Stage, name: &str, push: Push) -> String {
    assert_eq!(push.wait().fault, None);
    let id = stage.conversation("shop", name)["id"].clone();
    let shown = stage.get(&format!("/conversations/{}", id.as_str().unwrap()));
    let messages = shown["messages"].as_array().unwrap();
    let inbound = messages.iter().rev().find(|one| one["direction"] == "in");
    inbound.unwrap()["id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("/api/v1/media/{id}")
}

/// What is said of a file that is not here.
fn missing(stage: &Stage, id: &str) -> String {
    let answer = stage.request("GET", &path(id), b"");
    let problem = answer.json();
    assert_eq!(
        (answer.status, &problem["code"]),
        (404, &"not-found".into())
    );
    problem["detail"].as_str().unwrap().to_owned()
}

fn fetched(stage: &Stage, id: &str) -> super::Answer {
    let mut found = None;
    eventually("the file", || {
        let answer = stage.request("GET", &path(id), b"");
        let is_here = answer.status == 200;
        found = Some(answer);
        is_here
    });
    found.unwrap()
}

#[test]
fn what_a_follower_sent_is_fetched_and_served_as_what_it_is() {
    let stage = Stage::open(&["shop"]);
    let li = stage.follower(0, "oLi");
    let page = b"<html><script>alert(1)</script></html>";
    let drawing = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    let still = b"\xff\xd8\xff\xd9";
    for (push, bytes, kind, how, ending) in [
        (li.sends_image(), POINT_PNG, "image/png", "inline", "png"),
        (
            li.sends_as_image(b"GIF89a\x01\0\x01\0\0\0\0;"),
            &b"GIF89a\x01\0\x01\0\0\0\0;"[..],
            "image/gif",
            "inline",
            "gif",
        ),
        (
            li.sends_as_image(page),
            page,
            "application/octet-stream",
            "attachment",
            "bin",
        ),
        (
            li.sends_as_image(drawing),
            drawing,
            "application/octet-stream",
            "attachment",
            "bin",
        ),
        (
            li.sends_voice(None),
            b"#!AMR\n",
            "audio/amr",
            "attachment",
            "amr",
        ),
        // Of a video the API gives its still.
        (li.sends_video(), still, "image/jpeg", "inline", "jpg"),
    ] {
        let id = sent(&stage, "oLi", push);
        let answer = fetched(&stage, &id);
        let disposition = format!("{how}; filename=\"{id}.{ending}\"");
        let policy = "default-src 'none'; sandbox";
        assert_eq!(answer.headers, [kind, &*disposition, policy, "nosniff"]);
        assert_eq!(answer.body, bytes);
    }
    assert_eq!(stage.account("shop")["queues"]["media"], 0);
    assert_eq!(
        stage.account("shop")["capabilities"]["media"]["state"],
        "yes"
    );
    let text = sent(&stage, "oLi", li.says("几点开门"));
    assert_eq!(missing(&stage, &text), "there is no such file");
    let file = sent(&stage, "oLi", li.sends_file("合同.pdf"));
    assert_eq!(missing(&stage, &file), "there is no such file");
    for wrong in [
        "x",
        "..%2f..%2fcli.token",
        "00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(missing(&stage, wrong), "there is no such file");
    }
}

#[test]
fn what_cannot_be_fetched_yet_is_tried_again_over_a_restart_and_given_up_after_three_days() {
    let mut stage = Stage::open(&["shop"]);
    let li = stage.follower(0, "oLi");
    stage.wechat.breaks(GET, Fault::Status(502), Times::Always);
    let id = sent(&stage, "oLi", li.sends_image());
    eventually("a failure", || {
        missing(&stage, &id).starts_with("the file is yet to be fetched")
    });
    assert_eq!(stage.account("shop")["queues"]["media"], 1);
    stage.restart();
    eventually("it to be known", || {
        stage.account("shop")["queues"]["media"] == 1
    });
    stage.wechat.heals();
    stage.passes("the file", || {
        stage.request("GET", &path(&id), b"").status == 200
    });
    assert_eq!(fetched(&stage, &id).body, POINT_PNG);

    stage.wechat.breaks(GET, Fault::HalfAnswer, Times::Always);
    let late = sent(&stage, "oLi", li.sends_image());
    for _ in 0..73 {
        stage.clock.advance(HOUR);
        stage.readyz();
    }
    eventually("giving up", || {
        missing(&stage, &late).contains("three days are over")
    });
    eventually("an empty queue", || {
        stage.account("shop")["queues"]["media"] == 0
    });
    // What is here stays here.
    assert_eq!(fetched(&stage, &id).body, POINT_PNG);
}

#[test]
fn what_wechat_refuses_or_is_too_large_is_given_up_at_once_and_says_so() {
    let stage = Stage::open(&["shop"]);
    let li = stage.follower(0, "oLi");
    stage.wechat.breaks(GET, Fault::Code(40007), Times::Next(1));
    let expired = sent(&stage, "oLi", li.sends_voice(None));
    eventually("the refusal", || {
        missing(&stage, &expired).ends_with("(40007)")
    });
    let large = sent(&stage, "oLi", li.sends_as_image(&vec![7; (10 << 20) + 1]));
    eventually("the size", || missing(&stage, &large).ends_with("(45001)"));
    let most = sent(&stage, "oLi", li.sends_as_image(&vec![7; 10 << 20]));
    assert_eq!(fetched(&stage, &most).body.len(), 10 << 20);
    stage.accounts[0].change(|settings| settings.rights.media = false);
    let denied = sent(&stage, "oLi", li.sends_voice(None));
    eventually("the right", || {
        missing(&stage, &denied).ends_with("(48001)")
    });
    let media = &stage.account("shop")["capabilities"]["media"];
    assert_eq!(
        (&media["state"], &media["evidence"]),
        (&"no".into(), &"48001".into())
    );
}

#[test]
fn a_picture_is_taken_in_by_its_first_bytes_and_shown_again() {
    let stage = Stage::open(&["shop", "other"]);
    let bring = |account: &str, bytes: &[u8]| {
        let answer = stage.request("POST", &format!("/api/v1/media?account={account}"), bytes);
        (answer.status, answer.json())
    };
    let (status, brought) = bring("shop", POINT_PNG);
    assert_eq!(status, 201, "{brought}");
    assert_eq!(
        (&brought["kind"], &brought["bytes"]),
        (&"image".into(), &POINT_PNG.len().into())
    );
    let hash = brought["hash"].as_str().unwrap();
    let show =
        |account: &str| stage.request("GET", &format!("{}?account={account}", path(hash)), b"");
    let shown = show("shop");
    assert_eq!((shown.status, &shown.body[..]), (200, POINT_PNG));
    assert_eq!(shown.headers[0], "image/png");
    assert_eq!(show("other").status, 404);
    assert_eq!(bring("shop", POINT_PNG), (201, brought));
    for bad in [
        &b""[..],
        b"<svg/>",
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"#!AMR\n",
    ] {
        let (status, problem) = bring("shop", bad);
        assert_eq!(
            (status, &problem["code"]),
            (422, &"bad-media".into()),
            "{problem}"
        );
    }
    let mut large = POINT_PNG.to_vec();
    large.resize((10 << 20) + 1, 0);
    assert_eq!(bring("shop", &large).0, 413);
    assert_eq!(bring("nobody", POINT_PNG).0, 400);
    assert_eq!(
        stage.request("POST", "/api/v1/media", POINT_PNG).status,
        400
    );
}
