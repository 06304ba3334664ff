//! Tries every route with every role: allowed, or refused with what is missing and who can grant it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{add, add_with, log_in};
use crate::support::World;
use crate::support::api::is_problem;

/// What every route of the document needs. `known`: any role.
const NEEDS: &[(&str, &[(&str, &str)])] = &[
    ("/me", &[("get", "known")]),
    ("/users", &[("get", "lead"), ("post", "admin")]),
    (
        "/users/{name}",
        &[("get", "lead"), ("patch", "admin"), ("delete", "admin")],
    ),
    ("/users/{name}/password", &[("post", "admin")]),
    (
        "/sessions",
        &[("get", "known"), ("delete", "known"), ("post", "nothing")],
    ),
    ("/sessions/{id}", &[("delete", "known")]),
    ("/duty", &[("get", "viewer"), ("post", "agent")]),
    ("/audit", &[("get", "lead")]),
    ("/tokens", &[("get", "admin"), ("post", "admin")]),
    ("/tokens/{name}", &[("delete", "admin")]),
    ("/accounts", &[("get", "viewer")]),
    ("/accounts/{name}/check", &[("post", "admin")]),
    ("/media", &[("post", "agent")]),
    ("/media/{id}", &[("get", "agent")]),
    ("/conversations", &[("get", "viewer")]),
    ("/conversations/{id}", &[("get", "viewer")]),
    ("/conversations/{id}/claim", &[("post", "agent")]),
    ("/conversations/{id}/release", &[("post", "agent")]),
    ("/conversations/{id}/close", &[("post", "agent")]),
    ("/conversations/{id}/notes", &[("post", "agent")]),
    ("/conversations/{id}/replies", &[("post", "agent")]),
    ("/conversations/{id}/tags", &[("post", "agent")]),
    ("/conversations/{id}/assign", &[("post", "agent")]),
    ("/conversations/{id}/handback", &[("post", "agent")]),
    ("/conversations/{id}/snooze", &[("post", "agent")]),
    ("/conversations/{id}/priority", &[("post", "agent")]),
    ("/conversations/{id}/remark", &[("post", "agent")]),
    ("/conversations/{id}/acknowledge", &[("post", "agent")]),
    ("/conversations/{id}/elsewhere", &[("post", "agent")]),
    ("/conversations/{id}/desk", &[("post", "agent")]),
    ("/conversations/{id}/presence", &[("post", "agent")]),
    ("/canned", &[("get", "viewer")]),
    ("/incidents", &[("get", "viewer")]),
    ("/incidents/{id}", &[("patch", "agent")]),
    ("/events", &[("get", "viewer")]),
    ("/followers/erase", &[("post", "admin")]),
    ("/followers/export", &[("get", "admin")]),
    ("/alerts/channels", &[("get", "operator")]),
    ("/alerts/channels/{name}/test", &[("post", "operator")]),
    ("/alerts/dead", &[("get", "operator")]),
    ("/alerts/dead/{id}/resend", &[("post", "operator")]),
    ("/rules", &[("get", "viewer"), ("post", "operator")]),
    ("/rules/revisions", &[("get", "viewer")]),
    ("/rules/revisions/{revision}", &[("get", "viewer")]),
    ("/rules/revisions/{from}/diff/{to}", &[("get", "viewer")]),
    ("/rules/rollback", &[("post", "operator")]),
    ("/rules/publish", &[("post", "operator")]),
    ("/rules/backtest", &[("post", "operator")]),
    (
        "/rules/{id}",
        &[
            ("get", "viewer"),
            ("patch", "operator"),
            ("delete", "operator"),
        ],
    ),
    ("/try", &[("post", "agent")]),
];

const ROLES: [&str; 4] = ["viewer", "agent", "operator", "admin"];

fn may(role: &str, is_lead: bool, needs: &str) -> bool {
    let place = |role: &str| ROLES.iter().position(|known| *known == role);
    match needs {
        "nothing" | "known" => true,
        "lead" => is_lead || role == "admin",
        needs => place(role) >= Some(place(needs).unwrap()),
    }
}

#[test]
fn every_route_takes_the_roles_it_should_and_no_others() {
    let world = World::start();
    let document = world
        .request("GET", "/api/v1/openapi.json", &[], b"")
        .json();
    let table: BTreeMap<&str, BTreeMap<&str, &str>> = NEEDS
        .iter()
        .map(|(path, methods)| (*path, methods.iter().copied().collect()))
        .collect();
    for name in ["boss", "chen"] {
        add(&world, name, "admin");
    }
    // Their own sessions go when all of them are ended: one each for every route.
    let callers: Vec<(&str, bool, String)> = ROLES
        .iter()
        .flat_map(|role| [(*role, false), (*role, true)])
        .map(|(role, is_lead)| {
            let name = format!("{role}{}", if is_lead { "-lead" } else { "" });
            add_with(&world, &name, role, &json!({"lead": is_lead}));
            (role, is_lead, name)
        })
        .collect();
    let granters: Vec<Value> = ["admin", "admin-lead", "boss", "chen"]
        .map(Value::from)
        .into();
    let mut tokens: Vec<String> = callers
        .iter()
        .map(|(.., name)| log_in(&world, name))
        .collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let needs = table
                .get(path.as_str())
                .and_then(|known| known.get(method.as_str()));
            let needs = needs.unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            let literal = |part: &str| if part.starts_with('{') { "x" } else { part }.to_owned();
            let parts: Vec<String> = path.split('/').map(literal).collect();
            for ((role, is_lead, name), token) in callers.iter().zip(&mut tokens) {
                // The stream of events never ends: tests/events looks at who may follow it.
                if path == "/events" && may(role, *is_lead, needs) {
                    continue;
                }
                let target = parts.join("/");
                let answer = world.api_as(token, &method.to_uppercase(), &target, Some(&json!({})));
                let who = format!("{method} {path} as {name}: {}", answer.text());
                if may(role, *is_lead, needs) {
                    assert!(answer.status != 403 && answer.status < 500, "{who}");
                    let is_login = path == "/sessions" && method == "post";
                    assert!(answer.status != 401 || is_login, "{who}");
                } else {
                    is_problem(&answer, 403, "forbidden");
                    let problem = answer.json();
                    assert_eq!(problem["needs"], **needs, "{who}");
                    assert_eq!(problem["granted_by"], json!(granters), "{who}");
                }
                if path == "/sessions" && method == "delete" {
                    *token = log_in(&world, name);
                }
            }
        }
    }
    let listed = table.iter().flat_map(|(path, methods)| {
        let methods = methods.keys();
        methods.map(move |method| (*path, *method))
    });
    for (path, method) in listed {
        assert!(
            document["paths"][path][method].is_object(),
            "{method} {path} is no route"
        );
    }
}
