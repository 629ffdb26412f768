//! Key rings in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, SystemTime},
};

use jwt_knox::*;
use proptest::prelude::*;

use crate::{
    fixture::{Fixture, rejection, subject},
    log::warnings_of,
};

/// A folder that is deleted at the end of the test.
struct Folder(PathBuf);

impl Folder {
    /// There is none yet.
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("jwt-knox-ring-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn with(name: &str, contents: impl AsRef<[u8]>) -> Self {
        let folder = Self::new(name);
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.file(), contents).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("ring.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

fn key(byte: u8, key_id: &str) -> SigningKey {
    SigningKey::hs256([byte; 32]).unwrap().with_key_id(key_id).unwrap()
}

fn new_key(key_id: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id(key_id).unwrap()
}

fn states(ring: &KeyRing) -> Vec<(String, KeyState)> {
    ring.keys().into_iter().map(|key| (key.key_id, key.state)).collect()
}

fn expected<const N: usize>(states: [(&str, KeyState); N]) -> Vec<(String, KeyState)> {
    states.map(|(key_id, state)| (key_id.to_owned(), state)).to_vec()
}

#[tokio::test]
async fn a_ring_of_every_algorithm_comes_back_from_its_folder() {
    let folder = Folder::new("all");
    let ring = KeyRing::new(key(1, "first"));
    for algorithm in Algorithm::ALL.iter().filter(|algorithm| !matches!(algorithm, Algorithm::Rs384 | Algorithm::Rs512))
    {
        let new = SigningKey::generate(*algorithm).unwrap();
        ring.stage(new.with_key_id(format!("{algorithm}")).unwrap()).unwrap();
        let foreign =
            SigningKey::generate(if algorithm.is_symmetric() { *algorithm } else { Algorithm::Es256 }).unwrap();
        ring.add_verifying(foreign.with_key_id(format!("{algorithm}/verifying")).unwrap().verifying_key()).unwrap();
    }
    ring.promote("ML-DSA-44").unwrap();
    ring.promote("ES256").unwrap();
    ring.retire("EdDSA").unwrap();
    ring.retire("HS384/verifying").unwrap();
    ring.save(&folder).unwrap();

    let loaded = KeyRing::load(&folder).unwrap();
    let sorted = |ring: &KeyRing| {
        let mut states = states(ring);
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
    };
    assert_eq!(sorted(&loaded), sorted(&ring));
    assert_eq!(loaded.jwks(), ring.jwks());
    // Tokens of the one are tokens of the other.
    let fixture = Fixture::new();
    let (before, after) = (fixture.server(ring.clone()).build().unwrap(), fixture.server(loaded).build().unwrap());
    for signer in ["ES256", "RS256", "first", "ML-DSA-87"] {
        ring.promote(signer).unwrap();
        let issued = before.issue(subject("alice")).await.unwrap();
        assert!(after.authenticate(issued.token.expose()).await.is_ok(), "{signer}");
        after.key_ring().promote(signer).unwrap();
        let issued = after.issue(subject("alice")).await.unwrap();
        assert!(before.authenticate(issued.token.expose()).await.is_ok(), "{signer}");
    }
}

#[test]
fn after_a_restart_the_old_key_may_be_promoted_again_and_a_retired_id_stays_taken() {
    use KeyState::{Retired, Signing, Staged, Verifying};
    let folder = Folder::new("restart");
    let step = |change: &dyn Fn(&KeyRing)| {
        let ring = KeyRing::load(&folder).unwrap();
        change(&ring);
        ring.save(&folder).unwrap();
        states(&KeyRing::load(&folder).unwrap())
    };
    KeyRing::new(new_key("a")).save(&folder).unwrap();
    assert_eq!(step(&|ring| ring.stage(new_key("b")).unwrap()), expected([("a", Signing), ("b", Staged)]));
    assert_eq!(step(&|ring| ring.promote("b").unwrap()), expected([("a", Verifying), ("b", Signing)]));
    assert_eq!(step(&|ring| ring.promote("a").unwrap()), expected([("a", Signing), ("b", Verifying)]));
    let private = |key_id: &str| folder.text().lines().any(|line| line.contains(key_id) && line.contains(r#""d":"#));
    assert!(private(r#""kid":"b""#));
    assert_eq!(step(&|ring| ring.retire("b").unwrap()), expected([("a", Signing), ("b", Retired)]));
    assert!(!private(r#""kid":"b""#) && private(r#""kid":"a""#), "the key is gone from the file");
    let after = step(&|ring| {
        assert!(matches!(ring.stage(new_key("b")), Err(KeyRingError::DuplicateKeyId { .. })));
        ring.replace("a", new_key("c")).unwrap();
    });
    // The retired ones come last in the file.
    assert_eq!(after, expected([("c", Signing), ("a", Retired), ("b", Retired)]));
}

#[test]
fn a_new_ring_replaces_none() {
    let folder = Folder::new("new");
    let first = KeyRing::new(new_key("first"));
    first.save_new(&folder).unwrap();
    assert_eq!(folder.names(), ["ring.json"]);
    let before = folder.text();
    let error = KeyRing::new(new_key("second")).save_new(&folder).unwrap_err();
    assert!(matches!(error, KeyFolderError::Present { .. }), "{error}");
    assert_eq!((folder.text(), folder.names()), (before, vec!["ring.json".to_owned()]));
    // Nor what is no ring.
    let broken = Folder::with("new-broken", "{");
    assert!(matches!(first.save_new(&broken), Err(KeyFolderError::Present { .. })));
    assert_eq!(broken.text(), "{");
    // A file where the folder should be is another error.
    assert!(matches!(first.save_new(folder.file()), Err(KeyFolderError::Io { .. })));
}

#[test]
fn of_new_rings_that_are_saved_at_once_one_is_there() {
    let folder = Folder::new("new-race");
    let rings: Vec<KeyRing> = (0..8).map(|index| KeyRing::new(new_key(&format!("{index}")))).collect();
    let start = std::sync::Barrier::new(rings.len());
    let saved: Vec<&KeyRing> = std::thread::scope(|scope| {
        let save = |ring: &KeyRing| {
            start.wait();
            ring.save_new(&folder).is_ok()
        };
        let threads: Vec<_> = rings.iter().map(|ring| (ring, scope.spawn(move || save(ring)))).collect();
        threads.into_iter().filter_map(|(ring, thread)| thread.join().unwrap().then_some(ring)).collect()
    });
    let [winner] = saved[..] else { panic!("{saved:?} were saved") };
    assert_eq!(KeyRing::load(&folder).unwrap().keys(), winner.keys());
    assert_eq!(folder.names(), ["ring.json"]);
}

#[test]
fn a_running_ring_follows_its_folder() {
    use KeyState::{Retired, Signing, Staged, Verifying};
    let folder = Folder::new("follow");
    let admin = KeyRing::new(key(1, "a"));
    admin.save(&folder).unwrap();
    let server = KeyRing::load(&folder).unwrap();
    let clone = server.clone();
    let follow = || {
        admin.save(&folder).unwrap();
        server.reload(&folder).unwrap();
        states(&clone)
    };
    admin.stage(key(2, "b")).unwrap();
    assert_eq!(follow(), expected([("a", Signing), ("b", Staged)]));
    admin.promote("b").unwrap();
    assert_eq!(follow(), expected([("a", Verifying), ("b", Signing)]));
    admin.retire("a").unwrap();
    assert_eq!(follow(), expected([("b", Signing), ("a", Retired)]));
    // A key that was taken out of the file by hand is retired too.
    admin.add_verifying(key(3, "c").verifying_key()).unwrap();
    assert_eq!(follow().len(), 3);
    let without: String = folder.text().lines().filter(|line| !line.contains(r#""kid":"c""#)).collect();
    fs::write(folder.file(), without.replace("\"},]", "\"}]")).unwrap();
    server.reload(&folder).unwrap();
    assert_eq!(states(&clone), expected([("b", Signing), ("a", Retired), ("c", Retired)]));
}

#[test]
fn a_folder_that_does_not_fit_changes_nothing() {
    let folder = Folder::new("unfit");
    let ring = KeyRing::new(key(1, "a"));
    ring.stage(key(2, "b")).unwrap();
    ring.save(&folder).unwrap();
    let old = folder.text();
    // The stolen key is replaced here, and not in the folder yet.
    ring.replace("a", key(3, "c")).unwrap();
    let before = states(&ring);
    let error = ring.reload(&folder).unwrap_err();
    assert!(matches!(&error, KeyFolderError::Ring(KeyRingError::Retired { key_id }) if key_id == "a"), "{error}");
    // Nor does it come back under another name, or another key under a name that was in use.
    for (changed, part) in [
        (old.replace(r#""kid":"a""#, r#""kid":"x""#), "was retired, and this is that key"),
        (old.replace(r#""kid":"a""#, r#""kid":"c""#), "duplicate key id `c`"),
        ("{}".to_owned(), "is not a key ring"),
    ] {
        fs::write(folder.file(), changed).unwrap();
        let error = ring.reload(&folder).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    fs::remove_file(folder.file()).unwrap();
    assert!(matches!(ring.reload(&folder), Err(KeyFolderError::Missing { .. })));
    assert_eq!(states(&ring), before);
    ring.save(&folder).unwrap();
    ring.reload(&folder).unwrap();
}

#[test]
fn what_is_no_ring_is_an_error_that_says_why() {
    let missing = Folder::new("missing");
    let error = KeyRing::load(&missing).unwrap_err().to_string();
    assert!(error.contains("there is no key ring in") && error.contains("`save_new`"), "{error}");
    let jwk = new_key("a").to_jwk();
    let private = jwk.expose();
    let with = |state: &str| format!(r#"{{"state":"{state}",{}"#, &private[1..]);
    let ring = |keys: &[String]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let public = new_key("p").verifying_key().to_jwk().unwrap();
    for (number, (text, part)) in [
        (String::new(), "it must be a JSON object"),
        ("[]".to_owned(), "it must be a JSON object"),
        (ring(&[]), "one key, and only one, must have the state `signing`"),
        (ring(&[private.to_owned()]), "one key, and only one, must have the state `signing`"),
        (ring(&[with("signing"), with("signing").replace(r#""a""#, r#""b""#)]), "one key, and only one"),
        (ring(&[with("signing"), with("staged")]), "duplicate key id `a`"),
        (ring(&[with("retired")]), "one key, and only one"),
        (ring(&[with("signs")]), "key 0 of"),
        (ring(&[with("signing"), "1".to_owned()]), "key 1 of"),
        (ring(&[with("signing").replace("EdDSA", "none")]), "key 0 of"),
        (ring(&[with("signing").replace("\"d\":\"", "\"d\":\"A")]), "key 0 of"),
        (ring(&[format!(r#"{{"state":"signing",{}"#, &public[1..])]), "the key `p` cannot sign"),
        (ring(&[with("signing"), public.clone()]), "the key `p` cannot sign"),
        (format!("{}{}", ring(&[with("signing")]), " ".repeat(1024 * 1024)), "it has more than 1 MiB"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::with(&format!("wrong-{number}"), &text);
        let error = KeyRing::load(&folder).unwrap_err();
        assert!(error.to_string().contains(part), "{text:.300}: {error:?}");
        assert!(!format!("{error:?}").contains(&private[private.len() - 20..]), "no key in the error");
    }
    let folder = Folder::new("no-file");
    fs::create_dir_all(folder.file()).unwrap();
    assert!(KeyRing::load(&folder).unwrap_err().to_string().contains("it is not a regular file"));
    assert!(matches!(KeyRing::new(key(1, "a")).save(&folder), Err(KeyFolderError::Io { .. })));
    assert_eq!(folder.names(), ["ring.json"], "nothing is left behind");
}

#[test]
fn a_key_of_another_tool_can_be_added_by_hand() {
    let jwk = new_key("b").to_jwk().expose().replace(r#""alg":"EdDSA","#, "");
    let folder = Folder::new("by-hand");
    KeyRing::new(key(1, "a")).save(&folder).unwrap();
    fs::write(folder.file(), format!("\u{feff}{}", folder.text().replace("\n]", &format!(",\n{jwk}\n]")))).unwrap();
    let ring = KeyRing::load(&folder).unwrap();
    assert_eq!(states(&ring), expected([("a", KeyState::Signing), ("b", KeyState::Staged)]));
    // Whose state is `retired` is dropped from the file by the next step.
    fs::write(folder.file(), folder.text().replace("{\"kty\":\"OKP\"", "{\"state\":\"retired\",\"kty\":\"OKP\""))
        .unwrap();
    let ring = KeyRing::load(&folder).unwrap();
    assert_eq!(states(&ring), expected([("a", KeyState::Signing), ("b", KeyState::Retired)]));
    ring.save(&folder).unwrap();
    assert!(!folder.text().contains("OKP"), "{}", folder.text());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_saved() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = Folder::new("modes");
    let ring = KeyRing::new(new_key("a"));
    ring.save(&folder).unwrap();
    assert_eq!((mode(&folder.0), mode(&folder.file())), (0o700, 0o600));
    assert_eq!(warnings_of(|| drop(KeyRing::load(&folder).unwrap())), "");
    // A file that others can read is warned of, and the next one is safe again. The folder stays as it was made.
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    let warned = warnings_of(|| drop(KeyRing::load(&folder).unwrap()));
    assert!(warned.contains("is readable by other users") && warned.contains("ring.json"), "{warned}");
    ring.save(&folder).unwrap();
    assert_eq!((mode(&folder.0), mode(&folder.file())), (0o755, 0o600));
}

#[test]
fn what_a_crash_left_is_never_read_and_is_deleted_by_and_by() {
    let folder = Folder::new("crash");
    let ring = KeyRing::new(new_key("a"));
    ring.save(&folder).unwrap();
    for (name, age) in
        [("ring.json.old.new", 3600), ("ring.json.young.new", 1), ("other.new", 3600), ("ring.json.bak", 3600)]
    {
        let file = fs::File::create(folder.0.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    assert_eq!(KeyRing::load(&folder).unwrap().keys(), ring.keys());
    ring.save(&folder).unwrap();
    assert_eq!(folder.names(), ["other.new", "ring.json", "ring.json.bak", "ring.json.young.new"]);
}

#[test]
fn whoever_reads_while_the_ring_is_saved_sees_a_whole_one() {
    let folder = Folder::new("race");
    let small = KeyRing::new(new_key("small"));
    let large = KeyRing::new(new_key("large"));
    for number in 0..40 {
        large.stage(new_key(&number.to_string())).unwrap();
    }
    small.save(&folder).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for saver in [&small, &large] {
            scope.spawn(|| {
                while !is_done.load(SeqCst) {
                    saver.save(&folder).unwrap();
                }
            });
        }
        let mut seen = [0, 0];
        // One of the two may have the machine for itself for a while.
        for _ in 0..100_000 {
            if seen[0] >= 20 && seen[1] >= 20 {
                break;
            }
            match KeyRing::load(&folder).map(|ring| ring.keys().len()) {
                Ok(1) => seen[0] += 1,
                Ok(41) => seen[1] += 1,
                other => {
                    is_done.store(true, SeqCst);
                    panic!("{other:?}");
                }
            }
        }
        is_done.store(true, SeqCst);
        assert!(seen[0] >= 20 && seen[1] >= 20, "{seen:?}");
    });
    assert_eq!(folder.names(), ["ring.json"]);
}

/// An incident, by files: the operator replaces the key, the servers follow.
#[tokio::test]
async fn a_key_that_was_replaced_in_the_folder_is_rejected_by_every_server() {
    let fixture = Fixture::new();
    let folder = Folder::new("incident");
    KeyRing::new(new_key("a")).save(&folder).unwrap();
    let servers: Vec<Knox> = (0..2).map(|_| fixture.server(KeyRing::load(&folder).unwrap()).build().unwrap()).collect();
    let stolen = servers[0].issue(subject("alice")).await.unwrap();
    let ring = KeyRing::load(&folder).unwrap();
    ring.replace("a", new_key("b")).unwrap();
    ring.save(&folder).unwrap();
    for server in &servers {
        assert!(server.authenticate(stolen.token.expose()).await.is_ok());
        server.key_ring().reload(&folder).unwrap();
        assert_eq!(rejection(server, stolen.token.expose()).await, Rejection::UnknownKey);
    }
    let new = servers[0].issue(subject("alice")).await.unwrap();
    assert!(servers[1].authenticate(new.token.expose()).await.is_ok());
    // The session of the stolen key is still there until it expires, and can be ended.
    assert_eq!(servers[1].sessions(&subject("alice")).await.unwrap().len(), 2);
    assert!(servers[1].revoke(&stolen.session.session_ref()).await.unwrap().is_revoked());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is in the file, it is read or rejected, and nothing panics.
    #[test]
    fn no_file_panics(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4)) {
        let folder = Folder::new(&format!("mutated-{:?}", std::thread::current().id()));
        let ring = KeyRing::new(key(1, "a"));
        ring.stage(new_key("b")).unwrap();
        ring.retire("b").unwrap();
        ring.add_verifying(new_key("c").verifying_key()).unwrap();
        ring.save(&folder).unwrap();
        let mut text = folder.text().into_bytes();
        for (index, byte, kind) in edits {
            let at = index.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => drop(text.splice(at..at, *b"\"state\":\"retired\",")),
                _ => drop(text.remove(at)),
            }
        }
        fs::write(folder.file(), text).unwrap();
        if let Ok(loaded) = KeyRing::load(&folder) {
            prop_assert_eq!(loaded.keys().iter().filter(|key| key.state == KeyState::Signing).count(), 1);
        }
    }
}
