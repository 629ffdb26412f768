//! The store on Knox's table keeps what the table can keep, by the rules of the conformance kit, and rejects the rest.
//!
//! The tables are as Django makes them; `tests/tests/django.rs` runs the store beside Django itself.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use example_store_django::DjangoStore;
use jwt_knox::{
    HashAlgorithm, InsertOutcome, Knox, Lifetime, ManualClock, NewSession, Rotation, SessionId, SessionLimit,
    SessionRecord, SessionRef, SigningKey, StoreError, Subject, SubjectCheck, SubjectStatus, Timestamp, TokenDigest,
    TokenFormat, TokenStore, async_trait,
};
use jwt_knox_testkit::{Opener, for_each_rule, rules};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

const TABLES: &str = r#"
    CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "username" varchar(150) NOT NULL UNIQUE,
        "is_active" bool NOT NULL);
    CREATE TABLE "knox_authtoken" ("digest" varchar(128) NOT NULL PRIMARY KEY, "created" datetime NOT NULL,
        "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED,
        "expiry" datetime NULL, "token_key" varchar(25) NOT NULL);
    CREATE INDEX "knox_authtoken_user_id_e5a5d899" ON "knox_authtoken" ("user_id");
    CREATE INDEX "knox_authtoken_token_key_8f4f7d47" ON "knox_authtoken" ("token_key");
    INSERT INTO auth_user (username, is_active) VALUES ('alice', 1), ('bob', 1), ('carol', 0);
"#;

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(test);
}

async fn connect(path: &Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite:{}", path.display()));
    options.sqlx_logging(false).max_connections(8).acquire_timeout(Duration::from_secs(20));
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.create_if_missing(true).pragma("journal_mode", "WAL").busy_timeout(Duration::from_secs(20))
    });
    Database::connect(options).await.unwrap()
}

/// A file with Django's tables that no other test uses.
async fn new_database() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("django-{}-{}.sqlite", std::process::id(), NUMBER.fetch_add(1, Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // One that an earlier process of the same number has left.
    let _ = std::fs::remove_file(&path);
    connect(&path).await.execute_unprepared(TABLES).await.unwrap();
    path
}

/// The first value of the first row, as a string.
async fn value(database: &DatabaseConnection, sql: &str) -> Option<String> {
    let sql = sea_orm::Statement::from_string(sea_orm::DatabaseBackend::Sqlite, sql);
    database.query_one_raw(sql).await.unwrap().and_then(|row| row.try_get_by_index(0).unwrap())
}

/// The time `second` seconds after 2027-01-15 08:00:00.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Any session of a subject.
fn session_of(subject: &Subject) -> SessionRecord {
    SessionRecord::new(subject.clone(), format!("sha512:{}", "ab".repeat(64)).parse().unwrap(), Timestamp::UNIX_EPOCH)
}

fn alice() -> Subject {
    Subject::new("alice").unwrap()
}

fn session(subject: &str, hex: &str) -> SessionRecord {
    let digest = format!("sha512:{}", hex.repeat(64)).parse().unwrap();
    SessionRecord::new(Subject::new(subject).unwrap(), digest, at(0))
}

/// A rotation away from the present digest of the session.
fn rotation(session: &SessionRecord, hex: &str) -> Rotation {
    let previous = format!("{} {} {}", session.digest, "0".repeat(32), at(10).as_microsecond()).parse().unwrap();
    Rotation::new(format!("sha512:{}", hex.repeat(64)).parse().unwrap(), previous, at(0))
}

mod kit {
    use super::*;

    /// The store as the kit wants it: with a user for each subject, and for records that have no absolute expiry.
    #[derive(Debug)]
    struct ForTheKit {
        store: DjangoStore,
        database: DatabaseConnection,
    }

    impl ForTheKit {
        async fn open(path: &Path) -> Self {
            let database = connect(path).await;
            Self { store: DjangoStore::new(database.clone(), HashAlgorithm::Sha256), database }
        }
    }

    fn without_absolute_expiry(mut record: SessionRecord) -> SessionRecord {
        record.absolute_expires_at = None;
        record
    }

    #[async_trait]
    impl TokenStore for ForTheKit {
        async fn insert(
            &self,
            record: SessionRecord,
            limit: Option<SessionLimit>,
            now: Timestamp,
        ) -> Result<InsertOutcome, StoreError> {
            let add = format!("INSERT OR IGNORE INTO auth_user (username, is_active) VALUES ('{}', 1)", record.subject);
            self.database.execute_unprepared(&add).await.unwrap();
            self.store.insert(record, limit, now).await
        }

        async fn find(&self, key: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
            Ok(self
                .store
                .find(key)
                .await?
                .map(|record| Arc::new(without_absolute_expiry(Arc::unwrap_or_clone(record)))))
        }

        async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
            Ok(self.store.list(subject, now).await?.into_iter().map(without_absolute_expiry).collect())
        }

        async fn touch(&self, key: &SessionRef, used: Timestamp, end: Option<Timestamp>) -> Result<bool, StoreError> {
            self.store.touch(key, used, end).await
        }

        async fn set_label(
            &self,
            session: &SessionRef,
            label: Option<&str>,
            now: Timestamp,
        ) -> Result<bool, StoreError> {
            self.store.set_label(session, label, now).await
        }

        async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
            self.store.rotate(session, rotation).await
        }

        async fn remove(&self, key: &SessionRef) -> Result<bool, StoreError> {
            self.store.remove(key).await
        }

        async fn remove_all(
            &self,
            subject: &Subject,
            except: Option<&SessionId>,
            now: Timestamp,
        ) -> Result<u64, StoreError> {
            self.store.remove_all(subject, except, now).await
        }

        async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
            self.store.remove_expired(now, batch).await
        }
    }

    /// Makes a test of each rule, but for those that are left out here.
    macro_rules! keep {
        // What the table does not keep: labels, scopes, attributes and the last use, so that a touch writes nothing.
        (@shared a_record_comes_back_whole) => {};
        (@shared touch_records_the_use) => {};
        (@shared touch_moves_the_expiry_only_forwards) => {};
        (@shared touch_gives_no_expiry_to_a_session_without_one) => {};
        (@shared an_older_touch_is_rejected) => {};
        (@shared eviction_names_the_sessions) => {};
        (@shared a_limit_by_use_ends_the_least_recently_used) => {};
        (@shared a_login_replaces_the_sessions_of_the_same_label) => {};
        (@shared replacing_comes_before_the_limit) => {};
        (@shared parallel_logins_of_one_label_leave_one) => {};
        (@shared set_label_changes_the_label_alone) => {};
        (@shared set_label_needs_an_active_session) => {};
        (@shared a_new_label_revives_nothing) => {};
        (@shared a_new_label_undoes_no_rotation) => {};
        (@shared calls_of_all_kinds_at_once_are_answered) => {};
        (@shared times_far_ahead_are_kept) => {};
        (@shared an_evicting_limit_ends_the_oldest) => {};
        (@durable reopening_sees_every_committed_record) => {};
        // Nor does it keep session ids and what comes before a rotation: the id is the beginning of the digest.
        (@shared a_record_is_inserted_once) => {};
        (@shared a_rotated_session_keeps_its_id_and_all_else) => {};
        (@shared a_rotation_does_not_outlive_remove_all) => {};
        (@shared a_rotation_does_not_slip_past_the_limit) => {};
        (@shared a_rotation_revives_nothing) => {};
        (@shared parallel_inserts_of_one_record_have_one_winner) => {};
        (@shared parallel_rotations_have_one_winner) => {};
        (@shared rotate_changes_the_secret_once) => {};
        (@shared rotate_never_moves_times_back) => {};
        (@shared a_recorded_use_saves_from_eviction) => {};
        (@durable a_removal_is_seen_through_every_handle) => {};
        (@durable a_rotation_has_one_winner_over_two_handles) => {};
        (@durable a_call_that_is_dropped_harms_no_later_one) => {};
        // When all sessions of a user were revoked has no place in it either: a login under way at that time stays.
        (@shared a_login_that_began_before_remove_all_is_superseded) => {};
        (@shared a_login_under_way_never_survives_remove_all) => {};
        (@shared a_superseded_login_changes_nothing) => {};
        (@shared remove_expired_forgets_no_revocation) => {};
        (@durable a_revocation_supersedes_logins_of_every_handle) => {};
        // Two users with the same digest, which is the primary key here.
        (@shared subjects_compare_byte_for_byte) => {};
        (@shared ids_of_different_subjects_do_not_mix) => {};
        (@shared remove_all_leaves_other_subjects_alone) => {};
        (@shared $rule:ident) => {
            #[test]
            fn $rule() {
                block_on(async {
                    let path = new_database().await;
                    rules::$rule(Arc::new(ForTheKit::open(&path).await)).await;
                });
            }
        };
        (@durable $rule:ident) => {
            #[test]
            fn $rule() {
                block_on(async {
                    let path = new_database().await;
                    rules::$rule(Opener::new(async move || ForTheKit::open(&path).await)).await;
                });
            }
        };
        (shared { $($shared:ident)* } durable { $($durable:ident)* }) => {
            $(keep!(@shared $shared);)*
            $(keep!(@durable $durable);)*
        };
    }

    for_each_rule!(keep);
}

#[test]
fn a_row_is_what_knox_would_have_written() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let microsecond = at(0).checked_add(Duration::from_micros(70)).unwrap();
        let mut record = session("alice", "0a");
        record.created_at = microsecond;
        record.expires_at = Some(at(600));
        record.absolute_expires_at = Some(at(600));
        record.label = Some("dropped".to_owned());
        let _ = store.insert(record.clone(), None, at(0)).await.unwrap();
        let row = "SELECT digest || '|' || created || '|' || user_id || '|' || expiry || '|' || token_key \
                   FROM knox_authtoken";
        let expected = format!("{}|2027-01-15 08:00:00.000070|1|2027-01-15 08:10:00|", "0a".repeat(64));
        assert_eq!(value(&database, row).await, Some(expected));

        record.label = None;
        assert_eq!(store.find(&record.session_ref()).await.unwrap(), Some(record.clone().into()));
        assert_eq!(store.list(&alice(), at(599)).await.unwrap(), [record.clone()]);
        assert_eq!(store.list(&alice(), at(600)).await.unwrap(), []);
        assert!(!store.touch(&record.session_ref(), at(1), None).await.unwrap());
    });
}

#[test]
fn rotation_keeps_the_expiry_of_a_session() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let clock = ManualClock::new(at(0));
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
            .token_format(TokenFormat::drf_jwt_knox().without_session_id())
            .lifetime(Lifetime::expires_after(Duration::from_secs(600)).unwrap())
            .store(store)
            .clock(clock.clone())
            .build()
            .unwrap();
        let issued = knox.issue(alice()).await.unwrap();
        clock.set(at(300));
        let auth = knox.authenticate(issued.token.expose()).await.unwrap();
        let rotated = knox.rotate(&auth).await.unwrap();
        assert_eq!(rotated.session.expires_at, Some(at(600)));
        assert_eq!(value(&database, "SELECT expiry FROM knox_authtoken").await.unwrap(), "2027-01-15 08:10:00");
        assert_eq!(value(&database, "SELECT created FROM knox_authtoken").await.unwrap(), "2027-01-15 08:00:00");
        assert!(knox.authenticate(issued.token.expose()).await.is_err());
        clock.set(at(599));
        assert!(knox.authenticate(rotated.token.expose()).await.is_ok());
        clock.set(at(600));
        assert!(knox.authenticate(rotated.token.expose()).await.is_err());

        let endless = NewSession::new(alice()).lifetime(Lifetime::never());
        let endless = knox.issue(endless).await.unwrap();
        let auth = knox.authenticate(endless.token.expose()).await.unwrap();
        let rotated = knox.rotate(&auth).await.unwrap();
        assert_eq!(rotated.session.expires_at, None);
        clock.set(at(1_000_000_000));
        assert!(knox.authenticate(rotated.token.expose()).await.is_ok());
    });
}

#[test]
fn an_evicting_limit_ends_the_oldest() {
    block_on(async {
        let store = DjangoStore::new(connect(&new_database().await).await, HashAlgorithm::Sha512);
        let limit = Some(SessionLimit::evict_oldest(2).unwrap());
        for (second, hex) in [(3, "aa"), (1, "bb"), (2, "cc"), (4, "dd")] {
            let mut record = session("alice", hex);
            record.created_at = at(second);
            let evicted = match hex {
                "aa" | "bb" => Vec::new(),
                "cc" => vec![session("alice", "bb").id],
                _ => vec![session("alice", "cc").id],
            };
            assert_eq!(store.insert(record, limit, at(9)).await.unwrap(), InsertOutcome::Inserted { evicted });
        }
        let left: Vec<SessionId> =
            store.list(&alice(), at(9)).await.unwrap().into_iter().map(|session| session.id).collect();
        assert_eq!(left, [session("alice", "dd").id, session("alice", "aa").id]);
    });
}

/// What would be lost, or come back as something else, is rejected.
#[test]
fn what_the_table_cannot_keep_is_rejected() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let kept = session("alice", "00");
        let _ = store.insert(kept.clone(), None, at(0)).await.unwrap();

        let [mut idle, mut scope, mut attributes] = ["01", "02", "03"].map(|hex| session("alice", hex));
        idle.idle_timeout = Some(Duration::from_secs(60));
        scope.scope = Some("read".to_owned());
        attributes.attributes = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let mut another_hash = kept.clone();
        another_hash.digest = format!("sha512-of-hex:{}", "04".repeat(64)).parse().unwrap();
        for rejected in [idle, scope, attributes, another_hash, session("nobody", "05"), session("Alice", "06")] {
            for limit in [None, Some(SessionLimit::evict_oldest(1).unwrap())] {
                assert!(store.insert(rejected.clone(), limit, at(0)).await.is_err(), "{rejected:?}");
            }
        }
        let another_hash: TokenDigest = format!("sha512-of-hex:{}", "04".repeat(64)).parse().unwrap();
        let mut rotation = rotation(&kept, "07");
        rotation.digest = another_hash;
        assert!(store.rotate(&kept.session_ref(), &rotation).await.is_err());
        assert_eq!(store.list(&alice(), at(0)).await.unwrap(), [kept]);
        assert_eq!(value(&database, "SELECT count(*) || '' FROM knox_authtoken").await.unwrap(), "1");
    });
}

/// A row is its user's, whatever else is asked for.
#[test]
fn users_do_not_mix() {
    block_on(async {
        let store = DjangoStore::new(connect(&new_database().await).await, HashAlgorithm::Sha512);
        let (mine, yours) = (session("alice", "0a"), session("bob", "0b"));
        for record in [&mine, &yours] {
            let _ = store.insert(record.clone(), None, at(0)).await.unwrap();
        }
        for name in ["bob", "Alice", "alice ", "ALICE", "nobody", "%"] {
            let key = SessionRef::new(Subject::new(name).unwrap(), mine.id);
            assert_eq!(store.find(&key).await.unwrap(), None, "{name}");
            assert!(!store.remove(&key).await.unwrap(), "{name}");
            assert!(!store.rotate(&key, &rotation(&mine, "0c")).await.unwrap(), "{name}");
            if name != "bob" {
                assert_eq!(store.remove_all(&key.subject, None, at(0)).await.unwrap(), 0, "{name}");
                assert_eq!(store.list(&key.subject, at(0)).await.unwrap(), [], "{name}");
            }
        }
        assert_eq!(store.remove_all(&yours.subject, Some(&mine.id), at(0)).await.unwrap(), 1);
        assert_eq!(store.find(&mine.session_ref()).await.unwrap(), Some(mine.into()));
    });
}

#[test]
fn a_subject_is_what_django_says_of_the_user() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        for (name, status) in [
            ("alice", SubjectStatus::Active),
            ("carol", SubjectStatus::Inactive),
            ("Alice", SubjectStatus::Unknown),
            ("nobody", SubjectStatus::Unknown),
        ] {
            let session = session_of(&Subject::new(name).unwrap());
            assert_eq!(store.check(&session).await.unwrap().as_str(), status.as_str(), "{name}");
        }
        database.execute_unprepared("ALTER TABLE auth_user RENAME TO gone").await.unwrap();
        assert!(store.check(&session_of(&alice())).await.is_err(), "a table that is not there is no answer");
    });
}

/// An expiry that Django cannot read is none to it. Here that is an error, and the token is not accepted.
#[test]
fn a_row_that_cannot_be_read_is_an_error() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        let record = session("alice", "0a");
        let _ = store.insert(record.clone(), None, at(0)).await.unwrap();
        for expiry in ["''", "1900000000", "1.5", "'2027-01-15 08:00:00 UTC'", "'2027-01-15'", "'soon'", "x'00'"] {
            database.execute_unprepared(&format!("UPDATE knox_authtoken SET expiry = {expiry}")).await.unwrap();
            assert!(store.find(&record.session_ref()).await.is_err(), "{expiry}");
        }
        for (expiry, second) in [("'2027-01-15 08:00:10'", 10), ("'2027-01-15 08:00:10.000000'", 10)] {
            database.execute_unprepared(&format!("UPDATE knox_authtoken SET expiry = {expiry}")).await.unwrap();
            assert_eq!(
                store.find(&record.session_ref()).await.unwrap().unwrap().expires_at,
                Some(at(second)),
                "{expiry}"
            );
        }
        // It can be revoked all the same.
        database.execute_unprepared("UPDATE knox_authtoken SET expiry = 'soon'").await.unwrap();
        assert!(store.remove_all(&alice(), None, at(0)).await.is_ok());
        assert_eq!(value(&database, "SELECT digest FROM knox_authtoken").await, None);
    });
}

#[test]
fn find_goes_by_the_primary_key() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let mut plan = DjangoStore::query(&session("alice", "0a").session_ref());
        plan.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let plan = database.query_all_raw(plan).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.try_get_by("detail").unwrap()).collect();
        let by_key = "SEARCH knox_authtoken USING INDEX sqlite_autoindex_knox_authtoken_1 (digest>? AND digest<?)";
        assert!(plan.iter().any(|step| step == by_key), "{plan:?}");
        assert!(plan.iter().all(|step| !step.starts_with("SCAN ")), "{plan:?}");
    });
}

#[test]
fn a_row_that_cannot_be_read_does_not_block_the_others() {
    block_on(async {
        let database = connect(&new_database().await).await;
        let store = DjangoStore::new(database.clone(), HashAlgorithm::Sha512);
        for hex in ["0a", "0b"] {
            let _ = store.insert(session("alice", hex), None, at(0)).await.unwrap();
        }
        let spoil = format!("UPDATE knox_authtoken SET created = 'x' WHERE digest = '{}'", "0a".repeat(64));
        database.execute_unprepared(&spoil).await.unwrap();
        assert!(store.find(&session("alice", "0a").session_ref()).await.is_err());
        assert_eq!(store.list(&alice(), at(0)).await.unwrap().len(), 1);
        let limit = Some(SessionLimit::deny(2).unwrap());
        let inserted = InsertOutcome::Inserted { evicted: Vec::new() };
        assert_eq!(store.insert(session("alice", "0c"), limit, at(0)).await.unwrap(), inserted);
        store.remove_all(&alice(), None, at(0)).await.unwrap();
        assert_eq!(store.find(&session("alice", "0a").session_ref()).await.unwrap(), None);
    });
}
