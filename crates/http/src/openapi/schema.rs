//! The bodies of requests and responses.

use utoipa::openapi::{
    AllOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat,
    schema::{AnyOfBuilder, SchemaType, Type},
};

use super::names;
use crate::{endpoint::Endpoint, knox_http::KnoxHttp, response::problem::ProblemCode, settings::TokenResponse};

/// A schema that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Credentials,
    Token,
    BrowserSession,
    Session,
    ListedSession,
    Problem,
}

impl Named {
    const ALL: [Self; 6] =
        [Self::Credentials, Self::Token, Self::BrowserSession, Self::Session, Self::ListedSession, Self::Problem];

    fn name(self, knox: &KnoxHttp) -> String {
        let name = match self {
            Self::Credentials => "KnoxCredentials",
            Self::Token => "KnoxToken",
            Self::BrowserSession => "KnoxBrowserSession",
            Self::Session => "KnoxSession",
            Self::ListedSession => "KnoxListedSession",
            Self::Problem => "KnoxProblem",
        };
        names::upper(knox, name)
    }

    pub(super) fn reference(self, knox: &KnoxHttp) -> RefOr<Schema> {
        Ref::from_schema_name(self.name(knox)).into()
    }

    /// Whether a document with `endpoint` names it.
    fn is_of(self, knox: &KnoxHttp, endpoint: Endpoint) -> bool {
        match self {
            Self::Credentials => matches!(endpoint, Endpoint::GetToken | Endpoint::Login),
            Self::Token => matches!(endpoint, Endpoint::GetToken | Endpoint::Rotate),
            Self::BrowserSession => {
                endpoint == Endpoint::Login || endpoint == Endpoint::Rotate && knox.cookies().is_some()
            }
            // Problems may list sessions, and all routes but that of the public keys have problems.
            Self::Session | Self::Problem => endpoint != Endpoint::Jwks,
            Self::ListedSession => matches!(endpoint, Endpoint::Sessions | Endpoint::Session),
        }
    }

    fn definition(self, knox: &KnoxHttp) -> RefOr<Schema> {
        match self {
            Self::Credentials => credentials(),
            Self::Token => token(knox),
            Self::BrowserSession => browser_session().into(),
            Self::Session => session().into(),
            Self::ListedSession => listed_session(knox),
            Self::Problem => problem(knox),
        }
    }
}

/// The schemas that `endpoints` name.
pub(super) fn all(knox: &KnoxHttp, endpoints: &[Endpoint]) -> impl Iterator<Item = (String, RefOr<Schema>)> {
    let is_named = |schema: &Named| endpoints.iter().any(|endpoint| schema.is_of(knox, *endpoint));
    Named::ALL.into_iter().filter(is_named).map(|schema| (schema.name(knox), schema.definition(knox)))
}

fn credentials() -> RefOr<Schema> {
    let end_session = session_id().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    object()
        .description(Some("A user name and a password. The application may read other members."))
        .property("username", string().description(Some("1 to 1024 bytes of UTF-8, without control characters.")))
        .property(
            "password",
            string()
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
                .description(Some("At most 1024 bytes of UTF-8, without control characters.")),
        )
        .property(
            "end_session",
            end_session.description(Some("The session that ends if the limit would deny the login otherwise.")),
        )
        .required("username")
        .required("password")
        .into()
}

fn token(knox: &KnoxHttp) -> RefOr<Schema> {
    match knox.token_body() {
        TokenResponse::Standard => browser_session()
            .description(Some("A token, in the words of RFC 6749."))
            .property("access_token", string().description(Some("The token, a JWT.")))
            .property("token_type", string().enum_values(Some([knox.protocol().scheme()])))
            .required("access_token")
            .required("token_type")
            .into(),
        TokenResponse::DrfJwtKnox => object()
            .description(Some("A token, as drf-jwt-knox answers it."))
            .property("token", string().description(Some("The scheme, a space, and the token.")))
            .required("token")
            .into(),
        TokenResponse::Own(_) => any("A token, as the application answers it."),
    }
}

/// What a browser is told, which has the token in a cookie.
fn browser_session() -> ObjectBuilder {
    let seconds = integer().description(Some("Seconds until the session expires. Absent if it does not expire."));
    let time = date_time().description(Some("When the session expires. Absent if it does not expire."));
    object()
        .description(Some("The session that a login has begun. The token is in a cookie."))
        .property("expires_in", seconds.minimum(Some(0)))
        .property("expires_at", time)
        .property("session_id", session_id())
        .required("session_id")
}

fn session() -> ObjectBuilder {
    let label = string().schema_type(SchemaType::from_iter([Type::String, Type::Null])).max_length(Some(255));
    object()
        .description(Some("A session of the user."))
        .property("id", session_id())
        .property("label", label.description(Some("What to call it.")))
        .property("created_at", date_time().description(Some("When it began.")))
        .property("last_used_at", or_null(date_time()).description(Some("When it was last used, roughly.")))
        .property(
            "expires_at",
            or_null(date_time()).description(Some("When it expires unless it is used. `null`: never.")),
        )
        .required("id")
        .required("label")
        .required("created_at")
        .required("last_used_at")
        .required("expires_at")
}

fn listed_session(knox: &KnoxHttp) -> RefOr<Schema> {
    let current = object()
        .property("current", boolean().description(Some("Whether it is the session that asks.")))
        .required("current");
    AllOfBuilder::new().item(Named::Session.reference(knox)).item(current).into()
}

fn problem(knox: &KnoxHttp) -> RefOr<Schema> {
    if knox.protocol().has_own_problems() {
        return any("Why a request was rejected or failed, as the application answers it.");
    }
    let sessions = ArrayBuilder::new()
        .items(Named::Session.reference(knox))
        .description(Some("With `limit_reached`: the sessions of which one has to end first."));
    let problem = object()
        .description(Some("Why a request was rejected or failed (RFC 9457)."))
        .property("type", string().enum_values(Some(["about:blank"])))
        .property("title", string().description(Some("The name of the status.")))
        .property("status", integer())
        .property("code", string().pattern(Some(CODE)).description(Some("What it is, for programs.")))
        .property("detail", string().description(Some("What it is, for people.")))
        .property("sessions", sessions)
        .required("type")
        .required("title")
        .required("status")
        .required("code")
        .required("detail");
    match knox.oauth_clients() {
        Some(_) => {
            let error = string().description(Some("In errors of RFC 6749 §5.2: the code again, for clients of OAuth."));
            problem.property("error", error).into()
        }
        None => problem.into(),
    }
}

/// The form of all codes.
const CODE: &str = "^[a-z0-9_]{1,64}$";

/// A problem with one of `codes`; or, with `is_open`, with one of the application's `Login`.
pub(super) fn problem_with(knox: &KnoxHttp, codes: &[ProblemCode], is_open: bool) -> RefOr<Schema> {
    if knox.protocol().has_own_problems() {
        return Named::Problem.reference(knox);
    }
    let known = string().enum_values(Some(codes.iter().map(|code| code.as_str())));
    let code: RefOr<Schema> = if is_open {
        let own = string().pattern(Some(CODE)).description(Some("A code of the application's login."));
        AnyOfBuilder::new().item(known).item(own).into()
    } else {
        known.into()
    };
    let narrowed = object().property("code", code).required("code");
    AllOfBuilder::new().item(Named::Problem.reference(knox)).item(narrowed).into()
}

/// What `/rotate` answers: the token, or to a browser that has sent its cookie no token.
pub(super) fn rotated(knox: &KnoxHttp) -> RefOr<Schema> {
    match knox.cookies() {
        None => Named::Token.reference(knox),
        Some(_) => {
            AnyOfBuilder::new().item(Named::Token.reference(knox)).item(Named::BrowserSession.reference(knox)).into()
        }
    }
}

pub(super) fn listed_sessions(knox: &KnoxHttp) -> RefOr<Schema> {
    ArrayBuilder::new().items(Named::ListedSession.reference(knox)).max_items(Some(1000)).into()
}

pub(super) fn deleted_sessions() -> RefOr<Schema> {
    let count = integer().minimum(Some(0)).description(Some("How many sessions were revoked."));
    object().property("deleted_sessions", count).required("deleted_sessions").into()
}

pub(super) fn label() -> RefOr<Schema> {
    let label = string().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let label = label.description(Some("`null` for none. It is cut to 255 characters, without invisible ones."));
    object().property("label", label).required("label").into()
}

pub(super) fn debug(knox: &KnoxHttp) -> RefOr<Schema> {
    let record = object()
        .property("subject", string())
        .property("scope", or_null(string()))
        .property("absolute_expires_at", or_null(date_time()))
        .property("idle_timeout", or_null(integer()).description(Some("In seconds.")))
        .property("attributes", object().additional_properties(Some(Schema::from(string()))))
        .required("subject")
        .required("scope")
        .required("absolute_expires_at")
        .required("idle_timeout")
        .required("attributes");
    let current = object().property("current", boolean()).required("current");
    let record = AllOfBuilder::new().item(Named::Session.reference(knox)).item(current).item(record);
    object().property("claims", object()).property("record", record).required("claims").required("record").into()
}

pub(super) fn key_set() -> RefOr<Schema> {
    let named = ["kty", "kid", "alg", "use"]
        .into_iter()
        .fold(object(), |key, name| key.property(name, string()).required(name));
    // Which of these there are depends on the type.
    let key = ["crv", "x", "y", "n", "e", "pub"].into_iter().fold(named, |key, name| key.property(name, string()));
    object()
        .description(Some("A JWK Set (RFC 7517)."))
        .property("keys", ArrayBuilder::new().items(key))
        .required("keys")
        .into()
}

/// The parameters of `/introspect` and `/revoke`.
pub(super) fn token_form() -> RefOr<Schema> {
    object()
        .property("token", string().min_length(Some(1)).description(Some("The token that is asked about.")))
        .property("token_type_hint", string().description(Some("It makes no difference.")))
        .required("token")
        .into()
}

pub(super) fn introspection(knox: &KnoxHttp) -> RefOr<Schema> {
    let audience = any("As in the token: a string, or a list of strings.");
    object()
        .description(Some("Whether the token is active (RFC 7662). All other members are there only if it is."))
        .property("active", boolean())
        .property("sub", string())
        .property("scope", string())
        .property("exp", integer().description(Some("When the session expires unless it is used.")))
        .property("iat", integer())
        .property("iss", string())
        .property("aud", audience)
        .property("sid", session_id())
        .property("token_type", string().enum_values(Some([knox.protocol().scheme()])))
        .required("active")
        .into()
}

/// Each item is sent as a parameter of its own.
pub(super) fn scopes() -> RefOr<Schema> {
    ArrayBuilder::new().items(string().pattern(Some(r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$"))).into()
}

pub(super) fn session_id() -> ObjectBuilder {
    string().pattern(Some("^[0-9a-f]{32}$")).description(Some("The id of a session."))
}

pub(super) fn object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object)
}

pub(super) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(super) fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

/// RFC 3339.
fn date_time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn any(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(description)).into()
}

fn or_null(schema: ObjectBuilder) -> ObjectBuilder {
    let mut schema = schema.build();
    if let SchemaType::Type(one) = schema.schema_type {
        schema.schema_type = SchemaType::from_iter([one, Type::Null]);
    }
    schema.into()
}
