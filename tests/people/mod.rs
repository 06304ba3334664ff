//! Follows people through the running server: added, logged in, on duty, disabled, and everything on record.

mod audit;
mod command;
mod duty;
mod expiry;
mod guessing;
mod near;
mod reach;
mod roles;
mod sessions;
mod users;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::api::call;

/// A password that is good enough.
pub const PASSWORD: &str = "tarp lemon quilt 7";

/// Adds a user of every account with [`PASSWORD`].
pub fn add(world: &World, name: &str, role: &str) {
    add_with(world, name, role, &json!({}));
}

/// The same with more said.
pub fn add_with(world: &World, name: &str, role: &str, more: &Value) {
    let mut wanted = json!({"name": name, "role": role, "password": PASSWORD});
    for (key, value) in more.as_object().unwrap() {
        wanted[key] = value.clone();
    }
    call(world, "post", "/users", "/users", Some(&wanted), 201);
}

/// Logs in with [`PASSWORD`]; the token of the session.
pub fn log_in(world: &World, name: &str) -> String {
    let answer = try_log_in(world, name, PASSWORD);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

pub fn try_log_in(world: &World, name: &str, password: &str) -> crate::support::Answer {
    let body = json!({"name": name, "password": password}).to_string();
    world.request("POST", "/api/v1/sessions", &[], body.as_bytes())
}

/// The acts on record that begin with this, newest first.
pub fn on_record(world: &World, what: &str) -> Vec<Value> {
    let path = format!("/audit?what={what}&limit=200");
    let page = world.api("GET", &path, None).json();
    page["records"].as_array().unwrap().clone()
}
