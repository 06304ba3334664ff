//! Logs people in and out, and ends what no longer may go on.

use serde_json::json;

use super::{PASSWORD, add, log_in, on_record, try_log_in};
use crate::support::World;
use crate::support::api::{check_against_document, is_problem};

#[test]
fn a_person_logs_in_answers_and_logs_out() {
    let world = World::start();
    add(&world, "小李", "agent");
    world.says("plain", "oFollowerLi000000000000001", "有人吗");
    let answer = try_log_in(&world, "小李", PASSWORD);
    assert_eq!(answer.status, 201);
    check_against_document(&world, "post", "/sessions", &answer);
    let (token, session) = {
        let body = answer.json();
        let token = body["token"].as_str().unwrap().to_owned();
        assert!(token.starts_with("wxs_") && token.len() == 4 + 43);
        (token, body["session"].clone())
    };
    let as_li = |method: &str, path: &str| world.api_as(&token, method, path, None);
    let id = world.conversation("oFollowerLi000000000000001")["id"].clone();
    let claimed = as_li(
        "POST",
        &format!("/conversations/{}/claim", id.as_str().unwrap()),
    );
    assert_eq!(claimed.json()["owner"], "小李");

    let me = as_li("GET", "/me");
    check_against_document(&world, "get", "/me", &me);
    let me = me.json();
    assert_eq!(
        (&me["name"], &me["kind"], &me["role"], &me["lead"]),
        (
            &json!("小李"),
            &json!("user"),
            &json!("agent"),
            &json!(false)
        )
    );
    assert_eq!(me["session"]["id"], session["id"]);
    let cookie = format!("session={token}; token={token}");
    let by_cookie = world.request("GET", "/api/v1/me", &[("cookie", &cookie)], b"");
    assert_eq!(by_cookie.status, 401);

    let other = log_in(&world, "小李");
    let listed = as_li("GET", "/sessions");
    check_against_document(&world, "get", "/sessions", &listed);
    assert_eq!(listed.json()["sessions"].as_array().unwrap().len(), 2);
    let path = format!("/sessions/{}", session["id"].as_str().unwrap());
    let ended = as_li("DELETE", &path);
    assert_eq!(ended.status, 204);
    check_against_document(&world, "delete", "/sessions/{id}", &ended);
    is_problem(&as_li("GET", "/me"), 401, "unauthorized");
    let gone = world.api("DELETE", &path, None);
    is_problem(&gone, 404, "not-found");
    check_against_document(&world, "delete", "/sessions/{id}", &gone);

    let third = log_in(&world, "小李");
    let all = world.api_as(&other, "DELETE", "/sessions", None);
    assert_eq!(all.status, 204);
    check_against_document(&world, "delete", "/sessions", &all);
    for token in [&other, &third] {
        assert_eq!(world.api_as(token, "GET", "/me", None).status, 401);
    }
    let words: Vec<_> = on_record(&world, "session")
        .iter()
        .map(|record| record["what"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(words, ["session.end", "session.logout"]);
}

#[test]
fn nobody_ends_or_sees_what_is_not_theirs_but_admins() {
    let world = World::start();
    for (name, role) in [("mei", "agent"), ("jun", "operator"), ("boss", "admin")] {
        add(&world, name, role);
    }
    let (mei, jun, boss) = (
        log_in(&world, "mei"),
        log_in(&world, "jun"),
        log_in(&world, "boss"),
    );
    let sessions =
        |token: &str| world.api_as(token, "GET", "/sessions", None).json()["sessions"].clone();
    let of_mei = sessions(&mei);
    assert_eq!(of_mei.as_array().unwrap().len(), 1);
    assert_eq!(sessions(&boss).as_array().unwrap().len(), 3);
    let path = format!("/sessions/{}", of_mei[0]["id"].as_str().unwrap());
    is_problem(&world.api_as(&jun, "DELETE", &path, None), 404, "not-found");
    assert_eq!(world.api_as(&boss, "DELETE", &path, None).status, 204);
    assert_eq!(world.api_as(&mei, "GET", "/me", None).status, 401);
    let record = &on_record(&world, "session.end")[0];
    assert_eq!(
        (&record["by"], &record["target"]),
        (&json!("boss"), &json!("mei"))
    );
}

#[test]
fn sessions_end_at_once_with_what_they_rest_on() {
    let world = World::start();
    add(&world, "boss", "admin");
    add(&world, "mei", "agent");
    let boss = log_in(&world, "boss");
    let is_in = |token: &str| world.api_as(token, "GET", "/me", None).status == 200;
    for (method, path, body) in [
        ("PATCH", "/users/mei", json!({"role": "operator"})),
        ("PATCH", "/users/mei", json!({"lead": true})),
        ("DELETE", "/users/mei", json!(null)),
        ("POST", "/users/mei/password", json!({"new": PASSWORD})),
    ] {
        world.api("PATCH", "/users/mei", Some(&json!({"disabled": false})));
        let (one, two) = (log_in(&world, "mei"), log_in(&world, "mei"));
        assert!(is_in(&one) && is_in(&two));
        let done = world.api_as(&boss, method, path, Some(&body));
        assert_eq!(done.status, 200, "{}", done.text());
        assert!(!is_in(&one) && !is_in(&two), "{method} {body}");
    }
    let mei = log_in(&world, "mei");
    let same = json!({"shown": "小梅", "role": "operator", "accounts": ["plain"]});
    assert_eq!(world.api("PATCH", "/users/mei", Some(&same)).status, 200);
    let me = world.api_as(&mei, "GET", "/me", None).json();
    assert_eq!(
        me["accounts"],
        json!(["plain"]),
        "what is new holds at once"
    );
    assert!(is_in(&boss));
    let world = world.kill().start();
    assert_eq!(
        world.api_as(&mei, "GET", "/me", None).status,
        200,
        "a restart ends no session"
    );
}

#[test]
fn sixteen_sessions_are_enough() {
    let world = World::start();
    add(&world, "mei", "agent");
    let tokens: Vec<String> = (0..17).map(|_| log_in(&world, "mei")).collect();
    let sessions = world.api("GET", "/sessions", None).json()["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 16);
    assert_eq!(world.api_as(&tokens[16], "GET", "/me", None).status, 200);
}
