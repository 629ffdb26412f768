//! Enums whose values have fixed names.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use jwt_knox::*;
use serde::{Serialize, de::DeserializeOwned};

/// Checks `as_str`, `Display`, `FromStr` and serde of all values of a type.
fn check<T>(as_str: impl Fn(T) -> &'static str, named: &[(T, &'static str)])
where
    T: FromStr<Err = UnknownName> + Display + Debug + PartialEq + Copy + Serialize + DeserializeOwned,
{
    let names: Vec<&str> = named.iter().map(|(_, name)| *name).collect();
    for &(value, name) in named {
        assert_eq!(as_str(value), name);
        assert_eq!(value.to_string(), name);
        assert_eq!(name.parse::<T>().unwrap(), value);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
        assert_eq!(serde_json::from_reader::<_, T>(json.as_bytes()).unwrap(), value);
        for unknown in ["", "other", &name.to_uppercase(), &format!("{name} "), &name[1..]] {
            let error = unknown.parse::<T>().unwrap_err();
            assert_eq!(error.expected, names, "{unknown}");
            assert_eq!(error.to_string(), format!("unknown name; expected one of {}", names.join(", ")));
            let json = serde_json::to_string(unknown).unwrap();
            let from_json = serde_json::from_str::<T>(&json).unwrap_err();
            assert!(from_json.to_string().starts_with(&error.to_string()), "{from_json}");
        }
    }
    assert!(serde_json::from_str::<T>("1").is_err());
}

#[test]
fn names_are_read_as_they_are_written_and_unknown_ones_are_rejected() {
    use RevocationCause as Cause;
    check(
        HashAlgorithm::as_str,
        &[
            (HashAlgorithm::Sha256, "sha256"),
            (HashAlgorithm::Sha512, "sha512"),
            (HashAlgorithm::Sha512OfHex, "sha512-of-hex"),
        ],
    );
    check(
        Cause::as_str,
        &[
            (Cause::One, "one"),
            (Cause::Others, "others"),
            (Cause::All, "all"),
            (Cause::Evicted, "evicted"),
            (Cause::Reused, "reused"),
        ],
    );
    check(
        KeyState::as_str,
        &[
            (KeyState::Staged, "staged"),
            (KeyState::Signing, "signing"),
            (KeyState::Verifying, "verifying"),
            (KeyState::Retired, "retired"),
        ],
    );
    check(
        LimitAction::as_str,
        &[
            (LimitAction::Deny, "deny"),
            (LimitAction::EvictOldest, "evict_oldest"),
            (LimitAction::EvictLeastRecentlyUsed, "evict_least_recently_used"),
        ],
    );
    check(ReuseAction::as_str, &[(ReuseAction::RevokeSession, "revoke_session"), (ReuseAction::Reject, "reject")]);
    check(
        LoginRejectionCause::as_str,
        &[
            (LoginRejectionCause::Credentials, "credentials"),
            (LoginRejectionCause::LimitReached, "limit_reached"),
            (LoginRejectionCause::Superseded, "superseded"),
            (LoginRejectionCause::SubjectInactive, "subject_inactive"),
            (LoginRejectionCause::SubjectUnknown, "subject_unknown"),
        ],
    );
    check(
        Operation::as_str,
        &[
            (Operation::Insert, "insert"),
            (Operation::Find, "find"),
            (Operation::List, "list"),
            (Operation::Touch, "touch"),
            (Operation::SetLabel, "set_label"),
            (Operation::Rotate, "rotate"),
            (Operation::Remove, "remove"),
            (Operation::RemoveAll, "remove_all"),
            (Operation::RemoveExpired, "remove_expired"),
        ],
    );
}
