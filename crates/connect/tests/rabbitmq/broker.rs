//! The RabbitMQ of the services, as those see it who read from it.
#![expect(clippy::disallowed_methods, reason = "a broker is asked again and again")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use onrush_connect::rabbitmq::{QueueType, Settings};
use onrush_connect::{MessageFormat, Secret};

use crate::services::variable;

/// What a test declared goes with it.
pub struct Broker {
    url: String,
    password: String,
    runtime: tokio::runtime::Runtime,
    connection: Connection,
    names: std::cell::RefCell<Vec<String>>,
}

/// Runs `rabbitmqctl`, which finds the node by the port of its mapper and the cookie in its home.
pub fn control(arguments: &[&str]) {
    let authority = variable("ONRUSH_SERVICES_RABBITMQ_CA").expect("the broker is there");
    let home = Path::new(&authority).parent().expect("it is in the broker's home");
    let settings = fs::read_to_string(home.join("settings")).expect("the services run");
    let port = settings.lines().find_map(|line| line.strip_prefix("MAPPER_PORT="));
    let output = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl")
        .args(["--quiet", "--node", "onrush@localhost"])
        .args(arguments)
        .env("HOME", home)
        .env("ERL_EPMD_PORT", port.expect("the mapper has a port"))
        .output();
    let output = output.expect("rabbitmqctl is installed");
    assert!(output.status.success(), "rabbitmqctl {arguments:?}: {output:?}");
}

/// Looks again and again, for half a minute at least.
pub fn comes_true(mut is_true: impl FnMut() -> bool) -> bool {
    (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        is_true()
    })
}

impl Broker {
    /// If there is one.
    pub fn new() -> Option<Self> {
        let (url, password) =
            (variable("ONRUSH_SERVICES_RABBITMQ_URL")?, variable("ONRUSH_SERVICES_RABBITMQ_PASSWORD")?);
        let mut login: url::Url = url.parse().expect("a url");
        login.set_password(Some(&password)).expect("it can have a password");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("an event loop starts");
        let connected = runtime
            .block_on(async { Connection::connect(login.as_str(), ConnectionProperties::default()).await });
        let connection = connected.expect("the broker is there");
        Some(Self { url, password, runtime, connection, names: std::cell::RefCell::default() })
    }

    /// An exchange and a quorum queue that no other test has.
    pub fn settings(&self, name: &str) -> Settings {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rabbitmq-{}-{count}-{name}", std::process::id());
        self.names.borrow_mut().push(name.clone());
        Settings {
            url: self.url.clone(),
            password: Some(Secret::new(self.password.as_str())),
            tls: onrush_connect::TlsSettings::default(),
            exchange: name.clone(),
            queue: name,
            queue_type: QueueType::Quorum,
            message_format: MessageFormat::Events,
        }
    }

    fn with<T>(&self, work: impl AsyncFnOnce(Channel) -> T) -> T {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.expect("the broker answers");
            let done = work(channel.clone()).await;
            let _ = channel.close(200, "done".into()).await;
            done
        })
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        let url: url::Url = self.url.parse().expect("a url");
        let addresses = url.socket_addrs(|| None).expect("the url has an address and a port");
        addresses[0]
    }

    /// Messages that wait in a queue.
    pub fn message_count(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.with(async |channel| {
            let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
            declared.expect("the queue is there").message_count()
        })
    }

    /// Waits until so many messages wait in a queue: given back, they come when the broker gets to it.
    pub fn wait_for(&self, queue: &str, message_count: u32) {
        let is_there = comes_true(|| self.message_count(queue) == message_count);
        assert!(is_there, "{queue} has {} messages, not {message_count}", self.message_count(queue));
    }

    /// Gets so many messages, acknowledges some of them, and gives the others back.
    pub fn take(&self, queue: &str, count: usize, is_taken: impl Fn(usize) -> bool) -> Vec<Delivery> {
        self.with(async |channel| {
            let mut taken = Vec::new();
            for at in 0..count {
                let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await;
                let delivery = got.expect("the broker answers").expect("the queue has a message").delivery;
                if is_taken(at) {
                    delivery.acker.ack(BasicAckOptions::default()).await.expect("the broker answers");
                }
                taken.push(delivery);
            }
            taken
        })
    }

    /// A consumer that does nothing.
    pub fn consume(&self, queue: &str) -> (Channel, Consumer) {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.expect("the broker answers");
            let options = BasicConsumeOptions::default();
            let begun = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await;
            (channel, begun.expect("the queue is there"))
        })
    }

    /// A queue that refuses messages beyond so many, bound to the exchange of its name.
    pub fn declare_short(&self, name: &str, length_max: i32) {
        self.with(async |channel| {
            let mut arguments = FieldTable::default();
            arguments.insert("x-max-length".into(), AMQPValue::LongInt(length_max));
            arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.into(), options, arguments).await.expect("the broker answers");
            let options = QueueBindOptions::default();
            let bound =
                channel.queue_bind(name.into(), name.into(), "#".into(), options, FieldTable::default());
            bound.await.expect("the exchange is there");
        });
    }

    /// A stream that keeps about so many bytes, bound to the exchange of its name.
    pub fn declare_short_stream(&self, name: &str, bytes_max: i32) {
        self.with(async |channel| {
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
            arguments.insert("x-max-length-bytes".into(), AMQPValue::LongInt(bytes_max));
            arguments.insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongInt(bytes_max / 4));
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.into(), options, arguments).await.expect("the broker answers");
            let options = QueueBindOptions::default();
            let bound =
                channel.queue_bind(name.into(), name.into(), "#".into(), options, FieldTable::default());
            bound.await.expect("the exchange is there");
        });
    }

    /// Deletes a queue with all that is in it.
    pub fn delete_queue(&self, name: &str) {
        self.with(async |channel| {
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.expect("it was there");
        });
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for name in self.names.take() {
            self.with(async |channel| {
                let _ = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await;
                let _ = channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await;
            });
        }
    }
}
