//! Logins with a provider, over real sockets: a browser, the application, and a provider of the tests.

#![allow(clippy::unwrap_used)]

mod provider;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use example_oauth::{
    CALLBACK, app,
    begun::MAX_AGE_SECONDS,
    provider::{Provider, ProviderSettings},
    users::Users,
};
use jwt_knox_axum::{
    Cookies, KnoxHttp,
    jwt_knox::{
        Clock, Knox, ManualClock, MemoryStore, SessionRecord, SigningKey, StoreError, SubjectCheck, SubjectStatus,
        Timestamp, async_trait,
    },
};
use oauth2::{ClientId, ClientSecret, url::Url};
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::provider::{CLIENT_ID, CLIENT_SECRET, FakeProvider, Mood};

/// How long the application waits for the provider. A provider that answers has far less to do.
const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    url: String,
    provider: FakeProvider,
    users: Users,
    knox: KnoxHttp,
    clock: ManualClock,
}

impl Server {
    async fn start() -> Self {
        Self::with(PATIENCE, CLIENT_SECRET, |users| Arc::new(users)).await
    }

    async fn with(time_limit: Duration, secret: &str, check: impl FnOnce(Users) -> Arc<dyn SubjectCheck>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let callback = format!("{url}{CALLBACK}");
        let provider = FakeProvider::start(callback.clone()).await;
        let endpoint = |path| Url::parse(&format!("{}{path}", provider.url)).unwrap();
        let settings = ProviderSettings {
            client_id: ClientId::new(CLIENT_ID.to_owned()),
            client_secret: ClientSecret::new(secret.to_owned()),
            authorize_url: endpoint("/authorize"),
            token_url: endpoint("/token"),
            userinfo_url: endpoint("/userinfo"),
            redirect_url: Url::parse(&callback).unwrap(),
            scopes: vec!["openid".to_owned()],
            id_member: "sub".to_owned(),
            time_limit,
        };
        let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        let users = Users::default();
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
            .store(MemoryStore::new())
            .clock(clock.clone())
            .subject_check(check(users.clone()))
            .build()
            .unwrap();
        let knox = KnoxHttp::builder(knox).cookies(Cookies::new()).build().unwrap();
        let app = app(knox.clone(), Provider::new(settings).unwrap(), users.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, provider, users, knox, clock }
    }

    /// A new browser that follows no redirects by itself.
    fn browser(&self) -> Browser {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Browser { client, origin: self.url.clone(), cookies: Mutex::default() }
    }

    /// A browser that has logged in.
    async fn logged_in(&self) -> Browser {
        let browser = self.browser();
        let callback = browser.callback("/oauth/login").await;
        let response = browser.get(&callback).await;
        assert_eq!((response.status().as_u16(), location(&response)), (303, "/".to_owned()));
        browser
    }
}

struct Browser {
    client: Client,
    origin: String,
    /// Of the application. They are `Secure`, which browsers take from 127.0.0.1 without TLS; programs do not.
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    async fn get(&self, url: &str) -> Response {
        let cookies: Vec<_> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.client.get(url);
        let is_own = url.starts_with(&self.origin);
        let request =
            if is_own && !cookies.is_empty() { request.header("cookie", cookies.join("; ")) } else { request };
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let (pair, attributes) = cookie.to_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            for needed in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(attributes.split("; ").any(|attribute| attribute == needed), "{attributes}");
            }
            let mut cookies = self.cookies.lock().unwrap();
            match attributes.contains("Max-Age=0") {
                true => cookies.remove(name),
                false => cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        response
    }

    /// Goes to the provider, where the user logs in, and returns the callback that the provider sends the browser to.
    async fn callback(&self, path: &str) -> String {
        let response = self.get(&format!("{}{path}", self.origin)).await;
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let response = self.get(&location(&response)).await;
        assert_eq!(response.status(), 303);
        location(&response)
    }

    async fn verify(&self) -> u16 {
        self.get(&format!("{}/auth/verify", self.origin)).await.status().as_u16()
    }

    async fn subject(&self) -> Value {
        self.get(&format!("{}/me", self.origin)).await.json::<Value>().await.unwrap()["subject"].clone()
    }

    fn has(&self, cookie: &str) -> bool {
        self.cookies.lock().unwrap().contains_key(cookie)
    }
}

fn location(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// What a callback is answered that logs nobody in: the status and the code of a problem of the contract.
async fn rejected(browser: &Browser, callback: &str) -> (u16, String) {
    let response = browser.get(callback).await;
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
    let text = response.text().await.unwrap();
    assert!(!text.contains("hunter2") && !text.contains("script") && !text.contains("code-"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["status"], status);
    assert!(!browser.has("__Host-session") && !browser.has("__Host-oauth"));
    assert_eq!(browser.verify().await, 401);
    (status, body["code"].as_str().unwrap().to_owned())
}

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn the_whole_walk_ends_logged_in() {
    let server = Server::start().await;
    let browser = server.logged_in().await;
    assert_eq!(browser.verify().await, 204);
    assert_eq!(browser.subject().await, "0");
    assert!(!browser.has("__Host-oauth"), "it has served its purpose");
    assert_eq!(browser.get(&format!("{}/", server.url)).await.status(), 200);
    let ended = server.knox.revoke_all(&0.into()).await.unwrap();
    assert_eq!((ended, browser.verify().await), (1, 401));
}

#[tokio::test]
async fn a_program_gets_the_token() {
    let server = Server::start().await;
    let browser = server.browser();
    let callback = browser.callback("/oauth/login/program").await;
    let response = browser.get(&callback).await;
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert!(!browser.has("__Host-session"));
    let verify = browser.client.get(format!("{}/auth/verify", server.url));
    let verify = verify.bearer_auth(body["access_token"].as_str().unwrap());
    assert_eq!(verify.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_user_is_who_the_provider_knows_by_the_same_id() {
    let server = Server::start().await;
    let user = |id, email| server.provider.user(Some(json!({"sub": id, "email": email})));
    user("a", "jane@example.com");
    assert_eq!(server.logged_in().await.subject().await, "0");
    // Somebody else who was given the address.
    user("b", "jane@example.com");
    assert_eq!(server.logged_in().await.subject().await, "1");
    user("a", "jane@example.org");
    assert_eq!(server.logged_in().await.subject().await, "0");
}

#[tokio::test]
async fn a_wrong_or_missing_state_is_rejected() {
    let server = Server::start().await;
    for replace in ["state=x", "state=", "x=y", "state=a&state=b", "%"] {
        let browser = server.browser();
        let callback = browser.callback("/oauth/login").await;
        let (before, _) = callback.split_once("state=").unwrap();
        assert_eq!(rejected(&browser, &format!("{before}{replace}")).await, problem(400, "login_not_begun"));
        // A login that somebody has tried to take over is over.
        assert_eq!(rejected(&browser, &callback).await, problem(400, "login_not_begun"));
    }
    let stranger = server.browser();
    assert_eq!(rejected(&stranger, &format!("{}{CALLBACK}", server.url)).await, problem(400, "login_not_begun"));
    assert_eq!(server.provider.issued(), 0, "no code was redeemed");
}

#[tokio::test]
async fn a_state_can_be_used_once() {
    let server = Server::start().await;
    let browser = server.browser();
    let callback = browser.callback("/oauth/login").await;
    let cookies = browser.cookies.lock().unwrap().clone();
    assert_eq!(browser.get(&callback).await.status(), 303);
    // Whoever has kept the cookie.
    *browser.cookies.lock().unwrap() = cookies;
    assert_eq!(rejected(&browser, &callback).await, problem(400, "login_not_begun"));
    assert_eq!(server.provider.issued(), 1);
}

/// Otherwise an attacker could log a user in as themselves, and read what the user then enters.
#[tokio::test]
async fn a_callback_of_another_browser_is_rejected() {
    let server = Server::start().await;
    let attacker = server.browser();
    let callback = attacker.callback("/oauth/login").await;
    let victim = server.browser();
    victim.callback("/oauth/login").await;
    assert_eq!(rejected(&victim, &callback).await, problem(400, "login_not_begun"));
    assert_eq!(rejected(&server.browser(), &callback).await, problem(400, "login_not_begun"));
    assert_eq!(server.provider.issued(), 0);
    assert_eq!(attacker.get(&callback).await.status(), 303, "its own browser may");
}

/// The proof key (PKCE) belongs to the login, so a stolen code is of no use in another one.
#[tokio::test]
async fn a_code_of_another_login_is_rejected() {
    let server = Server::start().await;
    let victim = server.browser();
    let stolen = victim.callback("/oauth/login").await;
    let attacker = server.browser();
    let own = attacker.callback("/oauth/login").await;
    let (code, state) = (stolen.split_once("&state=").unwrap().0, own.split_once("&state=").unwrap().1);
    assert_eq!(rejected(&attacker, &format!("{code}&state={state}")).await, problem(401, "invalid_credentials"));
    assert_eq!(server.provider.issued(), 0);
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_rejected() {
    let server = Server::start().await;
    for (seconds, is_accepted) in [(MAX_AGE_SECONDS - 1, true), (MAX_AGE_SECONDS, false)] {
        let browser = server.browser();
        let callback = browser.callback("/oauth/login").await;
        server.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
        if is_accepted {
            assert_eq!(browser.get(&callback).await.status(), 303);
        } else {
            assert_eq!(rejected(&browser, &callback).await, problem(400, "login_not_begun"));
        }
    }
}

#[tokio::test]
async fn a_user_who_does_not_want_to_is_not_logged_in() {
    let server = Server::start().await;
    server.provider.user(None);
    let browser = server.browser();
    let callback = browser.callback("/oauth/login").await;
    assert!(callback.contains("error=access_denied"));
    assert_eq!(rejected(&browser, &callback).await, problem(401, "invalid_credentials"));
    // An error counts, whatever else is there.
    server.provider.user(Some(json!({"sub": "a"})));
    let callback = browser.callback("/oauth/login").await;
    assert_eq!(rejected(&browser, &format!("{callback}&error=x")).await, problem(401, "invalid_credentials"));
    let callback = browser.callback("/oauth/login").await.replace("code=", "x=");
    assert_eq!(rejected(&browser, &callback).await, problem(401, "invalid_credentials"));
    assert_eq!(server.provider.issued(), 0);
}

#[tokio::test]
async fn a_provider_that_fails_is_a_503_that_says_nothing_of_it() {
    let server = Server::start().await;
    let browser = server.browser();
    let moods =
        [Mood::Fails, Mood::Garbage, Mood::Endless, Mood::NoToken, Mood::Redirects, Mood::UserFails, Mood::UserHasNoId];
    for mood in moods {
        server.provider.mood(mood);
        let callback = browser.callback("/oauth/login").await;
        assert_eq!(rejected(&browser, &callback).await, problem(503, "unavailable"));
    }
    server.provider.mood(Mood::Well);
    for user in [json!({"sub": ""}), json!({"sub": null}), json!({"sub": "x".repeat(256)}), json!([]), json!("x")] {
        server.provider.user(Some(user));
        let callback = browser.callback("/oauth/login").await;
        assert_eq!(rejected(&browser, &callback).await, problem(503, "unavailable"));
    }
}

#[tokio::test]
async fn a_provider_that_does_not_know_the_application_is_a_503() {
    let server = Server::with(PATIENCE, "wrong", |users| Arc::new(users)).await;
    let browser = server.browser();
    let callback = browser.callback("/oauth/login").await;
    assert_eq!(rejected(&browser, &callback).await, problem(503, "unavailable"));
}

#[tokio::test]
async fn a_provider_that_hangs_is_a_503() {
    let server = Server::with(Duration::from_millis(100), CLIENT_SECRET, |users| Arc::new(users)).await;
    for mood in [Mood::Hangs, Mood::UserHangs] {
        server.provider.mood(mood);
        let browser = server.browser();
        let callback = browser.callback("/oauth/login").await;
        assert_eq!(rejected(&browser, &callback).await, problem(503, "unavailable"));
    }
}

#[tokio::test]
async fn an_inactive_user_is_not_logged_in() {
    let server = Server::start().await;
    let browser = server.logged_in().await;
    server.users.set_active(0, false);
    assert_eq!(browser.verify().await, 401);
    let again = server.browser();
    let callback = again.callback("/oauth/login").await;
    assert_eq!(rejected(&again, &callback).await, problem(401, "invalid_credentials"));
    server.users.set_active(0, true);
    assert_eq!(server.logged_in().await.verify().await, 204);
}

/// All sessions of the user are ended, as after a theft, while a login is at work: here, when it has got as far as the
/// check of the user.
#[tokio::test]
async fn a_login_under_way_does_not_survive_a_logout_everywhere() {
    #[derive(Default)]
    struct Theft(Mutex<Option<(KnoxHttp, ManualClock)>>);

    #[async_trait]
    impl SubjectCheck for Theft {
        async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
            let theft = self.0.lock().unwrap().take();
            if let Some((knox, clock)) = theft {
                clock.advance(Duration::from_secs(1));
                knox.revoke_all(&session.subject).await?;
            }
            Ok(SubjectStatus::Active)
        }
    }

    let theft = Arc::new(Theft::default());
    let server = Server::with(PATIENCE, CLIENT_SECRET, |_| theft.clone()).await;
    let browser = server.browser();
    let callback = browser.callback("/oauth/login").await;
    *theft.0.lock().unwrap() = Some((server.knox.clone(), server.clock.clone()));
    let before = server.clock.now();
    assert_eq!(rejected(&browser, &callback).await, problem(401, "invalid_credentials"));
    assert!(server.clock.now() > before, "nothing was revoked");
    assert_eq!(server.logged_in().await.verify().await, 204);
}
