//! What a user may set about a Redis sink.

use ::redis::{ConnectionInfo, IntoConnectionInfo};

use crate::{Secret, TlsSettings};

/// Plain values.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `redis://user@host:port/db`, `rediss://…` with TLS, or `redis+unix:///path`; without a password.
    pub url: String,
    /// The user's password, if there is one.
    pub password: Option<Secret>,
    /// Whom to believe if the url asks for TLS.
    pub tls: TlsSettings,
    /// Key of the stream, 1 to [`STREAM_BYTES_MAX`] bytes. Who writes it and how far is in the hash `<stream>:onrush`.
    pub stream: String,
    /// Entries that the stream keeps, about; older ones are trimmed. 0 keeps all.
    pub length_max: u64,
}

/// Bytes in the key of a stream.
pub const STREAM_BYTES_MAX: usize = 512;

impl Settings {
    /// Whether a sink can start with these values; otherwise a sentence that says why not, without credentials.
    pub fn check(&self) -> Result<(), String> {
        let url = url::Url::parse(&self.url).map_err(|error| format!("url is not a URL: {error}"))?;
        if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "pass") {
            return Err("url must not hold a password: give it as password_file or in the environment".into());
        }
        if !["redis", "rediss", "redis+unix", "unix"].contains(&url.scheme()) {
            return Err("url must begin with redis://, rediss:// or redis+unix://".into());
        }
        if url.fragment().is_some() {
            return Err("url must not have a fragment".into());
        }
        self.tls.check_scheme(url.scheme() == "rediss", "rediss")?;
        self.connection_info()?;
        if self.stream.is_empty() || self.stream.len() > STREAM_BYTES_MAX {
            return Err(format!("stream must be 1 to {STREAM_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// The key of the hash that says who writes the stream and how far.
    pub(super) fn place(&self) -> String {
        format!("{}:onrush", self.stream)
    }

    /// Holds the password: for the client only, never for a text.
    pub(super) fn connection_info(&self) -> Result<ConnectionInfo, String> {
        let info = self.url.as_str().into_connection_info();
        let info = info.map_err(|error| format!("url cannot be used: {}", error.category()))?;
        let Some(password) = &self.password else { return Ok(info) };
        let login = info.redis_settings().clone().set_password(&*password.reveal()?);
        Ok(info.set_redis_settings(login))
    }
}
