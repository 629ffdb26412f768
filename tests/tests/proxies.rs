//! The set-ups of `docs/proxies.md`, with the real proxies in front of an application.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use jwt_knox::{Subject, SubjectStatus};
use jwt_knox_http::{Cookies, KnoxHttpBuilder};
use jwt_knox_tests::{Call, Framework, Reply, Server, StoreKind, World, world::on_another_thread};

/// How long a test waits for what comes at once. A test that passes does not wait that long.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    Caddy,
    HAProxy,
    Traefik,
    Envoy,
}

/// A proxy as the guide sets it up, between clients, an auth server and an application.
struct Site {
    proxy: Kind,
    _process: Process,
    address: SocketAddr,
    world: World,
    app: Application,
}

impl Site {
    fn new(proxy: Kind) -> Self {
        Self::with(proxy, |http| http)
    }

    fn with(proxy: Kind, http: impl FnOnce(KnoxHttpBuilder) -> KnoxHttpBuilder) -> Self {
        let world = World::with(StoreKind::Memory, |core| core, |builder| http(builder.forward_auth(true)));
        let auth = Server::start(Framework::Axum, world.knox.clone()).address;
        Self::in_front_of(proxy, auth, world)
    }

    fn in_front_of(proxy: Kind, auth: SocketAddr, world: World) -> Self {
        let app = Application::start();
        let (process, address) = start(proxy, auth, app.address);
        Self { proxy, _process: process, address, world, app }
    }

    fn send(&self, call: &Call) -> Reply {
        call.send(self.address)
    }

    fn status(&self, call: &Call) -> u16 {
        self.send(call).status
    }

    /// Logs in through the proxy.
    fn login(&self, username: &str, password: &str) -> String {
        self.send(&Call::login(username, password).at("/auth/get_token")).token()
    }

    fn alice(&self) -> String {
        self.login("alice", "wonderland")
    }

    /// Sends a request that must reach the application, and gives what arrives there.
    fn pass(&self, call: &Call) -> String {
        let reply = self.send(call);
        assert_eq!((reply.status, reply.body.as_str()), (200, "the application"), "{call:?}");
        self.app.take().pop().unwrap()
    }

    /// Sends a request that must not reach the application.
    fn reject(&self, call: &Call, status: u16) -> Reply {
        let reply = self.send(call);
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(self.app.take(), [""; 0], "{call:?}");
        reply
    }
}

/// A proxy that runs, in a folder of its own.
struct Process {
    child: Child,
    folder: PathBuf,
}

impl Process {
    /// Whether it listens there, and not somebody else.
    fn listens(&mut self, address: SocketAddr) -> bool {
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(address).is_ok() {
                return self.child.try_wait().unwrap().is_none();
            }
            assert!(begin.elapsed() < PATIENCE, "{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Waits for the routes of Traefik, which listens before it has read them.
    fn has_routes(&self, address: SocketAddr) {
        let begin = Instant::now();
        while Call::get("/").send(address).status == 404 {
            assert!(begin.elapsed() < PATIENCE, "{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked to end, and not when it is killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Starts a proxy with the configuration of the guide, but for the addresses in it.
fn start(proxy: Kind, auth: SocketAddr, app: SocketAddr) -> (Process, SocketAddr) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!("jwt-knox-proxy-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        // Nobody keeps it free in the meantime, so there may have to be another one.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let write = |file: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/behind-proxy").join(file);
            let text = fs::read_to_string(path)
                .unwrap()
                .replace("127.0.0.1:8080", &address.to_string())
                .replace("127.0.0.1:3000", &auth.to_string())
                .replace("127.0.0.1:4000", &app.to_string())
                .replace("port_value: 8080", &format!("port_value: {}", address.port()))
                .replace("port_value: 3000", &format!("port_value: {}", auth.port()))
                .replace("port_value: 4000", &format!("port_value: {}", app.port()))
                .replace("/etc/haproxy/", &format!("{}/", folder.display()))
                .replace("/etc/traefik/", &format!("{}/", folder.display()));
            let path = folder.join(file);
            fs::write(&path, text).unwrap();
            path
        };
        let mut command = match proxy {
            Kind::Nginx => {
                write("nginx.conf");
                fs::write(folder.join("main.conf"), NGINX).unwrap();
                let mut command = Command::new("nginx");
                command.arg("-p").arg(&folder).args(["-c", "main.conf", "-e", "error.log"]);
                command
            }
            Kind::Caddy => {
                // Its port for administration would be the same for all.
                let file = write("Caddyfile");
                let text = fs::read_to_string(&file).unwrap();
                fs::write(&file, format!("{{\n\tadmin off\n}}\n{text}")).unwrap();
                let mut command = Command::new("caddy");
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
                command.env("HOME", &folder).env("XDG_DATA_HOME", &folder).env("XDG_CONFIG_HOME", &folder);
                command
            }
            Kind::HAProxy => {
                write("forward_auth.lua");
                let mut command = Command::new("haproxy");
                command.arg("-db").arg("-f").arg(write("haproxy.cfg"));
                command
            }
            Kind::Traefik => {
                write("routes.yaml");
                let mut command = installed("traefik");
                command.arg("--configFile").arg(write("traefik.yaml"));
                command
            }
            Kind::Envoy => {
                let mut command = installed("envoy");
                // Its shared memory would be the same for all.
                command.args(["--disable-hot-restart", "--concurrency", "1", "-c"]).arg(write("envoy.yaml"));
                command
            }
        };
        let log = fs::File::create(folder.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Process { child: command.spawn().unwrap(), folder };
        if process.listens(address) {
            if proxy == Kind::Traefik {
                process.has_routes(address);
            }
            return (process, address);
        }
        let log = process.log();
        assert!(log.to_lowercase().contains("in use"), "{proxy:?} does not start: {log}");
    }
}

/// A proxy that `tests/interop/install.sh` has installed.
fn installed(program: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/proxies/bin").join(program))
}

/// What Debian's nginx.conf has around the file of the guide.
const NGINX: &str = include_str!("../proxies/nginx.conf");

/// Answers all that it gets, and keeps the heads of the requests. One that wants another protocol becomes an echo.
struct Application {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Application {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(&stream, &kept));
            }
        });
        Self { address, heads }
    }

    /// The heads of the requests since this was last asked.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        kept.lock().unwrap().push(head.clone());
        let is_web_socket = !values(&head, "sec-websocket-key").is_empty();
        let mut protocols =
            values(&head, "upgrade").into_iter().filter(|protocol| is_web_socket == (protocol == "websocket"));
        if let Some(protocol) = protocols.next_back() {
            // The answer to the key of RFC 6455 §1.3, which means nothing for another protocol.
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            );
            let _ = (&*stream).write_all(answer.as_bytes());
            let _ = std::io::copy(&mut reader, &mut &*stream);
            return;
        }
        let length = values(&head, "content-length").pop().map_or(0, |length| length.parse().unwrap());
        if std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).is_err() {
            return;
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nthe application";
        if (&*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The values of a header in the head of a request.
fn values(head: &str, name: &str) -> Vec<String> {
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
}

/// What the application learns of who sends the request. A header that is empty is as good as none.
fn identity(head: &str) -> [String; 3] {
    ["x-auth-subject", "x-auth-session", "x-auth-scope"].map(|name| {
        let mut values = values(head, name);
        assert!(values.len() <= 1, "{head}");
        values.pop().unwrap_or_default()
    })
}

fn a_valid_token_passes_and_the_application_learns_whose_it_is(site: &Site) {
    let token = site.alice();
    let session = jwt_knox_tests::forge::claims(&token)["sid"].as_str().unwrap().to_owned();
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        let head = site.pass(&Call::new(method, "/page?scope=admin&a=b").bearer(&token));
        assert!(head.starts_with(&format!("{method} /page?scope=admin&a=b HTTP/1.1\r\n")), "{head}");
        assert_eq!(identity(&head), ["alice", &session, ""], "{head}");
    }
    let head = site.pass(&Call::get("/").bearer(&site.login("carol", "singer")));
    assert_eq!(identity(&head)[2], "read", "{head}");
    site.world.users.set("Zo\u{eb}, %", SubjectStatus::Active);
    let knox = site.world.knox.clone();
    let issue = async move { knox.issue(Subject::new("Zo\u{eb}, %").unwrap()).await.unwrap() };
    let head = site.pass(&Call::get("/").bearer(on_another_thread(issue).token.expose()));
    assert_eq!(identity(&head)[0], "Zo%C3%AB%2C%20%25", "{head}");
}

fn without_a_valid_token_nothing_passes(site: &Site) {
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = site.reject(&Call::new(method, "/page"), 401);
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    }
    assert_eq!(site.reject(&Call::new("HEAD", "/page"), 401).body, "");
    let invalid = r#"Bearer realm="api", error="invalid_token""#;
    let token = site.alice();
    for call in [Call::get("/").bearer("a.b.c"), Call::get("/?x=1").bearer(&format!("{token}x"))] {
        assert_eq!(site.reject(&call, 401).header("www-authenticate"), Some(invalid), "{call:?}");
    }
    // nginx rejects a second one itself.
    let twice = if site.proxy == Kind::Nginx { 400 } else { 401 };
    site.reject(&Call::get("/").bearer(&token).bearer("a.b.c"), twice);
    site.pass(&Call::get("/").bearer(&token));
    assert_eq!(site.status(&Call::post("/auth/logout").bearer(&token)), 204);
    assert_eq!(site.reject(&Call::get("/").bearer(&token), 401).header("www-authenticate"), Some(invalid));
    let token = site.alice();
    site.world.set_clock(40_000);
    site.reject(&Call::get("/").bearer(&token), 401);
}

fn a_store_that_is_down_is_503(site: &Site) {
    let token = site.alice();
    site.world.store.set_down(true);
    for path in ["/", "/admin/", "/?a=b"] {
        let reply = site.reject(&Call::get(path).bearer(&token), 503);
        assert_eq!((reply.header("retry-after"), reply.header("cache-control")), (Some("5"), Some("no-store")));
        assert_eq!((reply.header("www-authenticate"), &reply.json()["code"]), (None, &"unavailable".into()));
    }
    site.world.store.set_down(false);
    site.pass(&Call::get("/").bearer(&token));
}

fn an_auth_server_that_is_not_there_lets_nobody_in(site: &Site) {
    let token = site.alice();
    // Nobody listens there, nor will a server of another test; or who does hangs up.
    let (closed, listener) = ("127.0.0.1:1".parse().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let hanging_up = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for auth in [closed, hanging_up] {
        let site = Site::in_front_of(site.proxy, auth, site.world.clone());
        for path in ["/", "/admin/"] {
            // Some have a status of their own for it.
            let status = match site.proxy {
                Kind::Caddy => 502,
                Kind::Traefik => 500,
                Kind::Nginx | Kind::HAProxy | Kind::Envoy => 503,
            };
            site.reject(&Call::get(path).bearer(&token), status);
        }
    }
}

fn a_missing_scope_is_403(site: &Site) {
    let (alice, root) = (site.alice(), site.login("root", "toor"));
    let head = site.pass(&Call::get("/admin/users?scope=x").bearer(&root));
    assert_eq!(identity(&head)[2], "admin read sessions");
    let reply = site.reject(&Call::get("/admin/users?scope=read").bearer(&alice), 403);
    let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="admin""#;
    assert_eq!(reply.header("www-authenticate"), Some(challenge));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.json()["status"], 403);
    site.reject(&Call::get("/admin/users"), 401);
}

fn a_client_cannot_say_who_it_is(site: &Site) {
    let token = site.alice();
    let forge = |call: Call| {
        // Some applications see an underscore in whatever is no letter and no digit: here, all that may be in a name.
        let aliases = "!#$%&'*+.^_`|~".chars().flat_map(|blank| {
            [format!("X{blank}Auth-Subject"), format!("x-auth{blank}session"), format!("X{blank}Auth{blank}Scope")]
        });
        let names = ["X-Auth-Subject", "x-auth-session", "X-AUTH-SCOPE"].map(str::to_owned).into_iter().chain(aliases);
        names.fold(call, |call, name| call.header(&name, "root").header(&name, "admin"))
    };
    let head = site.pass(&forge(Call::get("/")).bearer(&token));
    let [subject, _, scope] = identity(&head);
    assert_eq!((subject.as_str(), scope.as_str()), ("alice", ""), "{head}");
    assert!(!head.contains("root") && !head.contains("admin"), "{head}");
    // Nor that it is nobody, by calling them headers of the connection, which Caddy drops.
    let call = Call::get("/").bearer(&token).header("Connection", "x-auth-subject, X-Auth-Session");
    match site.proxy {
        Kind::Caddy => drop(site.reject(&call, 400)),
        _ => assert_eq!(identity(&site.pass(&call))[0], "alice"),
    }
    site.reject(&forge(Call::get("/")), 401);
    // What the proxy asks is not for others.
    let reply = site.send(&Call::get("/auth/forward_auth").bearer(&token));
    assert_eq!((reply.status, reply.header("x-auth-subject")), (404, None));
}

fn a_request_with_a_cookie_is_judged_by_its_own_method(site: &Site) {
    let site = Site::with(site.proxy, |http| http.cookies(Cookies::new().allow_origin("https://app.example.com")));
    let cookie = site.alice();
    let with = |method: &str| Call::new(method, "/").header("Cookie", format!("__Host-session={cookie}"));
    site.pass(&with("GET"));
    site.pass(&with("GET").header("Sec-Fetch-Site", "cross-site"));
    for call in [
        with("POST"),
        with("POST").header("Sec-Fetch-Site", "cross-site"),
        with("POST").header("Origin", "https://evil.example"),
        with("DELETE").header("Sec-Fetch-Site", "same-site"),
        with("POST").header("X-Forwarded-Method", "GET").header("X-Original-Method", "GET"),
        web_socket(with("GET").header("Origin", "https://evil.example")),
        web_socket(with("GET").header("Sec-Fetch-Site", "cross-site")),
    ] {
        site.reject(&call, 403);
    }
    site.pass(&with("POST").header("Sec-Fetch-Site", "same-origin"));
    // An older browser. Traefik does not say which host the client has asked for, so the origin has to be named.
    let own = with("POST").header("Origin", format!("http://{}", site.address));
    match site.proxy {
        Kind::Traefik => drop(site.reject(&own, 403)),
        _ => drop(site.pass(&own)),
    }
    site.pass(&with("POST").header("Origin", "https://app.example.com"));
}

fn web_socket(call: Call) -> Call {
    call.header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn a_web_socket_opens_with_a_token_only(site: &Site) {
    site.reject(&web_socket(Call::get("/chat")), 401);
    site.reject(&web_socket(Call::get("/chat").bearer("a.b.c")), 401);
    let mut stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /chat HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        site.address,
        site.alice(),
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut answer).unwrap(), 0, "{answer}");
    }
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(identity(&site.app.take().pop().unwrap())[0], "alice");
    stream.write_all(b"hello\n").unwrap();
    let mut echo = String::new();
    reader.read_line(&mut echo).unwrap();
    assert_eq!(echo, "hello\n");
}

/// The rest of such a connection would be requests of which the proxy sees nothing.
fn a_client_changes_to_no_other_protocol(site: &Site) {
    let token = site.alice();
    let h2c = || Call::get("/").bearer(&token).header("Connection", "Upgrade, HTTP2-Settings");
    let h2c = || h2c().header("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
    for call in [
        h2c().header("Upgrade", "h2c"),
        h2c().header("Upgrade", "h2c, websocket"),
        h2c().header("Upgrade", "h2c").header("Upgrade", "websocket"),
        h2c().header("Upgrade", "websocket").header("Upgrade", "h2c"),
        h2c().header("Upgrade", "TLS/1.0"),
    ] {
        let reply = site.send(&call);
        assert_ne!(reply.status, 101, "{reply:?}");
        for head in site.app.take() {
            assert!(values(&head, "upgrade").iter().all(|protocol| protocol == "websocket"), "{head}");
        }
    }
    site.send(&Call::new("CONNECT", "app:80").bearer(&token));
    assert_eq!(site.app.take(), [""; 0]);
}

/// However a path is written that some application may take for one below /admin.
fn a_scope_is_asked_for_however_the_path_is_written(site: &Site) {
    let (alice, root) = (site.alice(), site.login("root", "toor"));
    for path in
        ["/admin", "/admin?x", "/admin/", "//admin/users", "/./admin/users", "/x/../admin/users", "/%61dmin/users"]
    {
        let reply = site.send(&Call::get(path).bearer(&alice));
        assert!([301, 307, 308, 400, 403].contains(&reply.status), "{path}: {reply:?}");
        assert_eq!(site.app.take(), [""; 0], "{path}");
    }
    site.pass(&Call::get("/admin/users").bearer(&root));
    site.pass(&Call::get("/administrators").bearer(&alice));
}

/// How long the upload is that is rejected while it is under way.
const UPLOAD: usize = 50 << 20;

fn a_client_that_uploads_with_an_expired_token_reads_the_401(site: &Site) {
    let token = site.alice();
    let body = vec![b'x'; UPLOAD];
    let upload = Call::post("/upload").body(&body).bearer(&token);
    assert_eq!(values(&site.pass(&upload), "content-length"), [UPLOAD.to_string()]);
    site.world.set_clock(40_000);
    for _ in 0..3 {
        let reply = site.reject(&upload, 401);
        let challenge = r#"Bearer realm="api", error="invalid_token""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge));
    }
}

macro_rules! proxies {
    ($($case:ident)*) => {
        proxies!(@proxy nginx Nginx knox_nginx "nginx is not installed" $($case)*);
        proxies!(@proxy caddy Caddy knox_caddy "caddy is not installed" $($case)*);
        proxies!(@proxy haproxy HAProxy knox_haproxy "haproxy is not installed" $($case)*);
        proxies!(@proxy traefik Traefik knox_more_proxies "run tests/interop/install.sh" $($case)*);
        proxies!(@proxy envoy Envoy knox_more_proxies "run tests/interop/install.sh" $($case)*);
    };
    (@proxy $name:ident $proxy:ident $cfg:ident $message:literal $($case:ident)*) => {
        mod $name {
            use crate::{Kind, Site};
            $(
                #[test]
                #[cfg_attr(not($cfg), ignore = $message)]
                fn $case() {
                    crate::$case(&Site::new(Kind::$proxy));
                }
            )*
        }
    };
}

proxies! {
    a_valid_token_passes_and_the_application_learns_whose_it_is
    without_a_valid_token_nothing_passes
    a_store_that_is_down_is_503
    an_auth_server_that_is_not_there_lets_nobody_in
    a_missing_scope_is_403
    a_client_cannot_say_who_it_is
    a_request_with_a_cookie_is_judged_by_its_own_method
    a_web_socket_opens_with_a_token_only
    a_client_changes_to_no_other_protocol
    a_scope_is_asked_for_however_the_path_is_written
    a_client_that_uploads_with_an_expired_token_reads_the_401
}
