//! What the OpenAPI documents of the servers say, held against every answer that a test gets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jwt_knox_http::KnoxHttp;
use serde_json::Value;

use crate::client::Reply;

/// The document of each server that runs.
static DOCUMENTS: Mutex<Option<HashMap<SocketAddr, Value>>> = Mutex::new(None);

fn documents() -> MutexGuard<'static, Option<HashMap<SocketAddr, Value>>> {
    DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds the answers of that server against the document of its handle.
pub(crate) fn register(address: SocketAddr, knox: &KnoxHttp) {
    let document = knox.openapi().merge_from(knox.jwks_openapi());
    let document = serde_json::to_value(document).unwrap();
    documents().get_or_insert_default().insert(address, document);
}

/// Panics if a built-in route has answered what the document does not have.
pub(crate) fn check(address: SocketAddr, method: &str, target: &str, reply: &Reply) {
    let documents = documents();
    let Some(document) = documents.as_ref().and_then(|documents| documents.get(&address)) else { return };
    let path = target.split('?').next().unwrap_or_default();
    let paths = document["paths"].as_object().unwrap();
    let Some((_, item)) = paths.iter().find(|(template, _)| matches(template, path)) else { return };
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_ascii_lowercase() };
    let answer = format!("{method} {target} of {address}: {reply:?}");
    let operation = match (item.get(&method), item["description"].as_str()) {
        (Some(operation), _) => operation,
        // All methods are answered alike.
        (None, None) => &item["get"],
        (None, Some(others)) => {
            if let Some(allow) = reply.header("allow") {
                assert!(others.ends_with(&format!("405, `method_not_allowed` and `Allow: {allow}`.")), "{answer}");
            }
            // A token, or a proof of origin, is asked for first.
            assert!([401, 403, 405, 503].contains(&reply.status), "{answer}");
            return;
        }
    };
    let responses = &operation["responses"];
    let response = responses.get(reply.status.to_string());
    let response = response.or_else(|| responses.get("4XX").filter(|_| (400..500).contains(&reply.status)));
    let response = response.unwrap_or_else(|| panic!("the document does not have the status of {answer}"));

    let headers = response["headers"].as_object().unwrap();
    for (name, header) in headers {
        let is_there = reply.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
        assert!(is_there || header["required"] == false, "the document has the header {name} in {answer}");
    }
    for (name, _) in reply.contract().1.iter().filter(|(name, _)| name != "content-type") {
        let is_described = headers.keys().any(|described| described.eq_ignore_ascii_case(name));
        assert!(is_described, "the document does not have the header {name} in {answer}");
    }
    let content = response.get("content").and_then(Value::as_object);
    // Some frameworks name the type of an empty body.
    let is_empty = reply.body.is_empty();
    let media_type = reply.header("content-type").filter(|_| content.is_some() || !is_empty);
    let described = content.into_iter().flatten().next();
    assert_eq!(media_type, described.map(|(media_type, _)| media_type.as_str()), "{answer}");
    if let Some(("application/problem+json", content)) = described.map(|(media_type, content)| (&**media_type, content))
        && let Some(code) = content["schema"]["allOf"][1]["properties"].get("code")
        && !is_empty
    {
        let is_open = code.get("anyOf").is_some();
        let codes = if is_open { &code["anyOf"][0]["enum"] } else { &code["enum"] };
        let is_listed = codes.as_array().unwrap().contains(&reply.json()["code"]);
        assert!(is_open || is_listed, "the document does not have the code of {answer}");
    }
    if let Some((_, content)) = described
        && !is_empty
    {
        check_members(document, &content["schema"], &reply.json(), &answer);
    }
}

/// Panics if a body has members that the document does not have, which a schema by itself allows.
fn check_members(document: &Value, schema: &Value, body: &Value, answer: &str) {
    let described = members(document, schema);
    match body {
        Value::Array(items) => items.iter().for_each(|item| check_members(document, &schema["items"], item, answer)),
        // One without any may have all, as the claims of a token.
        Value::Object(found) if !described.is_empty() => {
            for (name, value) in found {
                let schema = described.get(name.as_str());
                let schema =
                    schema.unwrap_or_else(|| panic!("the document does not have the member {name} of {answer}"));
                check_members(document, schema, value, answer);
            }
        }
        _ => {}
    }
}

/// The members of an object of that schema.
fn members<'d>(document: &'d Value, schema: &'d Value) -> HashMap<&'d str, &'d Value> {
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, schema)| (&**name, schema));
    let referred = schema["$ref"].as_str().map(|reference| document.pointer(&reference[1..]).unwrap());
    let parts = ["allOf", "anyOf"].into_iter().filter_map(|kind| schema[kind].as_array()).flatten();
    let inherited = parts.chain(referred).flat_map(|part| members(document, part));
    inherited.chain(own).collect()
}

/// Whether a path is one that the document has: `{id}` stands for a segment.
fn matches(template: &str, path: &str) -> bool {
    match template.strip_suffix("{id}") {
        None => template == path,
        Some(start) => path.strip_prefix(start).is_some_and(|id| !id.is_empty() && !id.contains('/')),
    }
}
