//! A Redis user who has the rights that `docs/stores.md` lists, and no others.

#![allow(clippy::unwrap_used)]

mod redis_server;

use std::sync::OnceLock;

use jwt_knox::{Change, ChangeFeed, Rotation, SessionLimit, SessionRecord, StoreError, Subject, Timestamp, TokenStore};
use jwt_knox_redis::{RedisFeed, RedisStore};
use jwt_knox_testkit::store_tests;
use redis::{aio::ConnectionManager, cluster::ClusterClient};
use redis_server::{Server, redis_cli, start_cluster};

/// The rights, as `+hget`, from the example on the page.
fn rights() -> Vec<&'static str> {
    let page = include_str!("../../docs/stores.md");
    let (_, example) = page.split_once("ACL SETUSER knox on >password ~jwt-knox:*").unwrap();
    let (rights, _) = example.split_once("```").unwrap();
    rights.split_whitespace().collect()
}

/// Makes the user on a server, or gives them other rights.
fn allow(port: u16, rights: &[&str]) {
    let mut command = vec!["acl", "setuser", "knox", "reset", "on", ">password", "~jwt-knox:*"];
    command.extend(rights);
    assert_eq!(redis_cli(port, &command).trim(), "OK");
}

async fn connect(port: u16) -> RedisStore<ConnectionManager> {
    let client = redis::Client::open(format!("redis://knox:password@127.0.0.1:{port}/")).unwrap();
    RedisStore::new(client.get_connection_manager().await.unwrap())
}

async fn open() -> RedisStore<ConnectionManager> {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = Server::start(false);
        allow(server.port, &rights());
        server
    });
    connect(server.port).await
}

store_tests!(
    #[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
    open,
    durable
);

#[test]
fn the_page_of_the_crate_lists_the_same_rights() {
    let page = include_str!("../../crates/redis/README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let rights = rights();
    let (scripts, store) = rights.split_at(rights.len() - 2);
    assert!(page.contains(&format!("`{}` on the keys", scripts.join(" "))), "{scripts:?}");
    assert!(page.contains(&format!("the store `{}`", store.join(" "))), "{store:?}");
}

/// Every kind of call, in every variant that needs a command which the others do not.
async fn use_all_of(store: &impl TokenStore) -> Result<(), StoreError> {
    let (subject, now) = (Subject::from(42), Timestamp::from_second(4_000_000_000).unwrap());
    let later = |seconds| now.checked_add(std::time::Duration::from_secs(seconds)).unwrap();
    let session = |number: u64, expires_at| {
        let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        let mut record = SessionRecord::new(subject.clone(), digest, later(number));
        record.expires_at = expires_at;
        record
    };
    let (first, second, endless) = (session(1, Some(later(60))), session(2, Some(later(90))), session(3, None));
    store.remove_all(&subject, None, now).await?;
    let _ = store.insert(first.clone(), None, now).await?;
    let _ = store.insert(second.clone(), Some(SessionLimit::evict_oldest(1).unwrap()), now).await?;
    store.find(&second.session_ref()).await?;
    store.touch(&second.session_ref(), later(10), Some(later(200))).await?;
    let new = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let previous = format!("{} {} {}", second.digest, "0".repeat(32), later(20).as_microsecond()).parse().unwrap();
    store.rotate(&second.session_ref(), &Rotation::new(new, previous, later(11))).await?;
    let _ = store.insert(endless.clone(), None, now).await?;
    store.set_label(&endless.session_ref(), Some("tablet"), now).await?;
    store.list(&subject, now).await?;
    store.remove(&endless.session_ref()).await?;
    store.remove_all(&subject, Some(&second.id), now).await?;
    store.remove_all(&subject, None, now).await?;
    Ok(())
}

/// `INFO` and `QUIT` are missed by nobody but an operator, and `EVAL` is needed only where a script is not there yet.
#[tokio::test]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn no_right_is_listed_in_vain() {
    let server = Server::start(false);
    allow(server.port, &rights());
    use_all_of(&connect(server.port).await).await.unwrap();
    for missing in rights() {
        let others: Vec<&str> = rights().into_iter().filter(|right| *right != missing).collect();
        allow(server.port, &others);
        if missing == "+eval" {
            redis_cli(server.port, &["script", "flush"]);
        }
        let outcome = use_all_of(&connect(server.port).await).await;
        let is_needed = !["+info", "+quit"].contains(&missing);
        assert_eq!(outcome.is_err(), is_needed, "without {missing}: {outcome:?}");
        allow(server.port, &rights());
        use_all_of(&connect(server.port).await).await.unwrap();
    }
}

#[tokio::test]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_cluster_needs_two_rights_more() {
    let nodes = start_cluster();
    let mut more = rights();
    more.extend(["+cluster|slots", "+ping"]);
    for node in &nodes {
        allow(node.port, &more);
    }
    let addresses: Vec<String> =
        nodes.iter().map(|node| format!("redis://knox:password@127.0.0.1:{}/", node.port)).collect();
    let client = ClusterClient::new(addresses).unwrap();
    use_all_of(&RedisStore::new(client.get_async_connection().await.unwrap())).await.unwrap();
}

/// A store that announces changes, and a feed that hears of them.
#[tokio::test]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn announcing_and_hearing_need_a_right_each() {
    let server = Server::start(false);
    let with = |more: &[&'static str]| allow(server.port, &[rights(), more.to_vec()].concat());
    let announcing = async || use_all_of(&connect(server.port).await.announcing()).await;
    with(&[]);
    assert!(announcing().await.is_err(), "and nothing is done that nobody hears of");
    with(&["+publish", "&jwt-knox:changes"]);
    announcing().await.unwrap();

    let client = redis::Client::open(format!("redis://knox:password@127.0.0.1:{}/", server.port)).unwrap();
    let mut feed = RedisFeed::new([client]);
    assert!(feed.next().await.is_err());
    allow(server.port, &["+subscribe", "&jwt-knox:changes"]);
    assert_eq!(feed.next().await.unwrap(), Change::Any);
}
