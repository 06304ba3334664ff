//! Calls the API and holds every answer against the OpenAPI document.

use serde_json::Value;

use super::schema::differences;
use super::{Answer, World};

/// Holds an answer against what the document says of this path, method and status.
pub fn check_against_document(world: &World, method: &str, path: &str, answer: &Answer) {
    let document = world
        .request("GET", "/api/v1/openapi.json", &[], b"")
        .json();
    let status = answer.status.to_string();
    let response = &document["paths"][path][method]["responses"][&status];
    assert!(
        response.is_object(),
        "{method} {path} does not know {status}"
    );
    let kind = answer.header("content-type");
    match response["content"]
        .as_object()
        .and_then(|content| content.values().next())
    {
        Some(content) => {
            let found = differences(&document, &content["schema"], &answer.json());
            assert!(
                found.is_empty(),
                "{method} {path} {status}: {found:#?}\n{}",
                answer.text()
            );
            assert_eq!(
                kind,
                if answer.status < 400 {
                    "application/json"
                } else {
                    "application/problem+json"
                }
            );
        }
        None => assert!(answer.body.is_empty(), "{method} {path} {status}"),
    }
}

/// A call that must have this status and fit the document.
pub fn call(
    world: &World,
    method: &str,
    template: &str,
    path: &str,
    body: Option<&Value>,
    status: u16,
) -> Answer {
    let answer = world.api(&method.to_uppercase(), path, body);
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    check_against_document(world, method, template, &answer);
    answer
}

pub fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(
        (problem["code"].as_str(), problem["status"].as_u64()),
        (Some(code), Some(u64::from(status))),
        "{problem}"
    );
    for name in ["type", "title", "detail"] {
        assert!(
            problem[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}: {problem}"
        );
    }
}

pub fn id(conversation: &Value) -> String {
    conversation["id"].as_str().unwrap().to_owned()
}
