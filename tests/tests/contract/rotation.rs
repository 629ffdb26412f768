//! A new token for the same session.

use std::{collections::BTreeSet, time::Duration};

use jwt_knox::{KnoxBuilder, ReuseAction};
use jwt_knox_tests::{Call, World, forge};

use crate::fixture::{Fixture, assert_invalid, assert_missing};

fn rotating_gives_a_new_token_for_the_same_session(fixture: &Fixture) {
    let agent = Call::login("root", "toor").header("User-Agent", "Firefox");
    let old = fixture.send(&agent).token();
    let before = fixture.sessions(&old);
    fixture.world.set_clock(600);
    assert_missing(&fixture.send(&Call::post("/rotate")));
    let reply = fixture.send(&Call::post("/rotate").bearer(&old));
    let new = reply.token();
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.json()["expires_in"], 36_000 - 600);
    assert_eq!(reply.json()["expires_at"], "2027-01-15T18:00:00Z");
    // The old token stays valid for the grace, and gives the same new secret again.
    assert_eq!((fixture.verify(&old), fixture.verify(&new)), (204, 204));
    let again = fixture.send(&Call::post("/rotate").bearer(&old)).token();
    assert_eq!(forge::claims(&again)["jti"], forge::claims(&new)["jti"]);
    assert_ne!(forge::claims(&new)["jti"], forge::claims(&old)["jti"]);
    assert_eq!(fixture.status(&Call::get("/admin").bearer(&new)), 200);
    let after = fixture.sessions(&new);
    assert_eq!(after.len(), 1);
    for member in ["id", "label", "created_at", "expires_at"] {
        assert_eq!(after[0][member], before[0][member]);
    }
    assert_eq!(reply.json()["session_id"], before[0]["id"]);

    let address = fixture.address;
    let rotations: Vec<_> = (0..16)
        .map(|_| {
            let call = Call::post("/rotate").bearer(&new);
            std::thread::spawn(move || call.send(address))
        })
        .collect();
    let tokens: Vec<String> = rotations.into_iter().map(|rotation| rotation.join().unwrap().token()).collect();
    let secrets: BTreeSet<String> = tokens.iter().map(|token| forge::claims(token)["jti"].to_string()).collect();
    assert_eq!(secrets.len(), 1, "parallel rotations of one token give one new secret");
    assert!(tokens.iter().all(|token| fixture.verify(token) == 204));
}

fn a_token_that_was_rotated_away_ends_the_session_when_it_is_used_again(fixture: &Fixture) {
    let old = fixture.alice();
    let new = fixture.send(&Call::post("/rotate").bearer(&old)).token();
    fixture.world.set_clock(9);
    assert_eq!((fixture.verify(&old), fixture.verify(&new)), (204, 204));
    fixture.world.set_clock(10);
    assert_eq!(fixture.verify(&new), 204);
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&old)));
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&new)));
}

fn without_a_grace_the_old_token_is_revoked_at_once(fixture: &Fixture) {
    let settings = |core: KnoxBuilder| core.rotation_grace(Duration::ZERO).on_reuse(ReuseAction::Reject);
    let fixture = fixture.with(World::with(fixture.kind, settings, |http| http));
    let old = fixture.alice();
    let new = fixture.send(&Call::post("/rotate").bearer(&old)).token();
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&old)));
    assert_invalid(&fixture.send(&Call::post("/rotate").bearer(&old)));
    assert_eq!(fixture.verify(&new), 204);
}

fn a_logout_holds_however_often_the_token_was_rotated(fixture: &Fixture) {
    let first = fixture.alice();
    let second = fixture.send(&Call::post("/rotate").bearer(&first)).token();
    let third = fixture.send(&Call::post("/rotate").bearer(&second)).token();
    assert_eq!(fixture.status(&Call::post("/logout").bearer(&second)), 204);
    for token in [&first, &second, &third] {
        assert_invalid(&fixture.send(&Call::get("/verify").bearer(token)));
    }
}

contract! {
    rotating_gives_a_new_token_for_the_same_session
    a_token_that_was_rotated_away_ends_the_session_when_it_is_used_again
    without_a_grace_the_old_token_is_revoked_at_once
    a_logout_holds_however_often_the_token_was_rotated
}
