//! A table as Debezium tells of it in a topic, and a collection that follows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onrush_connect::debezium::{DebeziumSettings, Feed, OffsetsSettings};
use onrush_connect::kafka::ClusterSettings;
use onrush_node::catalog::{Freshness, SourceState, ToldRows, ToldSettings};
use onrush_node::{Clock as _, MachineClock};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::place::{Place, unique};

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connector, beside another that is far ahead.
const CONNECTOR: &str = "shop";

/// How far the rows may be behind.
pub(crate) const LAG_MAX: Duration = Duration::from_secs(3);

/// Topics of a table and of offsets, deleted in the end.
pub(crate) struct Table {
    pub(crate) place: Place,
    pub(crate) offsets: String,
    producer: BaseProducer,
    /// The newest place of a change.
    newest: std::cell::Cell<u64>,
}

/// A collection that follows a table.
pub(crate) struct Collection {
    pub(crate) rows: Arc<ToldRows>,
    _feed: Feed,
}

impl Table {
    /// Topics that keep the newest record of every key, if the services are up.
    pub(crate) fn make() -> Option<Self> {
        let table = Self::without_topics()?;
        table.place.create(&table.place.topic, &[("cleanup.policy", "compact")]);
        table.place.create(&table.offsets, &[("cleanup.policy", "compact")]);
        Some(table)
    }

    pub(crate) fn without_topics() -> Option<Self> {
        let topic = unique("shop.products");
        let offsets = format!("{topic}.offsets");
        let place = Place::named(&topic)?;
        let producer = producer(&place, &[]);
        Some(Self { place, offsets, producer, newest: std::cell::Cell::new(0) })
    }

    /// The topic, keeping what these settings say.
    pub(crate) fn create(&self, topic: &str, settings: &[(&str, &str)]) {
        self.place.create(topic, settings);
    }

    pub(crate) fn settings(&self) -> DebeziumSettings {
        DebeziumSettings {
            cluster: self.place.cluster(),
            topic: self.place.topic.clone(),
            key: None,
            offsets: Some(OffsetsSettings { topic: self.offsets.clone(), connector: CONNECTOR.to_owned() }),
        }
    }

    pub(crate) fn settings_by(&self, cluster: ClusterSettings) -> DebeziumSettings {
        DebeziumSettings { cluster, ..self.settings() }
    }

    /// Tells that a row was changed to this value, at this place of the log.
    pub(crate) fn put(&self, id: u64, value: u64, position: u64) {
        let row = format!("{{\"id\":{id},\"value\":{value}}}");
        self.newest.set(self.newest.get().max(position));
        self.send(id, Some(&change("u", &row, position)));
    }

    /// Tells that a row is gone, as Debezium does, by two records.
    pub(crate) fn delete(&self, id: u64, position: u64) {
        self.newest.set(self.newest.get().max(position));
        self.send(id, Some(&change("d", "null", position)));
        self.send(id, None);
    }

    pub(crate) fn send(&self, id: u64, value: Option<&str>) {
        send(&self.producer, &self.place.topic, &format!("{{\"id\":{id}}}"), value);
    }

    /// Tells that the connector is this far now.
    pub(crate) fn beat(&self, position: u64) {
        // As Kafka Connect does it, which waits until all else has been taken.
        self.flush();
        for (connector, ahead) in [(CONNECTOR, 0), ("another", 1_000_000)] {
            let key = format!("[\"{connector}\",{{\"server\":\"shop\"}}]");
            let (position, us) = (position + ahead, 1_000 * wall_ms());
            let value = format!("{{\"lsn\":{position},\"lsn_commit\":{position},\"ts_usec\":{us}}}");
            send(&self.producer, &self.offsets, &key, Some(&value));
        }
        self.flush();
    }

    pub(crate) fn flush(&self) {
        self.producer.flush(PATIENCE).expect("the broker takes all");
    }

    /// Another that sends all between the beginning and the end of a transaction.
    pub(crate) fn in_transaction(&self, is_committed: bool, send_all: impl FnOnce(&BaseProducer)) {
        let producer = producer(&self.place, &[("transactional.id", &self.place.topic)]);
        producer.init_transactions(PATIENCE).expect("begin to work with transactions");
        producer.begin_transaction().expect("begin a transaction");
        send_all(&producer);
        producer.flush(PATIENCE).expect("the broker takes all");
        let ended = if is_committed {
            producer.commit_transaction(PATIENCE)
        } else {
            producer.abort_transaction(PATIENCE)
        };
        ended.expect("end a transaction");
    }

    /// Another connection learns which partitions there are.
    pub(crate) fn connect_again(&mut self) {
        self.producer = producer(&self.place, &[]);
    }

    pub(crate) fn delete_topic(&self) {
        let answers = self.place.admin().delete_topics(&[&self.place.topic], &options()).now_or_wait();
        assert!(answers.expect("the broker answers").iter().all(Result::is_ok));
    }

    pub(crate) fn add_partitions(&self, count: usize) {
        let more = [NewPartitions::new(&self.place.topic, count)];
        let answers = self.place.admin().create_partitions(&more, &options()).now_or_wait();
        assert!(answers.expect("the broker answers").iter().all(Result::is_ok));
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let topics = [self.place.topic.as_str(), self.offsets.as_str()];
        let _ = self.place.admin().delete_topics(&topics, &options()).now_or_wait();
    }
}

impl Collection {
    pub(crate) fn follow(settings: DebeziumSettings) -> Self {
        settings.check().expect("the settings can be used");
        let told = ToldSettings { bytes_max: 1 << 24, lag_max: LAG_MAX };
        let rows = Arc::new(ToldRows::new(told, 7));
        let feed = Feed::start("products", settings, Arc::clone(&rows)).expect("start a thread");
        Self { rows, _feed: feed }
    }

    pub(crate) fn state(&self) -> SourceState {
        self.rows.state(now())
    }

    /// The row of this key, as it is shown; nothing while nobody knows how new it is.
    pub(crate) fn value(&self, id: u64) -> Option<u64> {
        let shown = self.rows.shown();
        let row = shown.rows.row(&id.to_string())?;
        let json: serde_json::Value = serde_json::from_slice(row.json()).expect("a row is JSON");
        json["value"].as_u64()
    }

    pub(crate) fn is_coherent(&self) -> bool {
        matches!(self.state().freshness, Freshness::Coherent(_))
    }

    /// Waits until something is so, and tells meanwhile that the connector is there.
    pub(crate) fn wait(&self, table: &Table, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.wait_while(what, || table.beat(table.newest.get()), is_so);
    }

    pub(crate) fn wait_while(&self, what: &str, doing: impl Fn(), is_so: impl Fn(&Self) -> bool) {
        let began = now();
        while !is_so(self) {
            assert!(now().duration_since(began) < PATIENCE, "{what}: {:?}", self.state());
            doing();
            pause(Duration::from_millis(50));
        }
    }

    /// Waits until all rows are known, and what went wrong before is of no interest any more.
    pub(crate) fn wait_until_coherent(&self, table: &Table) {
        self.wait(table, "the rows are not coherent", Self::is_coherent);
    }
}

/// A change that was made once, however often it is told.
pub(crate) fn change(op: &str, after: &str, position: u64) -> String {
    envelope(op, after, position, 1_700_000_000_000 + position)
}

/// An envelope of PostgreSQL, without its schema.
fn envelope(op: &str, after: &str, position: u64, committed_ms: u64) -> String {
    let told_ms = wall_ms();
    format!(
        "{{\"before\":null,\"after\":{after},\"op\":\"{op}\",\"ts_ms\":{told_ms},\"source\":{{\"connector\":\"postgresql\",\
         \"ts_ms\":{committed_ms},\"snapshot\":\"false\",\"lsn\":{position}}}}}"
    )
}

fn wall_ms() -> u64 {
    MachineClock.wall_ms()
}

pub(crate) fn send(producer: &BaseProducer, topic: &str, key: &str, value: Option<&str>) {
    let mut record = BaseRecord::to(topic).key(key);
    if let Some(value) = value {
        record = record.payload(value);
    }
    while let Err((_, again)) = producer.send(record) {
        producer.poll(Duration::from_millis(10));
        record = again;
    }
    producer.poll(Duration::ZERO);
}

fn producer(place: &Place, properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &place.brokers).set("linger.ms", "0");
    for (key, value) in properties {
        config.set(*key, *value);
    }
    config.create().expect("a producer")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE))
}

/// Waits for an answer of the broker.
trait Wait: Future + Sized {
    fn now_or_wait(self) -> Self::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("an event loop").block_on(self)
    }
}

impl<F: Future> Wait for F {}

#[allow(clippy::disallowed_methods, reason = "the only way to have any time of this clock")]
fn now() -> Instant {
    Instant::now()
}

/// For what nothing tells the end of.
#[allow(
    clippy::disallowed_methods,
    reason = "a broker does not tell when it has forgotten a topic, nor when no record will come"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
