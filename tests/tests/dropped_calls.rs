//! A client that hangs up, or a time limit that fires, while a transaction begins: what is answered later is committed.

#![allow(clippy::unwrap_used)]

use std::{io::Write, net::TcpStream, time::Duration};

use jwt_knox::{AuthenticateError, Knox, KnoxBuilder, Rejection, SigningKey};
use jwt_knox_http::{Cookies, KnoxHttp, KnoxHttpBuilder};
use jwt_knox_tests::{
    Call, Framework, Server,
    databases::TestDatabase,
    proxy::Proxy,
    world::{KEY, Users, on_another_thread},
};

/// A server whose one connection goes through a proxy, and a handle that goes straight to the database.
struct Fixture {
    _database: TestDatabase,
    proxy: Proxy,
    server: Server,
    elsewhere: Knox,
}

impl Fixture {
    fn new(database: TestDatabase, framework: Framework, settings: fn(KnoxBuilder) -> KnoxBuilder) -> Self {
        Self::with(database, framework, settings, |http| http)
    }

    fn with_cookies(database: TestDatabase, framework: Framework) -> Self {
        Self::with(database, framework, |knox| knox, |http| http.cookies(Cookies::new()))
    }

    fn with(
        database: TestDatabase,
        framework: Framework,
        settings: fn(KnoxBuilder) -> KnoxBuilder,
        http_settings: fn(KnoxHttpBuilder) -> KnoxHttpBuilder,
    ) -> Self {
        let proxy = Proxy::new(database.server());
        let builder = || Knox::builder(SigningKey::hs256(KEY).unwrap());
        let knox = settings(builder().store(database.store_through(proxy.address, 1))).build().unwrap();
        let http = http_settings(KnoxHttp::builder(knox).login(Users::default())).build().unwrap();
        let elsewhere = builder().store(database.store()).build().unwrap();
        Self { server: Server::start(framework, http), proxy, elsewhere, _database: database }
    }

    fn login(&self, username: &str, password: &str) -> String {
        Call::login(username, password).send(self.server.address).token()
    }

    /// What another server says of the token.
    fn outcome_elsewhere(&self, token: &str) -> Result<(), Rejection> {
        let (knox, token) = (self.elsewhere.clone(), token.to_owned());
        match on_another_thread(async move { knox.authenticate(&token).await }) {
            Ok(_) => Ok(()),
            Err(AuthenticateError::Rejected(reason)) => Err(reason),
            Err(AuthenticateError::Store(error)) => panic!("{error:?}"),
        }
    }

    /// A logout that is answered is seen on another server, and stays.
    fn assert_that_logouts_hold(&self) {
        for (username, password) in [("bob", "builder"), ("alice", "wonderland")] {
            let token = self.login(username, password);
            assert_eq!(self.outcome_elsewhere(&token), Ok(()), "a login that is answered is committed");
            assert_eq!(Call::post("/logout").bearer(&token).send(self.server.address).status, 204);
            assert_eq!(
                self.outcome_elsewhere(&token),
                Err(Rejection::Revoked),
                "a logout that is answered is committed"
            );
        }
    }
}

fn a_client_that_hangs_up(database: TestDatabase, framework: Framework) {
    let fixture = Fixture::new(database, framework, |knox| knox);
    let token = fixture.login("alice", "wonderland");
    let other = fixture.login("alice", "wonderland");
    fixture.proxy.hold_from_next_begin();
    let mut client = TcpStream::connect(fixture.server.address).unwrap();
    let request =
        format!("POST /logout_other HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    fixture.proxy.wait_until_held();
    drop(client);
    fixture.proxy.release();
    fixture.assert_that_logouts_hold();
    // What had begun was done.
    assert_eq!(fixture.outcome_elsewhere(&other), Err(Rejection::Revoked));
    assert_eq!(fixture.outcome_elsewhere(&token), Ok(()));
}

/// A login of the application's own ends the session that the browser had, although the browser has gone by then.
fn a_browser_that_goes_away(database: TestDatabase, framework: Framework) {
    let fixture = Fixture::with_cookies(database, framework);
    let before = fixture.login("alice", "wonderland");
    fixture.proxy.hold_from_next_begin();
    let mut client = TcpStream::connect(fixture.server.address).unwrap();
    let request = format!(
        "POST /own_login HTTP/1.1\r\nHost: x\r\nX-User: alice\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: __Host-session={before}\r\nContent-Length: 0\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    fixture.proxy.wait_until_held();
    drop(client);
    // The server sees that it has gone.
    assert_eq!(Call::get("/nothing").send(fixture.server.address).status, 404);
    fixture.proxy.release();
    let is_ended = || fixture.outcome_elsewhere(&before) == Err(Rejection::Revoked);
    assert!((0..5000).any(|_| is_ended()), "{framework:?}");
}

fn a_time_limit_that_fires(database: TestDatabase) {
    let at_once = |knox: KnoxBuilder| knox.timer(|_| tokio::time::sleep(Duration::from_millis(100)));
    let fixture = Fixture::new(database, Framework::Axum, at_once);
    let token = fixture.login("alice", "wonderland");
    fixture.proxy.hold_from_next_begin();
    let reply = Call::post("/logout_other").bearer(&token).send(fixture.server.address);
    assert_eq!(reply.status, 503);
    fixture.proxy.release();
    fixture.assert_that_logouts_hold();
}

macro_rules! on {
    ($database:ident $cfg:ident $variable:literal) => {
        mod $database {
            use super::{Framework, TestDatabase};

            #[cfg_attr(not($cfg), ignore = $variable)]
            #[test]
            fn a_client_that_hangs_up_harms_no_later_call() {
                for framework in Framework::ALL {
                    super::a_client_that_hangs_up(TestDatabase::$database(), framework);
                }
            }

            #[cfg_attr(not($cfg), ignore = $variable)]
            #[test]
            fn a_browser_that_goes_away_after_a_login_leaves_nothing_undone() {
                for framework in Framework::ALL {
                    super::a_browser_that_goes_away(TestDatabase::$database(), framework);
                }
            }

            #[cfg_attr(not($cfg), ignore = $variable)]
            #[test]
            fn a_time_limit_that_fires_harms_no_later_call() {
                super::a_time_limit_that_fires(TestDatabase::$database());
            }
        }
    };
}

on! { postgres knox_postgres "KNOX_TEST_POSTGRES_URL is not set" }
on! { mysql knox_mysql "KNOX_TEST_MYSQL_URL is not set" }
