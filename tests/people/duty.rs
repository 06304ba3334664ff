//! Sends people on and off duty.

use serde_json::{Value, json};

use super::{add, add_with, log_in, on_record};
use crate::support::World;
use crate::support::api::{call, check_against_document, is_problem};

fn there(world: &World) -> Vec<String> {
    let list = call(world, "get", "/duty", "/duty", None, 200).json();
    let people = list["people"].as_array().unwrap().iter();
    people
        .map(|who| who["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn people_come_and_go_and_leads_send_them() {
    let world = World::start();
    for (name, role) in [("mei", "agent"), ("jun", "operator"), ("screen", "viewer")] {
        add(&world, name, role);
    }
    add_with(&world, "chen", "agent", &json!({"lead": true}));
    let [mei, jun, screen, chen] =
        ["mei", "jun", "screen", "chen"].map(|name| log_in(&world, name));
    let set = |token: &str, body: Value| {
        let answer = world.api_as(token, "POST", "/duty", Some(&body));
        check_against_document(&world, "post", "/duty", &answer);
        answer
    };
    let come = json!({"on": true});
    assert_eq!(set(&mei, come.clone()).json()["on_duty"], true);
    assert_eq!(set(&mei, come.clone()).status, 200, "twice is once");
    is_problem(&set(&screen, come.clone()), 403, "forbidden");
    let refused = set(&jun, json!({"on": false, "user": "mei"}));
    is_problem(&refused, 403, "forbidden");
    assert_eq!(refused.json()["needs"], "lead");
    assert_eq!(set(&jun, json!({"on": true, "user": "JUN"})).status, 200);
    assert_eq!(there(&world), ["jun", "mei"]);
    assert_eq!(set(&chen, json!({"on": false, "user": "mei"})).status, 200);
    is_problem(
        &set(&chen, json!({"on": true, "user": "screen"})),
        409,
        "no-duty",
    );
    is_problem(
        &set(&chen, json!({"on": true, "user": "nobody"})),
        404,
        "not-found",
    );
    is_problem(&world.api("POST", "/duty", Some(&come)), 409, "no-duty");
    assert_eq!(there(&world), ["jun"]);

    let world = world.kill().start();
    assert_eq!(there(&world), ["jun"], "over a restart");
    world.api("DELETE", "/users/jun", None);
    assert_eq!(there(&world), Vec::<String>::new());
    assert_eq!(
        world.api_as(&jun, "GET", "/me", None).status,
        401,
        "and is out"
    );
    let acts: Vec<_> = on_record(&world, "duty")
        .iter()
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            (text("by"), text("what"), text("target"))
        })
        .collect();
    let act =
        |by: &str, what: &str, target: &str| (by.to_owned(), what.to_owned(), target.to_owned());
    assert_eq!(
        acts,
        [
            act("chen", "duty.off", "mei"),
            act("jun", "duty.on", "jun"),
            act("mei", "duty.on", "mei")
        ]
    );
}
