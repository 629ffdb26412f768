//! Reading what an issuer says of a token (RFC 7662 §2.2).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    clock::AskedAt,
    error::Rejection,
    introspection::endpoint::IntrospectionResponse,
    token::{claims::ClaimSet, jwt::Claimed, scope::scopes, segment::read_object},
};

/// What an issuer says of a token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    Active(Answer),
    Inactive,
}

/// What is known of a token that its issuer has called active.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// Before the question was sent, so the answer is not older than that.
    pub(crate) asked_at: AskedAt,
    pub(crate) starts_at: Option<Timestamp>,
    /// When the session expires unless it is used, which may be earlier than the token says.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Answer {
    /// Whether it holds at `now`, without a leeway: asking again costs little.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.starts_at.is_none_or(|starts_at| starts_at <= now)
            && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Why a response says nothing of the token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResponseError {
    #[error("the issuer answered {0}: it rejected this service's client id and secret, or does not let it introspect")]
    Client(u16),
    #[error("expected status 200, got {0}")]
    Status(u16),
    #[error("the response has more than {} bytes", IntrospectionResponse::MAX_BODY_BYTES)]
    TooLong,
    #[error("the response does not conform to RFC 7662: {0}")]
    Malformed(&'static str),
    #[error("the response is about another token: its `{0}` differs")]
    OtherToken(&'static str),
}

/// Reads a response to a question about the token that says `claimed`.
pub(super) fn read(
    response: &IntrospectionResponse,
    claimed: &Claimed,
    token_type: &str,
    asked_at: AskedAt,
) -> Result<Verdict, ResponseError> {
    match response.status {
        200 => {}
        status @ (401 | 403) => return Err(ResponseError::Client(status)),
        status => return Err(ResponseError::Status(status)),
    }
    if response.body.len() > IntrospectionResponse::MAX_BODY_BYTES {
        return Err(ResponseError::TooLong);
    }
    let not_an_object = ResponseError::Malformed("the body is not a JSON object with unique names");
    let members = read_object(&response.body).ok_or(not_an_object)?;
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Verdict::Inactive),
        _ => return Err(ResponseError::Malformed("`active` is not a boolean")),
    }
    let members = ClaimSet(members);
    if !string(&members, "token_type")?.is_none_or(|found| found.eq_ignore_ascii_case(token_type)) {
        return Err(ResponseError::Malformed("`token_type` is not the one expected"));
    }
    check_same_token(&members, claimed)?;
    Ok(Verdict::Active(Answer {
        asked_at,
        starts_at: members.numeric_date("nbf").map_err(malformed)?,
        expires_at: members.numeric_date("exp").map_err(malformed)?,
    }))
}

/// Returns an error unless what the issuer says fits what the token says. Otherwise something between them has mixed
/// answers up, or they read the token differently.
fn check_same_token(members: &ClaimSet, claimed: &Claimed) -> Result<(), ResponseError> {
    let same = |name, is_same: bool| if is_same { Ok(()) } else { Err(ResponseError::OtherToken(name)) };
    let session = claimed.session();
    same("sub", string(members, "sub")? == Some(session.subject.as_str()))?;
    same("sid", string(members, "sid")?.is_none_or(|id| id == session.id.as_str()))?;
    let scope: BTreeSet<&str> = scopes(string(members, "scope")?).collect();
    same("scope", scope == scopes(claimed.scope.as_deref()).collect())?;
    let issuer = string(members, "iss")?;
    same("iss", issuer.is_none() || claimed.claims.string("iss").is_ok_and(|claimed| claimed == issuer))?;
    let audiences = |claims: &ClaimSet| -> Result<Option<BTreeSet<String>>, ResponseError> {
        let audiences = claims.audiences().map_err(malformed)?;
        Ok(audiences.map(|audiences| audiences.into_iter().map(str::to_owned).collect()))
    };
    let audience = audiences(members)?;
    same("aud", audience.is_none() || audience == audiences(&claimed.claims)?)
}

fn string<'a>(members: &'a ClaimSet, name: &str) -> Result<Option<&'a str>, ResponseError> {
    members.string(name).map_err(malformed)
}

fn malformed(reason: Rejection) -> ResponseError {
    match reason {
        Rejection::Malformed(problem) => ResponseError::Malformed(problem),
        _ => ResponseError::Malformed("a member has the wrong type"),
    }
}
