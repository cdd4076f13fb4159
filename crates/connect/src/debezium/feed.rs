//! Following topics: one thread for each collection that takes their records, and another that asks how far they go.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onrush_node::catalog::ToldRows;
use onrush_sinks::TargetError;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::asking::{Answer, Asked};
use super::ends::{Ends, Shrunk};
use super::heartbeats::Heartbeats;
use super::moment::{now, this_moment};
use super::settings::DebeziumSettings;
use super::stopping::Stop;
use super::taking::{Known, Taker};
use crate::kafka::cluster;
use crate::kafka::reports::Reports;

/// The first pause after a failure, and the longest.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long the first record is waited for before something else is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Records that are taken before something else is looked at.
const RECORDS_PER_TURN: usize = 1_024;

/// How long an end is waited for that no record comes to.
const STALL: Duration = Duration::from_millis(300);

/// Longest wait for the end of a thread: one that waits for a cluster is left to the end of the process.
const FAREWELL: Duration = Duration::from_secs(3);

/// Records between two messages: some seconds of loading.
const RECORDS_PER_MESSAGE: u64 = 1 << 18;

/// Keeps the rows of one collection as a topic has them, until it is dropped.
pub struct Feed {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread, whose name begins with `catalog-`.
    ///
    /// # Errors
    /// The operating system has no room for a thread, as a sentence.
    pub fn start(collection: &str, settings: DebeziumSettings, rows: Arc<ToldRows>) -> Result<Self, String> {
        let stop = Arc::new(Stop::default());
        let follower =
            Follower { collection: collection.to_owned(), settings, rows, stop: Arc::clone(&stop) };
        let thread = onrush_node::spawn(&format!("catalog-{collection}"), move || follower.follow_for_ever());
        let thread = thread.map_err(|error| format!("start a thread: {error}"))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops it without waiting for it.
    pub fn stop(&self) {
        self.stop.stop();
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.stop();
        let Some(thread) = self.thread.take() else { return };
        let began = now();
        while !thread.is_finished() && now().saturating_duration_since(began) < FAREWELL {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

/// Why following ended.
enum Interruption {
    /// What is known stays true, and following goes on where it ended.
    Broken(String),
    /// Not all changes are known: the rows have to be loaded.
    Lost(String),
    Stopped,
}

impl From<TargetError> for Interruption {
    fn from(error: TargetError) -> Self {
        Self::Broken(error.to_string())
    }
}

struct Follower {
    collection: String,
    settings: DebeziumSettings,
    rows: Arc<ToldRows>,
    stop: Arc<Stop>,
}

/// What is kept from one connection to the next.
struct Progress {
    taker: Taker,
    ends: Ends<Known>,
    partition_count: i32,
    is_loaded: bool,
    record_count: u64,
}

/// What one connection needs.
struct Reading {
    consumer: Arc<BaseConsumer<Reports>>,
    heartbeats: Option<Heartbeats>,
    known: Arc<Mutex<Known>>,
}

impl Follower {
    fn follow_for_ever(&self) {
        let mut progress = None;
        let mut pause = RETRY_PAUSES.0;
        loop {
            let began = now();
            let ended = self.session(&mut progress);
            if now().saturating_duration_since(began) > RETRY_PAUSES.1 {
                pause = RETRY_PAUSES.0;
            }
            match ended {
                Interruption::Stopped => return,
                Interruption::Broken(why) => {
                    tracing::warn!("catalog {}: {why}", self.collection);
                    self.rows.report(why);
                }
                Interruption::Lost(why) => {
                    tracing::warn!("catalog {}: all rows are loaded anew: {why}", self.collection);
                    self.rows.lose(why);
                    progress = None;
                }
            }
            if self.stop.wait(pause) {
                return;
            }
            pause = (2 * pause).min(RETRY_PAUSES.1);
        }
    }

    /// Follows the topics with one client, until something is wrong with it.
    fn session(&self, progress: &mut Option<Progress>) -> Interruption {
        let (reading, partition_count) = match self.open(progress) {
            Ok(opened) => opened,
            Err(interruption) => return interruption,
        };
        let stop_asking = Stop::default();
        let (sender, answers) = sync_channel(16);
        let asked = Asked {
            consumer: Arc::clone(&reading.consumer),
            topic: self.settings.topic.clone(),
            partition_count,
            known: Arc::clone(&reading.known),
        };
        let Some(progress) = progress else { return Interruption::Stopped };
        std::thread::scope(|scope| {
            let asking = || asked.ask_on(&stop_asking, &sender);
            let name = format!("catalog-asks-{}", self.collection);
            let asking = std::thread::Builder::new().name(name).spawn_scoped(scope, asking);
            let ended = match asking {
                Ok(_) => self.read_on(&reading, progress, &answers),
                Err(error) => Interruption::Broken(format!("start a thread: {error}")),
            };
            stop_asking.stop();
            ended
        })
    }

    /// Looks whether the topics can be followed, and begins to read them where reading ended, or with their first records.
    fn open(&self, progress: &mut Option<Progress>) -> Result<(Reading, i32), Interruption> {
        let settings = &self.settings;
        let client_config = settings.cluster.client_config().map_err(Interruption::Broken)?;
        let config = settings.consumer_config().map_err(Interruption::Broken)?;
        let described = cluster::describe(&settings.cluster, &client_config)?;
        let count_of = |topic: &str| {
            let found = described.get(topic);
            found.map(|topic| {
                i32::try_from(topic.partition_count).expect("Kafka counts partitions in 31 bits")
            })
        };
        let partition_count = count_of(&settings.topic).ok_or_else(|| self.without_topic())?;
        match cluster::forgetting(&settings.cluster, &client_config, &settings.topic) {
            Ok(None) => {}
            Ok(Some(bounds)) => return Err(Interruption::Lost(forgets(&settings.topic, &bounds))),
            Err(error) => tracing::warn!(
                "catalog {}: nobody knows whether topic {} keeps the newest record of every key: {error}",
                self.collection,
                settings.topic
            ),
        }
        let heartbeats = settings.heartbeat_topic.as_ref().map(|topic| {
            let count = count_of(topic).ok_or_else(|| without_heartbeats(topic))?;
            Heartbeats::open(&settings.cluster, config.clone(), topic, count).map_err(Interruption::Broken)
        });
        let heartbeats = heartbeats.transpose()?;
        if progress.as_ref().is_some_and(|progress| progress.partition_count != partition_count) {
            return Err(Interruption::Lost("the topic has another number of partitions".to_owned()));
        }
        let progress = progress.get_or_insert_with(|| {
            self.rows.begin_load();
            Progress::new(Taker::new(Arc::clone(&self.rows), settings.key.clone()), partition_count)
        });
        let consumer: BaseConsumer<Reports> = cluster::create(&settings.cluster, &config)?;
        let begin = self.beginnings(progress);
        begin.and_then(|begin| consumer.assign(&begin)).map_err(|error| broken("read the topic", &error))?;
        tracing::info!("catalog {}: follows topic {}", self.collection, settings.topic);
        let known = Arc::new(Mutex::new(progress.taker.known()));
        Ok((Reading { consumer: Arc::new(consumer), heartbeats, known }, partition_count))
    }

    fn beginnings(&self, progress: &Progress) -> Result<TopicPartitionList, KafkaError> {
        let mut begin = TopicPartitionList::new();
        for partition in 0..progress.partition_count {
            let at = progress.ends.next(partition).map_or(Offset::Beginning, Offset::Offset);
            begin.add_partition_offset(&self.settings.topic, partition, at)?;
        }
        Ok(begin)
    }

    fn read_on(
        &self,
        reading: &Reading,
        progress: &mut Progress,
        answers: &Receiver<Answer>,
    ) -> Interruption {
        loop {
            if self.stop.wait(Duration::ZERO) {
                return Interruption::Stopped;
            }
            let turn = self.take_records(reading, progress);
            let turn = turn.and_then(|()| {
                if let Some(heartbeats) = &reading.heartbeats {
                    heartbeats.take(&mut progress.taker, |problem| self.rows.report(problem));
                }
                *reading.known.lock().unwrap_or_else(PoisonError::into_inner) = progress.taker.known();
                answers.try_iter().try_for_each(|answer| self.take_answer(answer, progress))
            });
            if let Err(interruption) = turn.and_then(|()| self.show(reading, progress)) {
                return interruption;
            }
        }
    }

    /// Takes the records that are there.
    fn take_records(&self, reading: &Reading, progress: &mut Progress) -> Result<(), Interruption> {
        let mut wait = POLL;
        for _ in 0..RECORDS_PER_TURN {
            let Some(polled) = reading.consumer.poll(wait) else { break };
            wait = Duration::ZERO;
            match polled {
                Ok(message) => self.take_record(&message, progress)?,
                Err(KafkaError::PartitionEOF(partition)) => progress.ends.take_end(partition),
                Err(error) => self.take_error(reading, &error)?,
            }
        }
        Ok(())
    }

    fn take_record(
        &self,
        message: &BorrowedMessage<'_>,
        progress: &mut Progress,
    ) -> Result<(), Interruption> {
        let (partition, offset, moment) = (message.partition(), message.offset(), this_moment());
        let taken = progress.taker.take(partition, message.key(), message.payload(), moment);
        taken.map_err(|why| {
            let topic = &self.settings.topic;
            Interruption::Lost(format!("topic {topic}, partition {partition}, offset {offset}: {why}"))
        })?;
        progress.ends.take(partition, offset, moment.now);
        progress.record_count += 1;
        if !progress.is_loaded && progress.record_count.is_multiple_of(RECORDS_PER_MESSAGE) {
            let count = progress.record_count;
            tracing::info!("catalog {}: {count} records were read so far", self.collection);
        }
        Ok(())
    }

    fn take_error(&self, reading: &Reading, error: &KafkaError) -> Result<(), Interruption> {
        use RDKafkaErrorCode::{
            AutoOffsetReset, OffsetOutOfRange, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
        };
        let why = reading.consumer.context().with_complaint(format!("read the topic: {error}"));
        match error.rdkafka_error_code() {
            Some(
                AutoOffsetReset
                | OffsetOutOfRange
                | UnknownPartition
                | UnknownTopic
                | UnknownTopicOrPartition,
            ) => Err(Interruption::Lost(why)),
            _ if reading.consumer.context().is_refused() => Err(Interruption::Broken(why)),
            _ => {
                self.rows.report(why);
                Ok(())
            }
        }
    }

    fn take_answer(&self, answer: Answer, progress: &mut Progress) -> Result<(), Interruption> {
        match answer {
            Answer::Ends(question) => progress.ends.ask(question).map_err(|Shrunk| {
                Interruption::Lost(
                    "the topic is shorter than what was read of it: it was made anew".to_owned(),
                )
            }),
            Answer::OtherPartitions => {
                Err(Interruption::Lost("the topic has another number of partitions".to_owned()))
            }
            Answer::Failed(why) => {
                self.rows.report(why);
                Ok(())
            }
        }
    }

    /// Shows what was taken, and how new it is.
    fn show(&self, reading: &Reading, progress: &mut Progress) -> Result<(), Interruption> {
        if !progress.is_loaded {
            self.rows.loading(progress.record_count);
        }
        if let Some(question) = progress.ends.reached() {
            if progress.taker.reach(question.asked_at) {
                self.show_as_of(question.asked_at, question.known, progress);
            } else if progress.taker.is_in_snapshot() {
                self.rows
                    .report("the connector is telling all rows, and has not come to the last one".to_owned());
            }
            return Ok(());
        }
        if progress.is_loaded {
            self.rows.publish();
        }
        if let Some(partition) = now().checked_sub(STALL).and_then(|since| progress.ends.stalled(since)) {
            let at = progress.ends.next(partition).map_or(Offset::Beginning, Offset::Offset);
            let sought = reading.consumer.seek(&self.settings.topic, partition, at, Duration::from_secs(1));
            sought.map_err(|error| broken("read the topic on", &error))?;
        }
        Ok(())
    }

    fn show_as_of(&self, asked_at: Instant, known: Known, progress: &mut Progress) {
        if !progress.is_loaded {
            progress.is_loaded = true;
            self.rows.end_load();
            let row_count = self.rows.row_count();
            tracing::info!(
                "catalog {}: {row_count} rows were loaded, from {} records",
                self.collection,
                progress.record_count
            );
            if self.rows.lacks_rows() {
                let why = "the rows need more than memory_bytes_max: those beyond it are left out".to_owned();
                tracing::warn!("catalog {}: {why}", self.collection);
                self.rows.report(why);
            }
        }
        let as_of = match &self.settings.heartbeat_topic {
            Some(topic) if known.as_of.is_none() => {
                self.rows.report(format!("no heartbeat was read from topic {topic} yet"));
                None
            }
            Some(_) => known.as_of.map(|as_of| as_of.min(asked_at)),
            None => Some(asked_at),
        };
        match as_of {
            Some(as_of) => self.rows.reach(as_of, known.position),
            None => self.rows.publish(),
        }
    }

    fn without_topic(&self) -> Interruption {
        let topic = &self.settings.topic;
        Interruption::Lost(format!(
            "there is no topic {topic}, or it is hidden from this user: Debezium makes it with the first row of the table"
        ))
    }
}

impl Progress {
    fn new(taker: Taker, partition_count: i32) -> Self {
        Self { taker, ends: Ends::new(), partition_count, is_loaded: false, record_count: 0 }
    }
}

fn without_heartbeats(topic: &str) -> Interruption {
    Interruption::Broken(format!(
        "there is no topic {topic}: is its table among those of the connector, and changed by heartbeat.action.query? \
         heartbeat_topic says which topic it is"
    ))
}

fn forgets(topic: &str, bounds: &str) -> String {
    format!(
        "topic {topic} forgets rows that have not changed for long ({bounds}): set cleanup.policy=compact of the topic, \
         and have the connector tell all rows again"
    )
}

fn broken(doing: &str, error: &KafkaError) -> Interruption {
    Interruption::Broken(format!("{doing}: {error}"))
}
