//! Logins whose users have gone to the provider and are not back yet.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use jwt_knox_axum::jwt_knox::Timestamp;
use oauth2::{CsrfToken, PkceCodeVerifier};

/// How long a user may stay at the provider, in seconds.
pub const MAX_AGE_SECONDS: i64 = 600;

/// How many logins are remembered. Beyond that, the oldest gives way: anybody can begin a login, and to keep users out
/// somebody would have to begin so many in the time that a user takes to log in.
const MAX: usize = 10_000;

/// The logins that have begun in browsers. Cheap to clone; clones share them.
///
/// They are in the memory of this process. Several servers behind a balancer keep them in what they share, such as
/// Redis, where `GETDEL` takes one once.
#[derive(Debug, Clone, Default)]
pub struct BegunLogins(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    by_browser: HashMap<CsrfToken, BegunLogin>,
    /// The keys from the oldest to the newest, those of logins that were taken included.
    order: VecDeque<CsrfToken>,
}

/// A login that has begun.
#[derive(Debug)]
pub struct BegunLogin {
    state: CsrfToken,
    began_at: Timestamp,
    /// Proves to the provider that the code is redeemed by who has asked for it.
    pub verifier: PkceCodeVerifier,
    /// Who gets the token.
    pub client: Client,
}

/// Who gets the token of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The browser, in a cookie.
    Browser,
    /// The user of the browser, to give it to a program.
    Program,
}

impl BegunLogins {
    /// Remembers a login, and returns the secret that the browser keeps in a cookie.
    pub fn insert(&self, state: CsrfToken, verifier: PkceCodeVerifier, client: Client, now: Timestamp) -> CsrfToken {
        // 256 random bits, as for the session: who has the cookie can end up logged in as the user.
        let browser = CsrfToken::new_random_len(32);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.order.len() >= MAX
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.by_browser.remove(&oldest);
        }
        inner.order.push_back(browser.clone());
        inner.by_browser.insert(browser.clone(), BegunLogin { state, began_at: now, verifier, client });
        browser
    }

    /// The login that has begun in this browser, if `state` is its own. It can be taken once, whatever the `state`.
    #[must_use]
    pub fn take(&self, browser: &CsrfToken, state: &CsrfToken, now: Timestamp) -> Option<BegunLogin> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).by_browser.remove(browser)?;
        let is_young = now.as_second().saturating_sub(begun.began_at.as_second()) < MAX_AGE_SECONDS;
        (is_young && begun.state == *state).then_some(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(begun: &BegunLogins) -> CsrfToken {
        let verifier = PkceCodeVerifier::new("verifier".to_owned());
        begun.insert(CsrfToken::new("a state".to_owned()), verifier, Client::Browser, Timestamp::UNIX_EPOCH)
    }

    fn take(begun: &BegunLogins, browser: &CsrfToken) -> bool {
        begun.take(browser, &CsrfToken::new("a state".to_owned()), Timestamp::UNIX_EPOCH).is_some()
    }

    #[test]
    fn the_oldest_gives_way_to_one_too_many() {
        let begun = BegunLogins::default();
        let first = insert(&begun);
        let second = insert(&begun);
        for _ in 2..=MAX {
            let _ = insert(&begun);
        }
        assert!(!take(&begun, &first));
        assert!(take(&begun, &second));
        assert!(!take(&begun, &second));
        let inner = begun.0.lock().unwrap();
        assert_eq!((inner.order.len(), inner.by_browser.len()), (MAX, MAX - 1));
    }

    #[test]
    fn debug_shows_no_secret() {
        let begun = BegunLogins::default();
        let browser = insert(&begun);
        let shown = format!("{begun:?}");
        assert!(!shown.contains(browser.secret()) && !shown.contains("a state"), "{shown}");
    }
}
