//! The handle and the model side by side: each step is taken with both, and both must say the same.

use std::{cmp::Reverse, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::*;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use serde_json::Value;

use super::{
    SECOND, START, Settings, Step, alice, at, micros,
    session::{Known, ModelSession},
    whole_second,
};

/// A token that was once issued.
struct Presented {
    token: Token,
    session: usize,
    /// Which of the session's secrets it has.
    secret: usize,
    /// What its last use gave.
    auth: Option<Authenticated>,
    /// When it was first called expired, unless the clock has gone back behind that.
    expired: Option<i64>,
}

pub(super) struct World {
    settings: Settings,
    clock: ManualClock,
    store: MemoryStore,
    knox: Knox,
    now: i64,
    sessions: Vec<ModelSession>,
    /// The record of each session, as it was last seen.
    records: Vec<SessionRecord>,
    tokens: Vec<Presented>,
    /// The latest time at which all sessions were revoked.
    revoked: i64,
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let (clock, store) = (ManualClock::new(at(START)), MemoryStore::new());
        let knox = settings.knox(&store, &clock);
        Self {
            settings,
            clock,
            store,
            knox,
            now: START,
            sessions: Vec::new(),
            records: Vec::new(),
            tokens: Vec::new(),
            revoked: i64::MIN,
        }
    }

    pub(super) async fn take(&mut self, step: Step) -> TestCaseResult {
        let among = |index: Index| index.index(self.tokens.len());
        match step {
            Step::Wait(by) => self.set_clock(self.now + micros(by)),
            Step::GoBack(by) => self.set_clock(self.now - micros(by)),
            Step::Issue(lifetime, ago) => return self.issue(lifetime, ago).await,
            Step::RevokeAll => return self.revoke_all().await,
            Step::Purge => return self.purge().await,
            _ if self.tokens.is_empty() => {}
            Step::GoToExpiry(index, offset) => {
                let expiry = self.sessions[self.tokens[among(index)].session].expires.unwrap_or(self.now);
                self.set_clock(expiry + micros(self.settings.leeway) + offset);
            }
            Step::GoToEndOfGrace(index, offset) => {
                let session = &self.sessions[self.tokens[among(index)].session];
                self.set_clock(if session.secret > 0 { session.grace_ends + offset } else { self.now });
            }
            Step::Use(index) => return self.authenticate(among(index)).await,
            Step::Rotate(index) => {
                let token = among(index);
                self.authenticate(token).await?;
                return self.rotate(token).await;
            }
            Step::RotateLate(index) => return self.rotate(among(index)).await,
            Step::Revoke(index) => return self.revoke(among(index)).await,
            Step::RevokeOthers(index) => return self.revoke_others(among(index)).await,
        }
        Ok(())
    }

    fn set_clock(&mut self, now: i64) {
        self.now = now;
        self.clock.set(at(now));
        for token in &mut self.tokens {
            token.expired = token.expired.filter(|expired| *expired <= now);
        }
    }

    /// The time beyond which a session must reach to count.
    fn cutoff(&self) -> i64 {
        self.now - micros(self.settings.leeway)
    }

    /// The sessions that count, the newest first.
    fn active(&self) -> Vec<usize> {
        let is_active = |session: &ModelSession| !session.is_gone && !session.has_expired(self.cutoff());
        let mut active: Vec<usize> =
            (0..self.sessions.len()).filter(|index| is_active(&self.sessions[*index])).collect();
        active.sort_by_key(|index| Reverse((self.sessions[*index].created, self.records[*index].id)));
        active
    }

    /// Why the token must be rejected; `None` if it must be accepted.
    fn rejection(&self, token: usize) -> Option<Rejection> {
        let presented = &self.tokens[token];
        let session = &self.sessions[presented.session];
        if session.absolute_expiry.is_some_and(|expiry| expiry <= self.cutoff()) {
            Some(Rejection::Expired)
        } else if session.is_gone {
            Some(Rejection::Revoked)
        } else {
            match session.knows(presented.secret, self.now, self.cutoff()) {
                Known::No => Some(Rejection::Revoked),
                Known::Reused => Some(Rejection::Reused),
                Known::Present | Known::Previous => session.has_expired(self.cutoff()).then_some(Rejection::Expired),
            }
        }
    }

    async fn issue(&mut self, own: Option<Lifetime>, ago: Duration) -> TestCaseResult {
        let began = self.now - micros(ago);
        let active = self.active();
        let room = self.settings.limit.map_or(usize::MAX, |limit| limit.max() as usize);
        let denies = self.settings.limit.is_some_and(|limit| limit.action() == LimitAction::Deny);

        let new = NewSession::new(alice()).began_at(at(began));
        let new = own.map_or(new.clone(), |lifetime| new.lifetime(lifetime));
        match self.knox.issue(new).await {
            Ok(issued) => {
                prop_assert!(began >= self.revoked, "all sessions were revoked after the login began");
                prop_assert!(!denies || active.len() < room);
                active.iter().skip(room - 1).for_each(|evicted| self.sessions[*evicted].is_gone = true);
                let lifetime = own.unwrap_or(self.settings.lifetime);
                self.sessions.push(ModelSession::new(lifetime, began, self.now));
                self.records.push(issued.session.clone());
                self.add_token(self.sessions.len() - 1, issued)?;
            }
            Err(IssueError::Superseded) => prop_assert!(began < self.revoked),
            Err(IssueError::LimitReached { .. }) => {
                prop_assert!(began >= self.revoked && denies && active.len() >= room);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
        self.forget_what_the_store_has_dropped().await;
        Ok(())
    }

    /// A store may drop an expired session whenever it wants to. A clock that goes back does not bring it back then.
    async fn forget_what_the_store_has_dropped(&mut self) {
        let cutoff = self.cutoff();
        for (session, record) in self.sessions.iter_mut().zip(&self.records) {
            if session.has_expired(cutoff) {
                session.is_gone |= self.store.find(&record.session_ref()).await.unwrap().is_none();
            }
        }
    }

    fn add_token(&mut self, session: usize, issued: Issued) -> TestCaseResult {
        self.sessions[session].check(&issued.session)?;
        prop_assert_eq!(issued.session.id, self.records[session].id);
        let claims = claims_of(&issued.token);
        prop_assert_eq!(claims["exp"].as_i64().map(|exp| exp * SECOND), self.sessions[session].absolute_expiry);
        prop_assert_eq!(claims["iat"].as_i64(), Some(whole_second(self.now) / SECOND));
        prop_assert_eq!(claims["sid"].as_str(), Some(issued.session.id.as_str()));
        let secret = self.sessions[session].secret;
        let mut others = self.tokens.iter().filter(|token| token.session == session);
        let is_one_of = |other: &Presented| (other.secret == secret) == (secret_in(&other.token) == claims["jti"]);
        prop_assert!(others.all(is_one_of), "tokens have the same secret if the model says so, and only then");
        let token = issued.token;
        self.tokens.push(Presented { token, session, secret, auth: None, expired: None });
        Ok(())
    }

    async fn authenticate(&mut self, token: usize) -> TestCaseResult {
        let (now, leeway) = (self.now, micros(self.settings.leeway));
        let expected = self.rejection(token);
        let presented = &mut self.tokens[token];
        let session = &mut self.sessions[presented.session];
        match (self.knox.authenticate(presented.token.expose()).await, expected) {
            (Ok(auth), None) => {
                prop_assert!(session.absolute_expiry.is_none_or(|expiry| now < expiry + leeway));
                prop_assert!(session.idle.is_none_or(|idle| now < session.used + idle + leeway));
                prop_assert!(presented.expired.is_none(), "it had expired, and the clock has not gone back");
                session.used = session.used.max(now);
                if session.is_recorded(now, self.settings.touch_interval) {
                    session.record_use(now);
                }
                session.check(auth.session())?;
                presented.auth = Some(auth);
            }
            (Err(AuthenticateError::Rejected(reason)), Some(expected)) => {
                prop_assert_eq!(&reason, &expected);
                if reason == Rejection::Expired {
                    presented.expired.get_or_insert(now);
                }
                session.is_gone |= reason == Rejection::Reused && self.settings.reuse == ReuseAction::RevokeSession;
            }
            (outcome, expected) => prop_assert!(false, "expected {expected:?}, got {outcome:?}"),
        }
        Ok(())
    }

    async fn rotate(&mut self, token: usize) -> TestCaseResult {
        let Some(auth) = self.tokens[token].auth.clone() else { return Ok(()) };
        let (now, cutoff, index) = (self.now, self.cutoff(), self.tokens[token].session);
        let session = &mut self.sessions[index];
        let outcome = self.knox.rotate(&auth).await;
        let expected = if session.absolute_expiry.is_some_and(|expiry| expiry <= cutoff) {
            Some(Rejection::Expired)
        } else if session.is_gone || session.has_expired(cutoff) {
            Some(Rejection::Revoked)
        } else {
            match session.knows(self.tokens[token].secret, now, cutoff) {
                Known::Present => {
                    session.used = session.used.max(now);
                    session.record_use(now);
                    session.secret += 1;
                    session.grace_ends = now + micros(self.settings.rotation_grace);
                    None
                }
                // The same new secret again, and nothing else changes.
                Known::Previous => None,
                // Nobody has presented the token now, so the session goes on.
                Known::Reused | Known::No => Some(Rejection::Revoked),
            }
        };
        match (outcome, expected) {
            (Ok(issued), None) => {
                check_order(&self.records[index], &issued.session)?;
                self.add_token(index, issued)
            }
            (Err(IssueError::Rejected(reason)), Some(expected)) => {
                prop_assert_eq!(reason, expected);
                Ok(())
            }
            (outcome, expected) => {
                prop_assert!(false, "expected {expected:?}, got {outcome:?}");
                Ok(())
            }
        }
    }

    async fn revoke(&mut self, token: usize) -> TestCaseResult {
        let index = self.tokens[token].session;
        let session = &mut self.sessions[index];
        let outcome = self.knox.revoke(&self.records[index].session_ref()).await.unwrap();
        prop_assert_eq!(outcome.is_revoked(), !session.is_gone);
        session.is_gone = true;
        Ok(())
    }

    async fn revoke_others(&mut self, token: usize) -> TestCaseResult {
        let Some(auth) = self.tokens[token].auth.clone() else { return Ok(()) };
        let spared = self.tokens[token].session;
        let count = self.count_but(Some(spared));
        prop_assert_eq!(self.knox.revoke_others(&auth).await.unwrap(), count);
        self.all_are_gone_but(Some(spared));
        Ok(())
    }

    async fn revoke_all(&mut self) -> TestCaseResult {
        let count = self.count_but(None);
        prop_assert_eq!(self.knox.revoke_all(&alice()).await.unwrap(), count);
        self.all_are_gone_but(None);
        Ok(())
    }

    /// How many sessions a revocation counts. Those in their leeway end too, and do not count.
    fn count_but(&self, spared: Option<usize>) -> u64 {
        let others = self.sessions.iter().enumerate().filter(|(index, _)| Some(*index) != spared);
        others.filter(|(_, session)| !session.is_gone && !session.has_expired(self.now)).count() as u64
    }

    fn all_are_gone_but(&mut self, spared: Option<usize>) {
        self.revoked = self.revoked.max(self.now);
        let others = self.sessions.iter_mut().enumerate().filter(|(index, _)| Some(*index) != spared);
        others.for_each(|(_, session)| session.is_gone = true);
    }

    async fn purge(&mut self) -> TestCaseResult {
        let cutoff = self.cutoff();
        let expired = self.sessions.iter_mut().filter(|session| !session.is_gone && session.has_expired(cutoff));
        let purged = expired.map(|session| session.is_gone = true).count();
        prop_assert_eq!(self.knox.purge_expired().await.unwrap(), purged as u64);
        Ok(())
    }

    /// The list has the sessions that the model calls active, which are also those that `authenticate` accepts.
    pub(super) async fn check_store(&mut self) -> TestCaseResult {
        let listed = self.knox.sessions(&alice()).await.unwrap();
        let active = self.active();
        prop_assert_eq!(listed.len(), active.len());
        for (record, index) in listed.into_iter().zip(active) {
            let session = &self.sessions[index];
            let before = &mut self.records[index];
            prop_assert_eq!(record.id, before.id);
            session.check(&record)?;
            check_order(before, &record)?;
            *before = record;
        }
        Ok(())
    }
}

fn claims_of(token: &Token) -> Value {
    let claims = Base64UrlUnpadded::decode_vec(token.expose().split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn secret_in(token: &Token) -> Value {
    claims_of(token)["jti"].take()
}

/// No record goes back in time.
fn check_order(earlier: &SessionRecord, later: &SessionRecord) -> TestCaseResult {
    prop_assert!(earlier.last_used_at <= later.last_used_at, "{earlier:?} {later:?}");
    prop_assert!(earlier.expires_at <= later.expires_at, "{earlier:?} {later:?}");
    Ok(())
}
