//! The handle as a whole, on a store in memory and a clock that stands still.

use std::{
    future::poll_fn,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jiff::Timestamp;
use jwt_simple::prelude::{HS256Key, HS384Key, HS512Key, MACLike};
use serde_json::{Value, json};

use crate::*;

const KEY: [u8; 64] = [b'k'; 64];
const START: i64 = 1_800_000_000;

/// A handle with all that a test may want to turn.
struct Fixture {
    knox: Knox,
    clock: Arc<ManualClock>,
    store: Arc<WatchedStore>,
    users: Arc<Users>,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(settings: impl FnOnce(KnoxBuilder) -> KnoxBuilder) -> Self {
        let clock = Arc::new(ManualClock::new(at(START)));
        let store = Arc::new(WatchedStore::default());
        let users = Arc::new(Users::default());
        let builder = Knox::builder(SigningKey::hs256(KEY).unwrap())
            .store(store.clone())
            .subject_check(users.clone())
            .clock(clock.clone());
        Self { knox: settings(builder).build().unwrap(), clock, store, users }
    }

    async fn login(&self, subject: &str) -> Issued {
        self.knox.issue(Subject::new(subject).unwrap()).await.unwrap()
    }

    async fn refusal(&self, jwt: &str) -> AuthError {
        match self.knox.authenticate(jwt).await {
            Err(AuthenticateError::Refused(error)) => error,
            other => panic!("neither in nor out is right here: {other:?}"),
        }
    }

    async fn is_good(&self, issued: &Issued) -> bool {
        self.knox.authenticate(issued.token.expose()).await.is_ok()
    }

    fn set(&self, second: i64) {
        self.clock.set(at(START + second));
    }
}

/// A store that counts reads and can be made to fail.
#[derive(Debug, Default)]
struct WatchedStore {
    inner: MemoryStore,
    finds: AtomicU64,
    writes: AtomicU64,
    purges: AtomicU64,
    is_down: AtomicBool,
    is_read_only: AtomicBool,
}

impl WatchedStore {
    fn reach(&self) -> Result<(), StoreError> {
        if self.is_down.load(SeqCst) { Err(StoreError::new("watched", "down")) } else { Ok(()) }
    }
}

#[async_trait]
impl TokenStore for WatchedStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.reach()?;
        self.inner.insert(record, limit, now).await
    }
    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        self.reach()?;
        self.finds.fetch_add(1, SeqCst);
        self.inner.find(key).await
    }
    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        self.reach()?;
        self.inner.list(subject, now).await
    }
    async fn touch(&self, key: &TokenKey, used: Timestamp, expires_at: Option<Timestamp>) -> Result<bool, StoreError> {
        self.reach()?;
        if self.is_read_only.load(SeqCst) {
            return Err(StoreError::new("watched", "read-only"));
        }
        self.writes.fetch_add(1, SeqCst);
        self.inner.touch(key, used, expires_at).await
    }
    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        self.reach()?;
        self.inner.replace(old, new).await
    }
    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        self.reach()?;
        self.inner.remove(key).await
    }
    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        self.reach()?;
        self.inner.remove_all(subject, except, now).await
    }
    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        self.purges.fetch_add(1, SeqCst);
        self.reach()?;
        // In the middle of a batch: whoever drops the call here, loses it.
        tokio::task::yield_now().await;
        self.inner.remove_expired(now, batch).await
    }
}

/// What the application says of every user.
#[derive(Debug)]
struct Users(std::sync::Mutex<Option<SubjectStatus>>);

impl Default for Users {
    fn default() -> Self {
        Self(std::sync::Mutex::new(Some(SubjectStatus::Active)))
    }
}

impl Users {
    /// `None`: the users cannot be read.
    fn are(&self, status: Option<SubjectStatus>) {
        *self.0.lock().unwrap() = status;
    }
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, _: &Subject) -> Result<SubjectStatus, StoreError> {
        self.0.lock().unwrap().ok_or_else(|| StoreError::new("users", "down"))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The claims in a token, read without any check.
fn claims(issued: &Issued) -> Value {
    let payload = issued.token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
}

fn header(issued: &Issued) -> Value {
    let header = issued.token.expose().split('.').next().unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(header).unwrap()).unwrap()
}

/// A token that is signed with the right key and says whatever the test wants, byte for byte.
fn forge(header: &str, payload: &str) -> String {
    forge_with(|signed| HS256Key::from_bytes(&KEY).authentication_tag(signed), header, payload)
}

/// Makes the signature of the text that it is given.
type Sign = fn(&[u8]) -> Vec<u8>;

fn forge_with(sign: impl Fn(&[u8]) -> Vec<u8>, header: &str, payload: &str) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = format!("{}.{}", encode(header), encode(payload));
    let tag = Base64UrlUnpadded::encode_string(&sign(signed.as_bytes()));
    format!("{signed}.{tag}")
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// The issued claims with some of them changed; `null` removes one.
fn with_claims(issued: &Issued, changes: Value) -> String {
    let mut claims = claims(issued);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    forge(HEADER, &claims.to_string())
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();
    assert_eq!(auth.subject().as_str(), "alice");
    assert_eq!(auth.key(), issued.record.key());
    assert_eq!(auth.record(), &issued.record);

    assert!(fixture.knox.revoke(&auth.key()).await.unwrap());
    assert_eq!(fixture.refusal(issued.token.expose()).await, AuthError::Revoked);
    assert!(!fixture.knox.revoke(&auth.key()).await.unwrap(), "a second time there is nothing to revoke");
}

#[tokio::test]
async fn the_jwt_says_what_it_should_and_the_record_keeps_no_secret() {
    let fixture = Fixture::with(|builder| builder.issuer("https://auth.example.com").audience("api"));
    let issued = fixture.login("alice").await;
    let claims = claims(&issued);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["iss"], "https://auth.example.com");
    assert_eq!(claims["aud"], "api");
    assert_eq!(claims["iat"], START);
    assert_eq!(claims["exp"], START + 36_000);
    assert_eq!(claims.as_object().unwrap().len(), 6, "and nothing else: {claims}");
    let kid = SigningKey::hs256(KEY).unwrap().key_id().to_owned();
    assert_eq!(header(&issued), json!({"alg": "HS256", "typ": "JWT", "kid": kid}));

    let secret = claims["jti"].as_str().unwrap();
    assert_eq!(Base64UrlUnpadded::decode_vec(secret).unwrap().len(), 32);
    assert!(!format!("{:?} {:?} {:?}", issued, fixture.store, fixture.knox).contains(secret));
    assert!(!issued.record.digest.to_string().contains(secret));
    assert!(fixture.is_good(&issued).await);
}

#[tokio::test]
async fn a_second_login_gives_another_token_and_each_is_ended_alone() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.login("alice").await, fixture.login("alice").await);
    assert_ne!(first.token.expose(), second.token.expose());
    fixture.knox.revoke(&first.record.key()).await.unwrap();
    assert!(!fixture.is_good(&first).await);
    assert!(fixture.is_good(&second).await);
}

#[tokio::test]
async fn revoke_others_and_revoke_all_stay_with_their_subject() {
    let fixture = Fixture::new();
    let (mine, other, third) =
        (fixture.login("alice").await, fixture.login("alice").await, fixture.login("alice").await);
    let bobs = fixture.login("bob").await;
    let auth = fixture.knox.authenticate(mine.token.expose()).await.unwrap();
    assert_eq!(fixture.knox.revoke_others(&auth).await.unwrap(), 2);
    assert_eq!(fixture.knox.revoke_others(&auth).await.unwrap(), 0);
    assert!(fixture.is_good(&mine).await && !fixture.is_good(&other).await && !fixture.is_good(&third).await);
    assert_eq!(fixture.knox.revoke_all(auth.subject()).await.unwrap(), 1);
    assert!(!fixture.is_good(&mine).await);
    assert!(fixture.is_good(&bobs).await);
}

#[tokio::test]
async fn the_list_is_of_live_logins_newest_first() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))));
    let first = fixture.login("alice").await;
    fixture.set(50);
    let second = fixture.login("alice").await;
    let third = fixture.login("alice").await;
    let ids = async || -> Vec<TokenId> {
        let records = fixture.knox.tokens(&Subject::new("alice").unwrap()).await.unwrap();
        records.iter().map(TokenRecord::id).collect()
    };
    let mut same_moment = [second.record.id(), third.record.id()];
    same_moment.sort_by(|a, b| b.cmp(a));
    assert_eq!(ids().await, [same_moment.as_slice(), &[first.record.id()]].concat());
    fixture.set(100);
    assert_eq!(ids().await, same_moment);
}

#[tokio::test]
async fn a_token_ends_with_its_second() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))));
    let issued = fixture.login("alice").await;
    fixture.set(99);
    assert!(fixture.is_good(&issued).await);
    for second in [100, 101] {
        fixture.set(second);
        assert_eq!(fixture.refusal(issued.token.expose()).await, AuthError::Expired);
    }
}

#[tokio::test]
async fn one_leeway_holds_for_token_and_record_alike() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))).leeway(seconds(10)));
    let issued = fixture.login("alice").await;
    fixture.set(109);
    assert!(fixture.is_good(&issued).await);
    assert_eq!(fixture.knox.tokens(&issued.record.subject).await.unwrap().len(), 1);
    fixture.set(110);
    assert_eq!(fixture.refusal(issued.token.expose()).await, AuthError::Expired);
    assert_eq!(fixture.knox.tokens(&issued.record.subject).await.unwrap().len(), 0);
    // A server whose clock is ten seconds behind accepts it, one that is eleven behind does not.
    fixture.set(-10);
    assert!(fixture.is_good(&issued).await);
    fixture.set(-11);
    assert_eq!(fixture.refusal(issued.token.expose()).await, AuthError::NotYetValid);
}

#[tokio::test]
async fn the_record_ends_a_login_even_if_the_token_says_otherwise() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))));
    let issued = fixture.login("alice").await;
    fixture.set(100);
    // Whoever has stolen the signing key and one token cannot make it live longer.
    for exp in [json!(null), json!(START + 1_000_000)] {
        assert_eq!(fixture.refusal(&with_claims(&issued, json!({"exp": exp}))).await, AuthError::Expired);
    }
}

#[tokio::test]
async fn a_login_without_end_has_no_exp_and_must_be_asked_for() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::never()));
    let issued = fixture.login("alice").await;
    assert_eq!(claims(&issued).get("exp"), None);
    assert_eq!(issued.record.expires_at, None);
    fixture.set(100 * 365 * 86_400);
    assert!(fixture.is_good(&issued).await);
}

#[tokio::test]
async fn an_idle_login_slides_with_use_and_never_past_its_absolute_deadline() {
    let lifetime = Lifetime::absolute(seconds(1000)).with_idle(seconds(300));
    let fixture = Fixture::with(|builder| builder.lifetime(lifetime));
    let issued = fixture.login("alice").await;
    assert_eq!(claims(&issued)["exp"], START + 1000);
    for second in [250, 500, 750, 999] {
        fixture.set(second);
        assert!(fixture.is_good(&issued).await, "{second}");
    }
    fixture.set(1000);
    assert_eq!(fixture.refusal(issued.token.expose()).await, AuthError::Expired);

    // Whoever has stolen the signing key cannot lift the absolute deadline either.
    let forged = with_claims(&issued, json!({"exp": null}));
    assert_eq!(fixture.refusal(&forged).await, AuthError::Expired);

    let unused = fixture.login("alice").await;
    fixture.set(1300);
    assert_eq!(fixture.refusal(unused.token.expose()).await, AuthError::Expired);
}

#[tokio::test]
async fn use_is_written_down_once_in_a_while() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for second in 0..=180 {
        fixture.set(second);
        assert!(fixture.is_good(&issued).await);
    }
    assert_eq!(fixture.store.writes.load(SeqCst), 3);
    let record = fixture.store.find(&issued.record.key()).await.unwrap().unwrap();
    assert_eq!(record.last_used_at, Some(at(START + 180)));
    assert_eq!(record.expires_at, issued.record.expires_at);
    // A clock that jumps back writes nothing.
    fixture.set(60);
    assert!(fixture.is_good(&issued).await);
    assert_eq!(fixture.store.writes.load(SeqCst), 3);
}

#[tokio::test]
async fn a_store_that_cannot_write_does_not_refuse_a_good_token() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    fixture.store.is_read_only.store(true, SeqCst);
    fixture.set(3600);
    assert!(fixture.is_good(&issued).await);
}

#[tokio::test]
async fn a_token_may_have_a_lifetime_of_its_own() {
    let fixture = Fixture::new();
    let new = NewToken::for_subject(Subject::new("alice").unwrap());
    let issued = fixture.knox.issue_with(new.clone().lifetime(Lifetime::absolute(seconds(5)))).await.unwrap();
    assert_eq!(issued.record.expires_at, Some(at(START + 5)));
    let error = fixture.knox.issue_with(new.lifetime(Lifetime::absolute(Duration::ZERO))).await.unwrap_err();
    assert!(matches!(error, IssueError::Config(ConfigError::LifetimeTooShort)));
}

#[tokio::test]
async fn a_limit_denies_or_evicts_and_counts_live_logins_only() {
    let lifetime = Lifetime::absolute(seconds(100));
    let deny = Fixture::with(|builder| builder.lifetime(lifetime).limit(TokenLimit::deny(2)));
    deny.login("alice").await;
    deny.login("alice").await;
    deny.login("bob").await;
    let third = deny.knox.issue(Subject::new("alice").unwrap()).await;
    assert!(matches!(third, Err(IssueError::LimitReached { max: 2 })));
    deny.set(100);
    deny.login("alice").await;

    let evict = Fixture::with(|builder| builder.lifetime(lifetime).limit(TokenLimit::evict_oldest(2)));
    let mut logins = Vec::new();
    for second in 0..4 {
        evict.set(second);
        logins.push(evict.login("alice").await);
    }
    assert!(!evict.is_good(&logins[0]).await && !evict.is_good(&logins[1]).await);
    assert!(evict.is_good(&logins[2]).await && evict.is_good(&logins[3]).await);
}

#[tokio::test]
async fn a_limit_by_use_ends_the_login_that_was_not_used_for_longest() {
    let fixture = Fixture::with(|builder| builder.limit(TokenLimit::evict_longest_unused(2)));
    let phone = fixture.login("alice").await;
    fixture.set(1);
    let laptop = fixture.login("alice").await;
    fixture.set(120);
    assert!(fixture.is_good(&phone).await);
    fixture.set(121);
    let tablet = fixture.login("alice").await;
    assert_eq!(fixture.refusal(laptop.token.expose()).await, AuthError::Revoked);
    assert!(fixture.is_good(&phone).await && fixture.is_good(&tablet).await);
}

#[tokio::test]
async fn a_login_takes_the_place_of_those_with_the_same_label() {
    let fixture = Fixture::with(|builder| builder.limit(TokenLimit::deny(2).replacing_same_label()));
    let log_in = async |label: &str| {
        let new = NewToken::for_subject(Subject::new("alice").unwrap()).label(label);
        fixture.knox.issue_with(new).await
    };
    let old = log_in("Firefox").await.unwrap();
    let phone = log_in("Phone").await.unwrap();
    let new = log_in("Firefox").await.unwrap();
    assert_eq!(fixture.refusal(old.token.expose()).await, AuthError::Revoked);
    assert!(fixture.is_good(&new).await && fixture.is_good(&phone).await);
    assert!(matches!(log_in("firefox").await, Err(IssueError::LimitReached { max: 2 })));
    let unlabelled = fixture.knox.issue(Subject::new("alice").unwrap()).await;
    assert!(matches!(unlabelled, Err(IssueError::LimitReached { max: 2 })));
    assert!(fixture.is_good(&new).await && fixture.is_good(&phone).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_parallel_logins_at_a_limit_of_3_exactly_3_are_live() {
    for limit in [TokenLimit::deny(3), TokenLimit::evict_oldest(3), TokenLimit::evict_longest_unused(3)] {
        let fixture = Fixture::with(|builder| builder.limit(limit));
        let logins: Vec<_> = (0..64)
            .map(|_| {
                let knox = fixture.knox.clone();
                tokio::spawn(async move { knox.issue(Subject::new("alice").unwrap()).await })
            })
            .collect();
        for login in logins {
            let _: Result<Issued, IssueError> = login.await.unwrap();
        }
        assert_eq!(fixture.knox.tokens(&Subject::new("alice").unwrap()).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn an_inactive_or_unknown_subject_is_refused_and_gets_no_token() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for (status, error) in
        [(SubjectStatus::Inactive, AuthError::SubjectInactive), (SubjectStatus::Unknown, AuthError::SubjectUnknown)]
    {
        fixture.users.are(Some(status));
        assert_eq!(fixture.refusal(issued.token.expose()).await, error);
        let login = fixture.knox.issue(Subject::new("alice").unwrap()).await;
        assert!(matches!(login, Err(IssueError::Refused(refused)) if refused == error));
    }
    fixture.users.are(Some(SubjectStatus::Active));
    assert!(fixture.is_good(&issued).await);
}

#[tokio::test]
async fn what_cannot_be_decided_is_neither_a_refusal_nor_a_success() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();

    fixture.users.are(None);
    let undecided = fixture.knox.authenticate(issued.token.expose()).await;
    assert!(matches!(undecided, Err(AuthenticateError::Store(_))));
    fixture.users.are(Some(SubjectStatus::Active));

    fixture.store.is_down.store(true, SeqCst);
    let undecided = fixture.knox.authenticate(issued.token.expose()).await;
    assert!(matches!(undecided, Err(AuthenticateError::Store(_))));
    assert!(matches!(fixture.knox.issue(auth.subject().clone()).await, Err(IssueError::Store(_))));
    assert!(fixture.knox.revoke(&auth.key()).await.is_err());
    assert!(fixture.knox.revoke_all(auth.subject()).await.is_err());
    assert!(fixture.knox.tokens(auth.subject()).await.is_err());
    // A token that is bad by itself is refused without a store.
    assert_eq!(fixture.refusal("a.b.c").await.reason(), "malformed");
}

#[tokio::test]
async fn a_random_source_that_fails_issues_nothing() {
    let fixture = Fixture::with(|builder| builder.fill_random(RandomError::broken_source));
    let subject = Subject::new("alice").unwrap();
    assert!(matches!(fixture.knox.issue(subject.clone()).await, Err(IssueError::Random(_))));
    assert!(fixture.knox.tokens(&subject).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_authentication_costs_one_read_however_many_logins_there_are() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for _ in 0..500 {
        fixture.login("alice").await;
    }
    assert!(fixture.is_good(&issued).await);
    assert_eq!(fixture.store.finds.load(SeqCst), 1);
}

#[tokio::test]
async fn sha_256_and_sha_512_live_side_by_side() {
    let old = Fixture::new();
    let issued = old.login("alice").await;
    let new = Knox::builder(SigningKey::hs256(KEY).unwrap())
        .store(old.store.clone())
        .clock(old.clock.clone())
        .hash_algorithm(HashAlgorithm::Sha512)
        .build()
        .unwrap();
    let other = new.issue(Subject::new("alice").unwrap()).await.unwrap();
    assert!(other.record.digest.to_string().starts_with("sha512:"));
    for token in [issued.token.expose(), other.token.expose()] {
        assert!(new.authenticate(token).await.is_ok());
        assert!(old.knox.authenticate(token).await.is_ok());
    }
    // The other hash of a good secret leads nowhere.
    assert_eq!(old.refusal(&with_claims(&issued, json!({"jti_alg": "sha512"}))).await, AuthError::Revoked);
    assert_eq!(old.refusal(&with_claims(&other, json!({"jti_alg": null}))).await, AuthError::Revoked);
    assert_eq!(old.refusal(&with_claims(&issued, json!({"jti_alg": "md5"}))).await.reason(), "malformed");
}

#[tokio::test]
async fn every_algorithm_signs_and_none_is_taken_for_another() {
    let fixture = Fixture::new();
    let keys: Vec<SigningKey> = Algorithm::ALL
        .iter()
        .map(|algorithm| SigningKey::generate(*algorithm).unwrap().with_key_id("k").unwrap())
        .collect();
    for signer in &keys {
        let knox = fixture.with_key(signer.clone());
        let issued = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
        assert_eq!(header(&issued)["alg"], signer.algorithm().name());
        assert!(knox.authenticate(issued.token.expose()).await.is_ok(), "{signer:?}");
        for verifier in &keys {
            let outcome = fixture.with_key(verifier.clone()).authenticate(issued.token.expose()).await;
            let expected = if signer.algorithm() == verifier.algorithm() {
                // The signature is good; the store of the other handle has no such record.
                AuthError::Revoked
            } else {
                AuthError::AlgorithmMismatch
            };
            let error = outcome.unwrap_err();
            assert!(
                matches!(&error, AuthenticateError::Refused(error) if *error == expected),
                "{signer:?} {verifier:?}: {error}"
            );
        }
    }
}

/// RFC 8725 §2.1: a public key is no secret, and must not be taken for the key of HMAC, in whatever form.
#[tokio::test]
async fn a_token_signed_with_a_public_key_as_the_secret_is_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::MlDsa44] {
        let key = SigningKey::generate(algorithm).unwrap().with_key_id("k").unwrap();
        let fixture = Fixture::new();
        let knox = fixture.with_key(key.clone());
        let issued = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
        let payload = claims(&issued).to_string();
        let public = key.verifying_key();
        let secrets =
            [public.to_jwk().ok(), public.to_pem().ok(), Some(public.key_id().to_owned()), Some(String::new())];
        for secret in secrets.into_iter().flatten() {
            let sign = |signed: &[u8]| HS256Key::from_bytes(secret.as_bytes()).authentication_tag(signed);
            for alg in ["HS256", "none", algorithm.name()] {
                let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"k"}}"#);
                for token in [forge_with(sign, &header, &payload), forge_with(|_| Vec::new(), &header, &payload)] {
                    let outcome = knox.authenticate(&token).await;
                    assert!(matches!(outcome, Err(AuthenticateError::Refused(_))), "{algorithm} {alg}: {outcome:?}");
                }
            }
        }
    }
}

/// Signatures that a careless verifier of ECDSA accepts for any text: zeros, the order of the curve, and other lengths.
#[tokio::test]
async fn signatures_that_are_no_points_are_refused() {
    for (algorithm, bytes) in
        [(Algorithm::Es256, 64), (Algorithm::Es384, 96), (Algorithm::EdDsa, 64), (Algorithm::MlDsa44, 2420)]
    {
        let key = SigningKey::generate(algorithm).unwrap().with_key_id("k").unwrap();
        let fixture = Fixture::new();
        let knox = fixture.with_key(key);
        let issued = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
        let header = header(&issued).to_string();
        let payload = claims(&issued).to_string();
        for signature in
            [vec![0; bytes], vec![0xff; bytes], vec![1; bytes], vec![0; bytes - 1], vec![0; bytes + 1], vec![0; 8]]
        {
            let outcome = knox.authenticate(&forge_with(|_| signature.clone(), &header, &payload)).await;
            assert!(matches!(outcome, Err(AuthenticateError::Refused(_))), "{algorithm}: {outcome:?}");
        }
        // The signature of another login's token.
        let other = knox.issue(Subject::new("bob").unwrap()).await.unwrap();
        let (signed, _) = issued.token.expose().rsplit_once('.').unwrap();
        let (_, signature) = other.token.expose().rsplit_once('.').unwrap();
        assert!(knox.authenticate(&format!("{signed}.{signature}")).await.is_err(), "{algorithm}");
        assert!(knox.authenticate(issued.token.expose()).await.is_ok(), "{algorithm}");
    }
}

impl Fixture {
    /// A handle with a store of its own.
    fn with_key(&self, key: SigningKey) -> Knox {
        Knox::builder(key).store(MemoryStore::new()).clock(self.clock.clone()).build().unwrap()
    }
}

#[tokio::test]
async fn keys_of_a_ring_verify_by_their_kid() {
    let fixture = Fixture::new();
    let old_key = SigningKey::hs256([1; 32]).unwrap();
    let new_key = SigningKey::hs256([2; 32]).unwrap();
    let handle =
        |ring: KeyRing| Knox::builder(ring).store(fixture.store.clone()).clock(fixture.clock.clone()).build().unwrap();
    let ring = KeyRing::new(new_key.clone());
    ring.verify_with(old_key.verifying_key()).unwrap();
    let before = handle(old_key.into());
    let during = handle(ring);
    let after = handle(new_key.into());

    let old = before.issue(Subject::new("alice").unwrap()).await.unwrap();
    let new = during.issue(Subject::new("alice").unwrap()).await.unwrap();
    assert!(during.authenticate(old.token.expose()).await.is_ok());
    assert!(during.authenticate(new.token.expose()).await.is_ok());
    assert!(after.authenticate(new.token.expose()).await.is_ok());
    for (knox, token) in [(&after, &old), (&before, &new)] {
        let error = knox.authenticate(token.token.expose()).await.unwrap_err();
        assert!(matches!(error, AuthenticateError::Refused(AuthError::UnknownKey)));
    }
}

/// Signing and verifying go on while keys are staged, promoted and retired, and nobody is logged out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_change_under_load_and_no_request_fails() {
    let ring = KeyRing::new(SigningKey::hs256([0; 32]).unwrap().with_key_id("0").unwrap());
    let knox = Knox::builder(ring.clone()).store(MemoryStore::new()).build().unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (knox, is_done) = (knox.clone(), is_done.clone());
            tokio::spawn(async move {
                let mut count = 0;
                while !is_done.load(SeqCst) || count == 0 {
                    let issued = knox.issue(Subject::new(format!("user-{number}")).unwrap()).await.unwrap();
                    let auth = knox.authenticate(issued.token.expose()).await.unwrap();
                    let rotated = knox.rotate(&auth).await.unwrap();
                    knox.authenticate(rotated.token.expose()).await.unwrap();
                    assert!(knox.revoke(&rotated.record.key()).await.unwrap());
                    count += 1;
                    tokio::task::yield_now().await;
                }
                count
            })
        })
        .collect();
    let kept = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
    for number in 1..=40_u8 {
        ring.stage(SigningKey::hs256([number; 32]).unwrap().with_key_id(number.to_string()).unwrap()).unwrap();
        tokio::task::yield_now().await;
        ring.promote(&number.to_string()).unwrap();
        assert!(knox.authenticate(kept.token.expose()).await.is_ok(), "the first key goes on verifying");
    }
    is_done.store(true, SeqCst);
    for task in load {
        assert!(task.await.unwrap() > 0);
    }
    let last = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
    assert_eq!(header(&last)["kid"], "40");
    ring.retire("0").unwrap();
    let outcome = knox.authenticate(kept.token.expose()).await;
    assert!(matches!(outcome, Err(AuthenticateError::Refused(AuthError::UnknownKey))), "{outcome:?}");
    assert!(knox.authenticate(last.token.expose()).await.is_ok());
    assert_eq!(knox.keys().keys().len(), 41);
}

#[tokio::test]
async fn what_was_good_can_be_asked_about_again_without_the_token() {
    let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap().with_key_id("old").unwrap());
    let fixture = Fixture::new();
    let knox = Knox::builder(ring.clone())
        .store(fixture.store.clone())
        .subject_check(fixture.users.clone())
        .clock(fixture.clock.clone())
        .lifetime(Lifetime::absolute(seconds(1000)).with_idle(seconds(400)))
        .build()
        .unwrap();
    let login = async || {
        let issued = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
        knox.authenticate(issued.token.expose()).await.unwrap()
    };
    let refusal = async |auth: &Authenticated| match knox.recheck(auth).await {
        Err(AuthenticateError::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    let (auth, revoked, rotated) = (login().await, login().await, login().await);
    fixture.set(300);
    let again = knox.recheck(&auth).await.unwrap();
    assert_eq!(again.record(), auth.record());
    assert_eq!(fixture.store.writes.load(SeqCst), 0, "it is no use of the login");

    knox.revoke(&revoked.key()).await.unwrap();
    assert_eq!(refusal(&revoked).await, AuthError::Revoked);
    let issued = knox.rotate(&rotated).await.unwrap();
    assert_eq!(refusal(&rotated).await, AuthError::Revoked);
    let rotated = knox.authenticate(issued.token.expose()).await.unwrap();
    assert!(knox.recheck(&rotated).await.is_ok());

    fixture.users.are(Some(SubjectStatus::Inactive));
    assert_eq!(refusal(&auth).await, AuthError::SubjectInactive);
    fixture.users.are(Some(SubjectStatus::Active));
    fixture.store.is_down.store(true, SeqCst);
    assert!(matches!(knox.recheck(&auth).await, Err(AuthenticateError::Store(_))));
    fixture.store.is_down.store(false, SeqCst);
    fixture.set(400);
    assert_eq!(refusal(&auth).await, AuthError::Expired, "the idle timeout goes on");
    assert!(knox.recheck(&rotated).await.is_ok(), "a rotation is a use");

    let new = SigningKey::hs256([1; 32]).unwrap().with_key_id("new").unwrap();
    ring.stage(new).unwrap();
    ring.promote("new").unwrap();
    assert!(knox.recheck(&rotated).await.is_ok());
    ring.retire("old").unwrap();
    assert_eq!(refusal(&rotated).await, AuthError::UnknownKey);
    let last = login().await;
    fixture.set(1400);
    assert_eq!(refusal(&last).await, AuthError::Expired);
}

#[tokio::test]
async fn a_verifier_sees_signature_and_claims_and_no_revocation() {
    let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa).unwrap());
    let fixture = Fixture::new();
    let knox = Knox::builder(ring.clone())
        .issuer("us")
        .audience("api")
        .store(fixture.store.clone())
        .clock(fixture.clock.clone())
        .build()
        .unwrap();
    let new = NewToken::for_subject(Subject::new("alice").unwrap()).scope("read").unwrap();
    let issued = knox.issue_with(new.claims(&json!({"role": "editor"})).unwrap()).await.unwrap();
    let other = |jwks: &str| {
        Verifier::builder(KeySet::from_jwks(jwks).unwrap())
            .issuer("us")
            .audience("api")
            .clock(fixture.clock.clone())
            .build()
            .unwrap()
    };
    let verifiers = [knox.verifier(), other(&ring.jwks())];
    knox.revoke(&issued.record.key()).await.unwrap();
    for verifier in &verifiers {
        let token = verifier.verify(issued.token.expose()).unwrap();
        assert_eq!(token.key(), issued.record.key());
        assert_eq!(token.expires_at(), issued.record.expires_at);
        assert!(token.has_scope("read") && !token.has_scope("rea"));
        let claims = token.claims::<Value>().unwrap();
        assert_eq!((&claims["role"], claims.get("jti")), (&json!("editor"), None));
        assert_eq!(verifier.verify(&format!("{}x", issued.token.expose())).unwrap_err().reason(), "malformed");
    }
    let strict = Verifier::builder(&ring).issuer("us").clock(fixture.clock.clone()).build().unwrap();
    assert_eq!(strict.verify(issued.token.expose()).unwrap_err(), AuthError::WrongAudience);
    // A token that never ends cannot be taken back here, so one has to ask for such.
    let endless = NewToken::for_subject(Subject::new("alice").unwrap()).lifetime(Lifetime::idle(seconds(60)));
    let endless = knox.issue_with(endless).await.unwrap();
    assert!(knox.authenticate(endless.token.expose()).await.is_ok());
    for verifier in &verifiers {
        assert_eq!(verifier.verify(endless.token.expose()).unwrap_err().reason(), "malformed");
    }
    let lenient = Verifier::builder(&ring).issuer("us").audience("api").clock(fixture.clock.clone()).accept_endless();
    assert_eq!(lenient.build().unwrap().verify(endless.token.expose()).unwrap().expires_at(), None);
    assert_eq!(Verifier::builder(&ring).issuer("").build().unwrap_err(), ConfigError::EmptyName);

    // The handle's own verifier follows its key ring; one of a document has to be told.
    ring.stage(SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("new").unwrap()).unwrap();
    ring.promote("new").unwrap();
    let issued = knox.issue(Subject::new("alice").unwrap()).await.unwrap();
    assert!(verifiers[0].verify(issued.token.expose()).is_ok());
    assert_eq!(verifiers[1].verify(issued.token.expose()).unwrap_err(), AuthError::UnknownKey);
    assert!(other(&ring.jwks()).verify(issued.token.expose()).is_ok());
    fixture.set(36_000);
    assert_eq!(verifiers[0].verify(issued.token.expose()).unwrap_err(), AuthError::Expired);
}

#[tokio::test]
async fn claims_can_have_other_names() {
    let format = TokenFormat::default().subject_claim("uid").secret_claim("sid").scope_claim("scp");
    let fixture = Fixture::with(|builder| builder.token_format(format));
    let new = NewToken::for_subject(Subject::new("alice").unwrap()).scope("read").unwrap();
    let issued = fixture.knox.issue_with(new).await.unwrap();
    let written = claims(&issued);
    let mut names: Vec<&String> = written.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["exp", "iat", "scp", "sid", "uid"]);
    let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();
    assert!(auth.has_scope("read"));
    assert_eq!(auth.claims::<Value>().unwrap().get("sid"), None, "the secret is not among the claims");
    assert!(fixture.knox.rotate(&auth).await.is_ok());
    assert_eq!(fixture.refusal(&with_claims(&issued, json!({"scp": "admin"}))).await, AuthError::Revoked);
    assert_eq!(
        fixture.refusal(&with_claims(&issued, json!({"uid": null, "sub": "alice"}))).await.reason(),
        "malformed"
    );

    let taken = NewToken::for_subject(Subject::new("alice").unwrap()).claims(&json!({"uid": "bob"})).unwrap();
    let error = fixture.knox.issue_with(taken).await.unwrap_err();
    assert!(matches!(error, IssueError::Claims(ClaimsError::Reserved { name }) if name == "uid"));
}

/// The shape of a token of drf-jwt-knox, and the digests of both versions of django-rest-knox.
#[tokio::test]
async fn the_profile_of_drf_jwt_knox_writes_and_reads_its_tokens() {
    for (format, hash) in [
        (TokenFormat::drf_jwt_knox(), HashAlgorithm::Sha512),
        (TokenFormat::drf_jwt_knox_4(), HashAlgorithm::Sha512OfHex),
    ] {
        let fixture = Fixture::with(|builder| builder.token_format(format));
        let issued = fixture.login("alice").await;
        assert_eq!(issued.record.digest.algorithm(), hash);
        let written = claims(&issued);
        let mut names: Vec<&String> = written.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["exp", "iat", "jti", "username"]);
        let secret = written["jti"].as_str().unwrap();
        assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
        // What drf-jwt-knox writes: no `exp`, no `kid`, and a claim that is named after Django's user model.
        let theirs = json!({"username": "alice", "iat": START, "jti": secret});
        assert!(fixture.knox.authenticate(&forge(HEADER, &theirs.to_string())).await.is_ok());
        let theirs = json!({"username": "bob", "iat": START, "jti": secret});
        assert_eq!(fixture.refusal(&forge(HEADER, &theirs.to_string())).await, AuthError::Revoked);
        let theirs = json!({"username": "alice", "iat": START, "jti": "not hexadecimal"});
        let reason = if hash == HashAlgorithm::Sha512OfHex { "malformed" } else { "revoked" };
        assert_eq!(fixture.refusal(&forge(HEADER, &theirs.to_string())).await.reason(), reason);
    }
}

/// Remembers what it is told.
#[derive(Debug, Default)]
struct Audit(std::sync::Mutex<Vec<String>>);

impl Observer for Audit {
    fn observe(&self, event: &Event<'_>) {
        let line = match event {
            Event::Issued { key } => format!("issued {}", key.subject),
            Event::Rejected { reason } => format!("rejected {}", reason.reason()),
            Event::Renewed { key, .. } => format!("renewed {}", key.subject),
            Event::Rotated { old, new } => format!("rotated {} {}", old.subject, old.id != new.id),
            Event::Revoked { subject, id, count, cause } => {
                format!("revoked {subject} {count} {} {}", cause.name(), id.is_some())
            }
            Event::Purged { count } => format!("purged {count}"),
        };
        assert!(line.starts_with(event.name()));
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn an_observer_is_told_of_everything_and_of_no_secret() {
    let audit = Arc::new(Audit::default());
    let fixture = Fixture::with(|builder| {
        builder.observer(audit.clone()).limit(TokenLimit::evict_oldest(3)).lifetime(Lifetime::absolute(seconds(1000)))
    });
    let told = || std::mem::take(&mut *audit.0.lock().unwrap());
    let first = fixture.login("alice").await;
    fixture.set(1);
    for _ in 0..3 {
        fixture.login("alice").await;
    }
    assert_eq!(
        told(),
        ["issued alice", "issued alice", "issued alice", "issued alice", "revoked alice 1 evicted false"]
    );
    fixture.refusal(first.token.expose()).await;
    fixture.refusal("garbage").await;
    assert_eq!(told(), ["rejected revoked", "rejected malformed"]);

    let issued = fixture.login("bob").await;
    fixture.set(100);
    let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();
    let rotated = fixture.knox.rotate(&auth).await.unwrap();
    let auth = fixture.knox.authenticate(rotated.token.expose()).await.unwrap();
    assert_eq!(told(), ["issued bob", "renewed bob", "rotated bob true"]);
    fixture.login("bob").await;
    fixture.knox.revoke_others(&auth).await.unwrap();
    fixture.knox.revoke_others(&auth).await.unwrap();
    fixture.knox.revoke(&auth.key()).await.unwrap();
    fixture.knox.revoke(&auth.key()).await.unwrap();
    fixture.knox.revoke_all(&Subject::new("alice").unwrap()).await.unwrap();
    let expected = ["issued bob", "revoked bob 1 others true", "revoked bob 1 one true", "revoked alice 3 all false"];
    assert_eq!(told(), expected, "ending what has ended is no event");
    fixture.login("bob").await;
    fixture.set(2000);
    fixture.knox.purge_expired().await.unwrap();
    assert_eq!(told(), ["issued bob", "purged 1"]);

    // What could not be decided is none of these.
    fixture.store.is_down.store(true, SeqCst);
    assert!(fixture.knox.authenticate(rotated.token.expose()).await.is_err());
    assert!(fixture.knox.revoke(&auth.key()).await.is_err());
    assert_eq!(told(), ["rejected expired"], "only the token that had expired");
}

#[tokio::test]
async fn a_changed_byte_at_any_position_is_refused() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let good = issued.token.expose().as_bytes();
    for position in 0..good.len() {
        for byte in [b'A', b'B', b'_', b'.', b'=', b'+', b'%', 0, b' '] {
            let mut bad = good.to_vec();
            if bad[position] == byte {
                continue;
            }
            bad[position] = byte;
            let bad = String::from_utf8(bad).unwrap();
            fixture.refusal(&bad).await;
        }
    }
    assert_eq!(fixture.store.finds.load(SeqCst), 0, "none of them reaches the store");
}

#[tokio::test]
async fn the_last_character_has_one_spelling() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let (rest, _) = issued.token.expose().split_at(issued.token.expose().len() - 1);
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
    let mut accepted = 0;
    for last in alphabet {
        accepted += u32::from(fixture.knox.authenticate(&format!("{rest}{last}")).await.is_ok());
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn a_forged_header_is_refused() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let payload = claims(&issued).to_string();
    let accepted = forge(HEADER, &payload);
    assert!(fixture.knox.authenticate(&accepted).await.is_ok(), "the forger works");
    assert!(fixture.knox.authenticate(&forge(r#"{"alg":"HS256"}"#, &payload)).await.is_ok());
    assert!(fixture.knox.authenticate(&forge(r#"{"alg":"HS256","typ":"jwt"}"#, &payload)).await.is_ok());

    for alg in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""hs256""#,
        r#""Hs256""#,
        r#""HS256 ""#,
        r#"" HS256""#,
        r#""HS384""#,
        r#""HS512""#,
        r#""RS256""#,
        r#""ES256""#,
        r#""PS256""#,
        r#""EdDSA""#,
        r#""""#,
        "null",
        "256",
        "true",
        "[]",
        "{}",
        r#"["HS256"]"#,
    ] {
        let header = format!(r#"{{"alg":{alg},"typ":"JWT"}}"#);
        fixture.refusal(&forge(&header, &payload)).await;
        // And with no signature at all.
        fixture.refusal(&forge_with(|_| Vec::new(), &header, &payload)).await;
    }
    for header in [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","crit":"b64","b64":false}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"JOSE"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":1}"#,
        r#"{"alg":"HS256","kid":"other"}"#,
        r#"{"alg":"HS256","kid":""}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","kid":["a"]}"#,
        r#"{"alg":"HS256","kid":"../../dev/null"}"#,
        "[]",
        "null",
        "1",
        "\"HS256\"",
        "",
        "{",
        "{\"alg\":\"HS256\"}x",
    ] {
        fixture.refusal(&forge(header, &payload)).await;
    }
}

#[tokio::test]
async fn a_signature_by_another_key_or_hash_is_refused() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let payload = claims(&issued).to_string();
    let others: [Sign; 4] = [
        |signed| HS256Key::from_bytes(&[b'K'; 64]).authentication_tag(signed),
        |signed| HS384Key::from_bytes(&KEY).authentication_tag(signed),
        |signed| HS512Key::from_bytes(&KEY).authentication_tag(signed),
        |_| vec![0; 32],
    ];
    for sign in others {
        assert_eq!(fixture.refusal(&forge_with(sign, HEADER, &payload)).await, AuthError::InvalidSignature);
    }
    let truncated = |signed: &[u8]| HS256Key::from_bytes(&KEY).authentication_tag(signed)[..16].to_vec();
    assert_eq!(fixture.refusal(&forge_with(truncated, HEADER, &payload)).await, AuthError::InvalidSignature);
}

#[tokio::test]
async fn forged_claims_are_refused_even_with_the_key() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    fixture.login("bob").await;
    let cases = [
        (json!({"sub": "bob"}), "revoked"),
        (json!({"sub": "Alice"}), "revoked"),
        (json!({"sub": "alice "}), "revoked"),
        (json!({"jti": "A".repeat(43)}), "revoked"),
        (json!({"jti": issued.record.id().as_str()}), "revoked"),
        (json!({"jti": issued.record.digest.to_string()}), "revoked"),
        (json!({"exp": START}), "expired"),
        (json!({"exp": START - 1}), "expired"),
        (json!({"exp": START as f64 + 0.0}), "expired"),
        (json!({"nbf": START + 1}), "not_yet_valid"),
        (json!({"iat": START + 1}), "not_yet_valid"),
        (json!({"iss": "someone"}), "wrong_issuer"),
        (json!({"aud": "someone"}), "wrong_audience"),
        (json!({"aud": []}), "wrong_audience"),
        (json!({"aud": ["a", "b"]}), "wrong_audience"),
        (json!({"sub": null}), "malformed"),
        (json!({"sub": ""}), "malformed"),
        (json!({"sub": 1}), "malformed"),
        (json!({"sub": ["alice"]}), "malformed"),
        (json!({"sub": "a\u{0}"}), "malformed"),
        (json!({"sub": "x".repeat(256)}), "malformed"),
        (json!({"jti": null}), "malformed"),
        (json!({"jti": ""}), "malformed"),
        (json!({"jti": 1}), "malformed"),
        (json!({"jti": "x".repeat(513)}), "malformed"),
        (json!({"exp": "soon"}), "malformed"),
        (json!({"exp": START.to_string()}), "malformed"),
        (json!({"exp": true}), "malformed"),
        (json!({"exp": [START]}), "malformed"),
        (json!({"exp": 1e300}), "malformed"),
        (json!({"exp": i64::MAX}), "malformed"),
        (json!({"exp": u64::MAX}), "malformed"),
        (json!({"exp": -1}), "malformed"),
        (json!({"nbf": {}}), "malformed"),
        (json!({"nbf": i64::MAX}), "malformed"),
        (json!({"nbf": (1_i64 << 32) + START}), "not_yet_valid"),
        (json!({"iat": "now"}), "malformed"),
        (json!({"iss": 1}), "malformed"),
        (json!({"aud": 1}), "malformed"),
        (json!({"aud": [1]}), "malformed"),
        (json!({"aud": {}}), "malformed"),
        (json!({"scope": ["a"]}), "malformed"),
        (json!({"scope": "admin"}), "revoked"),
    ];
    for (changes, reason) in cases {
        let error = fixture.refusal(&with_claims(&issued, changes.clone())).await;
        assert_eq!(error.reason(), reason, "{changes}: {error}");
    }
    for (changes, name) in [
        (json!({"nbf": START}), "nbf now"),
        (json!({"exp": START as f64 + 0.5}), "a fraction of a second to live"),
        (json!({"exp": (1_i64 << 32) + START}), "an exp beyond 32 bits"),
    ] {
        assert!(fixture.knox.authenticate(&with_claims(&issued, changes)).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn a_payload_that_is_no_claims_set_is_refused() {
    let fixture = Fixture::new();
    let deep = "[".repeat(100_000);
    for payload in ["", "null", "[]", "1", "\"sub\"", "{", "{}", r#"{"sub":"\ud800"}"#, &deep[..5000], "{\"sub\":NaN}"]
    {
        assert_eq!(fixture.refusal(&forge(HEADER, payload)).await.reason(), "malformed", "{payload:.20}");
    }
    let issued = fixture.login("alice").await;
    let payload = claims(&issued).to_string();
    for twice in [r#","sub":"alice"}"#, r#","role":"a","role":"b"}"#, r#","\u0073ub":"alice"}"#, r#","exp":1,"exp":2}"#]
    {
        let payload = payload.replace('}', twice);
        assert_eq!(fixture.refusal(&forge(HEADER, &payload)).await.reason(), "malformed", "{twice}");
    }
    let header = r#"{"alg":"HS256","x":1,"x":1}"#;
    assert_eq!(fixture.refusal(&forge(header, &payload)).await.reason(), "malformed");
    let exp_null = r#"{"sub":"alice","jti":"x","exp":null}"#;
    assert_eq!(fixture.refusal(&forge(HEADER, exp_null)).await.reason(), "malformed");
}

#[tokio::test]
async fn text_that_is_no_jwt_is_refused() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let good = issued.token.expose();
    let long = "a".repeat(1_000_000);
    for text in ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "\0", &long, &format!("{good}.")] {
        assert_eq!(fixture.refusal(text).await.reason(), "malformed", "{text:.20}");
    }
    for text in
        [format!(" {good}"), format!("{good} "), format!("{good}\n"), format!("{good}="), good.replace('.', "..")]
    {
        assert_eq!(fixture.refusal(&text).await.reason(), "malformed");
    }
}

#[tokio::test]
async fn issuer_and_audience_must_be_the_expected_ones() {
    let fixture = Fixture::with(|builder| builder.issuer("us").audience("api"));
    let issued = fixture.login("alice").await;
    for (changes, reason) in [
        (json!({"iss": null}), "wrong_issuer"),
        (json!({"iss": "them"}), "wrong_issuer"),
        (json!({"iss": "US"}), "wrong_issuer"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"aud": "ap"}), "wrong_audience"),
        (json!({"aud": ["a", "b"]}), "wrong_audience"),
        // Expiry comes first, as in the projects that this one serves the clients of.
        (json!({"aud": "x", "exp": START}), "expired"),
    ] {
        assert_eq!(fixture.refusal(&with_claims(&issued, changes)).await.reason(), reason);
    }
    assert!(fixture.knox.authenticate(&with_claims(&issued, json!({"aud": ["x", "api"]}))).await.is_ok());
}

#[tokio::test]
async fn custom_claims_and_scopes_travel_in_the_token() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct MyClaims {
        role: String,
        teams: Vec<u32>,
    }
    let fixture = Fixture::new();
    let mine = MyClaims { role: "editor".into(), teams: vec![1, 2] };
    let new = NewToken::for_subject(Subject::new("alice").unwrap())
        .claims(&mine)
        .unwrap()
        .scope("read write")
        .unwrap()
        .label("Firefox")
        .attribute("ip", "192.0.2.1");
    let issued = fixture.knox.issue_with(new).await.unwrap();
    let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();
    assert_eq!(auth.claims::<MyClaims>().unwrap(), mine);
    assert!(auth.has_scope("read") && auth.has_scope("write"));
    assert!(!auth.has_scope("rea") && !auth.has_scope("read write") && !auth.has_scope(""));
    assert!(auth.require_scope("read").is_ok());
    assert_eq!(auth.require_scope("admin").unwrap_err().reason(), "insufficient_scope");
    assert_eq!(auth.record().label.as_deref(), Some("Firefox"));
    assert_eq!(auth.record().attributes["ip"], "192.0.2.1");
    // The secret is not among the claims, whatever type is asked for.
    let all = auth.claims::<Value>().unwrap();
    assert_eq!(all.get("jti"), None);
    assert_eq!(all["sub"], "alice");
    assert!(matches!(auth.claims::<Vec<u8>>(), Err(ClaimsError::Mismatch(_))));
}

#[tokio::test]
async fn claims_that_make_the_token_too_large_are_refused_before_anything_is_stored() {
    let fixture = Fixture::new();
    let subject = Subject::new("alice").unwrap();
    let new = NewToken::for_subject(subject.clone()).claims(&json!({"x": "y".repeat(9000)})).unwrap();
    assert!(matches!(fixture.knox.issue_with(new).await, Err(IssueError::TooLarge { max: 8192, .. })));
    assert!(fixture.knox.tokens(&subject).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_login_keeps_all_but_its_secret_and_one_rotation_wins() {
    let fixture = Fixture::new();
    let new = NewToken::for_subject(Subject::new("alice").unwrap())
        .label("Firefox")
        .claims(&json!({"role": "editor"}))
        .unwrap()
        .scope("read")
        .unwrap();
    let old = fixture.knox.issue_with(new).await.unwrap();
    fixture.set(1000);
    let auth = fixture.knox.authenticate(old.token.expose()).await.unwrap();
    let rotations: Vec<_> = (0..32)
        .map(|_| {
            let (knox, auth) = (fixture.knox.clone(), auth.clone());
            tokio::spawn(async move { knox.rotate(&auth).await })
        })
        .collect();
    let mut winners = Vec::new();
    for rotation in rotations {
        match rotation.await.unwrap() {
            Ok(issued) => winners.push(issued),
            Err(IssueError::Refused(AuthError::Revoked)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let new = &winners[0];
    assert_eq!(fixture.refusal(old.token.expose()).await, AuthError::Revoked);
    let rotated = fixture.knox.authenticate(new.token.expose()).await.unwrap();
    assert_eq!(rotated.record().created_at, old.record.created_at);
    assert_eq!(rotated.record().expires_at, old.record.expires_at);
    assert_eq!(rotated.record().label, old.record.label);
    assert_eq!(claims(new)["exp"], claims(&old)["exp"]);
    assert_eq!(claims(new)["role"], "editor");
    assert!(rotated.has_scope("read"));
    assert_eq!(fixture.knox.tokens(auth.subject()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn rotation_counts_as_use_and_needs_a_live_login() {
    let lifetime = Lifetime::absolute(seconds(1000)).with_idle(seconds(300));
    let fixture = Fixture::with(|builder| builder.lifetime(lifetime).touch_interval(Duration::MAX));
    let mut issued = fixture.login("alice").await;
    for second in [200, 400, 600, 800] {
        fixture.set(second);
        let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();
        issued = fixture.knox.rotate(&auth).await.unwrap();
    }
    assert_eq!(issued.record.expires_at, Some(at(START + 1000)));
    let auth = fixture.knox.authenticate(issued.token.expose()).await.unwrap();
    fixture.set(1000);
    assert!(matches!(fixture.knox.rotate(&auth).await, Err(IssueError::Refused(AuthError::Revoked))));
}

#[tokio::test]
async fn a_use_that_is_never_to_be_written_down_is_not() {
    let fixture = Fixture::with(|builder| builder.touch_interval(Duration::MAX));
    let issued = fixture.login("alice").await;
    fixture.set(3600);
    assert!(fixture.is_good(&issued).await);
    assert_eq!(fixture.store.writes.load(SeqCst), 0);
}

#[tokio::test]
async fn purging_removes_what_is_over_and_nothing_else() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))));
    for number in 0..2500 {
        fixture.login(&format!("user-{number}")).await;
    }
    fixture.set(50);
    let live = fixture.login("alice").await;
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 0);
    fixture.set(100);
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 2500);
    assert!(fixture.is_good(&live).await);
}

/// A future that is ready when `is_over` says so.
fn when(is_over: impl Fn() -> bool) -> impl Future<Output = ()> {
    poll_fn(move |_| if is_over() { Poll::Ready(()) } else { Poll::Pending })
}

#[tokio::test]
async fn purging_goes_on_after_a_failure_until_it_is_told_to_stop() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))));
    let (store, alice) = (&fixture.store, fixture.login("alice").await.record.key());
    fixture.set(100);
    let bob = fixture.login("bob").await.record.key();
    let naps = AtomicU64::new(0);
    let sleep = |interval| {
        assert_eq!(interval, seconds(3600), "it sleeps for the interval");
        let nap = naps.fetch_add(1, SeqCst) + 1;
        assert_eq!(store.purges.load(SeqCst), nap, "it purges once between two naps, and before the first");
        fixture.set(100 * (nap as i64 + 1));
        store.is_down.store(nap == 1, SeqCst);
        std::future::ready("whatever the runtime gives")
    };
    fixture.knox.purge_every(seconds(3600), sleep, when(|| naps.load(SeqCst) == 3)).await;
    assert_eq!(store.purges.load(SeqCst), 3, "it stops before another purge");
    assert_eq!(store.inner.find(&alice).await.unwrap(), None, "the first purge is at once");
    assert_eq!(store.inner.find(&bob).await.unwrap(), None, "the purge after the failed one makes up for it");
}

#[tokio::test]
async fn purging_stops_between_two_batches_and_loses_none() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::absolute(seconds(100))));
    for number in 0..2500 {
        fixture.login(&format!("user-{number}")).await;
    }
    fixture.set(100);
    let sleep = |_| -> std::future::Ready<()> { panic!("the purge was to stop before its end") };
    fixture.knox.purge_every(seconds(1), sleep, when(|| fixture.store.purges.load(SeqCst) == 2)).await;
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 500, "two batches of 1000 were removed, and whole");
}

#[tokio::test]
async fn purging_stops_while_it_sleeps() {
    let fixture = Fixture::new();
    let sleeps = AtomicBool::new(false);
    let sleep = |_| {
        sleeps.store(true, SeqCst);
        std::future::pending::<()>()
    };
    fixture.knox.purge_every(seconds(1), sleep, when(|| sleeps.load(SeqCst))).await;
    assert_eq!(fixture.store.purges.load(SeqCst), 1);

    // Who says stop at once, gets no purge at all.
    fixture.knox.purge_every(seconds(1), |_| std::future::pending::<()>(), std::future::ready(())).await;
    assert_eq!(fixture.store.purges.load(SeqCst), 1);
}

/// On one thread, with a store that never waits, whoever wants to say stop must get a turn.
#[tokio::test(flavor = "current_thread")]
async fn purging_lets_others_have_their_turn() {
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap()).store(MemoryStore::new()).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let is_told = Arc::clone(&stop);
    let purge = tokio::spawn(async move {
        let naps = AtomicU64::new(0);
        let sleep = |_| {
            assert!(naps.fetch_add(1, SeqCst) < 100, "nobody else gets a turn");
            std::future::ready(())
        };
        knox.purge_every(Duration::ZERO, sleep, when(|| is_told.load(SeqCst))).await;
    });
    tokio::task::yield_now().await;
    stop.store(true, SeqCst);
    purge.await.unwrap();
}

#[test]
fn handles_and_futures_cross_threads() {
    fn is_send<T: Send>(_: T) {}
    fn is_shareable<T: Send + Sync + Clone + 'static>() {}
    is_shareable::<Knox>();
    is_shareable::<Authenticated>();
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap()).store(MemoryStore::new()).build().unwrap();
    is_send(knox.authenticate(""));
    is_send(knox.issue(Subject::new("alice").unwrap()));
    is_send(knox.purge_expired());
    is_send(knox.purge_every(seconds(1), tokio::time::sleep, std::future::pending::<()>()));
}
