//! Programs of others read the OpenAPI documents: a validator, a tester that looks for answers which they do not have,
//! and a generator of clients.
//!
//! `crates/http/tests/openapi.rs` has what is in them.

// The guide shows its functions as `pub`.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "openapi/on_actix.rs"]
mod on_actix;
#[path = "openapi/on_axum.rs"]
mod on_axum;
#[path = "openapi/on_rocket.rs"]
mod on_rocket;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
};

use jwt_knox_http::{
    Cookies, Endpoint, KnoxHttp, KnoxHttpBuilder, OAuthClient,
    utoipa::openapi::{Info, OpenApi, Paths},
};
use jwt_knox_test_program::{Program, command};
use jwt_knox_tests::{
    Call, Framework, Server, StoreKind, World,
    interop::{GeneratedClient, schemathesis, validate_openapi},
    serve,
    world::temporary_file,
};

/// The SHA-256 of `the secret of the client`.
const CLIENT: &str = "sha256:e8911ce137230d25308512613b989f8be321e9ee15405a001c113d5df47beb54";

/// With all routes on.
fn everything(http: KnoxHttpBuilder) -> KnoxHttpBuilder {
    let client = OAuthClient::new("orders", CLIENT).unwrap();
    http.cookies(Cookies::new()).oauth_clients([client]).debug_verify(true).forward_auth(true)
}

fn world(settings: impl FnOnce(KnoxHttpBuilder) -> KnoxHttpBuilder) -> World {
    World::with(StoreKind::Memory, |core| core, settings)
}

/// A new folder for the files of a test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(folder: &Path, document: impl AsRef<[u8]>) -> PathBuf {
    let file = folder.join("openapi.json");
    fs::write(&file, document).unwrap();
    file
}

fn document(knox: &KnoxHttp) -> String {
    knox.openapi().merge_from(knox.jwks_openapi()).to_pretty_json().unwrap()
}

fn succeeded(what: &str, output: &Output) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// An example server, as a reader starts it.
struct Example {
    _program: Program,
    address: SocketAddr,
}

impl Example {
    const ALL: [&str; 3] = ["axum", "actix", "rocket"];

    fn start(name: &str) -> Self {
        let mut command = command(name);
        for unset in ["KNOX_SECRET", "KNOX_COOKIES", "KNOX_LIFETIME_SECONDS", "KNOX_STORE_URL"] {
            command.env_remove(unset);
        }
        command
            .env("LISTEN", "127.0.0.1:0")
            .env("DATABASE_URL", format!("sqlite:{}", temporary_file().display()))
            .env("KNOX_DEBUG_VERIFY", "1")
            // A tester logs in often, and lists of sessions are long then.
            .env("KNOX_LIMIT", "evict:20");
        let mut program = Program::start(&mut command);
        let address = program.after("Listening on http://").split(". ").next().unwrap().parse().unwrap();
        Self { _program: program, address }
    }

    fn document(&self) -> String {
        let reply = Call::get("/openapi.json").send(self.address);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{reply:?}");
        reply.body
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_validator_accepts_the_documents() {
    let configurations: [fn(KnoxHttpBuilder) -> KnoxHttpBuilder; 5] = [
        |http| http,
        everything,
        |http| everything(http).scheme("Token").header("X-Auth-Token"),
        |http| http.without(Endpoint::GetToken).path(Endpoint::Session, "/devices/{id}"),
        |http| everything(http).problem(|_| "x").token_response(|_| "y"),
    ];
    let folder = folder("validator");
    let documents = configurations.into_iter().map(|settings| document(&world(settings).knox));
    for document in documents.chain([two_handles()]) {
        succeeded(&document, &validate_openapi(&write(&folder, &document)));
    }
    // It does say no.
    let file = write(&folder, document(&world(everything).knox).replace("\"description\"", "\"descriptoin\""));
    assert!(!validate_openapi(&file).status.success());
}

/// The document of an application with two kinds of users.
fn two_handles() -> String {
    let [customers, staff] = [world(everything).knox, world(|http| everything(http).openapi_prefix("staff")).knox];
    let shop = OpenApi::new(Info::new("Orders", "1.0.0"), Paths::new()).nest("/shop", customers.openapi());
    shop.nest("/office", staff.openapi()).to_pretty_json().unwrap()
}

/// One after the other: each keeps a processor busy, and so does the server.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn the_example_servers_answer_what_their_document_has() {
    for name in Example::ALL {
        let (example, folder) = (Example::start(name), folder(name));
        let document = write(&folder, example.document());
        succeeded(name, &schemathesis(&document, example.address, &folder));
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn servers_with_all_routes_answer_what_their_document_has() {
    for framework in [Framework::Axum, Framework::Actix, Framework::Rocket] {
        let folder = folder(&format!("all-{framework:?}"));
        let world = World::with(StoreKind::Memory, evict, everything);
        let document = write(&folder, document(&world.knox));
        let server = Server::start(framework, world.knox);
        succeeded(&format!("{framework:?}"), &schemathesis(&document, server.address, &folder));
    }
}

fn evict(core: jwt_knox::KnoxBuilder) -> jwt_knox::KnoxBuilder {
    core.limit(jwt_knox::SessionLimit::evict_oldest(20).unwrap())
}

/// One for all three, since they have the same document.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_generated_client_logs_in_and_out() {
    let examples = Example::ALL.map(Example::start);
    let documents: Vec<_> = examples.iter().map(Example::document).collect();
    assert!(documents.iter().all(|document| *document == documents[0]));
    let file = write(&folder("client"), &documents[0]);
    let client = GeneratedClient::new(&file).unwrap_or_else(|output| {
        succeeded("the generator or the compiler", &output);
        unreachable!()
    });
    for example in examples {
        succeeded("the client", &client.run(example.address));
    }
}

/// The applications of the guide, which have their own route in the document, and ours where they have mounted them.
fn applications() -> [SocketAddr; 3] {
    let knox = || world(|http| http).knox;
    let (second, third) = (knox(), knox());
    let app = move || actix_web::App::new().configure(|config| on_actix::configure(config, second.clone()));
    [
        serve::axum(on_axum::app(knox())),
        serve::actix(|listener| Ok(actix_web::HttpServer::new(app).disable_signals().listen(listener)?.run())),
        serve::rocket(|rocket| on_rocket::app(rocket, third).unwrap()),
    ]
}

#[test]
fn an_application_has_one_document_for_its_routes_and_ours() {
    for address in applications() {
        let document = Call::get("/openapi.json").send(address).json();
        assert_eq!(document["info"]["title"], "Orders");
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(
            paths,
            [
                "/.well-known/jwks.json",
                "/auth/get_token",
                "/auth/logout",
                "/auth/logout_all",
                "/auth/logout_other",
                "/auth/rotate",
                "/auth/sessions",
                "/auth/sessions/{id}",
                "/auth/verify",
                "/me",
            ]
        );
        for path in paths {
            let item = &document["paths"][path];
            let method = ["get", "post", "delete"].into_iter().find(|method| !item[method].is_null()).unwrap();
            let reply = Call::new(&method.to_uppercase(), &path.replace("{id}", "1")).send(address);
            let described = &item[method]["responses"][reply.status.to_string()];
            assert!(described.is_object(), "{path}: {reply:?}");
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_validator_accepts_the_documents_of_applications() {
    for address in applications() {
        let reply = Call::get("/openapi.json").send(address);
        succeeded(&reply.body, &validate_openapi(&write(&folder("applications"), &reply.body)));
    }
}
