//! Where the built-in routes are.

use std::borrow::Cow;

use crate::{config_error::HttpConfigError, endpoint::Endpoint};

/// Which of the built-in routes are left out, and which have another path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    left_out: Vec<Endpoint>,
    moved: Vec<(Endpoint, Cow<'static, str>)>,
}

impl Paths {
    pub(crate) fn leave_out(&mut self, endpoint: Endpoint) {
        self.left_out.push(endpoint);
    }

    pub(crate) fn set(&mut self, endpoint: Endpoint, path: Cow<'static, str>) {
        self.moved.retain(|(moved, _)| *moved != endpoint);
        self.moved.push((endpoint, path));
    }

    pub(crate) fn is_left_out(&self, endpoint: Endpoint) -> bool {
        self.left_out.contains(&endpoint)
    }

    pub(crate) fn path(&self, endpoint: Endpoint) -> &str {
        self.moved.iter().find(|(moved, _)| *moved == endpoint).map_or(endpoint.path(), |(_, path)| path)
    }

    /// Returns an error unless each path is one, and no two of `endpoints` share theirs.
    pub(crate) fn check(&self, endpoints: impl Iterator<Item = Endpoint> + Clone) -> Result<(), HttpConfigError> {
        for endpoint in endpoints.clone() {
            let path = self.path(endpoint);
            if !is_path(path, endpoint == Endpoint::Session) {
                return Err(HttpConfigError::Path { endpoint, path: path.to_owned() });
            }
            if let Some(other) = endpoints.clone().find(|other| *other != endpoint && overlap(self.path(*other), path))
            {
                return Err(HttpConfigError::SharedPath { endpoint, other, path: path.to_owned() });
            }
        }
        Ok(())
    }
}

/// Whether a router may take the one for the other.
fn overlap(one: &str, other: &str) -> bool {
    let start = |path: &'_ str| path.strip_suffix(ID).map(str::len);
    match (start(one), start(other)) {
        (None, None) | (Some(_), Some(_)) => one == other,
        (Some(length), None) => matches_id(other, &one[..length]),
        (None, Some(length)) => matches_id(one, &other[..length]),
    }
}

fn matches_id(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

const ID: &str = "{id}";

/// Segments that mean the same to every router, and need no encoding.
fn is_path(path: &str, has_id: bool) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
    let Some(path) = path.strip_prefix('/') else { return false };
    match path.strip_suffix(ID) {
        None => !has_id && path.split('/').all(is_segment),
        Some(start) => has_id && start.strip_suffix('/').is_some_and(|start| start.split('/').all(is_segment)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_and_only_that_of_one_session_has_an_id() {
        for path in ["/login", "/a/b-c_d.e~1"] {
            assert!(is_path(path, false) && !is_path(path, true), "{path}");
        }
        assert!(is_path("/devices/{id}", true) && !is_path("/devices/{id}", false));
        for path in [
            "", "/", "login", "/login/", "//login", "/a/../b", "/.", "/a b", "/a%20", "/<id>", "/{id}", "/a{id}",
            "/{x}", "/é", "/a?b", "/*", "/a:b",
        ] {
            assert!(!is_path(path, false) && !is_path(path, true), "{path}");
        }
    }

    #[test]
    fn two_routes_do_not_share_a_path() {
        assert!(overlap("/a", "/a") && overlap("/s/{id}", "/s/all") && overlap("/s/all", "/s/{id}"));
        assert!(!overlap("/s", "/s/{id}") && !overlap("/s/a/b", "/s/{id}") && !overlap("/a", "/b"));
    }
}
