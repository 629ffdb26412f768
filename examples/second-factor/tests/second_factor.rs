//! Logins with a password and a one-time code, over a real socket, by a clock that the tests own.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use example_second_factor::{
    app, connect,
    passwords::{compare, hash},
    second_factor::{MAX_WRONG, SecondFactor, SecondFactors, WAIT_SECONDS},
    users::{User, Users},
};
use jwt_knox_axum::{
    Passwords,
    jwt_knox::{Event, Knox, ManualClock, MemoryStore, SigningKey, Timestamp, observer_fn},
};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use totp_rs::{Builder, Secret, Totp};

/// The secret of the examples of RFC 6238.
const SECRET: &[u8] = b"12345678901234567890";

const STEP: Duration = Duration::from_secs(30);

/// The server: alice (1) has a second factor, bob (2) has none.
struct Server {
    url: String,
    client: Client,
    clock: ManualClock,
    /// How many passwords were hashed.
    hashed: Arc<AtomicUsize>,
    recovery_code: String,
    device: Totp,
    /// For each login that was reported as rejected: whether the user is known.
    reported: Arc<Mutex<Vec<bool>>>,
}

impl Server {
    async fn start() -> Self {
        let secret = || Secret::from(SECRET.to_vec());
        let codes = SecondFactors::default();
        let mut second_factor = SecondFactor::new(secret()).unwrap();
        let recovery_code = second_factor.add_recovery_code().unwrap();
        codes.set_up(1, second_factor);
        let user = |id, password| User { id, password_hash: hash(password).unwrap() };
        let users = [("alice".to_owned(), user(1, "wonderland")), ("bob".to_owned(), user(2, "builder"))];

        // A step begins now.
        let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        let reported = Arc::new(Mutex::new(Vec::new()));
        let observed = reported.clone();
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
            .store(MemoryStore::new())
            .clock(clock.clone())
            .observer(observer_fn(move |event| {
                if let Event::LoginRejected { subject, .. } = event {
                    observed.lock().unwrap().push(subject.is_some());
                }
            }));
        let hashed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&hashed);
        let passwords = Passwords::new(hash("nobody's password").unwrap(), move |password, stored| {
            let outcome = compare(password, stored);
            count.fetch_add(usize::from(outcome.is_some()), SeqCst);
            outcome
        });
        let knox = connect(knox, Users::from_iter(users), passwords, codes).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app(knox)).await });
        let device = Builder::new().with_secret(secret()).build().unwrap();
        Self { url, client: Client::new(), clock, hashed, recovery_code, device, reported }
    }

    async fn post(&self, body: &Value) -> Response {
        self.client.post(format!("{}/get_token", self.url)).json(body).send().await.unwrap()
    }

    /// What alice's login with the right password and that code is answered: the status, and the code of the problem.
    async fn log_in(&self, otp: &str) -> (u16, String) {
        let body = json!({"username": "alice", "password": "wonderland", "otp": otp});
        answer(self.post(&body).await).await
    }

    async fn token(&self, body: &Value) -> String {
        let response = self.post(body).await;
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// What alice's device shows when the clock of the server shows that many steps later.
    fn code(&self, steps: i64) -> String {
        use jwt_knox_axum::jwt_knox::Clock;
        let now = self.clock.now().as_second() + 30 * steps;
        self.device.generate(now.try_into().unwrap()).to_string()
    }

    /// A code that is not right at any time that the server takes into account.
    fn wrong_code(&self) -> String {
        let near: Vec<_> = (-2..=2).map(|steps| self.code(steps)).collect();
        (0..10).map(|n| format!("00000{n}")).find(|code| !near.contains(code)).unwrap()
    }
}

/// The status, and the code of the problem if it is one.
async fn answer(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap_or_default();
    assert_eq!(body.get("access_token").is_some(), status == 200, "{body}");
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn logged_in() -> (u16, String) {
    problem(200, "")
}

#[tokio::test]
async fn the_right_password_alone_is_asked_for_a_code() {
    let server = Server::start().await;
    let alice = json!({"username": "alice", "password": "wonderland"});
    let null = json!({"username": "alice", "password": "wonderland", "otp": null});
    for body in [&alice, &null] {
        let response = server.post(body).await;
        assert_eq!(response.headers()["www-authenticate"], r#"Bearer realm="api""#);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(answer(response).await, problem(401, "second_factor_needed"));
    }
    let basic = server.client.post(format!("{}/get_token", server.url)).basic_auth("alice", Some("wonderland"));
    assert_eq!(answer(basic.send().await.unwrap()).await, problem(401, "second_factor_needed"));
    assert_eq!(server.log_in("").await, problem(401, "second_factor_wrong"));
    // Nobody has guessed a code yet, however often they were asked for one.
    for _ in 0..2 * MAX_WRONG {
        assert_eq!(answer(server.post(&alice).await).await, problem(401, "second_factor_needed"));
    }
    assert_eq!(server.log_in(&server.code(0)).await, logged_in());
}

#[tokio::test]
async fn the_code_of_the_device_logs_in() {
    let server = Server::start().await;
    // From the test vectors of RFC 6238, without their first two digits.
    server.clock.set(Timestamp::from_second(59).unwrap());
    assert_eq!(server.log_in("287082").await, logged_in());
    server.clock.set(Timestamp::from_second(1_111_111_109).unwrap());
    assert_eq!(server.log_in("081 804").await, logged_in());
}

#[tokio::test]
async fn a_wrong_code_is_rejected_and_reported() {
    let server = Server::start().await;
    assert_eq!(server.log_in(&server.wrong_code()).await, problem(401, "second_factor_wrong"));
    assert_eq!(*server.reported.lock().unwrap(), [true]);
    for otp in ["12345", "1234567", "+12345", "١٢٣٤٥٦"] {
        assert_eq!(server.log_in(otp).await, problem(401, "second_factor_wrong"), "{otp}");
    }
    for otp in [json!(123_456), json!(["123456"]), json!({})] {
        let body = json!({"username": "alice", "password": "wonderland", "otp": otp});
        assert_eq!(answer(server.post(&body).await).await, problem(400, "invalid_request"));
    }
}

#[tokio::test]
async fn a_code_is_accepted_once() {
    let server = Server::start().await;
    let code = server.code(0);
    assert_eq!(server.log_in(&code).await, logged_in());
    assert_eq!(server.log_in(&code).await, problem(401, "second_factor_wrong"));
    // It would be right for a step more.
    server.clock.advance(STEP);
    assert_eq!(server.log_in(&code).await, problem(401, "second_factor_wrong"));
    assert_eq!(server.log_in(&server.code(0)).await, logged_in());
}

#[tokio::test]
async fn of_two_logins_at_once_one_has_the_code() {
    let server = Server::start().await;
    let code = server.code(0);
    let (one, other) = tokio::join!(server.log_in(&code), server.log_in(&code));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn clocks_may_be_a_step_apart() {
    let server = Server::start().await;
    for (steps, is_accepted) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        assert_eq!(server.log_in(&server.code(steps)).await.0 == 200, is_accepted, "{steps}");
    }
    // The code of the step before one that was accepted is used up, though nobody has sent it.
    let server = Server::start().await;
    assert_eq!(server.log_in(&server.code(1)).await, logged_in());
    assert_eq!(server.log_in(&server.code(0)).await, problem(401, "second_factor_wrong"));
    assert_eq!(server.log_in(&server.code(-1)).await, problem(401, "second_factor_wrong"));
}

#[tokio::test]
async fn after_too_many_wrong_codes_none_is_looked_at_for_a_while() {
    let server = Server::start().await;
    for _ in 0..2 {
        for _ in 0..MAX_WRONG {
            assert_eq!(server.log_in(&server.wrong_code()).await, problem(401, "second_factor_wrong"));
        }
        for otp in [&server.code(0), &server.wrong_code(), &server.recovery_code] {
            assert_eq!(server.log_in(otp).await, problem(429, "second_factor_locked"));
        }
        // Others are not kept out.
        server.token(&json!({"username": "bob", "password": "builder"})).await;
        server.clock.advance(Duration::from_secs(WAIT_SECONDS - 1));
        assert_eq!(server.log_in(&server.code(0)).await, problem(429, "second_factor_locked"));
        server.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(server.log_in(&server.code(0)).await, logged_in());
    assert_eq!(server.log_in(&server.recovery_code).await, logged_in());
}

#[tokio::test]
async fn a_right_code_makes_up_for_wrong_ones() {
    let server = Server::start().await;
    for _ in 0..2 {
        for _ in 1..MAX_WRONG {
            assert_eq!(server.log_in(&server.wrong_code()).await, problem(401, "second_factor_wrong"));
        }
        assert_eq!(server.log_in(&server.code(0)).await, logged_in());
        server.clock.advance(STEP);
    }
}

#[tokio::test]
async fn without_the_password_nobody_can_use_up_the_attempts() {
    let server = Server::start().await;
    for _ in 0..2 * MAX_WRONG {
        let body = json!({"username": "alice", "password": "builder", "otp": server.wrong_code()});
        assert_eq!(answer(server.post(&body).await).await, problem(401, "invalid_credentials"));
    }
    // Nor a right code.
    let body = json!({"username": "alice", "password": "builder", "otp": server.code(0)});
    assert_eq!(answer(server.post(&body).await).await, problem(401, "invalid_credentials"));
    assert_eq!(server.log_in(&server.code(0)).await, logged_in());
}

#[tokio::test]
async fn an_unknown_user_is_answered_like_a_wrong_password() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    for otp in [json!(null), json!("287082"), json!(server.code(0))] {
        for username in ["nobody", "alice", "bob"] {
            let hashed = server.hashed.load(SeqCst);
            let response = server.post(&json!({"username": username, "password": "x", "otp": otp})).await;
            assert_eq!(server.hashed.load(SeqCst), hashed + 1, "the time would tell");
            let mut headers = response.headers().clone();
            headers.remove("date");
            answers.push((response.status(), headers, response.text().await.unwrap()));
        }
    }
    assert_eq!(answers[0].0, 401);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_recovery_code_is_accepted_once() {
    let server = Server::start().await;
    let with_dashes = format!("{}-{}", &server.recovery_code[..8], &server.recovery_code[8..].to_lowercase());
    assert_eq!(server.log_in(&with_dashes).await, logged_in());
    assert_eq!(server.log_in(&server.recovery_code).await, problem(401, "second_factor_wrong"));
    assert_eq!(server.log_in(&server.code(0)).await, logged_in());
}

#[tokio::test]
async fn a_sensitive_route_needs_a_fresh_login_with_a_second_factor() {
    let server = Server::start().await;
    let transfer = async |token: &str| {
        let response = server.client.post(format!("{}/transfer", server.url)).bearer_auth(token).send().await.unwrap();
        answer(response).await
    };
    let me = async |token: &str| {
        let response = server.client.get(format!("{}/me", server.url)).bearer_auth(token).send().await.unwrap();
        response.json::<Value>().await.unwrap()
    };
    let code = server.code(0);
    let alice = server.token(&json!({"username": "alice", "password": "wonderland", "otp": code})).await;
    let bob = server.token(&json!({"username": "bob", "password": "builder", "otp": code})).await;
    assert_eq!(me(&alice).await, json!({"subject": "1", "amr": "pwd otp"}));
    assert_eq!(me(&bob).await, json!({"subject": "2", "amr": "pwd"}));
    assert_eq!(transfer(&alice).await, problem(204, ""));
    assert_eq!(transfer(&bob).await, problem(403, "second_factor_needed"));
    server.clock.advance(Duration::from_secs(301));
    assert_eq!(transfer(&alice).await, problem(401, "insufficient_user_authentication"));
    assert_eq!(me(&alice).await["subject"], "1");
}
