//! Moving from the real drf-jwt-knox to a table of ours, by the SQL in `docs/drf-jwt-knox.md`: whoever has logged in at
//! Django stays logged in, and what has ended stays so.

#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use jwt_knox::{
    Knox, KnoxBuilder, ManualClock, NewSession, SessionLimit, SessionRecord, SigningKey, StoreError, Subject,
    SubjectCheck, SubjectStatus, TokenFormat,
};
use jwt_knox_http::{Credentials, KnoxHttp, Login, LoginError};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore, entity};
use jwt_knox_tests::{
    Call, Framework, Reply, Server,
    databases::{TestDatabase, wait_until},
    forge,
    interop::{DjangoSite, KnoxVersion, drf_jwt_knox_token as token},
    world::{KEY, connect, on_another_thread, temporary_file},
};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, EntityTrait, QueryResult, Statement, TransactionTrait,
};
use serde_json::{Value, json};

/// Each rule on each database.
macro_rules! on_each_database {
    ($($test:ident is $rule:ident of $version:ident)*) => {
        mod on_sqlite {
            $(
                #[test]
                #[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
                fn $test() {
                    super::$rule(&super::Site::start(super::KnoxVersion::$version, super::Database::sqlite()));
                }
            )*
        }
        mod on_postgres {
            $(
                #[test]
                #[cfg_attr(
                    not(all(knox_interop, knox_postgres)),
                    ignore = "tests/interop/install.sh has not been run, or KNOX_TEST_POSTGRES_URL is not set"
                )]
                fn $test() {
                    super::$rule(&super::Site::start(super::KnoxVersion::$version, super::Database::postgres()));
                }
            )*
        }
    };
}

on_each_database! {
    nobody_is_logged_out is nobody_is_logged_out of Five
    nobody_is_logged_out_from_knox_4 is nobody_is_logged_out of Four
    moved_sessions_rotate_and_end_for_good is rotations_and_ends_hold of Five
    moved_sessions_of_knox_4_rotate_and_end_for_good is rotations_and_ends_hold of Four
    moved_sessions_count_in_limits is limits_and_scopes_hold of Five
    some_sessions_are_left_behind is some_sessions_are_left_behind of Five
    logins_at_django_may_go_on_while_sessions_move is logins_at_django_may_go_on of Five
}

fn nobody_is_logged_out(site: &Site) {
    let alice = [site.log_in("alice"), site.log_in("alice")];
    // Dates of Django's with all digits of a second, with some, and with none.
    site.execute("UPDATE knox_authtoken SET created = '2020-01-02 03:04:05'");
    let older = site.log_in("alice");
    site.execute("UPDATE knox_authtoken SET created = '2021-12-31 23:59:59.120000' WHERE created > '2022-01-01'");
    let (expiring, expiry) = site.django.log_in_at_knox("alice", "wonderland");
    let bob = site.log_in("bob");
    let before = site.rows_of_django();

    site.move_sessions();
    let here = site.here(|builder| builder);
    let tokens = [&alice[0], &alice[1], &older, &expiring, &bob];
    assert_eq!(tokens.map(|token| here.verify(token)), [204; 5]);
    assert_eq!(tokens.map(|token| site.status_at_django("/verify", token)), [401; 5]);
    assert_eq!(site.rows_of_django(), []);
    let here_now: Vec<Row> = site.rows_of_ours().iter().map(Row::of_ours).collect();
    assert_eq!(here_now, before);

    let sessions = here.sessions(&expiring);
    assert_eq!(sessions.len(), 4);
    assert_eq!(sessions[0]["expires_at"].as_str().unwrap().parse::<Timestamp>().unwrap(), expiry);
    let created = ["2021-12-31T23:59:59.12Z", "2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z"];
    for (session, created) in sessions[1..].iter().zip(created) {
        assert_eq!((session["created_at"].as_str(), &session["expires_at"]), (Some(created), &Value::Null));
    }
    assert_eq!(
        sessions.iter().map(|session| session["current"] == true).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    assert_eq!(here.sessions(&bob).len(), 1);

    let before = site.rows_of_ours();
    site.move_sessions();
    assert_eq!(site.rows_of_ours(), before, "a second run changes nothing");

    // Whoever logs in at Django in the meantime is moved by the next run.
    let late = site.log_in("alice");
    assert_eq!(here.verify(&late), 401);
    site.move_sessions();
    assert_eq!(tokens.into_iter().chain([&late]).map(|token| here.verify(token)).collect::<Vec<_>>(), [204; 6]);
}

fn rotations_and_ends_hold(site: &Site) {
    let [rotated, ended, other, gone] = [(); 4].map(|()| site.log_in("alice"));
    assert_eq!(site.status_at_django("/logout", &gone), 204);
    site.move_sessions();
    let here = site.here(|builder| builder);
    assert_eq!(here.verify(&gone), 401);

    let before = here.current(&rotated);
    let new = token(&here.post("/rotate", &rotated));
    let claims = forge::claims(&new);
    assert_eq!(claims.as_object().unwrap().keys().collect::<Vec<_>>(), ["iat", "jti", "sid", "username"]);
    assert_eq!((&claims["username"], &claims["sid"]), (&json!("alice"), &before["id"]));
    assert_eq!([&rotated, &new].map(|token| here.verify(token)), [204; 2]);
    // The answer was lost, and the client asks again.
    assert_eq!(forge::claims(&token(&here.post("/rotate", &rotated)))["jti"], claims["jti"]);
    for token in [&rotated, &new] {
        let now = here.current(token);
        assert_eq!((&now["id"], &now["created_at"]), (&before["id"], &before["created_at"]));
    }
    assert_eq!(here.sessions(&new).len(), 3);
    site.move_sessions();
    assert_eq!([&rotated, &new].map(|token| here.verify(token)), [204; 2]);

    // After the grace, the token of Django's is reused.
    here.clock.advance(Duration::from_secs(10));
    assert_eq!([&new, &rotated, &new].map(|token| here.verify(token)), [204, 401, 401]);
    assert_eq!(here.post("/logout", &ended).status, 204);
    site.move_sessions();
    assert_eq!([&rotated, &new, &ended, &other].map(|token| here.verify(token)), [401, 401, 401, 204]);

    let own = here.log_in("alice");
    let id = here.current(&other)["id"].as_str().unwrap().to_owned();
    assert_ne!(here.current(&own)["id"], id);
    assert_eq!(here.sessions(&own).len(), 2);
    let end = Call::new("DELETE", &format!("/sessions/{id}")).bearer(&own);
    assert_eq!([end.send(here.address).status, end.send(here.address).status], [204, 404]);
    assert_eq!([&other, &own].map(|token| here.verify(token)), [401, 204]);

    let late = site.log_in("alice");
    site.move_sessions();
    assert_eq!(here.post("/logout_other", &own).json(), json!({"deleted_sessions": 1}));
    assert_eq!([&late, &own].map(|token| here.verify(token)), [401, 204]);
    assert_eq!(here.post("/logout_all", &own).status, 204);
    site.move_sessions();
    assert_eq!([&rotated, &new, &ended, &other, &late, &own].map(|token| here.verify(token)), [401; 6]);
    assert_eq!(site.rows_of_ours(), []);
}

fn limits_and_scopes_hold(site: &Site) {
    let alice = [(); 3].map(|()| site.log_in("alice"));
    let bob = site.log_in("bob");
    site.move_sessions();
    let denying = site.here(|builder| builder.limit(SessionLimit::deny(3).unwrap()));
    assert_eq!(Call::login("alice", "wonderland").send(denying.address).status, 403);
    let evicting = site.here(|builder| builder.limit(SessionLimit::evict_oldest(2).unwrap()));
    let own = evicting.log_in("alice");
    let [first, second, third] = &alice;
    assert_eq!([first, second, third, &own].map(|token| denying.verify(token)), [401, 401, 204, 204]);

    // A token of Django's is its owner's. One from here with a scope is not.
    let narrow = denying.log_in("bob");
    assert_eq!(forge::claims(&narrow)["scope"], "read");
    let statuses = |route| [&bob, &narrow].map(|token| Call::get(route).bearer(token).send(denying.address).status);
    assert_eq!([statuses("/verify"), statuses("/sessions")], [[204, 204], [200, 403]]);
    let id = |token: &str| denying.current(token)["id"].clone();
    for change in [
        json!({"scope": "read"}),
        json!({"scope": ""}),
        json!({"username": "bob"}),
        json!({"sid": id(&own)}),
        json!({"sid": id(&own), "jti": forge::claims(third)["jti"]}),
        json!({"jti": forge::claims(&bob)["jti"]}),
        json!({"jti": forge::claims(first)["jti"]}),
    ] {
        assert_eq!(denying.verify(&forge::with_claims(third, &change)), 401, "{change}");
    }
    // With its own id, or under the key alone, it is the same session.
    assert_eq!(denying.verify(&forge::with_claims(third, &json!({"sid": id(third)}))), 204);
    assert_eq!(denying.verify(&forge::with_claims(third, &json!({"role": "admin"}))), 204);
    assert_eq!(denying.verify(&forge::with_claims(&own, &json!({"role": "admin"}))), 401);
}

fn some_sessions_are_left_behind(site: &Site) {
    let inactive = site.log_in("bob");
    site.execute("UPDATE auth_user SET is_active = false WHERE username = 'bob'");
    let superseded = site.log_in("alice");
    let here = site.here(|builder| builder);
    assert_eq!(here.revoke_all("alice"), 0);
    let expired = site.log_in("alice");
    let last = "created = (SELECT max(created) FROM knox_authtoken)";
    site.execute(&format!("UPDATE knox_authtoken SET expiry = '2020-01-01 00:00:00.000001' WHERE {last}"));
    let active = site.log_in("alice");
    let all = [&expired, &inactive, &superseded, &active];

    for _ in 0..2 {
        site.move_sessions();
        assert_eq!(all.map(|token| here.verify(token)), [401, 401, 401, 204]);
        assert_eq!((site.rows_of_ours().len(), site.rows_of_django().len()), (1, 3));
    }
    site.execute("UPDATE auth_user SET is_active = true");
    site.move_sessions();
    assert_eq!(all.map(|token| here.verify(token)), [401, 204, 401, 204]);
    site.execute("UPDATE auth_user SET is_active = false");
    assert_eq!(all.map(|token| here.verify(token)), [401; 4]);
}

/// A session is in one table or in the other, at every time.
fn logins_at_django_may_go_on(site: &Site) {
    let here = site.here(|builder| builder);
    let is_over = AtomicBool::new(false);
    let tokens = thread::scope(|scope| {
        let moving = scope.spawn(|| {
            while !is_over.load(SeqCst) {
                site.move_sessions();
            }
        });
        let log_in = || (0..20).map(|_| site.log_in("alice")).collect::<Vec<_>>();
        let clients = [(); 3].map(|()| scope.spawn(log_in));
        let tokens = clients.map(thread::ScopedJoinHandle::join);
        is_over.store(true, SeqCst);
        moving.join().unwrap();
        tokens.map(Result::unwrap).concat()
    });
    site.move_sessions();
    assert_eq!((site.rows_of_django().len(), site.rows_of_ours().len()), (0, 60));
    for token in tokens {
        assert_eq!(here.verify(&token), 204);
    }
}

/// Else a session that moves in the middle of a revocation would be overlooked by it. SQLite lets nobody write in the
/// meantime.
#[test]
#[cfg_attr(
    not(all(knox_interop, knox_postgres)),
    ignore = "tests/interop/install.sh has not been run, or KNOX_TEST_POSTGRES_URL is not set"
)]
fn revoking_all_waits_until_the_sessions_have_moved() {
    let site = Site::start(KnoxVersion::Five, Database::postgres());
    let here = site.here(|builder| builder);
    let token = site.log_in("alice");
    let script = site.script();
    let statements = script.strip_prefix("BEGIN;").unwrap().strip_suffix("COMMIT;\n").unwrap().to_owned();
    let connection = site.connection.clone();
    let moving = on_another_thread(async move {
        let transaction = connection.begin().await.unwrap();
        transaction.execute_unprepared(&statements).await.unwrap();
        transaction
    });
    thread::scope(|scope| {
        let revoking = scope.spawn(|| here.revoke_all("alice"));
        wait_until("the revocation waits", || {
            let waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            revoking.is_finished() || site.count(waiting) > 0
        });
        on_another_thread(async move { moving.commit().await.unwrap() });
        assert_eq!(revoking.join().unwrap(), 1);
    });
    assert_eq!(here.verify(&token), 401);
    site.move_sessions();
    assert_eq!(here.verify(&token), 401);
}

/// Where Django has its tables, and we have ours.
enum Database {
    Sqlite(PathBuf),
    Postgres(TestDatabase),
}

impl Database {
    fn sqlite() -> Self {
        Self::Sqlite(temporary_file())
    }

    fn postgres() -> Self {
        Self::Postgres(TestDatabase::postgres())
    }

    fn connect(&self) -> DatabaseConnection {
        match self {
            Self::Sqlite(path) => {
                let path = path.clone();
                on_another_thread(async move { connect(&path).await })
            }
            Self::Postgres(database) => database.connect(4),
        }
    }
}

/// A Django site with drf-jwt-knox, and a table of ours beside its own.
struct Site {
    version: KnoxVersion,
    django: DjangoSite,
    connection: DatabaseConnection,
    database: Database,
}

impl Site {
    fn start(version: KnoxVersion, database: Database) -> Self {
        let settings = [("JWT_SECRET_KEY", std::str::from_utf8(&KEY).unwrap())];
        let django = match &database {
            Database::Sqlite(path) => DjangoSite::start(version, path, &settings),
            Database::Postgres(database) => DjangoSite::start(version, database.url(), &settings),
        };
        let connection = database.connect();
        let migrated = connection.clone();
        on_another_thread(async move { Migrator::up(&migrated, None).await.unwrap() });
        Self { version, django, connection, database }
    }

    /// The script of the guide.
    fn script(&self) -> String {
        let page = include_str!("../../docs/drf-jwt-knox.md");
        let scripts: Vec<&str> = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let [sqlite, postgres] = scripts[..] else { panic!("there is one script for each database") };
        let script = match &self.database {
            Database::Sqlite(_) => sqlite,
            Database::Postgres(_) => postgres,
        };
        assert_eq!(script.matches("'sha512:'").count(), 1, "what the guide says is different with Knox 4");
        match self.version {
            KnoxVersion::Five => script.to_owned(),
            KnoxVersion::Four => script.replace("'sha512:'", "'sha512-of-hex:'"),
        }
    }

    /// Runs the script, as somebody does whose client of PostgreSQL is not in UTC.
    fn move_sessions(&self) {
        let zone = match &self.database {
            Database::Sqlite(_) => "",
            Database::Postgres(_) => "SET TIME ZONE 'Asia/Kolkata';",
        };
        let (connection, script) = (self.database.connect(), format!("{zone}{}", self.script()));
        on_another_thread(async move {
            connection.execute_unprepared(&script).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// A server of ours, set up as the guide says. Its clock stands still.
    fn here(&self, settings: fn(KnoxBuilder) -> KnoxBuilder) -> Here {
        let format = match self.version {
            KnoxVersion::Five => TokenFormat::drf_jwt_knox(),
            KnoxVersion::Four => TokenFormat::drf_jwt_knox_4(),
        };
        let clock = ManualClock::new(Timestamp::now());
        let builder = Knox::builder(SigningKey::hs256(KEY).unwrap())
            .token_format(format)
            .store(SeaOrmStore::new(self.connection.clone()))
            .subject_check(DjangoUsers(self.connection.clone()))
            .clock(clock.clone());
        let knox = settings(builder).build().unwrap();
        let http = KnoxHttp::builder(knox.clone()).login(Passwords).drf_jwt_knox_response().build().unwrap();
        Here { knox, clock, address: Server::start(Framework::Axum, http).address }
    }

    /// Logs in at Django.
    fn log_in(&self, username: &str) -> String {
        token(&Call::login(username, password(username)).send(self.django.address))
    }

    fn status_at_django(&self, route: &str, token: &str) -> u16 {
        Call::post(route).bearer(token).send(self.django.address).status
    }

    fn execute(&self, sql: &str) {
        let (connection, sql) = (self.connection.clone(), sql.to_owned());
        on_another_thread(async move { connection.execute_unprepared(&sql).await.unwrap() });
    }

    /// How many rows there are in what follows `SELECT count(*)`.
    fn count(&self, rows: &str) -> i64 {
        let connection = self.connection.clone();
        let query = Statement::from_string(connection.get_database_backend(), format!("SELECT count(*) {rows}"));
        let row = on_another_thread(async move { connection.query_one_raw(query).await.unwrap().unwrap() });
        row.try_get_by_index(0).unwrap()
    }

    /// The sessions in Django's table, by user and digest.
    fn rows_of_django(&self) -> Vec<Row> {
        let date = |column: &str| match self.connection.get_database_backend() {
            DatabaseBackend::Postgres => format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
            _ => column.to_owned(),
        };
        let (created, expiry) = (date("created"), date("expiry"));
        let query = format!(
            "SELECT username, digest, {created}, {expiry} FROM knox_authtoken JOIN auth_user ON auth_user.id = user_id"
        );
        let connection = self.connection.clone();
        let query = Statement::from_string(connection.get_database_backend(), query);
        let rows = on_another_thread(async move { connection.query_all_raw(query).await.unwrap() });
        let row = |row: &QueryResult| {
            let (subject, digest, created_at, expires_at) = row.try_get_many_by_index().unwrap();
            let (created_at, expires_at): (String, Option<String>) = (created_at, expires_at);
            Row { subject, digest, created_at: utc(created_at), expires_at: expires_at.map(utc) }
        };
        let mut rows: Vec<Row> = rows.iter().map(row).collect();
        rows.sort();
        rows
    }

    /// The sessions in our table, by subject and id.
    fn rows_of_ours(&self) -> Vec<entity::Model> {
        let connection = self.connection.clone();
        let mut rows = on_another_thread(async move { entity::Entity::find().all(&connection).await.unwrap() });
        rows.sort_by(|one, other| (&one.subject, &one.id).cmp(&(&other.subject, &other.id)));
        rows
    }
}

/// What both tables have of a session.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    subject: String,
    digest: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Row {
    fn of_ours(row: &entity::Model) -> Self {
        let (_, digest) = row.digest.split_once(':').unwrap();
        assert_eq!(row.id, digest[..32]);
        assert_eq!(row.absolute_expires_at, row.expires_at);
        Self {
            subject: row.subject.clone(),
            digest: digest.to_owned(),
            created_at: utc(row.created_at),
            expires_at: row.expires_at.map(utc),
        }
    }
}

fn utc(date: impl ToString) -> Timestamp {
    TimeZone::UTC.to_timestamp(date.to_string().parse::<DateTime>().unwrap()).unwrap()
}

/// A server of ours on our table.
struct Here {
    knox: Knox,
    clock: ManualClock,
    address: SocketAddr,
}

impl Here {
    fn post(&self, route: &str, token: &str) -> Reply {
        Call::post(route).bearer(token).send(self.address)
    }

    fn verify(&self, token: &str) -> u16 {
        self.post("/verify", token).status
    }

    fn log_in(&self, username: &str) -> String {
        token(&Call::login(username, password(username)).send(self.address))
    }

    fn sessions(&self, token: &str) -> Vec<Value> {
        let reply = Call::get("/sessions").bearer(token).send(self.address);
        reply.json().as_array().unwrap().clone()
    }

    /// The session of that token, as the list shows it.
    fn current(&self, token: &str) -> Value {
        self.sessions(token).into_iter().find(|session| session["current"] == true).unwrap()
    }

    fn revoke_all(&self, username: &str) -> u64 {
        let (knox, subject) = (self.knox.clone(), Subject::new(username).unwrap());
        on_another_thread(async move { knox.revoke_all(&subject).await.unwrap() })
    }
}

fn password(username: &str) -> &'static str {
    if username == "alice" { "wonderland" } else { "builder" }
}

/// The passwords that the users have at Django. Here, bob is confined to reading.
#[derive(Debug)]
struct Passwords;

#[async_trait]
impl Login for Passwords {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        let username = credentials.username();
        if credentials.password() != password(username) {
            return Err(LoginError::InvalidCredentials);
        }
        let session = NewSession::new(Subject::new(username)?);
        if username == "bob" { Ok(session.scopes(["read"])?) } else { Ok(session) }
    }
}

/// Django's users.
#[derive(Debug)]
struct DjangoUsers(DatabaseConnection);

#[async_trait]
impl SubjectCheck for DjangoUsers {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        let query = "SELECT is_active FROM auth_user WHERE username = $1";
        let query =
            Statement::from_sql_and_values(self.0.get_database_backend(), query, [session.subject.as_str().into()]);
        let user = self.0.query_one_raw(query).await.map_err(StoreError::new)?;
        Ok(match user.map(|user| user.try_get_by_index(0)).transpose().map_err(StoreError::new)? {
            Some(true) => SubjectStatus::Active,
            Some(false) => SubjectStatus::Inactive,
            None => SubjectStatus::Unknown,
        })
    }
}
