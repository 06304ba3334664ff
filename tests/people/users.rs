//! Adds, changes and disables users, and sets their passwords.

use serde_json::{Value, json};

use super::{PASSWORD, add, log_in, try_log_in};
use crate::support::World;
use crate::support::api::{call, check_against_document, is_problem};

#[test]
fn users_are_added_changed_and_disabled_but_never_removed() {
    let world = World::start();
    let mei = json!({"name": "Mei", "shown": "小梅", "role": "agent", "lead": true, "accounts": ["shop", "plain", "shop"]});
    let added = call(&world, "post", "/users", "/users", Some(&mei), 201).json();
    let user = &added["user"];
    assert_eq!(
        (
            &user["name"],
            &user["shown"],
            &user["accounts"],
            &user["must_change"]
        ),
        (
            &json!("Mei"),
            &json!("小梅"),
            &json!(["plain", "shop"]),
            &json!(true)
        )
    );
    for (wanted, status, code) in [
        (json!({"name": "mEI", "role": "agent"}), 409, "taken"),
        (
            json!({"name": "token:x", "role": "agent"}),
            400,
            "bad-request",
        ),
        (json!({"name": "a b", "role": "agent"}), 400, "bad-request"),
        (
            json!({"name": "system", "role": "agent"}),
            400,
            "bad-request",
        ),
        (json!({"name": "jun", "role": "boss"}), 400, "bad-request"),
        (
            json!({"name": "jun", "role": "agent", "accounts": ["nowhere"]}),
            400,
            "bad-request",
        ),
        (
            json!({"name": "jun", "role": "agent", "shown": "\n"}),
            400,
            "bad-request",
        ),
        (
            json!({"name": "jun", "role": "agent", "password": "short"}),
            422,
            "weak-password",
        ),
        (
            json!({"name": "jun", "role": "agent", "password": "password1234"}),
            422,
            "weak-password",
        ),
    ] {
        let answer = call(&world, "post", "/users", "/users", Some(&wanted), status);
        is_problem(&answer, status, code);
    }
    let path = "/users/{name}";
    let shown = call(&world, "get", path, "/users/mei", None, 200).json();
    assert_eq!(&shown, user);
    let change = json!({"shown": "梅", "role": "operator", "lead": false, "accounts": []});
    let changed = call(&world, "patch", path, "/users/MEI", Some(&change), 200).json();
    assert_eq!(
        (&changed["user"]["role"], &changed["user"]["accounts"]),
        (&json!("operator"), &json!([]))
    );
    call(
        &world,
        "patch",
        path,
        "/users/mei",
        Some(&json!({"name": "x"})),
        400,
    );
    call(
        &world,
        "patch",
        path,
        "/users/nobody",
        Some(&json!({})),
        404,
    );
    call(&world, "get", path, "/users/a%20b", None, 404);
    let disabled = call(&world, "delete", path, "/users/mei", None, 200).json();
    assert_eq!(disabled["user"]["disabled"], true);
    call(&world, "delete", path, "/users/nobody", None, 404);
    let users = call(&world, "get", "/users", "/users", None, 200).json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
    let world = world.kill().start();
    let kept = world.api("GET", "/users", None).json();
    assert_eq!(kept, users, "on disk");
}

#[test]
fn an_initial_password_is_for_setting_another() {
    let world = World::start();
    let mei = json!({"name": "mei", "role": "admin"});
    let added = call(&world, "post", "/users", "/users", Some(&mei), 201).json();
    let initial = added["initial_password"].as_str().unwrap();
    let answer = try_log_in(&world, "mei", initial);
    let body = answer.json();
    assert_eq!(body["user"]["must_change"], true);
    let token = body["token"].as_str().unwrap();
    for (method, path, template) in [
        ("get", "/users", "/users"),
        ("get", "/conversations", "/conversations"),
        ("post", "/users", "/users"),
        ("post", "/users/jun/password", "/users/{name}/password"),
    ] {
        let answer = world.api_as(token, &method.to_uppercase(), path, Some(&json!({})));
        is_problem(&answer, 403, "must-change-password");
        check_against_document(&world, method, template, &answer);
    }
    assert_eq!(world.api_as(token, "GET", "/me", None).status, 200);
    let set =
        |token: &str, body: Value| world.api_as(token, "POST", "/users/MEI/password", Some(&body));
    is_problem(&set(token, json!({"new": PASSWORD})), 400, "bad-request");
    is_problem(&set(token, json!({"old": initial})), 400, "bad-request");
    is_problem(
        &set(token, json!({"old": "wrong", "new": PASSWORD})),
        401,
        "bad-login",
    );
    for weak in [initial, "mei-mei-mei-mei", "123456789012"] {
        is_problem(
            &set(token, json!({"old": initial, "new": weak})),
            422,
            "weak-password",
        );
    }
    let done = set(token, json!({"old": initial, "new": PASSWORD}));
    assert_eq!(done.status, 200, "{}", done.text());
    check_against_document(&world, "post", "/users/{name}/password", &done);
    assert_eq!(done.json()["initial_password"], Value::Null);
    assert_eq!(world.api_as(token, "GET", "/me", None).status, 401);
    is_problem(&try_log_in(&world, "mei", initial), 401, "bad-login");
    let token = log_in(&world, "mei");
    assert_eq!(world.api_as(&token, "GET", "/users", None).status, 200);
}

#[test]
fn the_last_admin_stays() {
    let world = World::start();
    add(&world, "boss", "admin");
    let boss = log_in(&world, "boss");
    for change in [
        json!({"role": "operator"}),
        json!({"disabled": true}),
        json!({"accounts": ["plain"]}),
    ] {
        let answer = call(
            &world,
            "patch",
            "/users/{name}",
            "/users/boss",
            Some(&change),
            409,
        );
        is_problem(&answer, 409, "last-admin");
    }
    let answer = world.api_as(&boss, "DELETE", "/users/boss", None);
    is_problem(&answer, 409, "last-admin");
    add(&world, "chen", "admin");
    let chen = log_in(&world, "chen");
    // Each would do away with the other: one of them stays.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = scope.spawn(|| world.api_as(&boss, "DELETE", "/users/chen", None).status);
        let other = scope.spawn(|| world.api_as(&chen, "DELETE", "/users/boss", None).status);
        vec![one.join().unwrap(), other.join().unwrap()]
    });
    let heads = world.api("GET", "/users", None).json();
    let left = heads["users"].as_array().unwrap().iter();
    assert_eq!(
        left.filter(|user| user["disabled"] == false).count(),
        1,
        "{statuses:?}"
    );
}

#[test]
fn no_password_and_no_token_is_in_the_log_or_on_disk() {
    let world = World::start();
    add(&world, "mei", "agent");
    let token = log_in(&world, "mei");
    try_log_in(&world, "mei", "Wr0ng-but-private!");
    let new = "another tarp lemon 9";
    let body = json!({"old": PASSWORD, "new": new});
    let set = world.api_as(&token, "POST", "/users/mei/password", Some(&body));
    assert_eq!(set.status, 200);
    let made = world
        .api("POST", "/users/mei/password", Some(&json!({})))
        .json();
    let made = made["initial_password"].as_str().unwrap().to_owned();
    let broken = br#"{"name": "mei", "password": 1, "x": "Wr0ng-but-private!"}"#;
    world.request("POST", "/api/v1/sessions", &[], broken);
    let log = world.log.text();
    let mut kept = Vec::new();
    let (stopped, _) = world.stop();
    let mut directories = vec![stopped.path().join("data")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                kept.extend(std::fs::read(path).unwrap());
            }
        }
    }
    let kept = String::from_utf8_lossy(&kept);
    assert!(log.contains("user.password") && kept.contains("mei"));
    for secret in [PASSWORD, "Wr0ng-but-private!", new, &made, &token] {
        assert!(!log.contains(secret), "{secret}");
        assert!(!kept.contains(secret), "{secret}");
    }
}
