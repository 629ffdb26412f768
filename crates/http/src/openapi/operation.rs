//! What each built-in route does, and what it may answer.

use utoipa::openapi::{
    ContentBuilder, HttpMethod, RefOr, Required, Schema,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathItemBuilder},
    request_body::{RequestBody, RequestBodyBuilder},
};

use super::{
    names,
    response::{Body, Presence, Success, responses},
    schema::{self, Named},
    security::{self, PROOF_OF_ORIGIN},
};
use crate::{endpoint::Endpoint, knox_http::KnoxHttp, response::problem::ProblemCode, routes::introspection};

/// All operations at the path of `endpoint`.
pub(super) fn path_item(knox: &KnoxHttp, endpoint: Endpoint) -> PathItem {
    let methods = methods(endpoint);
    let item = methods.into_iter().fold(PathItemBuilder::new(), |item, method| {
        let operation = operation(knox, endpoint, &method);
        item.operation(method, operation)
    });
    let parameters = (endpoint == Endpoint::Session).then(|| [session_parameter()]);
    item.description(other_methods(knox, endpoint)).parameters(parameters).build()
}

/// How the methods are answered that are not described.
fn other_methods(knox: &KnoxHttp, endpoint: Endpoint) -> Option<String> {
    let allow = endpoint.allow()?;
    let code = ProblemCode::MethodNotAllowed;
    let answer = format!("{}, `{}` and `Allow: {allow}`", code.status(), code.as_str());
    Some(if security::is_required(knox, endpoint) {
        format!(
            "Other methods are answered with {answer} once the request is authenticated; before that, with 401 or 403."
        )
    } else {
        format!("Other methods are answered with {answer}.")
    })
}

/// The methods that are described: those that are answered, but for HEAD, which is as GET. Where all are answered
/// alike, it is GET.
fn methods(endpoint: Endpoint) -> Vec<HttpMethod> {
    let method = |name| match name {
        "GET" => Some(HttpMethod::Get),
        "PUT" => Some(HttpMethod::Put),
        "POST" => Some(HttpMethod::Post),
        "DELETE" => Some(HttpMethod::Delete),
        "OPTIONS" => Some(HttpMethod::Options),
        "PATCH" => Some(HttpMethod::Patch),
        "TRACE" => Some(HttpMethod::Trace),
        _ => None,
    };
    endpoint.allow().unwrap_or("GET").split(", ").filter_map(method).collect()
}

fn operation(knox: &KnoxHttp, endpoint: Endpoint, method: &HttpMethod) -> Operation {
    let Description { id, summary, details, body, success } = describe(knox, endpoint, method);
    let details = match condition(knox, endpoint) {
        Some(condition) => format!("{details} {condition}"),
        None => details.to_owned(),
    };
    let problems = problems(knox, endpoint, method);
    let parameters = (endpoint == Endpoint::ForwardAuth).then(|| forward_auth_parameters(knox));
    OperationBuilder::new()
        .tag(names::tag(knox))
        .operation_id(Some(names::lower(knox, id)))
        .summary(Some(summary))
        .description(Some(details))
        .parameters(parameters)
        .request_body(body)
        .responses(responses(knox, endpoint, success, &problems))
        .securities(Some(security::requirements(knox, endpoint)))
        .build()
}

/// What a request needs besides a valid credential.
fn condition(knox: &KnoxHttp, endpoint: Endpoint) -> Option<String> {
    match endpoint {
        Endpoint::Login => Some(format!("The request needs {PROOF_OF_ORIGIN}.")),
        Endpoint::ForwardAuth => knox.cookies().map(|_| {
            format!(
                "With a cookie, the request that the proxy has got must be GET, HEAD or OPTIONS, as one of the headers \
                 below says, or it needs {PROOF_OF_ORIGIN}."
            )
        }),
        Endpoint::Introspect => Some(format!(
            "A token that asks needs the scope `{}`; one without scopes does not do.",
            introspection::SCOPE
        )),
        _ if endpoint.is_about_sessions() => {
            Some(format!("A token with scopes needs the scope `{}`.", knox.session_scope()))
        }
        _ => None,
    }
}

struct Description {
    /// Stays as it is: generators make names of functions of it.
    id: &'static str,
    summary: &'static str,
    details: &'static str,
    body: Option<RequestBody>,
    success: Success,
}

impl Description {
    fn new(id: &'static str, summary: &'static str, details: &'static str, success: Success) -> Self {
        Self { id, summary, details, body: None, success }
    }

    fn body(self, media_type: &str, schema: RefOr<Schema>, required: Required) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        Self {
            body: Some(RequestBodyBuilder::new().content(media_type, content).required(Some(required)).build()),
            ..self
        }
    }

    fn json(self, schema: RefOr<Schema>, required: Required) -> Self {
        self.body("application/json", schema, required)
    }

    fn form(self, schema: RefOr<Schema>) -> Self {
        self.body("application/x-www-form-urlencoded", schema, Required::True)
    }
}

fn describe(knox: &KnoxHttp, endpoint: Endpoint, method: &HttpMethod) -> Description {
    const VERIFY: &str = "It counts as a use of the session.";
    match (endpoint, method) {
        (Endpoint::GetToken, _) => {
            let success = Success::new(200, "The token.", Body::Json(Named::Token.reference(knox)));
            Description::new(
                "getToken",
                "Log in",
                "The user name and the password are sent by HTTP Basic, or in the body.",
                success,
            )
            .json(Named::Credentials.reference(knox), Required::False)
        }
        (Endpoint::Login, _) => {
            let success = Success::new(200, "The session.", Body::Json(Named::BrowserSession.reference(knox)));
            Description::new(
                "login",
                "Log a browser in",
                "The token is in a cookie.",
                success.with_cookie(Presence::Always),
            )
            .json(Named::Credentials.reference(knox), Required::True)
        }
        (Endpoint::Verify, HttpMethod::Get) => {
            Description::new("verify", "Say whether the token is valid", VERIFY, valid())
        }
        (Endpoint::Verify, _) => Description::new("verifyPost", "Say whether the token is valid", VERIFY, valid()),
        (Endpoint::Logout, _) => {
            let success = Success::new(204, "The session has ended.", Body::None);
            Description::new(
                "logout",
                "Log out",
                "All tokens of this session become invalid at once.",
                success.with_cookie(Presence::Sometimes),
            )
        }
        (Endpoint::LogoutOther, _) => {
            let success = Success::new(200, "How many sessions have ended.", Body::Json(schema::deleted_sessions()));
            Description::new("logoutOther", "End the user's other sessions", "This session stays.", success)
        }
        (Endpoint::LogoutAll, _) => {
            let success = Success::new(204, "All sessions have ended.", Body::None);
            Description::new(
                "logoutAll",
                "End all sessions of the user",
                "This session too, and logins that are under way get none.",
                success.with_cookie(Presence::Sometimes),
            )
        }
        (Endpoint::Rotate, _) => {
            let success = Success::new(200, "The new token.", Body::Json(schema::rotated(knox)));
            Description::new(
                "rotate",
                "Exchange the token for a new one",
                "The session stays. The old token stays valid for the rotation grace, if there is one.",
                success.with_cookie(Presence::Sometimes),
            )
        }
        (Endpoint::DebugVerify, _) => {
            let success = Success::new(200, "The claims and the record.", Body::Json(schema::debug(knox)));
            Description::new(
                "debugVerify",
                "Show what a token holds",
                "The secret and its digest are left out.",
                success,
            )
        }
        (Endpoint::ForwardAuth, _) => {
            let identity = Success::new(200, "Who sends the request, in headers.", Body::None).with_identity();
            let details = "The proxy sends the headers of that request. Any other method does as well as GET.";
            Description::new("forwardAuth", "Tell a reverse proxy who sends a request", details, identity)
        }
        (Endpoint::Sessions, _) => {
            let success =
                Success::new(200, "The active sessions, newest first.", Body::Json(schema::listed_sessions(knox)));
            Description::new("listSessions", "List the user's sessions", "At most 1,000.", success)
        }
        (Endpoint::Session, HttpMethod::Patch) => {
            let success = Success::new(200, "The session.", Body::Json(Named::ListedSession.reference(knox)));
            Description::new(
                "labelSession",
                "Give a session another label",
                "The answer has the label as it is kept.",
                success,
            )
            .json(schema::label(), Required::True)
        }
        (Endpoint::Session, _) => {
            let success = Success::new(204, "The session has ended.", Body::None);
            Description::new(
                "endSession",
                "End a session",
                "It may be the one that asks.",
                success.with_cookie(Presence::Sometimes),
            )
        }
        (Endpoint::Jwks, _) => {
            let keys = Success::new(200, "A JWK Set.", Body::KeySet(schema::key_set()));
            Description::new(
                "listKeys",
                "List the public keys",
                "For services that verify tokens themselves. They do not see revocation.",
                keys.cached_for(knox.jwks_max_age()),
            )
        }
        (Endpoint::Introspect, _) => {
            let success = Success::new(200, "What is known of it.", Body::Json(schema::introspection(knox)));
            Description::new(
                "introspect",
                "Say whether a token is active (RFC 7662)",
                "Whatever the reason is that a token is not active, the answer is the same.",
                success,
            )
            .form(schema::token_form())
        }
        (Endpoint::Revoke, _) => {
            let success = Success::new(200, "The token has no session any more.", Body::None);
            Description::new(
                "revoke",
                "End the session of a token (RFC 7009)",
                "A token that is not valid is as good as revoked.",
                success,
            )
            .form(schema::token_form())
        }
    }
}

fn valid() -> Success {
    Success::new(204, "The token is valid.", Body::None)
}

/// The problems that an operation may answer. Those of the application's `Login` come on top.
fn problems(knox: &KnoxHttp, endpoint: Endpoint, method: &HttpMethod) -> Vec<ProblemCode> {
    use ProblemCode::*;

    const BODY: [ProblemCode; 4] = [InvalidRequest, RequestTimeout, ContentTooLarge, UnsupportedMediaType];
    const TOKEN: [ProblemCode; 2] = [MissingToken, InvalidToken];
    let mut problems = match endpoint {
        Endpoint::Jwks => return Vec::new(),
        Endpoint::GetToken | Endpoint::Login => {
            let login = [MissingCredentials, InvalidCredentials, LimitReached, InternalError];
            [login.as_slice(), &BODY].concat()
        }
        Endpoint::Verify
        | Endpoint::Logout
        | Endpoint::LogoutOther
        | Endpoint::LogoutAll
        | Endpoint::DebugVerify
        | Endpoint::Sessions => TOKEN.to_vec(),
        Endpoint::Rotate => [TOKEN.as_slice(), &[InternalError]].concat(),
        Endpoint::Session if *method == HttpMethod::Patch => [TOKEN.as_slice(), &[NotFound], &BODY].concat(),
        Endpoint::Session => [TOKEN.as_slice(), &[NotFound]].concat(),
        Endpoint::ForwardAuth => [TOKEN.as_slice(), &[InvalidRequest, InsufficientScope]].concat(),
        Endpoint::Introspect => [[InvalidClient, InvalidToken, InsufficientScope].as_slice(), &BODY].concat(),
        Endpoint::Revoke => [[InvalidClient].as_slice(), &BODY].concat(),
    };
    if endpoint.is_about_sessions() {
        problems.push(InsufficientScope);
    }
    if knox.cookies().is_some() {
        problems.push(CrossOrigin);
    }
    problems.push(Unavailable);
    problems
}

fn session_parameter() -> Parameter {
    ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema::session_id()))
        .build()
}

fn forward_auth_parameters(knox: &KnoxHttp) -> Vec<Parameter> {
    let scope = ParameterBuilder::new()
        .name("scope")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some("The scopes that the token needs, one in each or several with spaces in between."))
        .schema(Some(schema::scopes()));
    let method = |name: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The method of the request that the proxy has got. It matters for a cookie."))
            .schema(Some(schema::string()))
    };
    let methods = ["X-Forwarded-Method", "X-Original-Method"].into_iter().filter(|_| knox.cookies().is_some());
    [scope].into_iter().chain(methods.map(method)).map(ParameterBuilder::build).collect()
}

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, MemoryStore, SigningKey};

    use super::*;

    #[test]
    fn every_method_that_is_answered_is_described() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let knox = KnoxHttp::builder(knox).build().unwrap();
        for endpoint in Endpoint::ALL {
            let item = serde_json::to_value(path_item(&knox, *endpoint)).unwrap();
            for method in endpoint.allow().unwrap_or("GET").split(", ").filter(|method| *method != "HEAD") {
                assert!(item[method.to_lowercase()].is_object(), "{endpoint:?}: {method}");
            }
        }
    }
}
