//! The real drf-jwt-knox, on Knox 5 and on Knox 4, and a server of ours on one SQLite database with Knox's own table:
//! each takes the other's tokens.
//!
//! All of this is on the clock of the system, since Django knows no other.

#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, thread};

use async_trait::async_trait;
use base64ct::{Base64UrlUnpadded, Encoding};
use example_store_django::DjangoStore;
use jiff::Timestamp;
use jwt_knox::{HashAlgorithm, Knox, KnoxBuilder, NewSession, SessionLimit, SigningKey, Subject, TokenFormat};
use jwt_knox_http::{Credentials, KnoxHttp, Login, LoginError};
use jwt_knox_tests::{
    Call, Framework, Server, forge,
    interop::{DjangoSite, KnoxVersion, drf_jwt_knox_token as token},
    world::{KEY, connect, on_another_thread, temporary_file},
};
use jwt_simple::prelude::{HS512Key, MACLike};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, Statement};
use serde_json::{Value, json};

/// Both servers, and what they share.
struct Pair {
    version: KnoxVersion,
    django: DjangoSite,
    ours: Server,
    knox: Knox,
    database: DatabaseConnection,
}

impl Pair {
    /// One on each version of Knox.
    fn all() -> impl Iterator<Item = Self> {
        Self::all_with(|builder| builder, &[])
    }

    /// The same, with settings of ours and of Django's.
    fn all_with(core: fn(KnoxBuilder) -> KnoxBuilder, settings: &'static [(&str, &str)]) -> impl Iterator<Item = Self> {
        [KnoxVersion::Five, KnoxVersion::Four]
            .into_iter()
            .map(move |version| Self::start(version, profile(version), core, settings))
    }

    fn start(
        version: KnoxVersion,
        (format, hash): (TokenFormat, HashAlgorithm),
        core: fn(KnoxBuilder) -> KnoxBuilder,
        settings: &[(&str, &str)],
    ) -> Self {
        let path = temporary_file();
        let key = ("JWT_SECRET_KEY", std::str::from_utf8(&KEY).unwrap());
        // Django first: it makes the tables.
        let django = DjangoSite::start(version, &path, &[&[key], settings].concat());
        let database = on_another_thread(async move { connect(&path).await });
        let store = DjangoStore::new(database.clone(), hash);
        let builder = Knox::builder(SigningKey::hs256(KEY).unwrap())
            .token_format(format)
            .store(store.clone())
            .subject_check(store);
        let knox = core(builder).build().unwrap();
        let http = KnoxHttp::builder(knox.clone())
            .login(Passwords)
            .token_response(|issued| json!({"token": format!("Bearer {}", issued.token.expose())}))
            .build()
            .unwrap();
        Self { version, django, ours: Server::start(Framework::Axum, http), knox, database }
    }

    /// Django's address and ours.
    fn both(&self) -> [SocketAddr; 2] {
        [self.django.address, self.ours.address]
    }

    /// What each of the two says of a token: Django first.
    fn verify(&self, token: &str) -> [u16; 2] {
        self.both().map(|address| post("/verify", token).send(address).status)
    }

    fn execute(&self, sql: &str) {
        let (database, sql) = (self.database.clone(), sql.to_owned());
        on_another_thread(async move { database.execute_unprepared(&sql).await.unwrap() });
    }

    /// The number of rows in Knox's table.
    fn logins(&self) -> i64 {
        let database = self.database.clone();
        let count = Statement::from_string(DatabaseBackend::Sqlite, "SELECT count(*) FROM knox_authtoken");
        let row = on_another_thread(async move { database.query_one_raw(count).await.unwrap().unwrap() });
        row.try_get_by_index(0).unwrap()
    }
}

/// How we have to be set up beside that version of Knox.
fn profile(version: KnoxVersion) -> (TokenFormat, HashAlgorithm) {
    match version {
        KnoxVersion::Five => (TokenFormat::drf_jwt_knox().without_session_id(), HashAlgorithm::Sha512),
        KnoxVersion::Four => (TokenFormat::drf_jwt_knox_4().without_session_id(), HashAlgorithm::Sha512OfHex),
    }
}

/// Everybody's password is the one that alice has at Django; only bob has his own there.
#[derive(Debug)]
struct Passwords;

#[async_trait]
impl Login for Passwords {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        match (credentials.username(), credentials.password()) {
            ("bob", "builder") => {}
            (name, "wonderland") if name != "bob" => {}
            _ => return Err(LoginError::InvalidCredentials),
        }
        let subject = Subject::new(credentials.username()).map_err(|_| LoginError::InvalidCredentials)?;
        Ok(NewSession::new(subject))
    }
}

const GOOD: [u16; 2] = [204, 204];
const REJECTED: [u16; 2] = [401, 401];

fn post(route: &str, token: &str) -> Call {
    Call::post(route).bearer(token)
}

fn log_in(address: SocketAddr) -> String {
    token(&Call::login("alice", "wonderland").send(address))
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_login_at_one_is_good_at_the_other_until_it_is_ended_at_either() {
    for pair in Pair::all() {
        let [django, ours] = pair.both();
        let claims = forge::claims(&log_in(django));
        assert_eq!(names(&claims), ["iat", "jti", "username"]);
        let claims = forge::claims(&log_in(ours));
        assert_eq!(names(&claims), ["exp", "iat", "jti", "username"]);
        assert_eq!(claims["jti"].as_str().unwrap().len(), 64);

        for at in pair.both() {
            for there in pair.both() {
                let (token, other) = (log_in(at), log_in(at));
                assert_eq!(pair.verify(&token), GOOD);
                assert_eq!(post("/logout", &token).send(there).status, 204);
                assert_eq!(pair.verify(&token), REJECTED);
                assert_eq!(pair.verify(&other), GOOD);
            }
        }
        let wrong = Call::login("alice", "builder");
        assert_eq!(pair.both().map(|address| wrong.send(address).status), REJECTED);
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn other_logins_are_ended_on_both_sides() {
    for pair in Pair::all() {
        let bob = token(&Call::login("bob", "builder").send(pair.django.address));
        for at in pair.both() {
            let [one, two, three] = [pair.django.address, pair.ours.address, at].map(log_in);
            let reply = post("/logout_other", &three).send(at);
            assert_eq!((reply.status, reply.json()), (200, json!({"deleted_sessions": 2})));
            assert_eq!([pair.verify(&one), pair.verify(&two), pair.verify(&three)], [REJECTED, REJECTED, GOOD]);

            let [one, two] = pair.both().map(log_in);
            assert_eq!(post("/logout_all", &three).send(at).status, 204);
            assert_eq!([&one, &two, &three].map(|token| pair.verify(token)), [REJECTED; 3]);
        }
        assert_eq!(pair.verify(&bob), GOOD);
        assert_eq!(pair.logins(), 1);
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn our_list_of_logins_has_those_of_django() {
    for pair in Pair::all() {
        let [theirs, ours] = pair.both().map(log_in);
        for (token, current) in [(&theirs, [false, true]), (&ours, [true, false])] {
            let sessions = Call::get("/sessions").bearer(token).send(pair.ours.address).json();
            let [newest, oldest] = [&sessions[0], &sessions[1]];
            assert_eq!([newest["current"].as_bool(), oldest["current"].as_bool()], current.map(Some));
            assert_eq!((&newest["label"], &oldest["expires_at"]), (&Value::Null, &Value::Null));
            assert_eq!(sessions.as_array().unwrap().len(), 2);
        }
        let sessions = Call::get("/sessions").bearer(&ours).send(pair.ours.address).json();
        let id = sessions[1]["id"].as_str().unwrap();
        let end = Call::new("DELETE", &format!("/sessions/{id}")).bearer(&ours);
        assert_eq!(end.send(pair.ours.address).status, 204);
        assert_eq!([pair.verify(&theirs), pair.verify(&ours)], [REJECTED, GOOD]);
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_rotated_token_is_good_at_django_and_the_old_one_is_dead() {
    for pair in Pair::all() {
        for at in pair.both() {
            let old = log_in(at);
            let new = token(&post("/rotate", &old).send(pair.ours.address));
            assert_eq!([pair.verify(&old), pair.verify(&new)], [REJECTED, GOOD]);
            // A login of Django's has no end, and gets none.
            assert_eq!(forge::claims(&new)["exp"], forge::claims(&old)["exp"]);
            assert_eq!(post("/logout", &new).send(pair.django.address).status, 204);
            assert_eq!(pair.verify(&new), REJECTED);
            assert_eq!(post("/rotate", &new).send(pair.ours.address).status, 401);
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn what_happens_to_a_user_happens_on_both_sides() {
    for pair in Pair::all() {
        let tokens = pair.both().map(log_in);
        let verify = || [pair.verify(&tokens[0]), pair.verify(&tokens[1])];
        let alice = Call::login("alice", "wonderland");
        let log_in_at_both = || pair.both().map(|address| alice.send(address).status);

        pair.execute("UPDATE auth_user SET is_active = 0 WHERE username = 'alice'");
        assert_eq!([verify(), [log_in_at_both(); 2]], [[REJECTED; 2]; 2]);
        pair.execute("UPDATE auth_user SET is_active = 1 WHERE username = 'alice'");
        assert_eq!(verify(), [GOOD; 2]);

        // A user who is renamed has lost the token, and whoever gets the name does not get the login.
        pair.execute("UPDATE auth_user SET username = 'alicé 😀' WHERE username = 'alice'");
        assert_eq!(verify(), [REJECTED; 2]);
        pair.execute("UPDATE auth_user SET username = 'alice' WHERE username = 'bob'");
        assert_eq!(verify(), [REJECTED; 2]);
        let renamed = Call::login("alicé 😀", "wonderland");
        for at in pair.both() {
            let token = token(&renamed.send(at));
            assert_eq!(pair.verify(&token), GOOD);
            // The logins from before hang on the user, not on the name.
            let before = forge::claims(&tokens[0])["jti"].clone();
            assert_eq!(pair.verify(&forge::with_claims(&token, &json!({"jti": before}))), GOOD);
        }

        pair.execute("DELETE FROM knox_authtoken; DELETE FROM auth_user WHERE username = 'alicé 😀'");
        assert_eq!(verify(), [REJECTED; 2]);
        assert_eq!(pair.both().map(|address| renamed.send(address).status), REJECTED);
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn an_end_in_the_token_or_in_the_row_holds_on_both_sides() {
    for pair in Pair::all() {
        let expire = || pair.execute("UPDATE knox_authtoken SET expiry = '2020-01-01 00:00:00.000001'");
        // Ours is asked first: Django deletes what is over when it reads.
        let verify =
            |token: &str| [pair.ours.address, pair.django.address].map(|at| post("/verify", token).send(at).status);
        for at in pair.both() {
            let token = log_in(at);
            expire();
            assert_eq!(verify(&token), REJECTED);
            assert_eq!(pair.logins(), 0);
            // The row may be gone when ours reads it again, or ends it.
            assert_eq!(post("/logout", &token).send(pair.ours.address).status, 401);

            let token = log_in(at);
            let over = forge::with_claims(&token, &json!({"exp": Timestamp::now().as_second() - 1}));
            assert_eq!([pair.verify(&token), pair.verify(&over)], [GOOD, REJECTED]);
            expire();
            let knox = pair.knox.clone();
            assert_eq!(on_another_thread(async move { knox.purge_expired().await.unwrap() }), 1);
            assert_eq!(pair.logins(), 0);
        }
    }
}

/// Knox's own login sets an end with a fraction of a second.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_secret_of_knox_in_a_token_of_ours_is_a_login() {
    for pair in Pair::all() {
        let (old, end) = pair.django.log_in_at_knox("alice", "wonderland");
        assert_eq!(pair.verify(&old), GOOD);
        let new = token(&post("/rotate", &old).send(pair.ours.address));
        assert_eq!([pair.verify(&old), pair.verify(&new)], [REJECTED, GOOD]);
        assert_eq!(forge::claims(&new)["exp"], end.as_second());
        let session = Call::get("/sessions").bearer(&new).send(pair.ours.address).json();
        assert_eq!(session[0]["expires_at"].as_str().unwrap().parse::<Timestamp>().unwrap(), end);

        // The other way, a secret of ours alone is no token of Knox's: its `token_key` is empty.
        let secret = forge::claims(&new)["jti"].as_str().unwrap().to_owned();
        let logout = Call::post("/knox/logout/").header("Authorization", format!("Token {secret}"));
        assert_eq!(logout.send(pair.django.address).status, 401);
        assert_eq!(pair.verify(&new), GOOD);
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn forged_tokens_are_rejected_on_both_sides() {
    for pair in Pair::all() {
        let bob = token(&Call::login("bob", "builder").send(pair.django.address));
        for at in pair.both() {
            let honest = log_in(at);
            let secret = forge::claims(&honest)["jti"].as_str().unwrap().to_owned();
            let now = Timestamp::now().as_second();
            let mut forged: Vec<String> = [
                json!({"username": "bob"}),
                json!({"username": "Alice"}),
                json!({"username": "alice "}),
                json!({"username": "nobody"}),
                json!({"username": "x".repeat(300)}),
                json!({"username": ""}),
                json!({"username": null}),
                json!({"username": null, "sub": "alice"}),
                json!({"jti": null}),
                json!({"jti": ""}),
                json!({"jti": 1}),
                json!({"jti": "0".repeat(64)}),
                json!({"jti": secret[1..]}),
                json!({"jti": forge::claims(&bob)["jti"]}),
                json!({"exp": now - 1}),
                json!({"nbf": now + 3600}),
                json!({"aud": "api"}),
                json!({"sub": 1}),
            ]
            .iter()
            // With Knox 4, a secret that is no hexadecimal is an error 500 of Django's. It has to be rejected here
            // only.
            .filter(|change| pair.version == KnoxVersion::Five || change["jti"] != json!(secret[1..]))
            .map(|change| forge::with_claims(&honest, change))
            .collect();
            let payload = forge::claims(&honest).to_string();
            forged.push(forge::token(r#"{"alg":"HS256","crit":["x"],"x":1}"#, &payload));
            forged.push(forge::token(r#"{"alg":"HS512"}"#, &payload));
            forged.push(format!("{}.", forge::unsigned(r#"{"alg":"none"}"#, &payload)));
            forged.push(format!("{}.", forge::unsigned(forge::HEADER, &payload)));
            let other_alg = forge::unsigned(r#"{"alg":"HS512","typ":"JWT"}"#, &payload);
            let tag = HS512Key::from_bytes(&KEY).authentication_tag(other_alg.as_bytes());
            forged.push(format!("{other_alg}.{}", Base64UrlUnpadded::encode_string(&tag)));
            let (_, tag) = honest.rsplit_once('.').unwrap();
            let later = json!({"username": "alice", "iat": now, "jti": secret, "admin": true});
            forged.push(format!("{}.{tag}", forge::unsigned(forge::HEADER, &later.to_string())));
            for token in &forged {
                assert_eq!(pair.verify(token), REJECTED, "{:?} {}", pair.version, forge::claims(token));
            }

            // Knox 4 hashes what the hexadecimal stands for, so its case does not matter.
            let upper = forge::with_claims(&honest, &json!({"jti": secret.to_uppercase()}));
            let expected = if pair.version == KnoxVersion::Four { GOOD } else { REJECTED };
            assert_eq!(pair.verify(&upper), expected);
            // The forger does work.
            assert_eq!(pair.verify(&forge::with_claims(&honest, &json!({"admin": true}))), GOOD);
        }
    }
}

/// With another key nothing is good, whatever stands in the table.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_token_of_another_key_is_rejected_on_both_sides() {
    for pair in Pair::all() {
        let (format, hash) = profile(pair.version);
        let store = DjangoStore::new(pair.database.clone(), hash);
        let key = SigningKey::hs256("another key of 32 bytes, or more!").unwrap();
        let knox = Knox::builder(key).token_format(format).store(store).build().unwrap();
        let alice = Subject::new("alice").unwrap();
        let issued = on_another_thread(async move { knox.issue(alice).await.unwrap() });
        assert_eq!(pair.logins(), 1);
        assert_eq!(pair.verify(issued.token.expose()), REJECTED);
        // Under the right key, that login is one.
        assert_eq!(pair.verify(&forge::with_claims(issued.token.expose(), &json!({}))), GOOD);
    }
}

/// Set up for the other version of Knox, the two do not let each other's tokens in.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn the_wrong_version_of_knox_lets_nobody_in() {
    let wrong = profile(KnoxVersion::Four);
    let pair = Pair::start(KnoxVersion::Five, wrong, |builder| builder, &[]);
    let [theirs, ours] = pair.both().map(log_in);
    assert_eq!([pair.verify(&theirs), pair.verify(&ours)], [[204, 401], [401, 204]]);
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn issuer_and_audience_are_those_of_both() {
    const SETTINGS: &[(&str, &str)] = &[("JWT_ISSUER", "https://auth.example.com"), ("JWT_AUDIENCE", "api")];
    let with_both = |builder: KnoxBuilder| builder.issuer("https://auth.example.com").audience("api");
    for pair in Pair::all_with(with_both, SETTINGS) {
        for at in pair.both() {
            let token = log_in(at);
            assert_eq!(pair.verify(&token), GOOD);
            for change in [
                json!({"iss": null}),
                json!({"aud": null}),
                json!({"iss": "https://auth.example.com/"}),
                json!({"aud": "other"}),
                json!({"aud": ["other"]}),
            ] {
                assert_eq!(pair.verify(&forge::with_claims(&token, &change)), REJECTED, "{change}");
            }
            assert_eq!(pair.verify(&forge::with_claims(&token, &json!({"aud": ["other", "api"]}))), GOOD);
        }
    }
}

/// What `docs/drf-jwt-knox.md` says of such tokens.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn some_tokens_are_good_at_one_side_only() {
    for pair in Pair::all() {
        let honest = log_in(pair.django.address);
        let payload = forge::claims(&honest).to_string();
        for header in [r#"{"alg":"HS256","typ":"at+jwt"}"#, r#"{"alg":"HS256","typ":"JWT","kid":"unknown"}"#] {
            assert_eq!(pair.verify(&forge::token(header, &payload)), [204, 401], "{header}");
        }
        for change in [
            json!({"iss": "anybody"}),
            json!({"aud": []}),
            json!({"exp": "9999999999"}),
            json!({"scope": "admin"}),
            json!({"jti_alg": "sha256"}),
        ] {
            assert_eq!(pair.verify(&forge::with_claims(&honest, &change)), [204, 401], "{change}");
        }
        let ahead = json!({"iat": Timestamp::now().as_second() + 3600});
        assert_eq!(pair.verify(&forge::with_claims(&honest, &ahead)), [401, 204]);
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn our_limit_counts_the_logins_of_django() {
    for pair in Pair::all_with(|builder| builder.limit(SessionLimit::deny(2).unwrap()), &[]) {
        let [django, ours] = pair.both();
        let (first, _) = (log_in(django), log_in(ours));
        assert_eq!(Call::login("alice", "wonderland").send(ours).status, 403);
        // Django does not apply it.
        log_in(django);
        assert_eq!(pair.logins(), 3);
        assert_eq!(pair.verify(&first), GOOD);
    }
    for pair in Pair::all_with(|builder| builder.limit(SessionLimit::evict_oldest(2).unwrap()), &[]) {
        let [first, second] = [log_in(pair.django.address), log_in(pair.ours.address)];
        let third = log_in(pair.ours.address);
        assert_eq!([&first, &second, &third].map(|token| pair.verify(token)), [REJECTED, GOOD, GOOD]);
    }
}

/// The limit is never reached; it makes a login read before it writes.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn many_logins_and_logouts_at_once_fail_nowhere() {
    for pair in Pair::all_with(|builder| builder.limit(SessionLimit::deny(1000).unwrap()), &[]) {
        let [django, ours] = pair.both();
        thread::scope(|scope| {
            for (at, there) in [(django, ours), (ours, django), (django, django), (ours, ours)].repeat(2) {
                let pair = &pair;
                scope.spawn(move || {
                    for round in 0..12 {
                        let mut token = log_in(at);
                        assert_eq!(pair.verify(&token), GOOD);
                        if round % 3 == 0 {
                            token = self::token(&post("/rotate", &token).send(ours));
                        }
                        assert_eq!(post("/logout", &token).send(there).status, 204);
                        assert_eq!(pair.verify(&token), REJECTED);
                    }
                });
            }
        });
        assert_eq!(pair.logins(), 0);
    }
}
