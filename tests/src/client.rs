//! A client that sends whatever bytes a test wants, and reads what comes back.

use std::{
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use base64ct::{Base64, Encoding};
use serde_json::Value;

use crate::document;

/// A request, byte for byte.
#[derive(Clone)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    is_described: bool,
}

impl fmt::Debug for Call {
    /// As text, and no body that is too long to read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = self.headers.iter().map(|(name, value)| (name, text(value)));
        let body = if self.body.len() > 1000 { format!("{} bytes", self.body.len()) } else { text(&self.body) };
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &headers.collect::<Vec<_>>())
            .field("body", &body)
            .finish()
    }
}

impl Call {
    /// A request without headers or body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            is_described: true,
        }
    }

    /// `GET`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST`.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// A login by HTTP Basic.
    pub fn login(username: &str, password: &str) -> Self {
        Self::basic("/get_token", username, password)
    }

    /// `POST` with HTTP Basic.
    pub fn basic(target: &str, username: &str, password: &str) -> Self {
        let credentials = Base64::encode_string(format!("{username}:{password}").as_bytes());
        Self::post(target).header("Authorization", format!("Basic {credentials}"))
    }

    /// A login by JSON.
    pub fn json_login(body: impl AsRef<[u8]>) -> Self {
        Self::post("/get_token").json(body)
    }

    /// The same, sent to another path.
    #[must_use]
    pub fn at(self, target: &str) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds the session cookie, as a page of the server's own origin does.
    #[must_use]
    pub fn cookie(self, token: &str) -> Self {
        self.header("Cookie", format!("__Host-session={token}")).header("Sec-Fetch-Site", "same-origin")
    }

    /// Adds a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Sets the body, and says that it is JSON.
    #[must_use]
    pub fn json(self, body: impl AsRef<[u8]>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Does not hold the answer against the OpenAPI document: for a request that the framework changes or answers
    /// itself.
    #[must_use]
    pub fn undescribed(self) -> Self {
        Self { is_described: false, ..self }
    }

    /// Sends the request and reads the whole answer. One of a built-in route is held against the OpenAPI document.
    pub fn send(&self, address: SocketAddr) -> Reply {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", self.method, self.target)
            .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() || self.method == "POST" {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        // A server may answer before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let outcome = stream.read_to_end(&mut answer);
        assert!(outcome.is_ok() || !answer.is_empty(), "no answer to {self:?}: {outcome:?}");
        let reply = Reply::parse(&answer, &self.method);
        if self.is_described {
            document::check(address, &self.method, &self.target, &reply);
        }
        reply
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, with names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    fn parse(bytes: &[u8], method: &str) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no end of headers: {text}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let reply = Self { status, headers, body: body.to_owned() };
        if let Some(length) = reply.header("content-length")
            && method != "HEAD"
        {
            assert_eq!(length.parse(), Ok(reply.body.len()), "{reply:?}");
        }
        reply
    }

    /// The value of a header that is there once, or `None`.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "the header {name} is there twice");
        value
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The token of an answer to a login.
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// The session cookie that the answer sets, and its attributes.
    pub fn cookie(&self) -> Option<(&str, &str)> {
        self.header("set-cookie")?.strip_prefix("__Host-session=")?.split_once("; ")
    }

    /// What the contract says about this answer: status, headers and body, without what frameworks add.
    pub fn contract(&self) -> (u16, Vec<(String, String)>, &str) {
        const NAMES: [&str; 6] =
            ["allow", "cache-control", "content-type", "retry-after", "set-cookie", "www-authenticate"];
        let mut headers: Vec<_> =
            self.headers.iter().filter(|(name, _)| NAMES.contains(&name.as_str())).cloned().collect();
        headers.sort();
        (self.status, headers, &self.body)
    }
}
