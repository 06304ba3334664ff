//! Holds the routes of accounts and media against the OpenAPI document and the roles.

use serde_json::json;
use wxreply::simulator::POINT_PNG;

use crate::support::api::{call, check_against_document, is_problem};
use crate::support::{TOKEN, World};

fn token(world: &World, name: &str, role: &str, accounts: &[&str]) -> String {
    let body = json!({"name": name, "role": role, "accounts": accounts});
    let made = call(world, "post", "/tokens", "/tokens", Some(&body), 201);
    made.json()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn accounts_are_for_viewers_and_measuring_them_is_for_admins() {
    let world = World::start();
    let listed = call(&world, "get", "/accounts", "/accounts", None, 200).json();
    let names: Vec<_> = listed["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["mode"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            ("both", "compatible"),
            ("plain", "plain"),
            ("shop", "secure")
        ]
    );
    assert_eq!(listed["accounts"][0]["last_inbound_at"], json!(null));
    world.says("shop", "oLi", "有人吗");
    let viewer = token(&world, "screen", "viewer", &["shop"]);
    let seen = world.api_as(&viewer, "GET", "/accounts", None).json();
    assert_eq!(seen["accounts"].as_array().unwrap().len(), 1);
    assert!(seen["accounts"][0]["last_inbound_at"].is_string());
    assert_eq!(seen["accounts"][0]["queues"]["waiting"], 1);
    let shown = seen.to_string();
    for secret in ["Tok3n", crate::support::AES_KEY, crate::support::APP_ID] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let path = "/accounts/{name}/check";
    let check = |token: &str, account: &str, status, code| {
        let answer = world.api_as(token, "POST", &format!("/accounts/{account}/check"), None);
        is_problem(&answer, status, code);
        check_against_document(&world, "post", path, &answer);
    };
    check(TOKEN, "shop", 409, "no-secret");
    check(TOKEN, "nobody", 404, "not-found");
    check(&viewer, "shop", 403, "forbidden");
    check("wrong", "shop", 401, "unauthorized");
    let admin = token(&world, "boss", "admin", &["plain"]);
    check(&admin, "shop", 404, "not-found");
}

#[test]
fn media_are_for_agents_of_the_account() {
    let world = World::start();
    let send = |token: &str, path: &str, body: &[u8]| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        world.request("POST", &format!("/api/v1{path}"), &headers, body)
    };
    let answer = send(TOKEN, "/media?account=shop", POINT_PNG);
    assert_eq!(answer.status, 201);
    check_against_document(&world, "post", "/media", &answer);
    let hash = answer.json()["hash"].as_str().unwrap().to_owned();
    let (viewer, agent) = (
        token(&world, "screen", "viewer", &[]),
        token(&world, "mei", "agent", &["plain"]),
    );
    for (token, path, body, status, code) in [
        (TOKEN, "/media", POINT_PNG, 400, "bad-request"),
        (TOKEN, "/media?account=x", POINT_PNG, 400, "bad-request"),
        (
            TOKEN,
            "/media?account=shop",
            &b"<svg/>"[..],
            422,
            "bad-media",
        ),
        (&*viewer, "/media?account=shop", POINT_PNG, 403, "forbidden"),
        (&*agent, "/media?account=shop", POINT_PNG, 403, "forbidden"),
        (
            "wrong",
            "/media?account=shop",
            POINT_PNG,
            401,
            "unauthorized",
        ),
    ] {
        let answer = send(token, path, body);
        is_problem(&answer, status, code);
        check_against_document(&world, "post", "/media", &answer);
    }
    let shown = format!("/media/{hash}?account=shop");
    assert_eq!(world.api("GET", &shown, None).status, 200);
    for (token, path, status, code) in [
        (TOKEN, &*format!("/media/{hash}"), 400, "bad-request"),
        (
            TOKEN,
            &*format!("/media/{hash}?account=plain"),
            404,
            "not-found",
        ),
        (
            TOKEN,
            "/media/00000000-0000-7000-8000-000000000000",
            404,
            "not-found",
        ),
        (&*viewer, &*shown, 403, "forbidden"),
        (&*agent, &*shown, 403, "forbidden"),
        ("wrong", &*shown, 401, "unauthorized"),
    ] {
        let answer = world.api_as(token, "GET", path, None);
        is_problem(&answer, status, code);
        check_against_document(&world, "get", "/media/{id}", &answer);
    }
}
