//! What the OpenAPI documents of the servers say, held against every answer that a test gets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jwt_knox_http::{Endpoint, KnoxHttp, ProblemCode};
use serde_json::Value;

use crate::client::Reply;

/// What there is to know of each server that runs.
static SERVERS: Mutex<Option<HashMap<SocketAddr, Described>>> = Mutex::new(None);

fn servers() -> MutexGuard<'static, Option<HashMap<SocketAddr, Described>>> {
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds the answers of that server against the document of its handle.
pub(crate) fn register(address: SocketAddr, knox: &KnoxHttp) {
    servers().get_or_insert_default().insert(address, Described::new(knox));
}

/// Panics if a built-in route has answered what the document does not have.
pub(crate) fn check(address: SocketAddr, method: &str, target: &str, reply: &Reply) {
    if let Some(described) = servers().as_ref().and_then(|servers| servers.get(&address)) {
        described.check(method, target, reply);
    }
}

/// A handle and its document.
struct Described {
    /// The paths of the built-in routes, which the document must have.
    paths: Vec<String>,
    document: Value,
}

impl Described {
    fn new(knox: &KnoxHttp) -> Self {
        let endpoints = knox.endpoints().chain([Endpoint::Jwks]);
        let document = knox.openapi().merge_from(knox.jwks_openapi());
        Self {
            paths: endpoints.map(|endpoint| knox.path(endpoint).to_owned()).collect(),
            document: serde_json::to_value(document).unwrap(),
        }
    }

    /// Panics if a built-in route has answered what the document does not have.
    fn check(&self, method: &str, target: &str, reply: &Reply) {
        let path = target.split('?').next().unwrap_or_default();
        let Some(template) = self.paths.iter().find(|template| matches(template, path)) else { return };
        let answer = format!("{method} {target}: {reply:?}");
        let item = &self.document["paths"][template];
        assert!(item.is_object(), "the document does not have the path of {answer}");

        let method = if method == "HEAD" { "get".to_owned() } else { method.to_ascii_lowercase() };
        let operation = match (item.get(&method), item["description"].as_str()) {
            (Some(operation), _) => operation,
            // All methods are answered alike.
            (None, None) => &item["get"],
            (None, Some(others)) => {
                if let Some(allow) = reply.header("allow") {
                    let described = format!("405, `method_not_allowed` and `Allow: {allow}`");
                    assert!(others.contains(&described), "{answer}");
                }
                // A token, or a proof of origin, is asked for first.
                let may_be_first = others.contains("401 or 403") && [401, 403, 503].contains(&reply.status);
                assert!(reply.status == 405 || may_be_first, "{answer}");
                return;
            }
        };
        let responses = &operation["responses"];
        let response = responses.get(reply.status.to_string());
        let response = response.or_else(|| responses.get("4XX").filter(|_| (400..500).contains(&reply.status)));
        let response = response.unwrap_or_else(|| panic!("the document does not have the status of {answer}"));
        check_headers(response, reply, &answer);
        self.check_body(response, reply, &answer);
    }

    fn check_body(&self, response: &Value, reply: &Reply, answer: &str) {
        let content = response.get("content").and_then(Value::as_object);
        // Some frameworks name the type of an empty body.
        let is_empty = reply.body.is_empty();
        let media_type = reply.header("content-type").filter(|_| content.is_some() || !is_empty);
        let described = content.into_iter().flatten().next();
        assert_eq!(media_type, described.map(|(media_type, _)| media_type.as_str()), "{answer}");
        let Some((media_type, content)) = described.filter(|_| !is_empty) else { return };
        let (schema, body) = (&content["schema"], reply.json());
        // The application may write its problems itself.
        if media_type == "application/problem+json" && members(&self.document, schema).contains_key("code") {
            check_code(schema, &body["code"], answer);
        }
        check_members(&self.document, schema, &body, answer);
    }
}

/// Panics if headers are there that the document does not have, or are not there that it has.
fn check_headers(response: &Value, reply: &Reply, answer: &str) {
    let headers = response["headers"].as_object().unwrap();
    for (name, header) in headers {
        let is_there = reply.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
        assert!(is_there || header["required"] == false, "the document has the header {name} in {answer}");
    }
    for (name, _) in reply.contract().1.iter().filter(|(name, _)| name != "content-type") {
        let is_described = headers.keys().any(|described| described.eq_ignore_ascii_case(name));
        assert!(is_described, "the document does not have the header {name} in {answer}");
    }
}

/// Panics if a problem has a code that the document does not have there. One of ours has to be listed; where the
/// application logs users in, others may be there too.
fn check_code(schema: &Value, code: &Value, answer: &str) {
    let narrowed = schema.pointer("/allOf/1/properties/code");
    let (is_open, listed) = match narrowed.map(|code| (code, code.get("anyOf"))) {
        Some((code, None)) => (false, code.get("enum")),
        Some((_, Some(any))) => (true, any[0].get("enum")),
        None => (true, None),
    };
    let is_listed = listed.is_some_and(|codes| codes.as_array().unwrap().contains(code));
    let is_ours = ProblemCode::ALL.iter().any(|ours| code == ours.as_str());
    assert!(is_listed || (is_open && !is_ours), "the document does not have the code of {answer}");
}

/// Panics if a body has members that the document does not have, which a schema by itself allows, or lacks some.
fn check_members(document: &Value, schema: &Value, body: &Value, answer: &str) {
    match body {
        Value::Array(items) => items.iter().for_each(|item| check_members(document, &schema["items"], item, answer)),
        Value::Object(found) => {
            let missing = missing(document, schema, body);
            assert_eq!(missing, None, "the document has a member that is not in {answer}");
            let described = members(document, schema);
            // One without any may have all, as the claims of a token.
            for (name, value) in found.iter().filter(|_| !described.is_empty()) {
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
    let referred = referred(document, schema);
    let parts = ["allOf", "anyOf"].into_iter().filter_map(|kind| schema[kind].as_array()).flatten();
    let inherited = parts.chain(referred).flat_map(|part| members(document, part));
    inherited.chain(own).collect()
}

/// A member that an object of that schema must have and does not.
fn missing<'d>(document: &'d Value, schema: &'d Value, object: &Value) -> Option<&'d str> {
    let required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    let mut own = required.filter(|name| object.get(name).is_none());
    let all = schema["allOf"].as_array().into_iter().flatten().chain(referred(document, schema));
    let of_parts = || all.into_iter().find_map(|part| missing(document, part, object));
    // One of these is enough.
    let of_any = || {
        let mut any = schema["anyOf"].as_array().into_iter().flatten().map(|part| missing(document, part, object));
        let first = any.next()?;
        if any.any(|missing| missing.is_none()) { None } else { first }
    };
    own.next().or_else(of_parts).or_else(of_any)
}

fn referred<'d>(document: &'d Value, schema: &Value) -> Option<&'d Value> {
    schema["$ref"].as_str().map(|reference| document.pointer(&reference[1..]).unwrap())
}

/// Whether a path is one that the document has: `{id}` stands for a segment.
fn matches(template: &str, path: &str) -> bool {
    match template.strip_suffix("{id}") {
        None => template == path,
        Some(start) => path.strip_prefix(start).is_some_and(|id| !id.is_empty() && !id.contains('/')),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{StoreKind, World};

    fn described() -> Described {
        Described::new(&World::new(StoreKind::Memory).knox)
    }

    fn reply(status: u16, content_type: &str, body: &str) -> Reply {
        let headers = [("cache-control", "no-store"), ("content-type", content_type)];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Reply { status, headers, body: body.to_owned() }
    }

    fn ended(body: &str) -> Reply {
        reply(200, "application/json", body)
    }

    /// A problem of `/get_token`.
    fn problem(status: u16, code: &str) -> Reply {
        let body = json!({"type": "about:blank", "title": "", "status": status, "code": code, "detail": ""});
        let mut reply = reply(status, "application/problem+json", &body.to_string());
        if status == 401 {
            reply.headers.push(("www-authenticate".to_owned(), "Bearer".to_owned()));
        }
        reply
    }

    /// Takes something out of the document.
    fn remove(described: &mut Described, path: &[&str]) {
        let (last, parents) = path.split_last().unwrap();
        let parent = parents.iter().fold(&mut described.document, |value, name| &mut value[*name]);
        assert!(parent.as_object_mut().unwrap().remove(*last).is_some(), "{path:?}");
    }

    const ENDED: [&str; 7] = ["paths", "/logout_other", "post", "responses", "200", "content", "application/json"];

    #[test]
    fn what_is_described_passes() {
        let described = described();
        described.check("POST", "/logout_other", &ended(r#"{"deleted_sessions":1}"#));
        described.check("HEAD", "/verify?a=b", &reply(204, "", ""));
        described.check("POST", "/get_token", &problem(401, "invalid_credentials"));
        // Codes of the application's login.
        described.check("POST", "/get_token", &problem(401, "second_factor_needed"));
        described.check("POST", "/get_token", &problem(429, "too_many_attempts"));
        // It is no route of ours.
        described.check("GET", "/me", &reply(418, "", ""));
    }

    #[test]
    #[should_panic(expected = "the document does not have the path")]
    fn a_route_that_is_not_described_fails() {
        let mut described = described();
        remove(&mut described, &ENDED[..2]);
        described.check("POST", "/logout_other", &ended(r#"{"deleted_sessions":1}"#));
    }

    #[test]
    #[should_panic(expected = "the document does not have the status")]
    fn a_status_that_is_not_described_fails() {
        let mut described = described();
        remove(&mut described, &ENDED[..5]);
        described.check("POST", "/logout_other", &ended(r#"{"deleted_sessions":1}"#));
    }

    #[test]
    #[should_panic(expected = "the document does not have the member deleted_sessions")]
    fn a_member_that_is_not_described_fails() {
        let mut described = described();
        let schema = [&ENDED[..], &["schema"]].concat();
        remove(&mut described, &[&schema[..], &["required"]].concat());
        let properties = schema.iter().fold(&mut described.document, |value, name| &mut value[*name]);
        properties["properties"] = json!({"revoked_sessions": {"type": "integer"}});
        described.check("POST", "/logout_other", &ended(r#"{"deleted_sessions":1}"#));
    }

    #[test]
    #[should_panic(expected = "the document has a member that is not in")]
    fn a_required_member_that_is_not_there_fails() {
        described().check("POST", "/logout_other", &ended("{}"));
    }

    /// A login may have codes of its own, which are no excuse for ours.
    #[test]
    #[should_panic(expected = "the document does not have the code")]
    fn a_code_of_ours_that_is_not_described_fails_at_a_login() {
        described().check("POST", "/get_token", &problem(401, "invalid_token"));
    }

    #[test]
    #[should_panic(expected = "the document does not have the code")]
    fn a_code_of_ours_with_a_status_that_is_not_described_fails_at_a_login() {
        described().check("POST", "/get_token", &problem(404, "not_found"));
    }

    #[test]
    fn a_handle_that_writes_its_own_problems_may_have_any_code() {
        let world =
            World::with(StoreKind::Memory, |core| core, |http| http.problem(|problem| problem.code().to_owned()));
        let mut reply = reply(401, "application/json", r#"{"code":"invalid_token"}"#);
        reply.headers.push(("www-authenticate".to_owned(), "Bearer".to_owned()));
        Described::new(&world.knox).check("POST", "/get_token", &reply);
    }
}
