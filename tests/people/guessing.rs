//! Guesses passwords, and is slowed down; whoever knows theirs is not.

use std::time::Duration;

use serde_json::{Value, json};

use super::near::Near;
use super::{PASSWORD, add, on_record, try_log_in};
use crate::support::World;
use crate::support::api::{check_against_document, is_problem};

fn tries(server: &Near, name: &str, password: &str) -> (u16, Option<u64>, Value) {
    let body = json!({"name": name, "password": password});
    server.call(None, "POST", "/sessions", Some(&body))
}

#[test]
fn guesses_wait_longer_and_longer() {
    let server = Near::start();
    for name in ["mei", "jun"] {
        let user = json!({"name": name, "role": "agent", "password": PASSWORD});
        server.api("POST", "/users", Some(&user), 201);
    }
    for _ in 0..4 {
        assert_eq!(tries(&server, "mei", "wrong").0, 401);
    }
    for wait in [1, 2, 4, 8] {
        let (status, after, problem) = tries(&server, "MEI", PASSWORD);
        assert_eq!((status, after), (429, Some(wait)), "{problem}");
        assert_eq!(
            (&problem["code"], &problem["retry_after"]),
            (&json!("throttled"), &json!(wait))
        );
        server.clock.advance(Duration::from_secs(wait));
        assert_eq!(tries(&server, "mei", "wrong").0, 401);
    }
    assert_eq!(tries(&server, "jun", PASSWORD).0, 201, "nobody else waits");
    server.clock.advance(Duration::from_secs(16));
    assert_eq!(tries(&server, "mei", PASSWORD).0, 201);
    assert_eq!(tries(&server, "mei", "wrong").0, 401, "and she begins anew");

    let failures = server.api("GET", "/audit?what=login.failed&limit=200", None, 200);
    assert_eq!(failures["records"].as_array().unwrap().len(), 9);
}

#[test]
fn guessing_many_at_once_is_no_faster() {
    let server = Near::start();
    let user = json!({"name": "mei", "role": "agent", "password": PASSWORD});
    server.api("POST", "/users", Some(&user), 201);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| tries(&server, "mei", "wrong").0))
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [&[401; 4][..], &[429; 8]].concat());
}

#[test]
fn strangers_learn_nothing_about_names() {
    let world = World::start();
    add(&world, "mei", "agent");
    add(&world, "gone", "agent");
    world.api("DELETE", "/users/gone", None);
    let mut answers = Vec::new();
    for (name, password) in [
        ("mei", "wrong"),
        ("nobody", "wrong"),
        ("gone", PASSWORD),
        ("hunter2 is my password", "mei"),
        ("token:env", "x"),
        ("", ""),
    ] {
        let answer = try_log_in(&world, name, password);
        is_problem(&answer, 401, "bad-login");
        check_against_document(&world, "post", "/sessions", &answer);
        answers.push(answer.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all the same");
    let targets: Vec<_> = on_record(&world, "login.failed")
        .iter()
        .map(|record| record["target"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        targets,
        [
            "(unknown)",
            "(unknown)",
            "(unknown)",
            "gone",
            "(unknown)",
            "mei"
        ]
    );
    assert!(!world.log.text().contains("hunter2"));
}
