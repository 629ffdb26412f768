//! A small page for browsers, whose session is in a cookie: served if cookies are on.

use jwt_knox_actix::{Endpoint, KnoxHttp};

/// A file of the page: its path, its type and its text.
pub type File = (&'static str, &'static str, &'static str);

/// The files of the page.
pub const FILES: [File; 3] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
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

/// Whether there is a page: whether browsers can log in.
#[must_use]
pub fn is_on(knox: &KnoxHttp) -> bool {
    knox.endpoints().any(|endpoint| endpoint == Endpoint::Login)
}
