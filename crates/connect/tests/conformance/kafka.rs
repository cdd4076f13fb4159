//! The conformance suite's harness for Kafka: a topic of three partitions in the broker of `cargo xtask services up`.
//!
//! A Kafka client follows the addresses that a broker advertises, so a proxy at any port would be left at once. The broker has a
//! second listener that advertises a fixed port; a relay there leads whoever comes to the proxy, one test at a time.

#![cfg(feature = "kafka")]

use std::cell::RefCell;
use std::fs::File;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onrush_connect::kafka::{ClusterSettings, Kafka, KafkaAuditor, Settings};
use onrush_connect::{Audit, MessageFormat, Secret};
use onrush_sinks::{EventKind, Target};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::harness::{Harness, Seen, WRONG_PASSWORD};
use crate::services::variable;

const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic of its own, deleted in the end.
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) brokers: String,
    proxied: SocketAddr,
    proxy_target: SocketAddr,
    relay: RefCell<Option<Relay>>,
}

/// A place, if the services are up.
pub(crate) fn harness() -> Option<Place> {
    let place = Place::named(&unique("conformance"))?;
    place.create(&place.topic, &[]);
    Some(place)
}

/// A name that no other test has.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Place {
    /// The place of a topic that is not created yet.
    pub(crate) fn named(topic: &str) -> Option<Self> {
        let brokers = variable("ONRUSH_SERVICES_KAFKA_BROKERS")?;
        let address =
            |name: &str| Some(variable(name)?.parse().expect("the services' addresses are addresses"));
        Some(Self {
            topic: topic.to_owned(),
            brokers,
            proxied: address("ONRUSH_SERVICES_KAFKA_PROXIED_BROKERS")?,
            proxy_target: address("ONRUSH_SERVICES_KAFKA_PROXY_TARGET")?,
            relay: RefCell::new(None),
        })
    }

    /// The settings of a sink that writes here.
    pub(crate) fn settings(&self) -> Settings {
        self.settings_by(self.cluster())
    }

    /// The same for a cluster that is reached like this.
    pub(crate) fn settings_by(&self, cluster: ClusterSettings) -> Settings {
        Settings { cluster, topic: self.topic.clone(), message_format: MessageFormat::Events }
    }

    pub(crate) fn cluster(&self) -> ClusterSettings {
        ClusterSettings {
            brokers: self.brokers.clone(),
            username: None,
            password: None,
            tls: onrush_connect::TlsSettings::default(),
            properties_file: None,
        }
    }

    /// Creates a topic with these settings of its own.
    pub(crate) fn create(&self, topic: &str, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, 3, TopicReplication::Fixed(1));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(EXCHANGE_TIMEOUT));
        let answers = block_on(self.admin().create_topics(&[new], &options)).unwrap();
        answers.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    }

    /// Every message of a topic, partition by partition.
    pub(crate) fn messages(&self, topic: &str) -> Vec<OwnedMessage> {
        let mut config = self.client_config();
        config.set("group.id", "onrush-tests").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut messages = Vec::new();
        for partition in 0..partition_count(&consumer, topic) {
            let (low, high) = consumer.fetch_watermarks(topic, partition, EXCHANGE_TIMEOUT).unwrap();
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(topic, partition, Offset::Offset(low)).unwrap();
            consumer.assign(&assignment).unwrap();
            for _ in low..high {
                messages.push(consumer.poll(EXCHANGE_TIMEOUT).expect("the broker answers").unwrap().detach());
            }
        }
        messages
    }

    /// A client for what only an administrator does.
    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client_config().create().unwrap()
    }

    fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

fn partition_count(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), EXCHANGE_TIMEOUT).unwrap();
    i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
}

/// The text of a header.
pub(crate) fn header<'m>(message: &'m OwnedMessage, name: &str) -> Option<&'m str> {
    let headers = message.headers()?.iter().find(|header| header.key == name)?;
    Some(std::str::from_utf8(headers.value?).unwrap())
}

impl Harness for Place {
    fn target(&self, through: Option<SocketAddr>) -> Box<dyn Target> {
        let mut settings = self.settings();
        if let Some(proxy) = through {
            settings.cluster.brokers = self.proxied.to_string();
            let mut relay = self.relay.borrow_mut();
            relay.get_or_insert_with(|| Relay::start(self.proxied)).lead_to(proxy);
        }
        Box::new(Kafka::new(settings))
    }

    fn intruder(&self) -> Box<dyn Target> {
        let (username, password) = (Some("onrush".to_owned()), Some(Secret::new(WRONG_PASSWORD)));
        // The broker here has no TLS, and nobody sends a password without it unless told to.
        let properties =
            std::env::temp_dir().join(format!("onrush-intruder-{}.properties", std::process::id()));
        std::fs::write(&properties, "security.protocol=sasl_plaintext\n").unwrap();
        let properties_file = Some(properties);
        let cluster = ClusterSettings { username, password, properties_file, ..self.cluster() };
        Box::new(Kafka::new(self.settings_by(cluster)))
    }

    fn address(&self) -> SocketAddr {
        self.proxy_target
    }

    fn seen(&self) -> Vec<Seen> {
        let seen = |message: &OwnedMessage| {
            let id = header(message, "ce_id").unwrap();
            Seen {
                offset: id.rsplit_once('-').unwrap().1.parse().unwrap(),
                key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
                kind: header(message, "ce_type").unwrap().strip_prefix("dev.onrush.").unwrap().to_owned(),
                body: serde_json::from_slice(message.payload().unwrap()).unwrap(),
            }
        };
        self.messages(&self.topic).iter().map(seen).collect()
    }

    fn auditor(&self) -> Box<dyn Audit> {
        Box::new(KafkaAuditor::new(self.settings()))
    }

    fn exactly_once(&self) -> bool {
        false
    }

    fn keeps_offset(&self) -> bool {
        false
    }

    fn heals_itself(&self) -> bool {
        true
    }

    /// A broker removes only what is oldest.
    fn lose(&self, _offset: u64) -> bool {
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let topics: Vec<String> = EventKind::ALL.map(|kind| self.topic.replace("{kind}", kind.name())).into();
        let mut topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        topics.dedup();
        // The broker goes away with its topics if this fails.
        let _ = block_on(self.admin().delete_topics(&topics, &AdminOptions::new()));
    }
}

/// Waits for an administrator's work.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(EXCHANGE_TIMEOUT, work).await.expect("the broker answers") })
}

/// Leads connections from the advertised port to a proxy.
struct Relay {
    address: SocketAddr,
    proxy: Arc<Mutex<Option<SocketAddr>>>,
    stops: Arc<AtomicBool>,
    /// Held for as long as the port is in use, by this process or another.
    _lock: File,
}

impl Relay {
    fn start(address: SocketAddr) -> Self {
        let path = std::env::temp_dir().join(format!("onrush-kafka-relay-{}.lock", address.port()));
        let lock = File::create(path).unwrap();
        lock.lock().unwrap();
        let listener = TcpListener::bind(address).unwrap();
        let (proxy, stops) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let (their_proxy, their_stops) = (Arc::clone(&proxy), Arc::clone(&stops));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if their_stops.load(Ordering::SeqCst) {
                    return;
                }
                let proxy: Option<SocketAddr> = *their_proxy.lock().unwrap();
                if let Some(server) = proxy.and_then(|proxy| TcpStream::connect(proxy).ok()) {
                    pass(&client, &server);
                    pass(&server, &client);
                }
            }
        });
        Self { address, proxy, stops, _lock: lock }
    }

    fn lead_to(&self, proxy: SocketAddr) {
        *self.proxy.lock().unwrap() = Some(proxy);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
        // Wakes the listener, which then leaves the port.
        drop(TcpStream::connect(self.address));
        while TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }
}

/// Passes on what `from` says until either side has closed.
fn pass(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
