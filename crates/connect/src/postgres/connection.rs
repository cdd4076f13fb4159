//! A connection to the server with the session settings that a sink relies on.

use std::future::Future;
use std::time::Duration;

use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::each_server::each_server;
use super::errors::{joined, unavailable};
use super::settings::Settings;

/// The port of a server that is not told another.
pub(crate) const DEFAULT_PORT: u16 = 5432;

/// A client, and the task that moves its bytes; dropped, the connection is closed.
pub(crate) struct Connection {
    client: Client,
    traffic: JoinHandle<()>,
}

impl Connection {
    /// Connects within [`EXCHANGE_TIMEOUT`] to the database that `config` names. Runs on an [`super::io_thread::IoThread`].
    pub(super) async fn open(settings: &Settings, config: Config) -> Result<Self, TargetError> {
        Self::open_within(EXCHANGE_TIMEOUT, settings, config).await
    }

    /// The same with another limit for connecting.
    pub(super) async fn open_within(
        limit: Duration,
        settings: &Settings,
        config: Config,
    ) -> Result<Self, TargetError> {
        let this = Self::connect_within(limit, settings, config).await?;
        this.set_up(&settings.schema).await?;
        Ok(this)
    }

    /// Connects within [`EXCHANGE_TIMEOUT`], without settings of the session.
    pub(crate) async fn connect(settings: &Settings, config: Config) -> Result<Self, TargetError> {
        Self::connect_within(EXCHANGE_TIMEOUT, settings, config).await
    }

    /// Tries each server in turn, and gives none of several so long that no time is left for the others.
    async fn connect_within(
        limit: Duration,
        settings: &Settings,
        config: Config,
    ) -> Result<Self, TargetError> {
        let encrypted = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(settings.tls.client_config().map_err(TargetError::Unavailable)?),
        };
        let servers = each_server(config);
        let limit = limit / u32::try_from(servers.len()).unwrap_or(u32::MAX);
        let mut reasons = Vec::new();
        for config in servers {
            let doing = format!("connect to {}", shown(&config));
            let connected = within(limit, &doing, async {
                let connected = match encrypted.clone() {
                    None => connect(&config, NoTls).await,
                    Some(tls) => connect(&config, MakeRustlsConnect::new(tls)).await,
                };
                connected.map_err(|error| unavailable(&doing, &error))
            });
            match connected.await {
                Ok((client, traffic)) => return Ok(Self { client, traffic }),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(TargetError::Unavailable(joined(reasons)))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Limits of the session. The server gives up before the client does, so that a lost connection does not hold locks for
    /// long.
    async fn set_up(&self, schema: &str) -> Result<(), TargetError> {
        let set_up = format!(
            "SET search_path = \"{schema}\";
             SET statement_timeout = '25s';
             SET lock_timeout = '10s';
             SET idle_in_transaction_session_timeout = '30s';
             SET tcp_keepalives_idle = 10;
             SET tcp_keepalives_interval = 5;
             SET tcp_keepalives_count = 4;
             SET tcp_user_timeout = '30s';
             SET client_min_messages = warning;
             SET default_transaction_isolation = 'read committed';
             SET jit = off"
        );
        self.run("prepare the session", &set_up).await
    }

    /// Runs statements without parameters within [`EXCHANGE_TIMEOUT`].
    pub(crate) async fn run(&self, doing: &str, statements: &str) -> Result<(), TargetError> {
        within(EXCHANGE_TIMEOUT, doing, async {
            self.client.batch_execute(statements).await.map_err(|error| unavailable(doing, &error))
        })
        .await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.traffic.abort();
    }
}

/// Connects, and spawns the task that moves the bytes.
async fn connect<T>(config: &Config, tls: T) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = Box::pin(config.connect(tls)).await?;
    let traffic = tokio::spawn(async move {
        // Whoever waits for an answer on this connection gets the error, too.
        let _ = connection.await;
    });
    Ok((client, traffic))
}

/// Waits for `work` up to `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, TargetError>>,
) -> Result<T, TargetError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(TargetError::Unavailable(format!("{doing}: no answer within {}", limit_words(limit))))
    })
}

/// The share of one server may be less than a second, or no whole number of them.
fn limit_words(limit: Duration) -> String {
    if limit.subsec_millis() == 0 && limit.as_secs() > 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}

/// Where the server is tried: each host with its port.
fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let server = |(index, host): (usize, &Host)| {
        // One port, or none, is for all hosts.
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(directory) => format!("{}, port {port}", directory.display()),
        }
    };
    if config.get_hosts().is_empty() {
        return config.get_hostaddrs().iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    }
    config.get_hosts().iter().enumerate().map(server).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn limits_are_told_in_whole_units() {
        for (limit, words) in [
            (EXCHANGE_TIMEOUT, "30 s"),
            (EXCHANGE_TIMEOUT / 2, "15 s"),
            (Duration::from_secs(10) / 3, "3333 ms"),
            (Duration::from_secs(2) / 3, "666 ms"),
            (Duration::from_millis(50), "50 ms"),
        ] {
            assert_eq!(limit_words(limit), words);
        }
    }

    #[tokio::test]
    async fn servers_that_take_connections_and_say_nothing_are_all_told() {
        let silent = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [first, second] = silent.each_ref().map(|silent| silent.local_addr().unwrap());
        let settings = Settings::new(format!("postgresql://shop@{first},{second}/shop"));
        let config = settings.primary("test").unwrap();
        let opened = Connection::open_within(Duration::from_millis(100), &settings, config).await;
        let expected =
            [first, second].map(|server| format!("connect to {server}: no answer within 50 ms")).join("; ");
        assert_eq!(opened.err().unwrap().to_string(), expected);
    }

    #[tokio::test]
    async fn a_server_that_takes_connections_and_says_nothing_does_not_hide_the_other() {
        let Ok(url) = std::env::var("ONRUSH_SERVICES_POSTGRES_URL") else { return };
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = format!("@{},", silent.local_addr().unwrap());
        let mut settings = Settings::new(url.replacen('@', &silent, 1));
        settings.replica_url = Some(settings.url.clone());
        settings.password = std::env::var("ONRUSH_SERVICES_POSTGRES_PASSWORD").ok().map(Secret::new);
        let limit = Duration::from_secs(2);
        for config in [settings.primary("test"), settings.replica(limit).map(Option::unwrap)] {
            let connection = Connection::open_within(limit, &settings, config.unwrap()).await.unwrap();
            assert_eq!(connection.client().query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
        }
    }

    #[test]
    fn servers_are_hosts_with_ports() {
        for (url, words) in [
            ("postgresql://shop:s3cret@db/shop", "db:5432"),
            ("postgresql://db:6000/shop", "db:6000"),
            ("postgresql://[::1]:6000/shop", "[::1]:6000"),
            ("postgresql://one:6000,two:6001/shop", "one:6000 or two:6001"),
            ("host=one,two port=6000", "one:6000 or two:6000"),
            ("host=/run/postgresql", "/run/postgresql, port 5432"),
            ("hostaddr=10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(shown(&url.parse().unwrap()), words, "{url}");
        }
    }
}
