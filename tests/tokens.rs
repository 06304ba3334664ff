//! Knocks at the API with good, bad and narrow tokens, and makes and revokes them from the command line.

use serde_json::json;

use crate::support::api::{call, check_against_document, id, is_problem};
use crate::support::{TOKEN, World};

const LI: &str = "oFollowerLi000000000000001";
const ZHAO: &str = "oFollowerZhao0000000000002";

#[test]
fn tokens_open_what_their_role_and_accounts_allow_and_no_more() {
    let world = World::start();
    world.says("plain", LI, "有人吗");
    world.says("both", ZHAO, "有人吗");
    let make = |name: &str, role: &str, accounts: &[&str]| {
        let made = call(
            &world,
            "post",
            "/tokens",
            "/tokens",
            Some(&json!({"name": name, "role": role, "accounts": accounts})),
            201,
        );
        made.json()["secret"].as_str().unwrap().to_owned()
    };
    let (viewer, agent) = (
        make("screen", "viewer", &[]),
        make("mei", "agent", &["plain"]),
    );
    let path = |follower| format!("/conversations/{}", id(&world.conversation(follower)));
    let (li, zhao) = (path(LI), path(ZHAO));

    assert_eq!(world.api_as(&viewer, "GET", &li, None).status, 200);
    let refused = world.api_as(&viewer, "POST", &format!("{li}/claim"), None);
    is_problem(&refused, 403, "forbidden");
    is_problem(
        &world.api_as(&viewer, "GET", "/tokens", None),
        403,
        "forbidden",
    );

    let listed = world.api_as(&agent, "GET", "/conversations", None).json();
    assert_eq!(listed["conversations"].as_array().unwrap().len(), 1);
    assert_eq!(
        world
            .api_as(&agent, "POST", &format!("{li}/claim"), None)
            .json()["owner"],
        "token:mei"
    );
    is_problem(&world.api_as(&agent, "GET", &zhao, None), 404, "not-found");
    is_problem(
        &world.api_as(&agent, "POST", &format!("{zhao}/claim"), None),
        404,
        "not-found",
    );
    is_problem(
        &world.api_as(&agent, "GET", "/conversations?account=both", None),
        403,
        "forbidden",
    );

    is_problem(
        &world.api(
            "POST",
            "/tokens",
            Some(&json!({"name": "mei", "role": "agent"})),
        ),
        409,
        "taken",
    );
    is_problem(
        &world.api(
            "POST",
            "/tokens",
            Some(&json!({"name": "cli", "role": "agent"})),
        ),
        409,
        "taken",
    );
    is_problem(
        &world.api(
            "POST",
            "/tokens",
            Some(&json!({"name": "x", "role": "agent", "accounts": ["nobody"]})),
        ),
        400,
        "bad-request",
    );
    is_problem(
        &world.api(
            "POST",
            "/tokens",
            Some(&json!({"name": "a b", "role": "agent"})),
        ),
        400,
        "bad-request",
    );
    let tokens = call(&world, "get", "/tokens", "/tokens", None, 200);
    assert!(!tokens.text().contains(&agent) && tokens.text().contains("\"mei\""));
    call(&world, "delete", "/tokens/{name}", "/tokens/mei", None, 204);
    is_problem(
        &world.api_as(&agent, "GET", "/conversations", None),
        401,
        "unauthorized",
    );
    call(&world, "delete", "/tokens/{name}", "/tokens/mei", None, 404);
}

#[test]
fn without_a_good_token_there_is_only_the_door() {
    let world = World::start();
    let target = "/api/v1/conversations";
    for header in [
        None,
        Some("Bearer "),
        Some("Bearer wrong"),
        Some("Basic dTpw"),
        Some(TOKEN),
    ] {
        let headers: Vec<(&str, &str)> = header
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let answer = world.request("GET", target, &headers, b"");
        is_problem(&answer, 401, "unauthorized");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        check_against_document(&world, "get", "/conversations", &answer);
    }
    assert_eq!(
        world
            .request(
                "GET",
                &format!("{target}?token={TOKEN}"),
                &[("cookie", &format!("token={TOKEN}"))],
                b""
            )
            .status,
        401
    );
    let answer = world.api("GET", "/conversations", None);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        assert_eq!(answer.header(name), value);
    }
}

#[test]
fn the_command_lines_token_works_from_this_machine_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start();
    let file = world.data().join("cli.token");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let token = std::fs::read_to_string(&file).unwrap();
    assert_eq!(world.api_as(&token, "GET", "/tokens", None).status, 200);
    let headers = [
        ("authorization", format!("Bearer {token}")),
        ("x-forwarded-for", "127.0.0.1".to_owned()),
    ];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    assert_eq!(
        world.request("GET", "/api/v1/tokens", &headers, b"").status,
        401,
        "behind a proxy it is worth nothing"
    );
    let world = world.kill().start();
    assert_eq!(
        world.api_as(&token, "GET", "/tokens", None).status,
        401,
        "each start has its own"
    );
}

#[test]
fn tokens_are_made_listed_and_revoked_from_the_command_line() {
    let world = World::start();
    let out = world.run(&[
        "token",
        "add",
        "desk",
        "--role",
        "viewer",
        "--account",
        "shop",
        "--account",
        "plain",
    ]);
    assert!(out.status.success(), "{out:?}");
    let token = String::from_utf8(out.stdout).unwrap();
    assert_eq!(
        world
            .api_as(token.trim(), "GET", "/conversations", None)
            .status,
        200
    );
    let listed = String::from_utf8(world.run(&["token", "list"]).stdout).unwrap();
    assert!(listed.starts_with("desk\tviewer\tshop,plain\t"), "{listed}");
    let out = world.run(&["token", "add", "desk"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        String::from_utf8(out.stderr)
            .unwrap()
            .contains("409 名字已被使用")
    );
    assert!(world.run(&["token", "revoke", "desk"]).status.success());
    assert_eq!(
        world
            .api_as(token.trim(), "GET", "/conversations", None)
            .status,
        401
    );
    let stopped = world.kill();
    assert_eq!(
        stopped.run(&["token", "list"]).status.code(),
        Some(2),
        "nobody answers"
    );
}
