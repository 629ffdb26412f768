//! Several servers on one database, each with connections of its own, as several processes would have: what happens
//! through all of them at the same moment adds up.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::{Knox, SessionLimit, SigningKey, TokenStore};
use jwt_knox_http::KnoxHttp;
use jwt_knox_tests::{
    Call, Framework, Reply, Server,
    databases::{TestDatabase, TestKeys},
    world::{KEY, Users},
};
use serde_json::Value;

/// Three servers on one store, one on each framework.
struct Servers([SocketAddr; 3]);

impl Servers {
    /// `store` gives a handle of its own to each.
    fn start<S: TokenStore>(store: impl Fn() -> S, limit: Option<SessionLimit>) -> Self {
        Self([Framework::Axum, Framework::Actix, Framework::Rocket].map(|framework| {
            let users = Arc::new(Users::default());
            let builder = Knox::builder(SigningKey::hs256(KEY).unwrap()).store(store()).subject_check(users.clone());
            let builder = match limit {
                Some(limit) => builder.limit(limit),
                None => builder,
            };
            let http = KnoxHttp::builder(builder.build().unwrap()).login(users).build().unwrap();
            Server::start(framework, http).address
        }))
    }

    /// One of them, in turn.
    fn number(&self, number: usize) -> SocketAddr {
        self.0[number % self.0.len()]
    }

    /// Sends `count` requests at the same moment, spread over the servers.
    fn at_once(&self, count: usize, call: impl Fn(usize) -> Call + Sync) -> Vec<Reply> {
        let start = Barrier::new(count);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..count)
                .map(|number| {
                    let (start, call) = (&start, &call);
                    scope.spawn(move || {
                        let call = call(number);
                        start.wait();
                        call.send(self.number(number))
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        })
    }

    /// Whether the token is good. All servers must be of one mind.
    fn is_good(&self, token: &str) -> bool {
        let statuses = self.0.map(|address| Call::get("/verify").bearer(token).send(address).status);
        assert!([[204; 3], [401; 3]].contains(&statuses), "the servers are of one mind: {statuses:?}");
        statuses == [204; 3]
    }

    fn how_many_are_good(&self, tokens: &[String]) -> usize {
        tokens.iter().filter(|token| self.is_good(token)).count()
    }

    /// How many logins the owner of the token has. All servers must be of one mind.
    fn sessions(&self, token: &str) -> usize {
        let counts = self.0.map(|address| {
            let reply = Call::get("/sessions").bearer(token).send(address);
            assert_eq!(reply.status, 200, "{reply:?}");
            reply.json().as_array().unwrap().len()
        });
        assert!(counts.iter().all(|count| *count == counts[0]), "the servers are of one mind: {counts:?}");
        counts[0]
    }

    fn login(&self, number: usize) -> String {
        Call::login("alice", "wonderland").send(self.number(number)).token()
    }
}

fn tokens(replies: &[Reply]) -> Vec<String> {
    replies.iter().filter(|reply| reply.status == 200).map(Reply::token).collect()
}

/// 48 logins at a limit of 3, through all servers, leave 3.
fn a_limit_holds_over_all_servers<S: TokenStore>(store: impl Fn() -> S) {
    for (user, password, limit, accepted) in [
        ("alice", "wonderland", SessionLimit::deny(3).unwrap(), 3),
        ("bob", "builder", SessionLimit::evict_oldest(3).unwrap(), 48),
        ("root", "toor", SessionLimit::evict_least_recently_used(3).unwrap(), 48),
    ] {
        let servers = Servers::start(&store, Some(limit));
        let replies = servers.at_once(48, |_| Call::login(user, password));
        let rejected = replies.iter().filter(|reply| reply.status == 403).count();
        let tokens = tokens(&replies);
        assert_eq!((tokens.len(), rejected), (accepted, 48 - accepted), "at {limit:?}");
        assert_eq!(servers.how_many_are_good(&tokens), 3, "48 parallel logins at {limit:?} leave 3");
        let good = tokens.iter().find(|token| servers.is_good(token)).unwrap();
        assert_eq!(servers.sessions(good), 3, "48 parallel logins at {limit:?} leave 3");
    }
}

/// 24 logins from one device, through all servers, leave one.
fn one_login_for_each_device<S: TokenStore>(store: impl Fn() -> S) {
    let servers = Servers::start(store, Some(SessionLimit::deny(2).unwrap().one_per_label()));
    let other = Call::login("alice", "wonderland").header("X-Device", "laptop").send(servers.number(0)).token();
    let replies = servers.at_once(24, |_| Call::login("alice", "wonderland").header("X-Device", "phone"));
    let tokens = tokens(&replies);
    assert_eq!(tokens.len(), 24, "each takes the place of the one before");
    assert_eq!(servers.how_many_are_good(&tokens), 1, "24 parallel logins of one label leave one");
    assert_eq!(servers.sessions(&other), 2);
}

/// Logins through all servers while one of them ends all logins: those before it are gone, those after it are there,
/// and of those at the same moment all servers say the same.
fn logout_all_meets_logins<S: TokenStore>(store: impl Fn() -> S, rounds: usize) {
    let servers = Servers::start(store, Some(SessionLimit::evict_oldest(1000).unwrap()));
    for round in 0..rounds {
        let before: Vec<String> = (0..6).map(|number| servers.login(number)).collect();
        let has_begun = AtomicBool::new(false);
        let has_ended = AtomicBool::new(false);
        let (during, after) = thread::scope(|scope| {
            let workers: Vec<_> = (0..6)
                .map(|number| {
                    let (servers, has_begun, has_ended) = (&servers, &has_begun, &has_ended);
                    scope.spawn(move || {
                        let (mut during, mut after) = (Vec::new(), Vec::new());
                        while after.len() < 2 {
                            let is_after = has_ended.load(SeqCst);
                            has_begun.store(true, SeqCst);
                            let reply = Call::login("alice", "wonderland").send(servers.number(number));
                            if is_after {
                                after.push(reply.token());
                            } else if reply.status != 401 {
                                // The others began before the logout and ended after it.
                                during.push(reply.token());
                            }
                        }
                        (during, after)
                    })
                })
                .collect();
            let logout = scope.spawn(|| {
                while !has_begun.load(SeqCst) {
                    thread::yield_now();
                }
                Call::post("/logout_all").bearer(&before[0]).send(servers.number(round)).status
            });
            let logout = logout.join();
            // Said in any case, or the workers would go on for ever.
            has_ended.store(true, SeqCst);
            assert_eq!(logout.unwrap(), 204);
            let tokens = workers.into_iter().map(|worker| worker.join().unwrap());
            tokens.fold((Vec::new(), Vec::new()), |(mut during, mut after), (more_during, more_after)| {
                during.extend(more_during);
                after.extend(more_after);
                (during, after)
            })
        });
        assert_eq!(servers.how_many_are_good(&before), 0, "what was there before is gone");
        assert_eq!(servers.how_many_are_good(&after), after.len(), "what came after is there");
        let good = servers.how_many_are_good(&during) + after.len();
        assert_eq!(servers.sessions(&after[0]), good, "a login is there whole or gone whole");
        assert_eq!(Call::post("/logout_all").bearer(&after[0]).send(servers.number(0)).status, 204);
    }
}

/// 32 rotations of one token, through all servers: all get the same new token, and it is still one session.
fn rotations_at_once_agree<S: TokenStore>(store: impl Fn() -> S, rounds: usize) {
    let servers = Servers::start(store, None);
    for round in 0..rounds {
        let old = servers.login(round);
        let replies = servers.at_once(32, |_| Call::post("/rotate").bearer(&old));
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
        let new = tokens(&replies);
        let secrets: BTreeSet<String> = new.iter().map(|token| claim(token, "jti")).collect();
        assert_eq!(secrets.len(), 1, "one rotation took place, and every reply carries its secret");
        assert!(!secrets.contains(&claim(&old, "jti")));
        assert!(servers.is_good(&old), "the old token is good for a moment");
        assert!(servers.is_good(&new[31]), "the new one is good");
        assert_eq!(servers.sessions(&new[0]), 1, "it is the same session");
        assert_eq!(Call::post("/logout").bearer(&new[0]).send(servers.number(round + 1)).status, 204);
        assert!(!servers.is_good(&new[1]), "what one server ends, none lets in");
        assert!(!servers.is_good(&old), "the old token has ended with its session");
    }
}

/// A claim of the token, as JSON.
fn claim(token: &str, name: &str) -> String {
    let payload = token.split('.').nth(1).unwrap();
    let payload: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap();
    payload[name].to_string()
}

macro_rules! on_each_store {
    ($($module:ident if $cfg:ident, $variable:literal: $open:expr, $rounds:literal;)*) => {
        $(
            mod $module {
                use super::*;

                #[test]
                #[cfg_attr(not($cfg), ignore = concat!($variable, " is not set"))]
                fn a_limit_holds_over_all_servers() {
                    let database = $open;
                    super::a_limit_holds_over_all_servers(|| database.store());
                }

                #[test]
                #[cfg_attr(not($cfg), ignore = concat!($variable, " is not set"))]
                fn one_login_for_each_device() {
                    let database = $open;
                    super::one_login_for_each_device(|| database.store());
                }

                #[test]
                #[cfg_attr(not($cfg), ignore = concat!($variable, " is not set"))]
                fn logout_all_meets_logins() {
                    let database = $open;
                    super::logout_all_meets_logins(|| database.store(), $rounds);
                }

                #[test]
                #[cfg_attr(not($cfg), ignore = concat!($variable, " is not set"))]
                fn rotations_at_once_agree() {
                    let database = $open;
                    super::rotations_at_once_agree(|| database.store(), $rounds);
                }
            }
        )*
    };
}

on_each_store! {
    postgres if knox_postgres, "KNOX_TEST_POSTGRES_URL": TestDatabase::postgres(), 8;
    mysql if knox_mysql, "KNOX_TEST_MYSQL_URL": TestDatabase::mysql(), 2;
    redis if knox_redis, "KNOX_TEST_REDIS_URL": TestKeys::new(), 2;
}
