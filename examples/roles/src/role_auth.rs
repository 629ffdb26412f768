//! The extractor that asks for a role.

use std::{marker::PhantomData, ops::Deref};

use axum::{
    RequestPartsExt,
    extract::{FromRef, FromRequestParts},
    http::{StatusCode, request::Parts},
};
use jwt_knox_axum::{KnoxAuth, KnoxHttp, KnoxRejection};

use crate::users::{Role, User};

/// The user who sends the request, if they have the role `R` now. Otherwise: 403 `forbidden`.
///
/// A token with scopes must have the role among them, too. Otherwise: 403 `insufficient_scope`.
#[derive(Debug, Clone)]
pub struct RoleAuth<R: RequiredRole>(pub User, PhantomData<R>);

impl<R: RequiredRole> Deref for RoleAuth<R> {
    type Target = User;

    fn deref(&self) -> &User {
        &self.0
    }
}

impl<R: RequiredRole, S> FromRequestParts<S> for RoleAuth<R>
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        let auth: KnoxAuth = parts.extract_with_state(state).await?;
        let knox = KnoxHttp::from_ref(state);
        if auth.session().scope.is_some() {
            knox.require_scope(&auth, R::ROLE.as_str())?;
        }
        match auth.user::<User>() {
            Some(user) if user.roles.contains(&R::ROLE) => Ok(Self(user.clone(), PhantomData)),
            _ => Err(knox.for_status(StatusCode::FORBIDDEN.as_u16()).into()),
        }
    }
}

/// A role as a type, for [`RoleAuth`].
pub trait RequiredRole {
    /// The role.
    const ROLE: Role;
}

/// [`Role::Editor`].
#[derive(Debug, Clone, Copy)]
pub enum Editor {}

impl RequiredRole for Editor {
    const ROLE: Role = Role::Editor;
}

/// [`Role::Admin`].
#[derive(Debug, Clone, Copy)]
pub enum Admin {}

impl RequiredRole for Admin {
    const ROLE: Role = Role::Admin;
}
