//! A small page for browsers, whose session is in a cookie. The three example servers serve it if browsers can log in.

use jwt_knox_http::{Endpoint, KnoxHttp};

/// A file of the page: its path, its type and its text.
pub type File = (&'static str, &'static str, &'static str);

const FILES: [File; 3] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page.css")),
];

/// What goes with each of them: only what this server sends may run on the page, and no other page may frame it.
pub const HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
];

/// The files of the page, or none if browsers cannot log in.
#[must_use]
pub fn files(knox: &KnoxHttp) -> &'static [File] {
    if knox.endpoints().any(|endpoint| endpoint == Endpoint::Login) { &FILES } else { &[] }
}
