//! The document of the built-in routes says which of them there are, where, and what they answer.

#![cfg(feature = "openapi")]
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use jwt_knox::{Algorithm, Knox, MemoryStore, SigningKey};
use jwt_knox_http::{
    Cookies, Endpoint, KnoxHttp, KnoxHttpBuilder, LoginError, OAuthClient, OAuthClientSecret, ProblemCode, login_fn,
    utoipa::openapi::{ComponentsBuilder, Info, ObjectBuilder, OpenApi, Paths},
};
use serde_json::{Value, json};

fn builder() -> KnoxHttpBuilder {
    let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
    KnoxHttp::builder(knox).login(login_fn(|_| async { Err(LoginError::InvalidCredentials) }))
}

/// With all routes on.
fn everything() -> KnoxHttpBuilder {
    let client = OAuthClient::new("orders", &OAuthClientSecret::generate().unwrap().hash()).unwrap();
    builder().cookies(Cookies::new()).oauth_clients([client]).debug_verify(true).forward_auth(true)
}

fn document(builder: KnoxHttpBuilder) -> Value {
    serde_json::to_value(builder.build().unwrap().openapi()).unwrap()
}

/// The operations of a document: `GET /verify`, and what is said of it.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&String, &'_ Value)| {
        let methods = item.as_object().unwrap().iter().filter(|(_, operation)| operation["operationId"].is_string());
        methods.map(|(method, _)| (path.clone(), method.clone())).collect::<Vec<_>>()
    };
    let names = paths.flat_map(of_path);
    names
        .map(|(path, method)| (format!("{} {path}", method.to_uppercase()), &document["paths"][&path][&method]))
        .collect()
}

fn routes(document: &Value) -> Vec<String> {
    operations(document).into_keys().collect()
}

fn components<'a>(document: &'a Value, kind: &str) -> BTreeSet<&'a str> {
    document["components"][kind].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// All values below a member of that name.
fn below<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(members) => {
            let of_name = members.iter().filter(|(member, _)| *member == name).map(|(_, value)| value);
            of_name.chain(members.values().flat_map(|value| below(value, name))).collect()
        }
        Value::Array(values) => values.iter().flat_map(|value| below(value, name)).collect(),
        _ => Vec::new(),
    }
}

/// The codes that a response, or all of an operation, may have.
fn codes(value: &Value) -> BTreeSet<&str> {
    let lists = below(value, "code").into_iter().flat_map(|code| below(code, "enum"));
    lists.flat_map(|list| list.as_array().unwrap()).map(|code| code.as_str().unwrap()).collect()
}

#[test]
fn the_routes_of_the_document_are_those_that_are_on() {
    let default = [
        "DELETE /sessions/{id}",
        "GET /sessions",
        "GET /verify",
        "PATCH /sessions/{id}",
        "POST /get_token",
        "POST /logout",
        "POST /logout_all",
        "POST /logout_other",
        "POST /rotate",
        "POST /verify",
    ];
    assert_eq!(routes(&document(builder())), default);

    let knox = builder().build().unwrap();
    let without_login = KnoxHttp::builder(knox.knox().clone());
    assert!(!routes(&document(without_login)).contains(&"POST /get_token".to_owned()));

    let changed = builder()
        .without(Endpoint::LogoutAll)
        .without(Endpoint::GetToken)
        .path(Endpoint::Sessions, "/devices")
        .path(Endpoint::Session, "/my/devices/{id}")
        .path(Endpoint::Verify, "/a/check");
    let expected = [
        "DELETE /my/devices/{id}",
        "GET /a/check",
        "GET /devices",
        "PATCH /my/devices/{id}",
        "POST /a/check",
        "POST /logout",
        "POST /logout_other",
        "POST /rotate",
    ];
    assert_eq!(routes(&document(changed)), expected);

    let all = document(everything());
    for route in ["POST /login", "GET /debug_verify", "GET /forward_auth", "POST /introspect", "POST /revoke"] {
        assert!(routes(&all).contains(&route.to_owned()), "{route}");
    }
    let jwks = serde_json::to_value(knox.jwks_openapi()).unwrap();
    assert_eq!(routes(&jwks), ["GET /.well-known/jwks.json"]);
}

/// A route that is missing here is described by nothing.
#[test]
fn every_route_is_described() {
    let knox = everything().build().unwrap();
    let document = serde_json::to_value(knox.openapi().merge_from(knox.jwks_openapi())).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for endpoint in Endpoint::ALL {
        let operations = operations(&document);
        assert!(operations.keys().any(|route| route.ends_with(knox.path(*endpoint))), "{endpoint:?}");
    }
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{route}: its id is there twice");
        assert!(operation["summary"].is_string() && operation["security"].is_array(), "{route}");
        // Tools would show that of the path.
        assert!(operation["description"].is_string(), "{route}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert_eq!(response["headers"]["Cache-Control"]["required"], true, "{route} {status}");
            let challenge = &response["headers"]["WWW-Authenticate"]["required"];
            assert_eq!(status == "401", *challenge == true, "{route} {status}");
            assert_eq!(status == "503", response["headers"]["Retry-After"]["required"] == true, "{route} {status}");
        }
    }
}

/// A code that is missing here is described by nothing.
#[test]
fn every_code_is_described() {
    let document = document(everything());
    let described = codes(&document);
    // Handlers of the application may answer these; the built-in routes do not.
    let of_handlers = [ProblemCode::LoginTooOld, ProblemCode::LoginSuperseded, ProblemCode::Forbidden];
    for code in ProblemCode::ALL {
        if *code == ProblemCode::MethodNotAllowed {
            let described = |path: &str| document["paths"][path]["description"].as_str().unwrap();
            let answer = "Other methods are answered with 405, `method_not_allowed` and `Allow: POST`";
            assert_eq!(described("/get_token"), format!("{answer}."));
            // Nobody learns which methods there are before it is known who asks.
            let first = " once the request is authenticated; before that, with 401 or 403.";
            assert_eq!(described("/logout"), format!("{answer}{first}"));
        } else {
            assert_eq!(described.contains(code.as_str()), !of_handlers.contains(code), "{code:?}");
        }
    }
    for (route, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for code in codes(response) {
                let known = ProblemCode::ALL.iter().find(|known| known.as_str() == code).unwrap();
                assert_eq!(known.status().to_string(), *status, "{route} {code}");
            }
        }
    }
}

#[test]
fn what_a_document_refers_to_is_in_it_and_nothing_else() {
    let knox = everything().build().unwrap();
    let documents = [everything(), builder(), builder().without(Endpoint::GetToken)].map(document);
    for document in documents.into_iter().chain([serde_json::to_value(knox.jwks_openapi()).unwrap()]) {
        let referred = below(&document, "$ref").into_iter().map(|reference| reference.as_str().unwrap());
        let referred: BTreeSet<_> =
            referred.map(|reference| reference.strip_prefix("#/components/schemas/").unwrap()).collect();
        assert_eq!(referred, components(&document, "schemas"));
        let asked = below(&document["paths"], "security").into_iter().flat_map(|list| list.as_array().unwrap());
        let asked: BTreeSet<_> = asked.flat_map(|one| one.as_object().unwrap().keys()).map(String::as_str).collect();
        assert_eq!(asked, components(&document, "securitySchemes"));
        let names = components(&document, "schemas").into_iter().chain(components(&document, "securitySchemes"));
        assert!(names.into_iter().all(|name| name.to_lowercase().starts_with("knox")));
        let tags = below(&document["paths"], "tags").into_iter().flat_map(|list| list.as_array().unwrap());
        assert!(tags.into_iter().all(|tag| *tag == document["tags"][0]["name"]));
    }
}

#[test]
fn cookies_are_there_where_they_are_on() {
    let (off, on) = (document(builder()), document(builder().cookies(Cookies::new().name("__Host-me"))));
    assert!(below(&off, "Set-Cookie").is_empty() && !codes(&off).contains("cross_origin"));
    let scheme = &on["components"]["securitySchemes"]["knoxCookie"];
    assert_eq!((&scheme["in"], &scheme["name"]), (&json!("cookie"), &json!("__Host-me")));
    for (route, operation) in operations(&on) {
        assert!(codes(&operation["responses"]["403"]).contains("cross_origin"), "{route}");
    }
    let operations = operations(&on);
    assert_eq!(operations["GET /verify"]["security"], json!([{"knoxToken": []}, {"knoxCookie": []}]));
    assert_eq!(operations["POST /login"]["security"], json!([]));
    // It is not enough to have the cookie.
    for described in [scheme, operations["POST /login"]] {
        let description = described["description"].as_str().unwrap();
        assert!(
            description.contains("needs") && description.contains("`Sec-Fetch-Site: same-origin`"),
            "{description}"
        );
    }
    let cookie = |route: &str, status: &str| {
        operations[route]["responses"][status]["headers"]["Set-Cookie"]["required"].as_bool()
    };
    assert_eq!(cookie("POST /login", "200"), Some(true));
    for (route, status) in [
        ("POST /rotate", "200"),
        ("POST /logout", "204"),
        ("POST /logout", "401"),
        ("POST /logout_all", "204"),
        ("DELETE /sessions/{id}", "204"),
    ] {
        assert_eq!(cookie(route, status), Some(false), "{route} {status}");
    }
    assert_eq!(cookie("GET /verify", "204"), None);
}

#[test]
fn a_proxy_names_the_method_of_a_request_with_a_cookie() {
    let parameters = |builder: KnoxHttpBuilder| {
        let document = document(builder.forward_auth(true));
        let parameters = document["paths"]["/forward_auth"]["get"]["parameters"].as_array().unwrap().clone();
        assert!(parameters.iter().all(|parameter| parameter["required"] == false));
        parameters.into_iter().map(|parameter| format!("{} {}", parameter["in"], parameter["name"])).collect::<Vec<_>>()
    };
    let scope = r#""query" "scope""#;
    assert_eq!(parameters(builder()), [scope]);
    let [forwarded, original] = [r#""header" "X-Forwarded-Method""#, r#""header" "X-Original-Method""#];
    assert_eq!(parameters(builder().cookies(Cookies::new())), [scope, forwarded, original]);
}

#[test]
fn a_token_needs_a_scope_to_ask_about_others() {
    let document = document(everything());
    let operations = operations(&document);
    let introspect = operations["POST /introspect"];
    assert_eq!(introspect["security"], json!([{"knoxClient": []}, {"knoxToken": ["introspect"]}]));
    assert!(introspect["description"].as_str().unwrap().contains("needs the scope `introspect`"));
    // Elsewhere a token without any does.
    for (route, operation) in operations.iter().filter(|(route, _)| *route != "POST /introspect") {
        let asked = operation["security"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().values());
        assert!(asked.into_iter().all(|scopes| *scopes == json!([])), "{route}");
    }
}

#[test]
fn clients_of_oauth_find_the_code_where_they_look() {
    let error = |builder| document(builder)["components"]["schemas"]["KnoxProblem"]["properties"]["error"].clone();
    assert!(error(everything()).is_object());
    assert!(error(builder()).is_null());
}

#[test]
fn credentials_are_where_they_are_read() {
    let schemes = |builder| document(builder)["components"]["securitySchemes"].clone();
    let default = schemes(everything());
    assert_eq!((&default["knoxToken"]["type"], &default["knoxToken"]["scheme"]), (&json!("http"), &json!("bearer")));
    assert_eq!(default["knoxToken"]["bearerFormat"], "JWT");
    for scheme in ["knoxPassword", "knoxClient"] {
        assert_eq!((&default[scheme]["type"], &default[scheme]["scheme"]), (&json!("http"), &json!("basic")));
    }
    let moved = schemes(everything().header("X-Auth-Token"));
    for scheme in ["knoxToken", "knoxPassword", "knoxClient"] {
        assert_eq!((&moved[scheme]["in"], &moved[scheme]["name"]), (&json!("header"), &json!("X-Auth-Token")));
    }
    let renamed = schemes(everything().scheme("Token"));
    assert_eq!(
        (&renamed["knoxToken"]["in"], &renamed["knoxToken"]["name"]),
        (&json!("header"), &json!("Authorization"))
    );
    assert_eq!(renamed["knoxClient"]["scheme"], "basic");
}

#[test]
fn public_keys_have_the_members_that_are_described() {
    let jwks = serde_json::to_value(builder().build().unwrap().jwks_openapi()).unwrap();
    let described = below(&jwks, "items")[0];
    // Those of one type have the same members.
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::MlDsa44] {
        let key = SigningKey::generate(algorithm).unwrap().verifying_key().to_jwk().unwrap();
        let key: BTreeMap<String, Value> = serde_json::from_str(&key).unwrap();
        for name in key.keys() {
            assert!(described["properties"][name].is_object(), "{algorithm}: {name}");
        }
        for name in described["required"].as_array().unwrap() {
            assert!(key.contains_key(name.as_str().unwrap()), "{algorithm}: {name}");
        }
    }
}

#[test]
fn bodies_of_the_application_are_not_guessed() {
    let of_drf = document(builder().drf_jwt_knox_response());
    assert_eq!(of_drf["components"]["schemas"]["KnoxToken"]["required"], json!(["token"]));
    let own = document(builder().token_response(|_| "x").problem(|_| "y"));
    for schema in ["KnoxToken", "KnoxProblem"] {
        let members: Vec<_> = own["components"]["schemas"][schema].as_object().unwrap().keys().collect();
        assert_eq!(members, ["description"], "{schema}");
    }
    assert!(codes(&own).is_empty());
}

#[test]
fn it_goes_into_the_document_of_the_application() {
    let application = || OpenApi::new(Info::new("Orders", "1.2.3"), Paths::new());
    let knox = everything().build().unwrap();
    let merged = serde_json::to_value(application().merge_from(knox.openapi())).unwrap();
    assert_eq!(routes(&merged), routes(&document(everything())));
    assert_eq!((&merged["info"]["title"], &merged["info"]["version"]), (&json!("Orders"), &json!("1.2.3")));
    let nested = application().nest("/auth", knox.openapi()).merge_from(knox.jwks_openapi());
    let nested = serde_json::to_value(nested).unwrap();
    assert_eq!(components(&nested, "schemas"), components(&merged, "schemas"));
    let routes = routes(&nested);
    assert!(routes.contains(&"DELETE /auth/sessions/{id}".to_owned()), "{routes:?}");
    assert!(routes.contains(&"GET /.well-known/jwks.json".to_owned()), "{routes:?}");
    let is_outside = |route: &&String| !route.contains(" /auth/");
    assert_eq!(routes.iter().filter(is_outside).count(), 1, "{routes:?}");
}

/// Customers and staff, say, each with a handle of their own.
#[test]
fn two_handles_have_one_document() {
    let [customers, staff] = [everything(), everything().header("X-Staff-Token").openapi_prefix("staff")];
    let [customers, staff] = [customers, staff].map(|builder| builder.build().unwrap());
    let document = OpenApi::new(Info::new("Orders", "1.2.3"), Paths::new())
        .nest("/shop", customers.openapi().merge_from(customers.jwks_openapi()))
        .nest("/office", staff.openapi().merge_from(staff.jwks_openapi()));
    let document = serde_json::to_value(document).unwrap();

    let (all, mut ids) = (operations(&document), BTreeSet::new());
    for (route, operation) in &all {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{route}: its id is there twice");
    }
    assert!(ids.contains("getToken") && ids.contains("staffGetToken") && ids.contains("staffListKeys"), "{ids:?}");

    let [schemes, schemas] = ["securitySchemes", "schemas"].map(|kind| components(&document, kind));
    for (names, name, prefixed) in
        [(&schemes, "knoxToken", "staffKnoxToken"), (&schemas, "KnoxToken", "StaffKnoxToken")]
    {
        assert!(names.contains(name) && names.contains(prefixed), "{names:?}");
        let of_staff = names.iter().filter(|name| name.to_lowercase().starts_with("staff"));
        assert_eq!(of_staff.count() * 2, names.len(), "{names:?}");
    }
    let header = &document["components"]["securitySchemes"]["staffKnoxToken"]["name"];
    assert_eq!(header, "X-Staff-Token", "each has its own");
    assert_eq!(document["tags"].as_array().unwrap().len(), 2);

    // Neither names what is of the other one.
    for (route, operation) in all {
        let is_staff = route.contains(" /office/");
        let schemes = operation["security"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys());
        let schemas = below(operation, "$ref").into_iter().map(|reference| reference.as_str().unwrap());
        let schemas = schemas.map(|reference| reference.strip_prefix("#/components/schemas/").unwrap());
        let tags = operation["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap());
        for name in schemes.map(String::as_str).chain(schemas).chain(tags) {
            assert_eq!(name.to_lowercase().starts_with("staff"), is_staff, "{route}: {name}");
        }
    }
}

#[test]
fn a_schema_of_the_application_takes_the_place_of_ours() {
    let own = ObjectBuilder::new().property("message", ObjectBuilder::new()).build();
    let mut application = OpenApi::new(Info::new("Orders", "1.2.3"), Paths::new());
    application.components = Some(ComponentsBuilder::new().schema("KnoxProblem", own).build());
    let knox = builder().problem(|problem| json!({"message": problem.detail()})).build().unwrap();
    let ours = serde_json::to_value(knox.openapi()).unwrap();
    let rejected = &ours["paths"]["/verify"]["get"]["responses"]["401"]["content"];
    assert_eq!(rejected.as_object().unwrap().keys().collect::<Vec<_>>(), ["application/json"]);
    for document in [application.clone().merge_from(knox.openapi()), application.nest("/auth", knox.openapi())] {
        let document = serde_json::to_value(document).unwrap();
        assert!(document["components"]["schemas"]["KnoxProblem"]["properties"]["message"].is_object());
        assert!(components(&document, "schemas").contains("KnoxToken"));
    }
}
