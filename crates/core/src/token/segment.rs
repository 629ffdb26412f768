//! Reading one segment of a JWT strictly.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::error::Rejection;

/// The part of the JOSE header that decides. Keys and key addresses in a header (`jwk`, `jku`, `x5u`) are never used.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
}

impl Header {
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        // RFC 7515 §4.1.11: an extension that is not understood must be rejected, and we understand none.
        if self.crit.is_some() {
            return Err(Rejection::Malformed("`crit` names an extension"));
        }
        // RFC 8725 §3.11: a token of another type, such as an OAuth `at+jwt`, is not one of ours.
        if self.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Rejection::Malformed("`typ` is not JWT"));
        }
        Ok(())
    }
}

/// A member that is there must have a value: `null` is not the same as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

pub(crate) fn decode_base64(segment: &str) -> Result<Vec<u8>, Rejection> {
    Base64UrlUnpadded::decode_vec(segment)
        .map_err(|_| Rejection::Malformed("a segment is not base64url without padding"))
}

pub(crate) fn decode(segment: &str) -> Result<Map<String, Value>, Rejection> {
    read_object(&decode_base64(segment)?).ok_or_else(not_an_object)
}

/// A JSON object in UTF-8 that has each of its names once. `None`: it is something else.
pub(crate) fn read_object(json: &[u8]) -> Option<Map<String, Value>> {
    // RFC 8725 §3.7. The JSON library does not look at strings that it skips.
    let json = std::str::from_utf8(json).ok()?;
    serde_json::from_str(json).map(|UniqueNames(object)| object).ok()
}

pub(crate) fn not_an_object() -> Rejection {
    Rejection::Malformed("a segment is not the JSON object of a JWT")
}

/// A JSON object without duplicate names: of two values, two readers may take different ones (RFC 7515 §4, RFC
/// 7519 §4).
struct UniqueNames(Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<UniqueNames, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = members.next_entry::<String, Value>()? {
                    if object.insert(name, value).is_some() {
                        return Err(A::Error::custom("duplicate name"));
                    }
                }
                Ok(UniqueNames(object))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
