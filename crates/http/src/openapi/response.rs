//! What is answered: statuses, headers and bodies.

use std::collections::BTreeMap;

use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, RefOr, ResponseBuilder, ResponsesBuilder, Schema,
    extensions::Extensions,
    response::{Response, Responses},
};

use super::schema::{self, Named, integer, string};
use crate::{
    endpoint::Endpoint,
    knox_http::KnoxHttp,
    response::{OWN_PROBLEM_TYPE, PROBLEM_TYPE, problem::ProblemCode},
};

/// The answer if all goes well.
pub(super) struct Success {
    status: u16,
    description: &'static str,
    body: Body,
    cache: String,
    /// Whether it sets the session cookie, where cookies are on.
    cookie: Option<Presence>,
    is_identity: bool,
}

pub(super) enum Body {
    None,
    Json(RefOr<Schema>),
    KeySet(RefOr<Schema>),
}

impl Success {
    pub(super) fn new(status: u16, description: &'static str, body: Body) -> Self {
        Self { status, description, body, cache: "no-store".to_owned(), cookie: None, is_identity: false }
    }

    /// One that sets the session cookie, or takes it away: always, or for a request with it.
    pub(super) fn with_cookie(self, presence: Presence) -> Self {
        Self { cookie: Some(presence), ..self }
    }

    /// One that says in headers who sends the request.
    pub(super) fn with_identity(self) -> Self {
        Self { is_identity: true, ..self }
    }

    /// One that may be kept for so many seconds.
    pub(super) fn cached_for(self, seconds: u64) -> Self {
        Self { cache: format!("public, max-age={seconds}"), ..self }
    }

    fn into_response(self, knox: &KnoxHttp) -> Response {
        let response = header(ResponseBuilder::new().description(self.description), &CACHE_CONTROL, Some(&self.cache));
        let response = match self.cookie.filter(|_| knox.cookies().is_some()) {
            Some(presence) => header(response, &Header { presence, ..SET_COOKIE }, None),
            None => response,
        };
        let response = if self.is_identity {
            IDENTITY.iter().fold(response, |response, identity| header(response, identity, None))
        } else {
            response
        };
        let response = match self.body {
            Body::None => response,
            Body::Json(schema) => content(response, "application/json", schema),
            Body::KeySet(schema) => content(response, "application/jwk-set+json", schema),
        };
        response.build()
    }
}

/// All answers of an operation.
pub(super) fn responses(knox: &KnoxHttp, endpoint: Endpoint, success: Success, problems: &[ProblemCode]) -> Responses {
    // Its `Login` may reject with a status and a code of its own.
    let is_login = matches!(endpoint, Endpoint::GetToken | Endpoint::Login);
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for problem in problems {
        by_status.entry(problem.status()).or_default().push(*problem);
    }
    let status = success.status.to_string();
    let responses = ResponsesBuilder::new().response(status, success.into_response(knox));
    let responses = by_status.into_iter().fold(responses, |responses, (status, codes)| {
        let is_open = is_login && status < 500;
        responses.response(status.to_string(), rejection(knox, endpoint, status, &codes, is_open))
    });
    if is_login {
        let own = ResponseBuilder::new().description("The application's login needs something else.");
        let own = header(own, &CACHE_CONTROL, Some("no-store"));
        responses.response("4XX", problem(knox, own, Named::Problem.reference(knox))).build()
    } else {
        responses.build()
    }
}

fn rejection(knox: &KnoxHttp, endpoint: Endpoint, status: u16, codes: &[ProblemCode], is_open: bool) -> Response {
    let description: Vec<_> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let mut response = ResponseBuilder::new().description(description.join(", "));
    response = header(response, &CACHE_CONTROL, Some("no-store"));
    for own in [&WWW_AUTHENTICATE, &RETRY_AFTER] {
        let has = |code: &&ProblemCode| headers(**code).iter().any(|of_code| of_code.name == own.name);
        let count = codes.iter().filter(has).count();
        if count > 0 {
            // A rejection of the application's has a challenge too if it is a 401.
            let is_always = count == codes.len() && (!is_open || status == 401);
            let presence = if is_always { Presence::Always } else { Presence::Sometimes };
            response = header(response, &Header { presence, ..*own }, None);
        }
    }
    // Those of a session that has ended elsewhere.
    if status == 401 && matches!(endpoint, Endpoint::Logout | Endpoint::LogoutAll) && knox.cookies().is_some() {
        response = header(response, &SET_COOKIE, None);
    }
    problem(knox, response, schema::problem_with(knox, codes, is_open))
}

fn problem(knox: &KnoxHttp, response: ResponseBuilder, schema: RefOr<Schema>) -> Response {
    let media_type = if knox.protocol().has_own_problems() { OWN_PROBLEM_TYPE } else { PROBLEM_TYPE };
    content(response, media_type, schema).build()
}

/// The headers of a rejection with that code, besides those that all have.
fn headers(code: ProblemCode) -> &'static [Header] {
    match code {
        ProblemCode::MissingToken
        | ProblemCode::InvalidToken
        | ProblemCode::LoginTooOld
        | ProblemCode::InsufficientScope
        | ProblemCode::MissingCredentials
        | ProblemCode::InvalidCredentials
        | ProblemCode::LoginSuperseded
        | ProblemCode::InvalidClient => &[WWW_AUTHENTICATE],
        ProblemCode::Unavailable => &[RETRY_AFTER],
        // Described at the path, with its header.
        ProblemCode::MethodNotAllowed
        | ProblemCode::LimitReached
        | ProblemCode::CrossOrigin
        | ProblemCode::Forbidden
        | ProblemCode::InvalidRequest
        | ProblemCode::NotFound
        | ProblemCode::RequestTimeout
        | ProblemCode::ContentTooLarge
        | ProblemCode::UnsupportedMediaType
        | ProblemCode::InternalError => &[],
    }
}

/// When an answer has a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Sometimes,
}

struct Header {
    name: &'static str,
    description: &'static str,
    presence: Presence,
    is_number: bool,
}

impl Header {
    const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description, presence: Presence::Always, is_number: false }
    }
}

const CACHE_CONTROL: Header = Header::new("Cache-Control", "Who may keep the answer.");
const WWW_AUTHENTICATE: Header = Header::new("WWW-Authenticate", "What to authenticate with (RFC 9110 §11.6.1).");
const RETRY_AFTER: Header =
    Header { is_number: true, ..Header::new("Retry-After", "After how many seconds to try again.") };
const SET_COOKIE: Header = Header {
    presence: Presence::Sometimes,
    ..Header::new("Set-Cookie", "The session cookie, or one that takes it away.")
};
const IDENTITY: [Header; 3] = [
    Header::new("X-Auth-Subject", "The subject, percent-encoded."),
    Header::new("X-Auth-Session", "The id of the session."),
    Header::new("X-Auth-Scope", "The scopes of the token, with spaces in between; empty if it has none."),
];

fn header(response: ResponseBuilder, header: &Header, value: Option<&str>) -> ResponseBuilder {
    let schema = if header.is_number { integer().minimum(Some(0)) } else { string() };
    let schema = schema.enum_values(value.map(|value| [value]));
    // utoipa has no field for `required`; an extension is written as it is.
    let required: Extensions = [("required", header.presence == Presence::Always)].into_iter().collect();
    let described = HeaderBuilder::new().schema(Some(schema)).description(Some(header.description));
    response.header(header.name, described.extensions(Some(required)).build())
}

fn content(response: ResponseBuilder, media_type: &str, schema: RefOr<Schema>) -> ResponseBuilder {
    response.content(media_type, ContentBuilder::new().schema(Some(schema)).build())
}
