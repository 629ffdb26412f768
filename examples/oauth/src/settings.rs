//! The environment variables.

use std::{env, fmt, net::SocketAddr, time::Duration};

use oauth2::{ClientId, ClientSecret, url::Url};

use crate::{CALLBACK, provider::ProviderSettings};

/// What the environment says.
#[derive(Debug)]
pub struct Settings {
    /// `LISTEN`: the address and port. Default: `127.0.0.1:8000`.
    pub listen: SocketAddr,
    /// `PUBLIC_URL`: what browsers call this server. Default: `http://127.0.0.1:8000`.
    pub public_url: Url,
    /// The variables that begin with `OAUTH_`.
    pub provider: ProviderSettings,
}

const HELP: &str = "
Register an application with a provider, with the callback PUBLIC_URL/oauth/callback, which is
http://127.0.0.1:8000/oauth/callback unless you set PUBLIC_URL. Then set, for example for GitHub:

  export OAUTH_CLIENT_ID=…         # what the provider calls your application
  export OAUTH_CLIENT_SECRET=…
  export OAUTH_AUTHORIZE_URL=https://github.com/login/oauth/authorize
  export OAUTH_TOKEN_URL=https://github.com/login/oauth/access_token
  export OAUTH_USERINFO_URL=https://api.github.com/user
  export OAUTH_ID_MEMBER=id        # default: sub, as in OpenID Connect
  export OAUTH_SCOPES=             # separated by spaces; default: openid";

impl Settings {
    /// Reads all variables.
    ///
    /// # Errors
    ///
    /// [`Failure`] names the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, Failure> {
        let listen = variable("LISTEN").unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let public_url =
            url("PUBLIC_URL", variable("PUBLIC_URL").unwrap_or_else(|| "http://127.0.0.1:8000".to_owned()))?;
        Ok(Self {
            listen: listen.parse().map_err(|_| Failure("LISTEN must be of the form 127.0.0.1:8000".to_owned()))?,
            provider: ProviderSettings {
                client_id: ClientId::new(required("OAUTH_CLIENT_ID")?),
                client_secret: ClientSecret::new(required("OAUTH_CLIENT_SECRET")?),
                authorize_url: url("OAUTH_AUTHORIZE_URL", required("OAUTH_AUTHORIZE_URL")?)?,
                token_url: url("OAUTH_TOKEN_URL", required("OAUTH_TOKEN_URL")?)?,
                userinfo_url: url("OAUTH_USERINFO_URL", required("OAUTH_USERINFO_URL")?)?,
                redirect_url: public_url.join(CALLBACK).map_err(|_| insecure("PUBLIC_URL"))?,
                scopes: env::var("OAUTH_SCOPES")
                    .as_deref()
                    .unwrap_or("openid")
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                id_member: variable("OAUTH_ID_MEMBER").unwrap_or_else(|| "sub".to_owned()),
                time_limit: Duration::from_secs(5),
            },
            public_url,
        })
    }
}

/// The variable, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn required(name: &str) -> Result<String, Failure> {
    variable(name).ok_or_else(|| Failure(format!("{name} is not set.\n{HELP}")))
}

/// A code, a token and a secret go over the wire, so it has to be TLS, but on one machine.
fn url(name: &str, value: String) -> Result<Url, Failure> {
    let is_safe = |url: &Url| match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")),
        _ => false,
    };
    Url::parse(&value).ok().filter(is_safe).ok_or_else(|| insecure(name))
}

fn insecure(name: &str) -> Failure {
    Failure(format!("{name} must be a URL that begins with https://, or with http://127.0.0.1 on this machine"))
}

/// Why the server does not start. `main` prints the `Debug` of it, so that is for people.
pub struct Failure(String);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
