//! What a user may set about a RabbitMQ sink.

use lapin::uri::AMQPUri;

use crate::{MessageFormat, Secret, TlsSettings};

/// Plain values.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `amqp://user@host:port/vhost`, or `amqps://…` with TLS; without a password.
    pub url: String,
    /// The user's password, if there is one.
    pub password: Option<Secret>,
    /// Whom to believe if the url asks for TLS.
    pub tls: TlsSettings,
    /// Durable topic exchange; empty for the default exchange, whose routing key is the queue. At most [`NAME_BYTES_MAX`] bytes.
    pub exchange: String,
    /// Durable queue that gets everything; empty to declare and bind none. At most [`NAME_BYTES_MAX`] bytes.
    pub queue: String,
    /// What the queue is.
    pub queue_type: QueueType,
    /// What messages look like.
    pub message_format: MessageFormat,
}

/// Bytes in the name of an exchange or a queue.
pub const NAME_BYTES_MAX: usize = 255;

/// Kinds of queue of RabbitMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueType {
    /// Replicated; every confirmed message is on the disks of a majority.
    #[default]
    Quorum,
    /// On one node.
    Classic,
    /// A log that keeps what was read.
    Stream,
}

impl QueueType {
    /// Its name in the broker and in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Classic => "classic",
            Self::Stream => "stream",
        }
    }
}

impl Settings {
    /// Whether a sink can start with these values; otherwise a sentence that says why not, without credentials.
    pub fn check(&self) -> Result<(), String> {
        let url = url::Url::parse(&self.url).map_err(|error| format!("url is not a URL: {error}"))?;
        if url.password().is_some() {
            return Err("url must not hold a password: give it as password_file or in the environment".into());
        }
        if !["amqp", "amqps"].contains(&url.scheme()) {
            return Err("url must begin with amqp:// or amqps://".into());
        }
        self.tls.check_scheme(url.scheme() == "amqps", "amqps")?;
        self.uri()?;
        if self.exchange.len() > NAME_BYTES_MAX || self.queue.len() > NAME_BYTES_MAX {
            return Err(format!("exchange and queue must be at most {NAME_BYTES_MAX} bytes"));
        }
        if self.exchange.is_empty() && self.queue.is_empty() {
            return Err("exchange and queue must not both be empty".into());
        }
        Ok(())
    }

    /// Holds the password: for the client only, never for a text.
    pub(super) fn uri(&self) -> Result<AMQPUri, String> {
        let mut uri: AMQPUri = self.url.parse().map_err(|reason| format!("url cannot be used: {reason}"))?;
        let names_a_user = url::Url::parse(&self.url).is_ok_and(|url| !url.username().is_empty());
        match &self.password {
            Some(password) => uri.authority.userinfo.password = password.reveal()?.into_owned(),
            // Without a user and a password it is the broker's own guest.
            None if names_a_user => uri.authority.userinfo.password.clear(),
            None => {}
        }
        Ok(uri)
    }
}
