//! Everything that is logged, at every level, with all spans, and everything that an observer is told, while all routes
//! are used and abused: no secret is in it.

#![allow(clippy::unwrap_used)]

use std::io;

use jwt_knox::{Algorithm, Event, KeyRing, Observer, SigningKey, SubjectStatus};
use jwt_knox_http::{Cookies, KnoxHttpBuilder, OAuthClient, OAuthClientSecret};
use jwt_knox_tests::{Call, Framework, Server, StoreKind, World, forge, log::Log, world::KEY};
use serde_json::json;
use tracing_subscriber::fmt::format::FmtSpan;

/// Writes all that it is told into the log.
#[derive(Clone)]
struct Audit(Log);

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit")
    }
}

impl Observer for Audit {
    fn observe(&self, event: &Event) {
        io::Write::write_all(&mut self.0.clone(), format!("observed {event:?}\n").as_bytes()).unwrap();
    }
}

#[test]
fn no_secret_is_logged() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).with_ansi(false);
    let subscriber = subscriber.with_span_events(FmtSpan::FULL);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    let mut secrets = vec![
        "wonderland".to_owned(),
        "a-second-secret".to_owned(),
        "wrong-password".to_owned(),
        String::from("d29uZGVybGFuZA"),
    ];
    secrets.push(String::from_utf8(KEY.to_vec()).unwrap());
    for framework in Framework::ALL {
        for kind in [StoreKind::Memory, StoreKind::Sqlite] {
            let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap());
            let next = SigningKey::generate(Algorithm::Es256).unwrap();
            let private: serde_json::Value = serde_json::from_str(next.to_jwk().expose()).unwrap();
            secrets.push(private["d"].as_str().unwrap().to_owned());
            let audit = Audit(log.clone());
            let client = OAuthClientSecret::generate().unwrap();
            secrets.extend([client.expose().to_owned(), client.hash()]);
            let clients = [OAuthClient::new("orders", &client.hash()).unwrap()];
            let settings =
                |http: KnoxHttpBuilder| http.debug_verify(true).cookies(Cookies::new()).oauth_clients(clients);
            let world = World::with_keys(kind, ring.clone(), |core| core.observer(audit), settings);
            let server = Server::start(framework, world.knox.clone());
            let send = |call: Call| call.send(server.address);
            let tokens: Vec<String> = (0..3).map(|_| send(Call::login("alice", "wonderland")).token()).collect();
            for token in &tokens {
                secrets.extend(token.split('.').map(str::to_owned).skip(1));
                secrets.push(forge::claims(token)["jti"].as_str().unwrap().to_owned());
            }
            send(Call::login("alice", "wrong-password"));
            let page_login = Call::post("/login")
                .header("Content-Type", "application/json")
                .header("Sec-Fetch-Site", "same-origin")
                .body(r#"{"username":"alice","password":"wonderland","otp":"a-second-secret"}"#);
            let first = send(page_login.clone());
            let cookie = format!("__Host-session={}", first.cookie().unwrap().0);
            let second = send(page_login.header("Cookie", cookie));
            for reply in [&first, &second] {
                let token = reply.cookie().unwrap().0;
                secrets.extend(token.split('.').map(str::to_owned).skip(1));
                for call in [Call::get("/me"), Call::post("/rotate"), Call::post("/logout")] {
                    send(call.clone().cookie(token));
                    send(call.header("Cookie", format!("__Host-session={token}")));
                }
                send(Call::get("/me").cookie(&format!("{token}; __Host-session={token}")));
            }
            send(Call::json_login(r#"{"username":"alice","password":"wrong-password"}"#));
            world.set_clock(100);
            for path in
                ["/verify", "/sessions", "/debug_verify", "/me", "/maybe", "/admin", "/guarded/hello", "/thrice"]
            {
                send(Call::get(path).bearer(&tokens[0]));
                send(Call::get(path).bearer(&format!("{}x", tokens[0])));
                send(Call::get(path).bearer(&forge::with_claims(&tokens[0], &json!({"sub": "bob"}))));
            }
            world.users.set("alice", SubjectStatus::Inactive);
            send(Call::get("/me").bearer(&tokens[0]));
            world.users.set("alice", SubjectStatus::Active);
            world.store.set_down(true);
            send(Call::get("/me").bearer(&tokens[0]));
            send(Call::login("alice", "wonderland"));
            world.store.set_down(false);
            send(Call::post("/logout_other").bearer(&tokens[0]));
            let next_id = next.key_id().to_owned();
            ring.stage(next).unwrap();
            ring.promote(&next_id).unwrap();
            let login = send(Call::login("bob", "builder")).token();
            let rotated = send(Call::post("/rotate").bearer(&login)).token();
            for token in [&login, &rotated] {
                secrets.extend(token.split('.').map(str::to_owned).skip(1));
                secrets.push(forge::claims(token)["jti"].as_str().unwrap().to_owned());
            }
            send(Call::get("/me").bearer(&rotated));
            send(Call::get("/.well-known/jwks.json"));
            for path in ["/introspect", "/revoke"] {
                for secret in [client.expose(), "wrong-password"] {
                    let call = Call::basic(path, "orders", secret).body(format!("token={rotated}"));
                    send(call.header("Content-Type", "application/x-www-form-urlencoded"));
                }
            }
            send(Call::post("/logout").bearer(&tokens[0]));
            send(Call::get("/me").bearer(&tokens[0]));
        }
    }
    let log = log.text();
    for expected in [
        "token issued",
        "token rejected",
        "token rotated",
        "sessions revoked",
        "token verification failed",
        "signing keys changed",
        "knox.authenticate{subject=\"alice\" session_id=",
        "knox.rotate{",
        "observed Issued",
        "observed Rejected",
        "observed Touched",
        "observed Rotated",
        "observed Revoked",
    ] {
        assert!(log.contains(expected), "the log is captured: {expected}");
    }
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
    }
    // Session ids are in it; whole digests, which are twice as long, are not.
    let longest = log.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max().unwrap();
    assert_eq!(longest, 32, "the longest hexadecimal string in the log");
}
