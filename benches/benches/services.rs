//! How long a request takes at a service, for each way in which it can learn who sends it: one request after the other
//! over loopback, on a machine with nothing else to do. `docs/services.md` compares the ways.
//!
//! PostgreSQL is asked if `KNOX_TEST_POSTGRES_URL` is set, and nginx if it is installed.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../crates/sea-orm/benches/scratch/mod.rs"]
mod scratch;

use std::{
    env, fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use axum::{Router, routing::get};
use criterion::{Criterion, criterion_group, criterion_main};
use example_introspecting_service::introspection::Issuer;
use jwt_knox::{Algorithm, Cache, Introspector, KeySet, Knox, MemoryStore, TokenProfile, Verifier};
use jwt_knox_axum::{KnoxAuth, KnoxHttp, OAuthClient, OAuthClientSecret, VerifiedToken, VerifierHttp, routes};
use jwt_knox_benches::{issue, key, knox, load::Load, serve};
use jwt_knox_sea_orm::SeaOrmStore;
use scratch::Scratch;
use tokio::runtime::Runtime;

fn services(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let issuer = knox(key(Algorithm::EdDsa), MemoryStore::new(), Cache::default());
    let secret = OAuthClientSecret::generate().unwrap();
    let client = OAuthClient::new("bench", &secret.hash()).unwrap();
    let http = KnoxHttp::builder(issuer.clone()).oauth_clients([client]).forward_auth(true).build().unwrap();
    let issuer_at = serve::axum(routes(http));
    let token = runtime.block_on(issue(&issuer)).token.expose().to_owned();
    let mut measure = |name: &str, server: SocketAddr, token: &str| {
        let bearer = format!("Bearer {token}");
        let mut load = Load::new(1, server, "/", &[("authorization", &bearer)], 200);
        let mut group = criterion.benchmark_group("a request at a service");
        group.bench_function(name, |bencher| bencher.iter_custom(|requests| load.send(requests)));
        group.finish();
    };

    let unguarded = serve::axum(Router::new().route("/", get(async || "hello")));
    measure("unguarded", unguarded, &token);

    let keys = KeySet::from_jwks(&issuer.key_ring().jwks()).unwrap();
    measure("keys", verifying(Verifier::new(keys, TokenProfile::new())), &token);

    for (name, max_age) in [("introspection", Duration::ZERO), ("introspection, max_age", Duration::from_secs(3600))] {
        let endpoint = Issuer::new(format!("http://{issuer_at}/introspect"), "bench", secret.clone()).unwrap();
        let introspector = Introspector::builder(endpoint).max_age(max_age).build();
        measure(name, verifying(Verifier::introspecting(introspector, TokenProfile::new())), &token);
    }

    match Nginx::start(issuer_at, unguarded) {
        Some(nginx) => measure("nginx asks", nginx.address, &token),
        None => println!("skipped: nginx is not installed"),
    }

    match env::var("KNOX_TEST_POSTGRES_URL") {
        Ok(url) => {
            let scratch = runtime.block_on(Scratch::new(&url)).unwrap();
            let connection = runtime.block_on(scratch.connect(4)).unwrap();
            let shared = knox(key(Algorithm::EdDsa), SeaOrmStore::new(connection.clone()), Cache::default());
            let token = runtime.block_on(issue(&shared)).token.expose().to_owned();
            measure("shared store, PostgreSQL", sharing(shared), &token);
            runtime.block_on(connection.close()).unwrap();
            runtime.block_on(scratch.remove()).unwrap();
        }
        Err(_) => println!("skipped: KNOX_TEST_POSTGRES_URL is not set"),
    }
}

/// A service that verifies tokens, or asks about them.
fn verifying(verifier: Verifier) -> SocketAddr {
    async fn hello(_: VerifiedToken) -> &'static str {
        "hello"
    }
    let verifier = VerifierHttp::builder(verifier).build().unwrap();
    serve::axum(Router::new().route("/", get(hello)).with_state(verifier))
}

/// A service on the store of the issuer.
fn sharing(knox: Knox) -> SocketAddr {
    async fn hello(_: KnoxAuth) -> &'static str {
        "hello"
    }
    let knox = KnoxHttp::builder(knox).build().unwrap();
    serve::axum(Router::new().route("/", get(hello)).with_state(knox))
}

/// nginx with the configuration of the guide, until it is dropped.
struct Nginx {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    /// In front of `app`, asking `auth`. `None`: it is not installed.
    fn start(auth: SocketAddr, app: SocketAddr) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = env::temp_dir().join(format!("jwt-knox-bench-nginx-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/behind-proxy/nginx.conf");
        let guide = fs::read_to_string(guide)
            .unwrap()
            .replace("127.0.0.1:8080", &address.to_string())
            .replace("127.0.0.1:3000", &auth.to_string())
            .replace("127.0.0.1:4000", &app.to_string());
        fs::write(folder.join("nginx.conf"), guide).unwrap();
        fs::write(folder.join("main.conf"), NGINX).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder).args(["-c", "main.conf", "-e", "error.log"]);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let nginx = Self { child, folder, address };
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked to end, and not when it is killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What is around the file of the guide.
const NGINX: &str = include_str!("../../tests/proxies/nginx.conf");

criterion_group!(group, services);
criterion_main!(group);
