//! Checks JSON against the schemas of an OpenAPI 3.1 document: the part of JSON Schema that such documents use.

use serde_json::Value;

/// Everything in which `value` differs from `schema`; references lead into `document`. Objects may have no members that
/// the schema does not name, so that the document is complete.
pub fn differences(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "$", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return check(document, target, value, at, found);
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[keyword].as_array() {
            let fits = choices
                .iter()
                .filter(|choice| differences(document, choice, value).is_empty())
                .count();
            if fits == 0 || keyword == "oneOf" && fits > 1 {
                found.push(format!("{at}: fits {fits} of {keyword}"));
            }
        }
    }
    check_type(schema, value, at, found);
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(items) = value.as_array() {
        for (n, item) in items.iter().enumerate() {
            check(
                document,
                &schema["items"],
                item,
                &format!("{at}[{n}]"),
                found,
            );
        }
    }
    let parts = parts(document, schema);
    if let Some(object) = value.as_object()
        && !parts.is_empty()
    {
        for name in parts
            .iter()
            .flat_map(|part| part["required"].as_array().into_iter().flatten())
        {
            if !object.contains_key(name.as_str().unwrap()) {
                found.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, member) in object {
            match parts.iter().find_map(|part| part["properties"].get(name)) {
                Some(schema) => check(document, schema, member, &format!("{at}.{name}"), found),
                None => found.push(format!("{at}.{name} is not in the document")),
            }
        }
    }
}

/// The schemas whose properties an object has: itself, and all of `allOf`.
fn parts<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return parts(
            document,
            document.pointer(reference.trim_start_matches('#')).unwrap(),
        );
    }
    let mut all: Vec<&Value> = schema["properties"]
        .is_object()
        .then_some(schema)
        .into_iter()
        .collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(parts(document, part));
    }
    all
}

fn check_type(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let fits = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("{at}: type {unknown}"),
    };
    let is_good = match &schema["type"] {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().any(|name| fits(name.as_str().unwrap())),
        _ => true,
    };
    if !is_good {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
}
