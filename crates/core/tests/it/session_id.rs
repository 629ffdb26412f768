//! Which session a token names, in `sid` or without it.

use std::{num::NonZeroU32, sync::Arc};

use jwt_knox::*;
use serde_json::json;
use tokio::sync::Mutex;

use crate::fixture::{
    Fixture, HEADER, KEY, START, State, at, claim_names, claims, forge, rejection, seconds, secret, subject,
    with_claims,
};

/// A thief has the signing key, and a session of her own.
#[tokio::test]
async fn the_sid_of_another_session_leads_nowhere_even_with_the_key() {
    let fixture = Fixture::new();
    let (mine, mine_too) = (fixture.login("mallory").await, fixture.login("mallory").await);
    let alices = fixture.login("alice").await;
    let rotated = fixture.rotate(&fixture.login("alice").await).await;
    let unknown = "ab".repeat(16);
    for victim in [&alices, &rotated] {
        let sid = victim.session.id.as_str();
        let (present, before) = (&victim.session.digest, victim.session.previous.as_ref());
        let before = before.map_or(present, |previous| previous.digest());
        let forged = [
            json!({"sid": sid}),
            json!({"sid": sid, "sub": "alice"}),
            json!({"sid": sid, "sub": "alice", "jti": "x"}),
            json!({"sid": sid, "sub": "alice", "jti": present.to_string()}),
            json!({"sid": sid, "sub": "alice", "jti": before.to_string()}),
            json!({"sid": null, "sub": "alice"}),
            json!({"sid": mine_too.session.id.as_str()}),
            json!({"sid": unknown}),
        ];
        for changes in forged {
            for token in [&mine, &fixture.rotate(&fixture.login("mallory").await).await] {
                let reason = fixture.rejection(&with_claims(token, changes.clone())).await;
                assert_eq!(reason, Rejection::Revoked, "{changes}");
            }
        }
        fixture.set(3600);
        assert!(fixture.is_valid(victim).await, "nobody has ended it");
        fixture.set(0);
    }
    assert!(fixture.knox.authenticate(&with_claims(&mine, json!({}))).await.is_ok(), "the forger works");
}

/// The key is not enough to end the sessions of others: it takes a secret that was rotated away.
#[tokio::test]
async fn a_forged_sid_is_no_reuse() {
    let fixture = Fixture::new();
    let alices = fixture.login("alice").await;
    let rotated = fixture.rotate(&alices).await;
    fixture.set(10);
    let sid = alices.session.id.as_str();
    for secret in ["x", "", sid, &alices.session.digest.to_string(), &"A".repeat(43)] {
        let forged = forge(HEADER, json!({"sub": "alice", "sid": sid, "jti": secret, "iat": START}).to_string());
        let expected = if secret.is_empty() { "malformed" } else { "revoked" };
        assert_eq!(fixture.rejection(&forged).await.as_str(), expected, "{secret}");
    }
    assert!(fixture.is_valid(&rotated).await);
}

#[tokio::test]
async fn rejects_a_sid_that_is_not_a_session_id() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let sid = issued.session.id.as_str();
    for invalid in [
        json!(""),
        json!(1),
        json!(true),
        json!([sid]),
        json!({"id": sid}),
        json!(sid.to_uppercase()),
        json!(format!("{sid} ")),
        json!(sid[1..]),
        json!("é".repeat(16)),
        json!(issued.session.digest.to_string()),
    ] {
        let reason = fixture.rejection(&with_claims(&issued, json!({"sid": invalid}))).await;
        // The id of a session may have no letters.
        assert!(reason.as_str() == "malformed" || invalid == sid, "{invalid}: {reason}");
    }
    assert_eq!(fixture.calls(Operation::Touch), 0);
}

/// As tokens of drf-jwt-knox are.
#[tokio::test]
async fn a_token_without_sid_is_found_by_its_secret() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let without = with_claims(&issued, json!({"sid": null}));
    let auth = fixture.knox.authenticate(&without).await.unwrap();
    assert_eq!(auth.session_ref(), issued.session.session_ref());
    // The first rotation gives it a `sid`, by which the session is found from then on.
    let rotated = fixture.knox.rotate(&auth).await.unwrap();
    assert_eq!(claims(&rotated)["sid"], issued.session.id.as_str());
    assert!(fixture.is_valid(&rotated).await);
    assert!(fixture.knox.authenticate(&without).await.is_ok(), "the grace holds for it too");
    let next = with_claims(&rotated, json!({"sid": null}));
    assert_eq!(fixture.rejection(&next).await, Rejection::Revoked, "its secret is not the one that the id came from");
    fixture.set(10);
    assert_eq!(fixture.rejection(&without).await, Rejection::Reused);
}

/// A store on a table of another library, which has the digest and nothing else to tell sessions apart.
#[derive(Clone)]
struct StoreByDigest {
    store: MemoryStore,
    rotation: Arc<Mutex<()>>,
}

#[async_trait]
impl TokenStore for StoreByDigest {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.store.insert(record, limit, now).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        self.store.find(session).await
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        self.store.list(subject, now).await
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.store.touch(session, last_used_at, expires_at).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        self.store.set_label(session, label, now).await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let _only_one = self.rotation.lock().await;
        let Some(record) = self.store.find(session).await? else { return Ok(false) };
        let mut record = Arc::unwrap_or_clone(record);
        if !rotation.apply(&mut record) || !self.store.remove(session).await? {
            return Ok(false);
        }
        (record.id, record.previous) = (record.digest.session_id(), None);
        let inserted = self.store.insert(record, None, rotation.last_used_at).await?;
        Ok(inserted == InsertOutcome::Inserted { evicted: vec![] })
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        self.store.remove(session).await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_format_without_session_ids_changes_the_id_at_a_rotation_and_has_no_grace() {
    let store = StoreByDigest { store: MemoryStore::new(), rotation: Arc::default() };
    let clock = ManualClock::new(at(START));
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap())
        .store(store.clone())
        .clock(clock.clone())
        .token_format(TokenFormat::drf_jwt_knox().without_session_id())
        .build()
        .unwrap();
    let new = NewSession::new(subject("alice")).label("Firefox").claims(&json!({"role": "editor"})).unwrap();
    let old = knox.issue(new).await.unwrap();
    assert_eq!(claim_names(&old), ["exp", "iat", "jti", "role", "username"]);
    let auth = knox.authenticate(old.token.expose()).await.unwrap();
    let rotations: Vec<_> = (0..32)
        .map(|_| {
            let (knox, auth) = (knox.clone(), auth.clone());
            tokio::spawn(async move { knox.rotate(&auth).await })
        })
        .collect();
    let mut winners = Vec::new();
    for rotation in rotations {
        match rotation.await.unwrap() {
            Ok(issued) => winners.push(issued),
            Err(IssueError::Rejected(Rejection::Revoked)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let new = &winners[0];
    assert_eq!(claim_names(new), ["exp", "iat", "jti", "role", "username"]);
    assert_ne!(secret(new), secret(&old));
    assert_ne!(new.session.id, old.session.id);
    assert_eq!(new.session.id, new.session.digest.session_id());
    assert_eq!(rejection(&knox, old.token.expose()).await, Rejection::Revoked, "there is no grace");
    let rotated = knox.authenticate(new.token.expose()).await.unwrap();
    assert_eq!(rotated.session_ref(), new.session.session_ref());
    assert_eq!(rotated.session().label.as_deref(), Some("Firefox"));
    assert_eq!(knox.sessions(rotated.subject()).await.unwrap().len(), 1);
    clock.advance(seconds(3600));
    assert_eq!(rejection(&knox, old.token.expose()).await, Rejection::Revoked, "nor a reuse");
    assert!(knox.authenticate(new.token.expose()).await.is_ok());
    // A `sid` says nothing here.
    let with_sid = with_claims(new, json!({"sid": old.session.id.as_str()}));
    assert_eq!(knox.authenticate(&with_sid).await.unwrap().session_id(), new.session.id);
    assert!(knox.revoke(&rotated.session_ref()).await.unwrap().is_revoked());
    assert_eq!(rejection(&knox, new.token.expose()).await, Rejection::Revoked);
}

#[tokio::test]
async fn an_outage_tells_nothing_of_a_sid() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    fixture.store_is(|_| State::Fails);
    for sid in [json!(issued.session.id.as_str()), json!("ab".repeat(16)), json!(null)] {
        let outcome = fixture.knox.authenticate(&with_claims(&issued, json!({"sid": sid}))).await;
        assert!(matches!(outcome, Err(AuthenticateError::Store(_))), "{outcome:?}");
    }
}
