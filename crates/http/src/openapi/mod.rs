//! The built-in routes as an OpenAPI document.
//!
//! Which routes, paths and methods there are is what [`Endpoint`] and the settings say, and statuses are those of
//! [`ProblemCode`](crate::ProblemCode). What a route may answer is described in one place, `operation`, by matches
//! without a wildcard, so that a new route or code does not compile without a description.

mod names;
mod operation;
mod response;
mod schema;
mod security;

use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, tag::TagBuilder};

use crate::{endpoint::Endpoint, knox_http::KnoxHttp};

impl KnoxHttp {
    /// The [built-in routes that are on](Self::endpoints), at the [paths where they are](Self::path), as an OpenAPI 3.1
    /// document: each with all that it may answer. For [`OpenApi::merge`] or [`OpenApi::nest`] into the document of the
    /// application, as the routes are mounted.
    ///
    /// It is of `utoipa` 6, which this crate re-exports as [`utoipa`](crate::utoipa).
    ///
    /// Names of schemas and security schemes begin with `Knox` and `knox`, so that they meet no others; all operations
    /// have the tag `jwt-knox`, which an application should not have with another description, or it is there twice. A
    /// second handle in one document needs a [prefix](crate::KnoxHttpBuilder::openapi_prefix).
    ///
    /// Where the application writes a body itself, by [`token_response`](crate::KnoxHttpBuilder::token_response) or
    /// [`problem`](crate::KnoxHttpBuilder::problem), the schema `KnoxToken` or `KnoxProblem` allows anything. A schema
    /// of that name in the document of the application takes its place when this one is merged or nested into it.
    ///
    /// HEAD is not described where there is GET: the answer is the same without its body.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::{
    ///     Endpoint, KnoxHttp,
    ///     utoipa::openapi::{Info, OpenApi, Paths},
    /// };
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let knox = KnoxHttp::builder(knox).path(Endpoint::Sessions, "/devices").build()?;
    /// let application = OpenApi::new(Info::new("Orders", "1.0.0"), Paths::new());
    /// let document = application.nest("/auth", knox.openapi()).merge_from(knox.jwks_openapi());
    /// assert!(document.paths.get_path_item("/auth/devices").is_some());
    /// assert!(document.paths.get_path_item("/.well-known/jwks.json").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn openapi(&self) -> OpenApi {
        self.document(self.endpoints())
    }

    /// The route of the public keys as an OpenAPI 3.1 document: it is mounted separately, at the root of the site.
    #[must_use]
    pub fn jwks_openapi(&self) -> OpenApi {
        self.document([Endpoint::Jwks])
    }

    fn document(&self, endpoints: impl IntoIterator<Item = Endpoint>) -> OpenApi {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let paths = endpoints.iter().fold(PathsBuilder::new(), |paths, endpoint| {
            paths.path(self.path(*endpoint), operation::path_item(self, *endpoint))
        });
        let mut components = ComponentsBuilder::new();
        for (name, schema) in schema::all(self, &endpoints) {
            components = components.schema(name, schema);
        }
        for (name, scheme) in security::all(self, &endpoints) {
            components = components.security_scheme(name, scheme);
        }
        let tag = TagBuilder::new().name(names::tag(self));
        let tag = tag.description(Some("Logging in and out, and the sessions of a user."));
        OpenApiBuilder::new()
            .info(InfoBuilder::new().title("jwt-knox").version(env!("CARGO_PKG_VERSION")))
            .paths(paths)
            .components(Some(components.build()))
            .tags(Some([tag.build()]))
            .build()
    }
}
