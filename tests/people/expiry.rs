//! Lets time go by: sessions and initial passwords end when they should, and not before.

use std::time::Duration;

use serde_json::json;

use super::PASSWORD;
use super::near::Near;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn log_in(server: &Near, password: &str) -> (u16, String) {
    let body = json!({"name": "mei", "password": password});
    let (status, _, answer) = server.call(None, "POST", "/sessions", Some(&body));
    let text = answer["token"].as_str().or(answer["code"].as_str());
    (status, text.unwrap().to_owned())
}

#[test]
fn a_session_ends_when_it_is_not_used_and_after_a_week_in_any_case() {
    let server = Near::start();
    let mei = json!({"name": "mei", "role": "agent", "password": PASSWORD});
    server.api("POST", "/users", Some(&mei), 201);
    let (_, token) = log_in(&server, PASSWORD);
    let me = |token: &str| server.call(Some(token), "GET", "/me", None).0;
    server.clock.advance(HOUR * 8 - MINUTE);
    assert_eq!(me(&token), 200);
    server.clock.advance(HOUR * 8 - MINUTE);
    assert_eq!(me(&token), 200, "each use counts");
    server.clock.advance(HOUR * 8);
    assert_eq!(me(&token), 401);
    assert_eq!(me(&token), 401, "and it does not come back");

    let (_, token) = log_in(&server, PASSWORD);
    let begun = server.clock.now();
    let until = begun.plus(HOUR * 24 * 7);
    let shown = server.call(Some(&token), "GET", "/me", None).2["session"].clone();
    assert_eq!(shown["expires_at"], json!(until));
    assert_eq!(shown["idle_until"], json!(begun.plus(HOUR * 8)));
    while server.clock.now().plus(HOUR * 7) < until {
        server.clock.advance(HOUR * 7);
        assert_eq!(me(&token), 200);
    }
    server
        .clock
        .advance(until.since(server.clock.now()) - MINUTE);
    assert_eq!(me(&token), 200);
    server.clock.advance(MINUTE);
    assert_eq!(me(&token), 401);
    let sessions = server.api("GET", "/sessions", None, 200);
    assert_eq!(sessions["sessions"], json!([]));
}

#[test]
fn an_initial_password_is_good_for_a_day() {
    let server = Near::start();
    let mei = json!({"name": "mei", "role": "agent"});
    let made = server.api("POST", "/users", Some(&mei), 201);
    let initial = made["initial_password"].as_str().unwrap();
    server.clock.advance(HOUR * 24 - MINUTE);
    let (status, token) = log_in(&server, initial);
    assert_eq!(status, 201);
    server.clock.advance(MINUTE);
    assert_eq!(
        log_in(&server, initial),
        (401, "initial-password-over".to_owned())
    );
    assert_eq!(
        server.call(Some(&token), "GET", "/me", None).0,
        200,
        "whoever is in may still set one of their own"
    );
    let again = server.api("POST", "/users/mei/password", Some(&json!({})), 200);
    let initial = again["initial_password"].as_str().unwrap();
    assert_eq!(log_in(&server, initial).0, 201);
}
