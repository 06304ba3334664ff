//! Drives the JSON API of the real binary the way an agent's client does, and holds its OpenAPI document against it.

use serde_json::{Value, json};

use crate::support::api::{call, check_against_document, id, is_problem};
use crate::support::{Answer, Setup, TOKEN, World};

const LI: &str = "oFollowerLi000000000000001";
const ZHAO: &str = "oFollowerZhao0000000000002";

#[test]
fn a_person_answers_what_no_rule_covers() {
    let world = World::start();
    let answer = world.says("shop", LI, "我的快递坏了");
    assert!(crate::support::unseal(&answer).contains("同事"));
    let listed = call(
        &world,
        "get",
        "/conversations",
        "/conversations?state=waiting",
        None,
        200,
    )
    .json();
    let conversation = &listed["conversations"][0];
    assert_eq!(
        (
            conversation["account"].as_str(),
            conversation["follower"].as_str()
        ),
        (Some("shop"), Some(LI))
    );
    assert_eq!(
        (
            conversation["reason"].as_str(),
            conversation["unread"].as_u64(),
            &listed["next"]
        ),
        (Some("unmatched"), Some(1), &Value::Null)
    );
    assert_eq!(conversation["quota_left"], 5);
    let path = format!("/conversations/{}", id(conversation));
    let verb = |name: &str| format!("{path}/{name}");

    let shown = call(&world, "get", "/conversations/{id}", &path, None, 200).json();
    let words: Vec<_> = shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["by"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["follower", "ack"]);
    let claimed = call(
        &world,
        "post",
        "/conversations/{id}/claim",
        &verb("claim"),
        None,
        200,
    )
    .json();
    assert_eq!(
        (claimed["state"].as_str(), claimed["owner"].as_str()),
        (Some("assigned"), Some("token:env"))
    );
    call(
        &world,
        "post",
        "/conversations/{id}/notes",
        &verb("notes"),
        Some(&json!({"text": "老客户"})),
        200,
    );
    let tagged = call(
        &world,
        "post",
        "/conversations/{id}/tags",
        &verb("tags"),
        Some(&json!({"tags": ["vip", "老客户", "vip"]})),
        200,
    )
    .json();
    assert_eq!(tagged["tags"], json!(["vip", "老客户"]));
    for wrong in [
        json!({"tags": [""]}),
        json!({"tags": ["a\nb"]}),
        json!({"tags": vec!["x".repeat(65)]}),
        json!({"tags": (0..33).map(|n| n.to_string()).collect::<Vec<_>>()}),
    ] {
        let path = "/conversations/{id}/tags";
        let refused = call(&world, "post", path, &verb("tags"), Some(&wrong), 400);
        is_problem(&refused, 400, "bad-request");
    }
    let released = call(
        &world,
        "post",
        "/conversations/{id}/release",
        &verb("release"),
        None,
        200,
    )
    .json();
    assert_eq!(
        (released["state"].as_str(), &released["owner"]),
        (Some("waiting"), &Value::Null)
    );

    let reply = json!({"text": "马上给您补发", "idempotency_key": "k1"});
    let first = call(
        &world,
        "post",
        "/conversations/{id}/replies",
        &verb("replies"),
        Some(&reply),
        201,
    )
    .json();
    assert_eq!(
        (
            first["message"]["by"].as_str(),
            first["message"]["agent"].as_str()
        ),
        (Some("agent"), Some("token:env"))
    );
    assert_eq!(
        first["message"]["delivery"], "held",
        "an account without a secret cannot push"
    );
    assert_eq!(first["message"]["error"]["code"], 48001);
    let again = call(
        &world,
        "post",
        "/conversations/{id}/replies",
        &verb("replies"),
        Some(&reply),
        201,
    )
    .json();
    assert_eq!(first, again);

    let given = world.says("shop", LI, "在吗");
    assert!(crate::support::unseal(&given).contains("马上给您补发"));
    let closed = call(
        &world,
        "post",
        "/conversations/{id}/close",
        &verb("close"),
        Some(&json!({"outcome": "solved"})),
        200,
    )
    .json();
    assert_eq!(
        (closed["state"].as_str(), closed["outcome"].as_str()),
        (Some("closed"), Some("solved"))
    );
    let shown = call(&world, "get", "/conversations/{id}", &path, None, 200).json();
    let kinds: Vec<_> = shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            (
                message["by"].as_str().unwrap(),
                message["kind"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("follower", "text"),
            ("ack", "text"),
            ("agent", "note"),
            ("agent", "text"),
            ("follower", "text")
        ]
    );
    let before = shown["messages"][2]["id"].as_str().unwrap();
    let earlier = call(
        &world,
        "get",
        "/conversations/{id}",
        &format!("{path}?before={before}"),
        None,
        200,
    )
    .json();
    assert_eq!(earlier["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn the_loser_of_a_race_is_told_who_won() {
    let world = World::start();
    world.says("plain", LI, "有人吗");
    let tokens = ["mei", "jun"].map(|name| {
        let made = call(
            &world,
            "post",
            "/tokens",
            "/tokens",
            Some(&json!({"name": name, "role": "agent"})),
            201,
        )
        .json();
        made["secret"].as_str().unwrap().to_owned()
    });
    let path = format!("/conversations/{}", id(&world.conversation(LI)));
    let claim = format!("{path}/claim");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let claims = tokens
            .each_ref()
            .map(|token| scope.spawn(|| world.api_as(token, "POST", &claim, None)));
        claims
            .into_iter()
            .map(|claim| claim.join().unwrap())
            .collect()
    });
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let winner = answers
        .iter()
        .find(|answer| answer.status == 200)
        .unwrap()
        .json();
    let loser = answers.iter().find(|answer| answer.status == 409).unwrap();
    is_problem(loser, 409, "owned");
    check_against_document(&world, "post", "/conversations/{id}/claim", loser);
    assert_eq!(loser.json()["owner"], winner["owner"]);
    for verb in ["release", "replies"] {
        let answer = world.api(
            "POST",
            &format!("{path}/{verb}"),
            Some(&json!({"text": "我来"})),
        );
        is_problem(&answer, 409, "owned");
    }
}

#[test]
fn an_answer_to_what_is_no_longer_the_last_word_is_refused_with_what_arrived() {
    let world = World::start();
    world.says("plain", LI, "第一句");
    let conversation = world.conversation(LI);
    let path = format!("/conversations/{}", id(&conversation));
    let seen = world.api("GET", &path, None).json()["messages"][0]["id"].clone();
    world.says("plain", LI, "第二句");
    let reply = json!({"text": "好的", "last_seen": seen});
    let answer = call(
        &world,
        "post",
        "/conversations/{id}/replies",
        &format!("{path}/replies"),
        Some(&reply),
        409,
    );
    is_problem(&answer, 409, "arrived");
    let problem = answer.json();
    assert_eq!(problem["arrived"].as_array().unwrap().len(), 1);
    assert_eq!(problem["arrived"][0]["text"], "第二句");
    let reply = json!({"text": "好的", "last_seen": problem["arrived"][0]["id"]});
    call(
        &world,
        "post",
        "/conversations/{id}/replies",
        &format!("{path}/replies"),
        Some(&reply),
        201,
    );
}

#[test]
fn bad_calls_are_problems_with_one_code_each() {
    let world = World::start();
    world.says("plain", LI, "有人吗");
    let path = format!("/conversations/{}", id(&world.conversation(LI)));
    for (target, code) in [
        ("/conversations?state=open", "bad-request"),
        ("/conversations?limit=many", "bad-request"),
        ("/conversations?cursor=x", "bad-request"),
        ("/conversations?account=Shop", "bad-request"),
        (&format!("{path}?before=x"), "bad-request"),
    ] {
        is_problem(&world.api("GET", target, None), 400, code);
    }
    for target in [
        "/conversations/x",
        "/conversations/018f2f7e-0000-7000-8000-000000000000",
        "/nothing",
        "",
    ] {
        is_problem(&world.api("GET", target, None), 404, "not-found");
    }
    is_problem(&world.request("GET", "/", &[], b""), 404, "not-found");
    for (method, target, allowed) in [
        ("PUT", "/conversations", "GET"),
        ("GET", "/tokens/x", "DELETE"),
        ("POST", "/openapi.json", "GET"),
        ("GET", &format!("{path}/claim"), "POST"),
    ] {
        let answer = world.api(method, target, None);
        is_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed, "{method} {target}");
    }
    let replies = format!("{path}/replies");
    let reply = |body: &str| {
        world.request(
            "POST",
            &format!("/api/v1{replies}"),
            &[("authorization", &format!("Bearer {TOKEN}"))],
            body.as_bytes(),
        )
    };
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"text":1}"#,
        r#"{"text":"x","last_seen":"y"}"#,
        r#"{"text":"x","idempotency_key":""}"#,
    ] {
        is_problem(&reply(body), 400, "bad-request");
    }
    is_problem(&reply(r#"{"text":"  "}"#), 422, "empty");
    let long = call(
        &world,
        "post",
        "/conversations/{id}/replies",
        &replies,
        Some(&json!({"text": "好".repeat(683)})),
        422,
    );
    is_problem(&long, 422, "too-long");
    assert_eq!(
        (&long.json()["bytes"], &long.json()["limit"]),
        (&json!(2049), &json!(2047))
    );
    is_problem(
        &reply(&format!("{{\"text\":\"{}\"}}", "x".repeat(70_000))),
        413,
        "too-large",
    );
    is_problem(&reply(&"x".repeat(12_000_000)), 413, "too-large");
    let stranger = world.request(
        "POST",
        &format!("/api/v1{replies}"),
        &[],
        &vec![b'x'; 12_000_000],
    );
    is_problem(&stranger, 401, "unauthorized");
    is_problem(
        &world.api("GET", "/conversations/%ff", None),
        404,
        "not-found",
    );
    is_problem(
        &world.api(
            "POST",
            &format!("{path}/close"),
            Some(&json!({"outcome": "won"})),
        ),
        400,
        "bad-request",
    );
    let close = json!({"outcome": "spam"});
    assert_eq!(
        world
            .api("POST", &format!("{path}/close"), Some(&close))
            .status,
        200
    );
    is_problem(
        &world.api("POST", &format!("{path}/release"), None),
        409,
        "unowned",
    );
}

#[test]
fn pages_follow_each_other_without_gaps() {
    let world = World::start();
    let mut followers: Vec<String> = (0..7).map(|n| format!("oPageFollower{n:010}")).collect();
    for follower in &followers {
        world.says("plain", follower, "有人吗");
    }
    world.says("both", ZHAO, "有人吗");
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = call(
            &world,
            "get",
            "/conversations",
            &format!("/conversations?account=plain&limit=3&cursor={next}"),
            None,
            200,
        )
        .json();
        let conversations = page["conversations"].as_array().unwrap();
        assert!(conversations.len() <= 3 && !conversations.is_empty());
        seen.extend(
            conversations
                .iter()
                .map(|conversation| conversation["follower"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(cursor) => next = cursor.to_owned(),
            None => break,
        }
    }
    followers.reverse();
    assert_eq!(seen, followers, "newest first");
    let count = |query: &str| {
        world
            .api("GET", &format!("/conversations?{query}"), None)
            .json()["conversations"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("limit=9999"), 8);
    assert_eq!(count("state=waiting,assigned"), 8);
    assert_eq!(count("state=closed"), 0);
    assert_eq!(count(&format!("follower={ZHAO}")), 1);
}

#[test]
fn every_path_of_the_document_needs_a_token_and_every_route_is_in_it() {
    let world = Setup::default().start();
    let document = world
        .request("GET", "/api/v1/openapi.json", &[], b"")
        .json();
    assert_eq!(
        document["openapi"].as_str().unwrap().split('.').next(),
        Some("3")
    );
    assert_eq!(document["servers"][0]["url"], "/api/v1");
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let literal = |part: &str| if part.starts_with('{') { "x" } else { part }.to_owned();
            let parts: Vec<String> = path.split('/').map(literal).collect();
            let target = format!("/api/v1{}", parts.join("/"));
            // Logging in is where tokens come from.
            let is_open = operation["security"] == json!([{}]);
            assert_eq!(
                is_open,
                (method.as_str(), path.as_str()) == ("post", "/sessions")
            );
            assert_eq!(
                world
                    .request(&method.to_uppercase(), &target, &[], b"")
                    .status,
                if is_open { 400 } else { 401 },
                "{method} {path}"
            );
            operations += 1;
        }
    }
    assert_eq!(operations, 60);
}
