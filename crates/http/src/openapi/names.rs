//! What things are called in a document: with the prefix of the handle in front, if it has one.

use crate::knox_http::KnoxHttp;

/// The name of an operation or a security scheme: `getToken`, or `staffGetToken` with the prefix `staff`.
pub(super) fn lower(knox: &KnoxHttp, name: &str) -> String {
    match knox.openapi_prefix() {
        Some(prefix) => format!("{prefix}{}", capitalized(name)),
        None => name.to_owned(),
    }
}

/// The name of a schema: `KnoxToken`, or `StaffKnoxToken` with the prefix `staff`.
pub(super) fn upper(knox: &KnoxHttp, name: &str) -> String {
    let prefix = knox.openapi_prefix().map(capitalized).unwrap_or_default();
    format!("{prefix}{name}")
}

/// The group of all operations: `jwt-knox`, or `staff-jwt-knox` with the prefix `staff`.
pub(super) fn tag(knox: &KnoxHttp) -> String {
    let prefix = knox.openapi_prefix().map(|prefix| format!("{prefix}-")).unwrap_or_default();
    format!("{prefix}jwt-knox")
}

fn capitalized(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}
