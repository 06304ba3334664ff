//! Keeps people and tokens of some accounts away from the others.

use serde_json::{Value, json};

use super::{add_with, log_in, on_record};
use crate::support::World;
use crate::support::api::{id, is_problem};

const LI: &str = "oFollowerLi000000000000001";
const ZHAO: &str = "oFollowerZhao0000000000002";

#[test]
fn whoever_reaches_some_accounts_does_not_see_the_others() {
    let world = World::start();
    world.says("plain", LI, "有人吗");
    world.says("both", ZHAO, "有人吗");
    let plain = json!({"accounts": ["plain"], "lead": true});
    add_with(&world, "mei", "admin", &plain);
    add_with(&world, "jun", "agent", &json!({"accounts": ["both"]}));
    add_with(
        &world,
        "lan",
        "agent",
        &json!({"accounts": ["plain", "both"]}),
    );
    add_with(&world, "all", "agent", &json!({}));
    let token = json!({"name": "narrow", "role": "admin", "accounts": ["plain"]});
    let token = world.api("POST", "/tokens", Some(&token)).json();
    let token = token["secret"].as_str().unwrap().to_owned();
    for who in [log_in(&world, "mei"), token] {
        let get = |path: &str| world.api_as(&who, "GET", path, None);
        let list = |path: &str, of: &str| get(path).json()[of].as_array().unwrap().clone();
        let names = |list: &[Value]| -> Vec<String> {
            let names = list
                .iter()
                .map(|user| user["name"].as_str().unwrap().to_owned());
            names.collect()
        };
        assert_eq!(list("/conversations", "conversations").len(), 1);
        let zhao = id(&world.conversation(ZHAO));
        is_problem(&get(&format!("/conversations/{zhao}")), 404, "not-found");

        let users = list("/users", "users");
        assert_eq!(names(&users), ["all", "lan", "mei"]);
        assert_eq!(
            users[1]["accounts"],
            json!(["plain"]),
            "nor what else lan has"
        );
        is_problem(&get("/users/jun"), 404, "not-found");
        for name in ["jun", "lan", "all"] {
            let on = json!({"on": true, "user": name});
            world.api("POST", "/duty", Some(&on));
            let off = json!({"on": false, "user": name});
            let refused = world.api_as(&who, "POST", "/duty", Some(&off));
            match name {
                "jun" => is_problem(&refused, 404, "not-found"),
                _ => is_problem(&refused, 403, "forbidden"),
            }
        }
        assert_eq!(names(&list("/duty", "people")), ["all", "lan"]);

        for (method, path, body) in [
            ("POST", "/users", json!({"name": "x", "role": "viewer"})),
            ("PATCH", "/users/lan", json!({"role": "admin"})),
            ("PATCH", "/users/mei", json!({"accounts": []})),
            ("DELETE", "/users/lan", json!({})),
            ("POST", "/users/lan/password", json!({})),
            ("POST", "/tokens", json!({"name": "wide", "role": "admin"})),
            ("GET", "/tokens", json!({})),
        ] {
            let refused = world.api_as(&who, method, path, Some(&body));
            is_problem(&refused, 403, "forbidden");
        }
        let me = get("/me").json()["name"].clone();
        let others: Vec<_> = list("/audit?limit=200", "records")
            .into_iter()
            .filter(|record| record["by"] != me && record["by"] != "system")
            .collect();
        assert_eq!(
            others,
            Vec::<Value>::new(),
            "only what concerns the account"
        );
        let own = list("/sessions", "sessions");
        assert!(own.iter().all(|session| session["user"] == me));
    }
    assert!(on_record(&world, "user").len() >= 4);
}
