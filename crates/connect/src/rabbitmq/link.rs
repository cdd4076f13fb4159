//! A connection to a broker with everything that belongs to it, so that dropping it leaves nothing behind that could
//! still publish.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, Stream, StreamExt as _};

use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::tcp::{AMQPUriTcpExt as _, RustlsConnector};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event, ExchangeKind};
use onrush_sinks::{EXCHANGE_TIMEOUT, Source, TargetError};
use rustls::ClientConfig;
use tokio::runtime::Runtime;

use super::Settings;
use super::errors::{is_locked, is_not_found, unavailable, undeclarable};

/// Seconds between heartbeats, unless the url says otherwise: a broker forgets a dead connection, and its lock, after two or three.
const HEARTBEAT_S: u16 = 10;
/// How long an open waits for the connection before it to be gone.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How often the broker is asked whether it blocks the connection; twice in a row is enough.
const BLOCKED_INTERVAL: Duration = Duration::from_millis(500);

/// One connection, one channel, and the event loop that drives them, which answers heartbeats while the sink is idle.
pub(super) struct Link {
    /// `Some` until dropped.
    runtime: Option<Runtime>,
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    events: Mutex<Events>,
}

/// What the client tells of a connection.
type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

impl Link {
    /// Connects and logs in.
    pub(super) fn connect(settings: &Settings, name: &str) -> Result<Self, TargetError> {
        let mut uri = settings.uri().map_err(TargetError::Unavailable)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rabbitmq")
            .enable_all()
            .build()
            .map_err(|error| TargetError::Unavailable(format!("start an event loop: {error}")))?;
        let doing = format!("connect to RabbitMQ at {}:{}", uri.authority.host, uri.authority.port);
        let encrypted = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(settings.tls.client_config().map_err(TargetError::Unavailable)?),
        };
        let connected = wait(&runtime, &doing, async {
            let connection = connect(uri, properties, encrypted).await?;
            let events = Mutex::new(Box::pin(connection.events_listener()) as Events);
            let channel = connection.create_channel().await?;
            Ok((connection, channel, events))
        });
        match connected {
            Ok((connection, channel, events)) => {
                Ok(Self { runtime: Some(runtime), connection, channel, events })
            }
            Err(failed) => {
                runtime.shutdown_background();
                Err(failed.meaning(|error| unavailable(&doing, error)))
            }
        }
    }

    /// Waits for the broker up to [`EXCHANGE_TIMEOUT`].
    pub(super) fn ask<T>(
        &self,
        doing: &str,
        work: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, TargetError> {
        self.ask_or(doing, work, |error| unavailable(doing, error))
    }

    fn ask_or<T>(
        &self,
        doing: &str,
        work: impl Future<Output = lapin::Result<T>>,
        meaning: impl FnOnce(&lapin::Error) -> TargetError,
    ) -> Result<T, TargetError> {
        wait(self.runtime(), doing, work).map_err(|failed| failed.meaning(meaning))
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken by drop only")
    }

    /// Makes this connection the only one of the sink. What an older one had under way is in the queue or never will be once the
    /// broker gives its exclusive queue away: so nothing old can come between what is published from now on.
    pub(super) fn lock(&mut self, source: &Source) -> Result<(), TargetError> {
        let name = lock_name(source);
        let doing = "take over from the connection before";
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        for _ in 0..LOCK_TIMEOUT.as_millis() / LOCK_PAUSE.as_millis() {
            let channel = self.channel.clone();
            let declared = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
            match wait(self.runtime(), doing, declared) {
                Ok(_) => return Ok(()),
                Err(Failed::Late(error)) => return Err(error),
                Err(Failed::Answer(error)) if !is_locked(&error) => return Err(unavailable(doing, &error)),
                // The broker closed the channel with its refusal.
                Err(Failed::Answer(_)) => {
                    let again = async {
                        tokio::time::sleep(LOCK_PAUSE).await;
                        self.connection.create_channel().await
                    };
                    self.channel = self.ask(doing, again)?;
                }
            }
        }
        Err(TargetError::Unavailable(format!(
            "another connection of this sink still holds the queue `{name}`"
        )))
    }

    /// Makes exchange and queue, or checks that they are as they would be made. Returns whether the queue was not there.
    pub(super) fn declare(&mut self, settings: &Settings) -> Result<bool, TargetError> {
        let Settings { exchange, queue, .. } = settings;
        let makes_queue = !queue.is_empty() && self.lacks(queue)?;
        if !exchange.is_empty() {
            let doing = format!("declare the exchange `{exchange}`");
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let name = exchange.as_str().into();
            let declared =
                self.channel.exchange_declare(name, ExchangeKind::Topic, options, FieldTable::default());
            self.ask_or(&doing, declared, |error| undeclarable(&doing, error))?;
        }
        if !queue.is_empty() {
            let doing = format!("declare the queue `{queue}`");
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            let queue_type = AMQPValue::LongString(settings.queue_type.name().into());
            arguments.insert("x-queue-type".into(), queue_type);
            let declared = self.channel.queue_declare(queue.as_str().into(), options, arguments);
            self.ask_or(&doing, declared, |error| undeclarable(&doing, error))?;
        }
        if !exchange.is_empty() && !queue.is_empty() {
            let doing = format!("bind the queue `{queue}` to the exchange `{exchange}`");
            let (queue, exchange) = (queue.as_str().into(), exchange.as_str().into());
            let options = QueueBindOptions::default();
            self.ask(
                &doing,
                self.channel.queue_bind(queue, exchange, "#".into(), options, FieldTable::default()),
            )?;
        }
        Ok(makes_queue)
    }

    /// Whether there is no queue of this name.
    fn lacks(&mut self, queue: &str) -> Result<bool, TargetError> {
        let doing = format!("look for the queue `{queue}`");
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        match wait(self.runtime(), &doing, declared) {
            Ok(_) => Ok(false),
            Err(Failed::Late(error)) => Err(error),
            Err(Failed::Answer(error)) => {
                // The broker closed the channel with it. What else is wrong is said when the queue is declared.
                self.channel = self.ask(&doing, self.connection.create_channel())?;
                Ok(is_not_found(&error))
            }
        }
    }

    /// Waits for `work`, which needs the broker to take messages, up to [`EXCHANGE_TIMEOUT`]; if the broker has said that it takes
    /// none, not so long.
    pub(super) async fn wait_unless_blocked<T>(
        &self,
        doing: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, TargetError> {
        let mut work = pin!(work);
        let mut was_blocked = false;
        for _ in 0..EXCHANGE_TIMEOUT.as_millis() / BLOCKED_INTERVAL.as_millis() {
            if let Ok(done) = tokio::time::timeout(BLOCKED_INTERVAL, &mut work).await {
                return Ok(done);
            }
            let is_blocked = self.connection.status().blocked();
            if is_blocked && was_blocked {
                let reason = self.blocked_reason().unwrap_or_else(|| "see its alarms".to_owned());
                return Err(TargetError::Unavailable(format!(
                    "{doing}: the broker takes no messages for now: {reason}"
                )));
            }
            was_blocked = is_blocked;
        }
        Err(late(doing))
    }

    /// Whether the connection is still there, as far as is known without asking the broker.
    pub(super) fn check_connected(&self) -> Result<(), TargetError> {
        if self.connection.status().connected() {
            return Ok(());
        }
        Err(TargetError::Unavailable("the connection to RabbitMQ broke".to_owned()))
    }

    /// What the broker said when it blocked the connection last.
    fn blocked_reason(&self) -> Option<String> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest = None;
        while let Some(Some(event)) = events.next().now_or_never() {
            if let Event::ConnectionBlocked(reason) = event {
                newest = Some(reason);
            }
        }
        newest
    }

    /// From now on the broker says of each message that it has it.
    pub(super) fn confirm(&self) -> Result<(), TargetError> {
        self.ask("select confirms", self.channel.confirm_select(ConfirmSelectOptions::default()))
    }
}

impl Drop for Link {
    /// Without its event loop the socket is closed at once: what was queued and not yet written is never published.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Connects, with TLS of this configuration if there is one.
async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    encrypted: Option<ClientConfig>,
) -> lapin::Result<Connection> {
    let Some(config) = encrypted else { return Connection::connect_uri(uri, properties).await };
    let connector = RustlsConnector::from(config);
    let runtime = lapin::runtime::default_runtime()?;
    let connect = async move |uri: AMQPUri, runtime| {
        let host = uri.authority.host.clone();
        let clear = AMQPUri { scheme: AMQPScheme::AMQP, ..uri };
        let stream = clear.connect_async(&runtime).await.map_err(io_error)?;
        stream.into_rustls(&connector, &host).await.map_err(io_error)
    };
    Connection::connector(uri, runtime, connect, properties).await
}

fn io_error(error: io::Error) -> lapin::Error {
    ErrorKind::IOError(Arc::new(error)).into()
}

/// The exclusive queue of a sink's only connection.
fn lock_name(source: &Source) -> String {
    format!("onrush.lock.{}.{}.{}", source.log_id, source.partition, source.sink)
}

/// Why there is no good answer.
enum Failed {
    Answer(lapin::Error),
    Late(TargetError),
}

impl Failed {
    fn meaning(self, meaning: impl FnOnce(&lapin::Error) -> TargetError) -> TargetError {
        match self {
            Self::Answer(error) => meaning(&error),
            Self::Late(error) => error,
        }
    }
}

fn wait<T>(
    runtime: &Runtime,
    doing: &str,
    work: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Failed> {
    let answer = runtime.block_on(async { tokio::time::timeout(EXCHANGE_TIMEOUT, work).await });
    match answer {
        Ok(answer) => answer.map_err(Failed::Answer),
        Err(_) => Err(Failed::Late(late(doing))),
    }
}

/// No answer came in time.
pub(super) fn late(doing: &str) -> TargetError {
    TargetError::Unavailable(format!("{doing}: no answer within {} s", EXCHANGE_TIMEOUT.as_secs()))
}
