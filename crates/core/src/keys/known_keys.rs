//! Keys that everybody knows.

/// The keys of HMAC that the documents and the examples of this repository show.
const SHOWN: &[&str] = &[
    "a key for tests, 32 bytes or more!",
    "a key of the tests, 32 bytes or more!",
    "an example key, 32 bytes or more!",
    "last year's key, of 32 bytes or more",
    "this year's key, of 32 bytes or more",
];

/// What jwt.io fills in.
const OF_OTHERS: &[&str] = &["a-string-secret-at-least-256-bits-long"];

/// Whether the key is one of those, or a single byte again and again.
pub(super) fn contains(key: &[u8]) -> bool {
    let is_known = |known: &&str| known.as_bytes() == key.trim_ascii_end();
    SHOWN.iter().chain(OF_OTHERS).any(is_known) || key.iter().all(|byte| Some(byte) == key.first())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use super::*;

    /// The text that users read: pages, the comments of the code, and the examples.
    fn documents() -> String {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut paths = vec![root.join("README.md"), root.join("docs"), root.join("crates"), root.join("examples")];
        let mut documents = String::new();
        while let Some(path) = paths.pop() {
            let ends_in = |end: &str| path.extension().is_some_and(|extension| extension == end);
            if path.is_dir() {
                let is_left_out = ["target", "tests", "benches"].iter().any(|name| path.ends_with(name));
                let entries = (!is_left_out).then(|| fs::read_dir(&path).unwrap());
                paths.extend(entries.into_iter().flatten().map(|entry| entry.unwrap().path()));
            } else if ends_in("md") || ends_in("rs") && path.starts_with(root.join("examples")) {
                documents.push_str(&fs::read_to_string(&path).unwrap());
            } else if ends_in("rs") {
                let code = fs::read_to_string(&path).unwrap();
                let is_comment =
                    |line: &&str| line.trim_start().starts_with("///") || line.trim_start().starts_with("//!");
                code.lines().filter(is_comment).for_each(|line| documents.push_str(line));
            }
        }
        documents
    }

    #[test]
    fn the_list_has_the_keys_that_the_documents_show() {
        let documents = documents();
        let mut shown = BTreeSet::new();
        for call in ["hs256(\"", "hs384(\"", "hs512(\"", "KNOX_SECRET=\"", "KNOX_SECRET=", "JWT_SECRET_KEY="] {
            let literals = documents.split(call).skip(1).filter_map(|rest| rest.split(['"', '\n']).next());
            // The others are too short to be a key, or the output of a command.
            shown.extend(literals.filter(|literal| literal.len() >= 32 && !literal.contains("$(")));
        }
        assert_eq!(shown, SHOWN.iter().copied().collect());
    }

    #[test]
    fn a_random_key_is_no_example() {
        assert!(contains(b"an example key, 32 bytes or more!\n") && contains(&[7; 32]));
        assert!(!contains(b"an example key, 32 bytes or more?") && !contains(&[[7; 31].as_slice(), &[8]].concat()));
    }
}
