//! Reading what an issuer says of a token (RFC 7662 §2.2).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
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
    pub(crate) asked_at: Timestamp,
    pub(crate) starts_at: Option<Timestamp>,
    /// When the session expires unless it is used, which may be earlier than the token says.
    pub(crate) expires_at: Option<Timestamp>,
}

/// Why a reply says nothing of the token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReplyError {
    #[error(
        "the issuer answers {0}: it does not know this service by the id and the secret that it sends, or lets it not ask"
    )]
    Client(u16),
    #[error("the issuer answers with the status {0} and not with 200")]
    Status(u16),
    #[error("the issuer answers more than {} bytes", IntrospectionResponse::MAX_BODY_BYTES)]
    TooLong,
    #[error("the issuer answers something else than RFC 7662 says: {0}")]
    Malformed(&'static str),
    #[error("the issuer answers about another token: its `{0}` is not the same")]
    OtherToken(&'static str),
}

/// Reads a reply to a question about the token that says `claimed`.
pub(super) fn read(
    reply: &IntrospectionResponse,
    claimed: &Claimed,
    token_type: &str,
    asked_at: Timestamp,
) -> Result<Verdict, ReplyError> {
    match reply.status {
        200 => {}
        status @ (401 | 403) => return Err(ReplyError::Client(status)),
        status => return Err(ReplyError::Status(status)),
    }
    if reply.body.len() > IntrospectionResponse::MAX_BODY_BYTES {
        return Err(ReplyError::TooLong);
    }
    let members = read_object(&reply.body).ok_or(ReplyError::Malformed("no JSON object with each name once"))?;
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Verdict::Inactive),
        _ => return Err(ReplyError::Malformed("`active` is no boolean")),
    }
    let members = ClaimSet(members);
    if !string(&members, "token_type")?.is_none_or(|found| found.eq_ignore_ascii_case(token_type)) {
        return Err(ReplyError::Malformed("`token_type` is another one"));
    }
    check_same_token(&members, claimed)?;
    Ok(Verdict::Active(Answer {
        asked_at,
        starts_at: members.numeric_date("nbf").map_err(malformed)?,
        expires_at: members.numeric_date("exp").map_err(malformed)?,
    }))
}

/// Goes on only if what the issuer says fits what the token says. Otherwise something between them has mixed answers up,
/// or they read the token differently.
fn check_same_token(members: &ClaimSet, claimed: &Claimed) -> Result<(), ReplyError> {
    let same = |name, is_same: bool| if is_same { Ok(()) } else { Err(ReplyError::OtherToken(name)) };
    let session = claimed.session();
    same("sub", string(members, "sub")? == Some(session.subject.as_str()))?;
    same("sid", string(members, "sid")?.is_none_or(|id| id == session.id.as_str()))?;
    let scope: BTreeSet<&str> = scopes(string(members, "scope")?).collect();
    same("scope", scope == scopes(claimed.scope.as_deref()).collect())?;
    let issuer = string(members, "iss")?;
    same("iss", issuer.is_none() || claimed.claims.string("iss").is_ok_and(|claimed| claimed == issuer))?;
    let audiences = |claims: &ClaimSet| -> Result<Option<BTreeSet<String>>, ReplyError> {
        let audiences = claims.audiences().map_err(malformed)?;
        Ok(audiences.map(|audiences| audiences.into_iter().map(str::to_owned).collect()))
    };
    let audience = audiences(members)?;
    same("aud", audience.is_none() || audience == audiences(&claimed.claims)?)
}

fn string<'a>(members: &'a ClaimSet, name: &str) -> Result<Option<&'a str>, ReplyError> {
    members.string(name).map_err(malformed)
}

fn malformed(reason: Rejection) -> ReplyError {
    match reason {
        Rejection::Malformed(problem) => ReplyError::Malformed(problem),
        _ => ReplyError::Malformed("a member is of another type"),
    }
}
