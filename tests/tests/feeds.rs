//! Servers hear of what others on the same store do, at once, and a feed that is cut hides nothing.

#![allow(clippy::unwrap_used)]

mod redis_server;
#[path = "../../crates/sea-orm/tests/shared/connect.rs"]
mod shared;

use std::time::Duration;

use jwt_knox::{Cache, ChangeFeed, Issued, Knox, KnoxBuilder, NewSession, SessionLimit, SigningKey, TokenStore};
use jwt_knox_redis::{RedisFeed, RedisStore};
use jwt_knox_sea_orm::{PostgresFeed, SeaOrmStore};
use jwt_knox_testkit::store_tests;
use jwt_knox_tests::databases::{TestDatabase, TestKeys, variable};
use redis::{aio::ConnectionManager, cluster::ClusterClient};
use redis_server::{Server, redis_cli, start_cluster};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::{task::yield_now, time::timeout};

/// Far longer than a test takes: what is seen before is seen because it was announced.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

fn server(store: impl TokenStore) -> KnoxBuilder {
    Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(store).cache(Cache::default().max_age(MAX_AGE))
}

/// A server that follows, and one that ends sessions.
struct Servers {
    following: Knox,
    ending: Knox,
}

impl Servers {
    fn new(stores: [impl TokenStore; 2], feed: impl ChangeFeed) -> Self {
        let [following, ending] = stores.map(|store| {
            let limit = SessionLimit::evict_oldest(3).unwrap();
            server(store).limit(limit).rotation_grace(Duration::ZERO).build().unwrap()
        });
        tokio::spawn(following.follow(feed));
        Self { following, ending }
    }

    async fn is_valid(&self, issued: &Issued) -> bool {
        self.following.authenticate(issued.token.expose()).await.is_ok()
    }

    /// A session that the following server remembers.
    async fn login(&self, name: &str) -> Issued {
        let issued = self.ending.issue(NewSession::new(name.parse::<jwt_knox::Subject>().unwrap())).await.unwrap();
        assert!(self.is_valid(&issued).await);
        issued
    }

    /// Waits until the server that follows rejects the token.
    async fn is_seen(&self, issued: &Issued, what: &str) {
        let seen = async {
            while self.is_valid(issued).await {
                yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, seen).await.is_ok(), "{what} is not seen");
    }

    /// Everything that ends a session or a token.
    async fn all_endings_are_seen(&self, round: &str) {
        let name = |what: &str| format!("{what}-{round}-{}", uuid());
        let issued = self.login(&name("one")).await;
        assert!(self.ending.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
        self.is_seen(&issued, "a logout").await;

        let all = name("all");
        let (first, second) = (self.login(&all).await, self.login(&all).await);
        let auth = self.ending.authenticate(first.token.expose()).await.unwrap();
        assert_eq!(self.ending.revoke_others(&auth).await.unwrap(), 1);
        self.is_seen(&second, "the end of the others").await;
        assert!(self.is_valid(&first).await);
        assert_eq!(self.ending.revoke_all(auth.subject()).await.unwrap(), 1);
        self.is_seen(&first, "the end of all").await;

        let many = name("many");
        let oldest = self.login(&many).await;
        for _ in 0..3 {
            self.login(&many).await;
        }
        self.is_seen(&oldest, "an eviction").await;

        let rotated = self.login(&name("rotated")).await;
        let auth = self.ending.authenticate(rotated.token.expose()).await.unwrap();
        let new = self.ending.rotate(&auth).await.unwrap();
        // Once it is seen that the old token is of no use, it is one that is used again: that ends the session.
        self.is_seen(&rotated, "a rotation").await;
        self.is_seen(&new, "the end of the session").await;
    }

    /// The feed listens: a change that is made again and again is heard of.
    async fn listens(&self) {
        let heard = async {
            loop {
                let issued = self.login(&format!("probe-{}", uuid())).await;
                assert!(self.ending.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
                for _ in 0..50 {
                    if !self.is_valid(&issued).await {
                        return;
                    }
                    yield_now().await;
                }
            }
        };
        assert!(timeout(PATIENCE, heard).await.is_ok(), "the feed never listens");
    }

    /// The feed is cut, and sessions end meanwhile.
    async fn a_cut_hides_nothing(&self, cut: impl AsyncFn()) {
        for round in 0..3 {
            let issued = self.login(&format!("cut-{round}-{}", uuid())).await;
            cut().await;
            assert!(self.ending.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
            self.is_seen(&issued, "what ended while the feed was cut").await;
            self.listens().await;
        }
    }
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::new_v4()
}

async fn cut_on_postgres(connection: &DatabaseConnection) {
    let listeners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    connection.execute_unprepared(listeners).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn on_postgres() {
    let database = TestDatabase::postgres();
    let store = || database.store().announcing().unwrap();
    let servers = Servers::new([store(), store()], PostgresFeed::new(database.connect(1)).unwrap());
    servers.listens().await;
    servers.all_endings_are_seen("first").await;
    let admin = database.connect(1);
    servers.a_cut_hides_nothing(async || cut_on_postgres(&admin).await).await;
    servers.all_endings_are_seen("after").await;
}

/// On a server of its own, whose connections it may cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn on_redis() {
    let server = Server::start(false);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let store = || RedisStore::new(connection.clone()).announcing();
    let servers = Servers::new([store(), store()], RedisFeed::new([client]));
    servers.listens().await;
    servers.all_endings_are_seen("first").await;
    let cut = async || drop(redis_cli(server.port, &["client", "kill", "type", "pubsub"]));
    servers.a_cut_hides_nothing(cut).await;
    servers.all_endings_are_seen("after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn on_a_redis_cluster() {
    let nodes = start_cluster();
    let addresses: Vec<String> = nodes.iter().map(|node| format!("redis://127.0.0.1:{}/", node.port)).collect();
    let client = ClusterClient::new(addresses.clone()).unwrap();
    let connection = client.get_async_connection().await.unwrap();
    let store = || RedisStore::new(connection.clone()).announcing();
    let feed = RedisFeed::new(addresses.iter().map(|address| redis::Client::open(address.as_str()).unwrap()));
    let servers = Servers::new([store(), store()], feed);
    servers.listens().await;
    // Sessions are spread over the nodes, and the feed listens at one of them.
    for round in ["one", "two", "three"] {
        servers.all_endings_are_seen(round).await;
    }
    let cut = async || {
        for node in &nodes {
            redis_cli(node.port, &["client", "kill", "type", "pubsub"]);
        }
    };
    servers.a_cut_hides_nothing(cut).await;
}

/// Another database cannot.
#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn only_postgres_announces() {
    let database = TestDatabase::mysql();
    let error = database.store().announcing().unwrap_err();
    assert!(format!("{error:?}").contains("only PostgreSQL can announce"), "{error:?}");
    assert!(PostgresFeed::new(database.connect(1)).is_err());
    let user = "alice".parse().unwrap();
    assert!(database.store().announce(&user).await.is_err());
}

/// The application has changed something about a user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_change_of_a_user_can_be_announced() {
    let (database, user) = (TestDatabase::postgres(), "alice".parse::<jwt_knox::Subject>().unwrap());
    let mut feed = PostgresFeed::new(database.connect(1)).unwrap();
    assert_eq!(feed.next().await.unwrap(), jwt_knox::Change::Any);
    database.store().announce(&user).await.unwrap();
    assert_eq!(feed.next().await.unwrap(), jwt_knox::Change::Subject(user));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn a_change_of_a_user_can_be_announced_on_redis() {
    let (keys, user) = (TestKeys::new(), "Zoë }".parse::<jwt_knox::Subject>().unwrap());
    let mut feed = keys.feed();
    assert_eq!(feed.next().await.unwrap(), jwt_knox::Change::Any);
    keys.store().announce(&user).await.unwrap();
    assert_eq!(feed.next().await.unwrap(), jwt_knox::Change::Subject(user));
}

mod a_store_on_postgres_that_announces {
    use std::sync::OnceLock;

    use super::*;

    async fn open() -> SeaOrmStore {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        let connection = shared::connect(&variable("KNOX_TEST_POSTGRES_URL"), &MIGRATED).await;
        SeaOrmStore::new(connection).announcing().unwrap()
    }

    store_tests!(
        #[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
        open,
        durable
    );
}

mod a_store_on_redis_that_announces {
    use super::*;

    async fn open() -> RedisStore<ConnectionManager> {
        let client = redis::Client::open(variable("KNOX_TEST_REDIS_URL")).unwrap();
        RedisStore::with_prefix(client.get_connection_manager().await.unwrap(), "jwt-knox-announcing").announcing()
    }

    store_tests!(
        #[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
        open,
        durable
    );
}
