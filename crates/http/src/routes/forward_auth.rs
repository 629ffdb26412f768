//! The route where reverse proxies ask who sends a request.

use std::borrow::Cow;

use jwt_knox::{Authenticated, is_scope};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    knox_http::KnoxHttp,
    request::Request,
    response::{
        Response,
        problem::ProblemCode,
        rejection::{Cause, HttpRejection},
    },
};

/// Tells a proxy who sends the request that it has got, and whether they have the scopes that it asks for.
pub(crate) async fn answer(knox: &KnoxHttp, request: &Request<'_>) -> Result<Response, HttpRejection> {
    let auth = knox.authenticate(&request.original_request()).await?;
    for scope in wanted_scopes(request).map_err(|cause| knox.reject(cause))? {
        knox.require_scope(&auth, &scope)?;
    }
    Ok(identity(&auth))
}

/// The scopes in the query. It comes from the settings of the proxy, and a slip there must not let anybody in: nothing
/// is skipped that is not understood.
fn wanted_scopes(request: &Request<'_>) -> Result<Vec<String>, Cause> {
    let Some(query) = request.query else {
        let what = "the adapter does not say which query a request has; it must call `Request::with_query`";
        return Err(Cause::Internal(what.into()));
    };
    let mut scopes = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "scope" {
            return Err(unreadable("The query has one parameter, `scope`, which may be there several times."));
        }
        for scope in value.split(' ') {
            if !is_scope(scope) {
                return Err(unreadable("The parameter `scope` is one scope, or several with spaces in between."));
            }
            scopes.push(scope.to_owned());
        }
    }
    Ok(scopes)
}

fn unreadable(detail: &'static str) -> Cause {
    Cause::Other(ProblemCode::InvalidRequest, Cow::Borrowed(detail))
}

/// Who it is, in headers that the proxy copies into the request. All of them are there: for one that is not, some
/// proxies leave what the client has sent by that name.
fn identity(auth: &Authenticated) -> Response {
    let subject = utf8_percent_encode(auth.subject().as_str(), &ENCODED).to_string();
    Response::ok()
        .with_header("x-auth-subject", subject)
        .with_header("x-auth-session", auth.session_id().to_string())
        .with_header("x-auth-scope", auth.session().scope.clone().unwrap_or_default())
}

/// What is encoded in a subject: all that could mean something to a proxy, to HTTP or to a reader of the header. What
/// stays is what ids and mail addresses are made of; a `+` would be a space to some decoders.
const ENCODED: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b':');

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, MemoryStore, NewSession, SigningKey, Subject};

    use super::*;
    use crate::{endpoint::Endpoint, request::cookies::Cookies};

    fn http() -> KnoxHttp {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        KnoxHttp::builder(knox).cookies(Cookies::new()).forward_auth(true).build().unwrap()
    }

    async fn subject_header(subject: &str) -> String {
        let http = http();
        let issued = http.issue(NewSession::new(Subject::new(subject).unwrap())).await.unwrap();
        let auth = http.knox().authenticate(issued.token.expose()).await.unwrap();
        let response = identity(&auth);
        response.headers().find(|(name, _)| *name == "x-auth-subject").unwrap().1.to_owned()
    }

    #[tokio::test]
    async fn a_subject_is_percent_encoded() {
        for (subject, header) in [
            ("42", "42"),
            ("alice@example.com", "alice@example.com"),
            ("a-b.c_d~e:f", "a-b.c_d~e:f"),
            ("alice+tag@example.com", "alice%2Btag@example.com"),
            ("alice%20", "alice%2520"),
            ("Zo\u{e9} \u{1f600}", "Zo%C3%A9%20%F0%9F%98%80"),
            ("a, b;c=\"d\"\\", "a%2C%20b%3Bc%3D%22d%22%5C"),
        ] {
            assert_eq!(subject_header(subject).await, header);
        }
    }

    #[test]
    fn a_query_is_understood_or_rejected() {
        let http = http();
        let wanted = |query| wanted_scopes(&http.request("GET", "/forward_auth", |_| None).with_query(query)).ok();
        assert_eq!(wanted(None).unwrap(), [""; 0]);
        assert_eq!(wanted(Some("")).unwrap(), [""; 0]);
        assert_eq!(wanted(Some("scope=admin")).unwrap(), ["admin"]);
        assert_eq!(wanted(Some("scope=a&scope=b+c%20d")).unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(wanted(Some("scope=users%3Aread")).unwrap(), ["users:read"]);
        for query in [
            "scope=",
            "scope",
            "Scope=a",
            "scopes=a",
            "scope=a&x=1",
            "scope=a++b",
            "scope=a%00",
            "scope=%ff",
            "a",
            "scope=a?scope=b%22",
            "scope=a;x=\"",
            "=",
            "scope%5B%5D=a",
        ] {
            assert!(wanted(Some(query)).is_none(), "{query}");
        }
    }

    /// An adapter of somebody else, written before there was this route.
    #[tokio::test]
    async fn an_adapter_that_tells_no_query_lets_nobody_in() {
        let http = http();
        let issued = http.issue(1).await.unwrap();
        let header = format!("Bearer {}", issued.token.expose());
        let request =
            http.request("GET", "/forward_auth", |name| (name == "authorization").then_some(header.as_bytes()));
        assert_eq!(http.respond(Endpoint::ForwardAuth, &request).await.status(), 500);
        assert_eq!(http.respond(Endpoint::ForwardAuth, &request.with_query(None)).await.status(), 200);
    }
}
