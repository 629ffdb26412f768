//! A key ring in a folder.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    keys::{
        Algorithm, SigningKey, VerifyingKey,
        collection::check_joins,
        entry::{Entry, KeyState},
        error::{KeyError, KeyFolderError, KeyRingError},
        identity::Identity,
    },
    random::fill_from_os,
};

const FILE: &str = "ring.json";
/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".new";
/// After that time, a file that is being written was left by a program that has crashed.
const CRASHED: Duration = Duration::from_secs(60);
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Ring<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
    #[serde(default)]
    retired: Vec<RetiredKey>,
}

/// What is left of a key.
#[derive(Serialize, Deserialize)]
struct RetiredKey {
    kid: String,
    alg: Algorithm,
    thumbprint: String,
}

/// The ring in that folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Entry>, KeyFolderError> {
    let path = folder.join(FILE);
    let malformed = |problem| KeyFolderError::Malformed { path: path.display().to_string(), problem };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyFolderError::Missing { folder: folder.display().to_string() },
        _ => KeyFolderError::Io { path: path.display().to_string(), source },
    };
    // Opening a pipe waits for who writes into it.
    if !fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(malformed("it is not a regular file"));
    }
    let file = fs::File::open(&path).map_err(failed)?;
    // With room for all of it, since a buffer that grows leaves copies of the keys behind.
    let length = file.metadata().map_err(failed)?.len().min(MAX_BYTES);
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(malformed("it has more than 1 MiB"));
    }
    let ring: Ring<'_> = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| serde_json::from_str(text.trim_start_matches('\u{feff}')).ok())
        .ok_or_else(|| malformed("it must be a JSON object with a list `keys`, and perhaps a list `retired`"))?;

    let mut entries = Vec::new();
    for (position, jwk) in ring.keys.iter().enumerate() {
        let unreadable = |source| KeyFolderError::Key { path: path.display().to_string(), position, source };
        entries.push(read_key(jwk.get()).map_err(unreadable)?);
    }
    let identity = |RetiredKey { kid, alg, thumbprint }| Identity {
        key_id: kid.into(),
        algorithm: alg,
        thumbprint: thumbprint.into(),
    };
    entries.extend(ring.retired.into_iter().map(identity).map(Entry::retired));
    check(&entries)?;
    match entries.iter().filter(|entry| entry.state == KeyState::Signing).count() {
        1 => Ok(entries),
        _ => Err(malformed("one key, and only one, must have the state `signing`")),
    }
}

/// Checks that the keys go together, and that those which are to sign can.
fn check(entries: &[Entry]) -> Result<(), KeyRingError> {
    for (index, entry) in entries.iter().enumerate() {
        check_joins(&entry.identity, entries[..index].iter().map(|entry| &entry.identity))?;
        if matches!(entry.state, KeyState::Signing | KeyState::Staged) && entry.signing.is_none() {
            return Err(KeyRingError::CannotSign { key_id: entry.key_id().to_owned() });
        }
    }
    Ok(())
}

fn read_key(jwk: &str) -> Result<Entry, KeyError> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        crv: Option<String>,
        alg: Option<Algorithm>,
        state: Option<KeyState>,
        d: Option<IgnoredAny>,
        k: Option<IgnoredAny>,
        r#priv: Option<IgnoredAny>,
    }
    let syntax = |problem| KeyError::Syntax { encoding: "JWK", problem };
    let Jwk { kty, crv, alg, state, d, k, r#priv } = serde_json::from_str(jwk).map_err(|_| {
        syntax("it must be an object with a `kty`, a supported `alg`, and a `state` that is staged, signing, verifying or retired")
    })?;
    let algorithm = alg
        .or_else(|| Algorithm::for_jwk(&kty, crv.as_deref()))
        .ok_or_else(|| syntax("it must have an `alg`, since keys of its kind are for more than one algorithm"))?;
    let state = state.unwrap_or(KeyState::Staged);
    let is_private = d.is_some() || k.is_some() || r#priv.is_some();
    let mut entry = if is_private {
        Entry::private(state, SigningKey::from_jwk(algorithm, jwk)?)
    } else {
        Entry::public(state, VerifyingKey::from_jwk(algorithm, jwk)?)
    };
    if state == KeyState::Retired {
        entry = Entry::retired(entry.identity);
    }
    Ok(entry)
}

/// The text of the file with that ring.
pub(super) fn encode(entries: &[Entry]) -> Zeroizing<String> {
    let retired = |entry: &&Entry| entry.is_retired();
    let of_entry = |entry: &Entry| RetiredKey {
        kid: entry.key_id().to_owned(),
        alg: entry.identity.algorithm,
        thumbprint: entry.identity.thumbprint.to_string(),
    };
    let retired: Vec<RetiredKey> = entries.iter().filter(retired).map(of_entry).collect();
    // Structs of texts always serialize.
    let retired = serde_json::to_string(&retired).unwrap_or_default();
    let keys: Vec<(KeyState, Zeroizing<String>)> = entries
        .iter()
        .filter_map(|entry| {
            let private = entry.signing.as_ref().map(|key| Zeroizing::new(key.to_jwk().expose().to_owned()));
            let jwk = private.or_else(|| entry.verifying.as_ref().and_then(VerifyingKey::to_any_jwk))?;
            Some((entry.state, jwk))
        })
        .collect();
    // With room for all of it, since a text that grows leaves copies of the keys behind.
    let length: usize = keys.iter().map(|(_, jwk)| jwk.len() + 40).sum();
    let mut text = Zeroizing::new(String::with_capacity(length + retired.len() + 40));
    text.push_str("{\"keys\":[");
    for (index, (state, jwk)) in keys.iter().enumerate() {
        text.push_str(if index == 0 { "\n{\"state\":\"" } else { ",\n{\"state\":\"" });
        text.push_str(state.as_str());
        text.push_str("\",");
        text.push_str(jwk.trim_start_matches('{'));
    }
    text.push_str("\n],\"retired\":");
    text.push_str(&retired);
    text.push_str("}\n");
    text
}

/// What becomes of a ring that is in the folder already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfPresent {
    Replace,
    Fail,
}

/// Puts the text into the place of the file, for the owner only.
pub(super) fn write(folder: &Path, text: &str, if_present: IfPresent) -> Result<(), KeyFolderError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| KeyFolderError::Io { path, source }
    };
    create_folder(folder).map_err(failed(folder))?;
    remove_unfinished(folder);
    let mut random = [0; 12];
    fill_from_os(&mut random).map_err(|source| failed(folder)(io::Error::other(source)))?;
    let unfinished = folder.join(format!("{FILE}.{}{UNFINISHED}", Base64UrlUnpadded::encode_string(&random)));
    let path = folder.join(FILE);
    let put = || {
        create_file(&unfinished, text)?;
        match if_present {
            IfPresent::Replace => fs::rename(&unfinished, &path)?,
            IfPresent::Fail => link_or_create(&unfinished, &path, text)?,
        }
        sync_folder(folder)
    };
    let outcome = put();
    // Of the names of a linked file, this is the one too many.
    let _ = fs::remove_file(&unfinished);
    outcome.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists if if_present == IfPresent::Fail => {
            KeyFolderError::Present { folder: folder.display().to_string() }
        }
        _ => failed(&path)(source),
    })
}

/// Gives the file its name, unless another file has it.
fn link_or_create(unfinished: &Path, path: &Path, text: &str) -> io::Result<()> {
    match fs::hard_link(unfinished, path) {
        // The file system has no links. Without them a reader may see half of the file, but nobody's file is replaced.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => create_file(path, text),
        outcome => outcome,
    }
}

/// Deletes what a program has left that crashed while it wrote.
fn remove_unfinished(folder: &Path) {
    let is_left = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let age =
            fs::symlink_metadata(path).and_then(|data| data.modified()).map(|time| time.elapsed().unwrap_or_default());
        name.starts_with(FILE) && name.ends_with(UNFINISHED) && age.is_ok_and(|age| age > CRASHED)
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(is_left) {
        let _ = fs::remove_file(path);
    }
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn create_file(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// A rename lasts when the folder is written.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Logs if others than the owner can read the keys.
pub(super) fn warn_of_modes(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(FILE);
        if fs::metadata(&path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "the file with the signing keys is readable by other users; run `chmod 600` on it");
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_links_a_new_file_replaces_none_either() {
        let path = std::env::temp_dir().join(format!("jwt-knox-no-links-{}", std::process::id()));
        let no_links = path.with_extension("missing");
        link_or_create(&no_links, &path, "first").unwrap();
        let error = link_or_create(&no_links, &path, "second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        fs::remove_file(path).unwrap();
    }
}
