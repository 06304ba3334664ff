//! Reads what people did: everything is there, nothing can be taken out, and no table does tricks.

use serde_json::{Value, json};
use wxreply::model::What;

use super::{PASSWORD, add, add_with, log_in, on_record, try_log_in};
use crate::support::api::{call, is_problem};
use crate::support::{TOKEN, World};

fn every_act(world: &World) {
    add(world, "boss", "admin");
    add(world, "mei", "agent");
    try_log_in(world, "mei", "wrong");
    let mei = log_in(world, "mei");
    for on in [true, false] {
        world.api_as(&mei, "POST", "/duty", Some(&json!({"on": on})));
    }
    let new = json!({"old": PASSWORD, "new": "another tarp lemon 9"});
    world.api_as(&mei, "POST", "/users/mei/password", Some(&new));
    let back = json!({"new": PASSWORD});
    world.api("POST", "/users/mei/password", Some(&back));
    let mei = log_in(world, "mei");
    world.api_as(&mei, "DELETE", "/sessions", None);
    let mei = log_in(world, "mei");
    let me = world.api_as(&mei, "GET", "/me", None).json();
    let session = me["session"]["id"].as_str().unwrap();
    world.api_as(&mei, "DELETE", &format!("/sessions/{session}"), None);
    world.api("PATCH", "/users/mei", Some(&json!({"role": "operator"})));
    world.api("DELETE", "/users/mei", None);
    world.api("PATCH", "/users/mei", Some(&json!({"disabled": false})));
    world.api(
        "POST",
        "/tokens",
        Some(&json!({"name": "t", "role": "viewer"})),
    );
    world.api("DELETE", "/tokens/t", None);
    let rule = |id: &str| format!("[[rule]]\nid = \"{id}\"\nany = [\"{id}词\"]\nreply = \"好\"\n");
    let publish = json!({"files": {"20-more.toml": rule("more")}});
    assert_eq!(
        world.api("POST", "/rules/publish", Some(&publish)).status,
        200
    );
    let add_rule = json!({"file": "20-more.toml", "toml": rule("extra")});
    assert_eq!(world.api("POST", "/rules", Some(&add_rule)).status, 200);
    let shown = world.api("GET", "/rules/extra", None).json();
    let change = json!({"hash": shown["hash"], "set": {"reply": "很好"}});
    let changed = world.api("PATCH", "/rules/extra", Some(&change));
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(world.api("DELETE", "/rules/extra", None).status, 200);
    let back = json!({"revision": 1});
    assert_eq!(
        world.api("POST", "/rules/rollback", Some(&back)).status,
        200
    );
}

fn all(world: &World) -> Vec<Value> {
    let page = call(world, "get", "/audit", "/audit?limit=200", None, 200).json();
    assert_eq!(page["next"], Value::Null);
    page["records"].as_array().unwrap().clone()
}

#[test]
fn every_act_is_on_record_once_and_stays() {
    let world = World::start();
    every_act(&world);
    let records = all(&world);
    let acts: Vec<String> = records
        .iter()
        .rev()
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("by"), text("what"), text("target"))
        })
        .collect();
    insta::assert_snapshot!(acts.join("\n"), @r"
    token:env user.add boss
    token:env user.add mei
    - login.failed mei
    mei login.good mei
    mei duty.on mei
    mei duty.off mei
    mei user.password mei
    token:env user.password mei
    mei login.good mei
    mei session.end mei
    mei login.good mei
    mei session.logout mei
    token:env user.change mei
    token:env user.disable mei
    token:env user.enable mei
    token:env token.add t
    token:env token.revoke t
    token:env rules.publish 20-more.toml
    token:env rules.add 20-more.toml
    token:env rules.change extra
    token:env rules.remove extra
    token:env rules.rollback revision 1
    ");
    let seqs: Vec<u64> = records
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    let count = u64::try_from(seqs.len()).unwrap();
    let is_covered = |what: &What| {
        acts.iter()
            .any(|act| act.contains(&format!(" {} ", what.word())))
    };
    // What happens to conversations is tried at the desk.
    let is_elsewhere = |what: &What| {
        what.word().starts_with("conversation.")
            || what.word().starts_with("follower.")
            || *what == What::IncidentEdited
    };
    let missing: Vec<_> = What::ALL
        .iter()
        .filter(|what| !is_covered(what) && !is_elsewhere(what))
        .collect();
    assert!(missing.is_empty(), "{missing:?} is not tried");
    assert_eq!(seqs, (1..=count).rev().collect::<Vec<_>>());
    for record in &records {
        assert_eq!(record["address"], "127.0.0.1");
    }
    let changed = &on_record(&world, "user.change")[0];
    assert_eq!(
        (&changed["before"]["role"], &changed["after"]["role"]),
        (&json!("agent"), &json!("operator"))
    );
    let text = json!(records).to_string();
    for secret in [
        PASSWORD,
        "another tarp lemon 9",
        "wrong",
        TOKEN,
        "wxs_",
        "wxr_",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }

    // There is no way to change or remove a record.
    let document = world
        .request("GET", "/api/v1/openapi.json", &[], b"")
        .json();
    let paths = document["paths"].as_object().unwrap();
    let about: Vec<_> = paths.keys().filter(|path| path.contains("audit")).collect();
    assert_eq!(about, ["/audit"]);
    let methods: Vec<_> = paths["/audit"].as_object().unwrap().keys().collect();
    assert_eq!(methods, ["get"]);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        is_problem(
            &world.api(method, "/audit", None),
            405,
            "method-not-allowed",
        );
        for path in ["/audit/1", "/audit/"] {
            is_problem(&world.api(method, path, None), 404, "not-found");
        }
    }
    for name in ["a", "b", "c"] {
        let token = json!({"name": name, "role": "viewer"});
        world.api("POST", "/tokens", Some(&token));
        world.api("DELETE", &format!("/tokens/{name}"), None);
    }
    let world = world.kill().start();
    let later = all(&world);
    assert!(later.len() == records.len() + 6 && later.ends_with(&records));
}

#[test]
fn records_are_found_by_what_they_say() {
    let world = World::start();
    add(&world, "boss", "admin");
    add_with(&world, "chen", "agent", &json!({"lead": true}));
    let chen = log_in(&world, "chen");
    for n in 0..7 {
        let token = json!({"name": format!("t{n}"), "role": "viewer"});
        world.api("POST", "/tokens", Some(&token));
    }
    let found = |query: &str| {
        let answer = world.api_as(&chen, "GET", &format!("/audit?{query}"), None);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["records"].as_array().unwrap().len()
    };
    assert_eq!(found("what=token"), 7);
    assert_eq!(found("what=token.add&target=t3"), 1);
    assert_eq!(found("by=chen"), 1);
    assert_eq!(found("by=token:env&what=user"), 2);
    let at = all(&world)[0]["at"].as_str().unwrap().to_owned();
    assert!(found(&format!("since={at}")) >= 1);
    assert_eq!(
        found(&format!("until={at}")) + found(&format!("since={at}")),
        10
    );
    assert_eq!(found("until=2001-01-01T00:00:00Z"), 0);
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("/audit?what=token&limit=3&cursor={next}");
        let page = call(&world, "get", "/audit", &path, None, 200).json();
        let records = page["records"].as_array().unwrap();
        seen.extend(
            records
                .iter()
                .map(|record| record["target"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(cursor) => cursor.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(seen, ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]);
    for query in ["since=yesterday", "until=x", "cursor=x", "limit=many"] {
        let answer = call(
            &world,
            "get",
            "/audit",
            &format!("/audit?{query}"),
            None,
            400,
        );
        is_problem(&answer, 400, "bad-request");
    }
}

#[test]
fn the_table_is_for_spreadsheets_and_has_no_formulas() {
    let world = World::start();
    add_with(&world, "mei", "agent", &json!({"shown": "=1+1"}));
    let rule = "[[rule]]\nid = \"more\"\nany = [\"词\"]\nreply = \"好\"\n";
    let body = json!({"files": {"=HYPERLINK(1).toml": rule}});
    let published = world.api("POST", "/rules/publish", Some(&body));
    assert_eq!(published.status, 200, "{}", published.text());
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("accept", "text/csv")];
    let answer = world.request("GET", "/api/v1/audit", &headers, b"");
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert!(answer.header("content-disposition").contains("audit.csv"));
    let text = answer.text();
    assert!(text.starts_with("\u{FEFF}编号 seq,"));
    assert!(
        text.contains("rules.publish,'=HYPERLINK(1).toml,"),
        "{text}"
    );
    for line in text.lines() {
        for start in ["=", "+", "-", "@"] {
            assert!(
                !line.starts_with(start) && !line.contains(&format!(",{start}")),
                "{line}"
            );
        }
    }
    let headers = [headers[0], ("accept", "text/csv;q=0.9, */*")];
    let one = world.request("GET", "/api/v1/audit?limit=1", &headers, b"");
    assert_eq!(one.text().lines().count(), 2);
    assert_eq!(one.header("x-next-cursor"), "2");
}
