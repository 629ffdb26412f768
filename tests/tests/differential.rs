//! The same requests, good, bad and random, to all frameworks: the same status, headers and bytes from each.
//!
//! The generator starts from a fixed seed, or from `KNOX_TEST_SEED`, which a failure names.

#![allow(clippy::unwrap_used)]

use jwt_knox_tests::{Call, Framework, Server, StoreKind, World, forge};
use serde_json::json;

const ROUNDS: usize = 1500;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// Printable and less printable text that is legal in a header, and UTF-8, since Rocket drops headers that are not.
    fn text(&mut self, longest: usize) -> String {
        const CHARS: [char; 20] =
            ['a', 'B', '7', '.', '-', '_', ' ', '\t', '=', ',', '"', '\\', '/', '%', '{', ':', ';', 'é', '🦊', '~'];
        (0..self.below(longest + 1)).map(|_| CHARS[self.below(CHARS.len())]).collect()
    }
}

/// A request that may be anything from right to absurd.
fn random_call(random: &mut Random, tokens: &[String]) -> Call {
    if random.one_in(4) {
        return random_login(random);
    }
    let method = random.pick(&["GET", "POST", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"]);
    let id = "0123456789abcdef0123456789abcdef";
    let path = random
        .pick(
            &[
                "/verify",
                "/verify",
                "/get_token",
                "/get_token",
                "/sessions",
                "/logout_other",
                "/debug_verify",
                &format!("/sessions/{id}"),
                "/sessions/%ff",
                "/sessions/x?y=z",
                "/verify?access_token=x",
                "/logout_all",
            ]
            .map(|path: &str| path.to_owned())
            .each_ref()
            .map(String::as_str),
        )
        .to_owned();
    let mut call = Call::new(method, &path);
    for _ in 0..random.pick(&[&0, &1, &1, &1, &1, &1, &2]).to_owned() {
        let token = &tokens[random.below(tokens.len())];
        let value = match random.below(8) {
            0 => random.text(40),
            1 => format!("Bearer {}", random.text(60)),
            2 => format!("Basic {}", random.text(30)),
            3 => format!("Basic {}", random.pick(&["YWxpY2U6d29uZGVybGFuZA==", "YWxpY2U6eA==", "eA==", "OmE="])),
            4 => {
                let mut bytes = token.clone().into_bytes();
                let position = random.below(bytes.len());
                // Another byte for sure: the tokens of the servers differ, and the change must break each.
                bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
                format!("Bearer {}", String::from_utf8(bytes).unwrap())
            }
            _ => {
                let scheme = random.pick(&["Bearer", "bearer", "BEARER", "Bearer ", "Bearer\t"]);
                format!("{scheme} {token}")
            }
        };
        call = call.header(random.pick(&["Authorization", "authorization", "AUTHORIZATION"]), value);
    }
    if random.one_in(2) {
        let content_type = random.pick(&[
            "application/json",
            "application/json; charset=utf-8",
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
            "APPLICATION/JSON",
        ]);
        call = call.header("Content-Type", content_type);
    }
    if random.one_in(3) {
        call = call.header("User-Agent", random.text(300));
    }
    if *method == *"POST" && random.one_in(2) {
        call = call.body(random_body(random));
    }
    call
}

/// A login by JSON that gets as far as its body.
fn random_login(random: &mut Random) -> Call {
    let call = Call::post("/get_token").body(random_body(random));
    if random.one_in(5) { call } else { call.header("Content-Type", "application/json") }
}

fn random_body(random: &mut Random) -> Vec<u8> {
    match random.below(6) {
        0 => random.text(200).into_bytes(),
        1 => br#"{"username":"alice","password":"wonderland"}"#.to_vec(),
        2 => br#"{"username":"alice","password":"wrong"}"#.to_vec(),
        3 => json!({"username": random.text(20), "password": random.text(20)}).to_string().into_bytes(),
        4 => vec![b'x'; 8192 + random.below(3)],
        _ => b"\xff\x00{".to_vec(),
    }
}

/// Blanks out what differs from login to login.
fn without_secrets(body: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(body) else { return body.to_owned() };
    let members: Vec<&mut serde_json::Value> = match &mut value {
        serde_json::Value::Array(sessions) => sessions.iter_mut().collect(),
        other => vec![other],
    };
    for member in members {
        for name in ["access_token", "session_id", "id"] {
            if let Some(secret) = member.get_mut(name) {
                *secret = json!("…");
            }
        }
    }
    // Two logins of the same moment are listed by their random ids.
    if let Some(sessions) = value.as_array_mut() {
        sessions.sort_by_key(ToString::to_string);
    }
    value.to_string()
}

#[test]
fn all_frameworks_answer_alike() {
    let seed = std::env::var("KNOX_TEST_SEED").map_or(20_261_124, |seed| seed.parse().unwrap());
    // A world each, so that what one request does to the logins is the same for all.
    let servers: Vec<(Framework, World, Server)> = Framework::ALL
        .map(|framework| {
            let world = World::new(StoreKind::Memory);
            let server = Server::start(framework, world.knox.clone());
            (framework, world, server)
        })
        .into();
    let mut tokens: Vec<Vec<String>> = servers.iter().map(|_| Vec::new()).collect();
    let mut random = Random(seed);
    let mut statuses = std::collections::BTreeMap::new();
    for round in 0..ROUNDS {
        if round % 50 == 0 {
            for ((_, _, server), tokens) in servers.iter().zip(&mut tokens) {
                let honest = Call::login("bob", "builder").send(server.address).token();
                let forged = forge::with_claims(&honest, &json!({"exp": 1}));
                *tokens = vec![honest, forged, "a.b.c".to_owned()];
            }
        }
        let state = random.0;
        let replies: Vec<_> = servers
            .iter()
            .zip(&tokens)
            .map(|((framework, _, server), tokens)| {
                // The same choices for each, with its own tokens.
                random.0 = state;
                let call = random_call(&mut random, tokens);
                (framework, call.send(server.address), call)
            })
            .collect();
        let (_, first, _) = &replies[0];
        *statuses.entry(first.status).or_insert(0) += 1;
        assert!(first.status < 500, "seed {seed}, round {round}: {replies:?}");
        for (framework, reply, call) in &replies {
            let (status, headers, body) = reply.contract();
            let (first_status, first_headers, first_body) = first.contract();
            // Bodies of unknown paths are the framework's.
            if status == 404 && !headers.iter().any(|(name, _)| name == "cache-control") {
                assert_eq!(status, first_status, "{framework:?}, seed {seed}, round {round}: {call:?}");
                continue;
            }
            assert_eq!(
                (status, headers, without_secrets(body)),
                (first_status, first_headers, without_secrets(first_body)),
                "{framework:?}, seed {seed}, round {round}: {call:?}"
            );
        }
    }
    // The generator reaches what it is meant to reach.
    for status in [200, 204, 400, 401, 404, 405, 413, 415] {
        assert!(statuses.contains_key(&status), "no {status} among {statuses:?}");
    }
}
