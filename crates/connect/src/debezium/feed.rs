//! Following topics: one thread for each collection that takes their records, and another that asks how far they go.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use onrush_debezium::{Known, Taker};
use onrush_node::catalog::ToldRows;
use onrush_sinks::TargetError;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::asking::{Answer, Asked};
use super::ends::{Ends, Shrunk};
use super::moment::{now, this_moment};
use super::offsets::Offsets;
use super::settings::{DebeziumSettings, OffsetsSettings};
use super::stopping::Stop;
use crate::kafka::cluster;
use crate::kafka::reports::Reports;

/// The first pause after a failure, and the longest.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What was good for so long is followed by the next at once.
const WORKED: Duration = Duration::from_mins(1);

/// A topic that was not heard of for longer may have been made anew, or have forgotten which rows are gone.
const UNHEARD_MAX: Duration = Duration::from_secs(10);

/// A connector that says nothing for longer may not run.
const SILENT_MAX: Duration = Duration::from_secs(5);

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

    /// Stops all of them at once, and waits until they have ended, some seconds at most.
    pub fn stop_all(mut feeds: Vec<Self>) {
        for feed in &feeds {
            feed.stop.stop();
        }
        let began = now();
        for feed in &mut feeds {
            feed.end(began);
        }
    }

    fn end(&mut self, began: Instant) {
        self.stop.stop();
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && now().saturating_duration_since(began) < FAREWELL {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end(now());
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
    /// Whether it was said that there is no room for all rows.
    has_complained: bool,
    record_count: u64,
    /// When the last question was asked that the topic answered.
    heard_at: Option<Instant>,
}

/// What one connection needs.
struct Reading {
    consumer: Arc<BaseConsumer<Reports>>,
    offsets: Option<Offsets>,
    known: Arc<Mutex<Known>>,
}

impl Follower {
    fn follow_for_ever(&self) {
        let mut progress = None;
        let mut pause = RETRY_PAUSES.0;
        loop {
            let began = now();
            let ended = self.session(&mut progress);
            if now().saturating_duration_since(began) > WORKED {
                pause = RETRY_PAUSES.0;
            }
            match ended {
                Interruption::Stopped => return,
                Interruption::Broken(why) => {
                    tracing::warn!("catalog {}: {why}", self.collection);
                    self.rows.report(why);
                }
                Interruption::Lost(why) => {
                    let effect = if progress.take().is_some() { "all rows are loaded anew: " } else { "" };
                    tracing::warn!("catalog {}: {effect}{why}", self.collection);
                    self.rows.lose(why);
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
        let offsets = settings.offsets.as_ref().map(|offsets| {
            let count = count_of(&offsets.topic).ok_or_else(|| without_offsets(&offsets.topic))?;
            Offsets::open(&settings.cluster, config.clone(), offsets, count).map_err(Interruption::Broken)
        });
        let offsets = offsets.transpose()?;
        if progress.as_ref().is_some_and(|progress| progress.partition_count != partition_count) {
            return Err(Interruption::Lost("the topic has another number of partitions".to_owned()));
        }
        let progress = progress.get_or_insert_with(|| {
            self.rows.begin_load();
            let taker = Taker::new(Arc::clone(&self.rows), settings.key.clone(), settings.offsets.is_some());
            Progress::new(taker, partition_count)
        });
        let consumer: BaseConsumer<Reports> = cluster::create(&settings.cluster, &config)?;
        let begin = self.beginnings(progress);
        begin.and_then(|begin| consumer.assign(&begin)).map_err(|error| broken("read the topic", &error))?;
        tracing::info!("catalog {}: follows topic {}", self.collection, settings.topic);
        let known = Arc::new(Mutex::new(progress.taker.known()));
        Ok((Reading { consumer: Arc::new(consumer), offsets, known }, partition_count))
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
                if let Some(offsets) = &reading.offsets {
                    offsets.take(&mut progress.taker, |problem| self.rows.report(problem));
                }
                *reading.known.lock().unwrap_or_else(PoisonError::into_inner) = progress.taker.known();
                self.take_answers(answers, progress)
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

    fn take_answers(&self, answers: &Receiver<Answer>, progress: &mut Progress) -> Result<(), Interruption> {
        loop {
            match answers.try_recv() {
                Ok(answer) => self.take_answer(answer, progress)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => {
                    return Err(Interruption::Broken("nobody asks where the topic ends".to_owned()));
                }
            }
        }
    }

    fn take_answer(&self, answer: Answer, progress: &mut Progress) -> Result<(), Interruption> {
        match answer {
            Answer::Ends(question) => {
                let heard_at = progress.heard_at.replace(question.asked_at).unwrap_or(question.asked_at);
                if question.asked_at.saturating_duration_since(heard_at) > UNHEARD_MAX {
                    let why = format!("the topic was not heard of for more than {} s", UNHEARD_MAX.as_secs());
                    return Err(Interruption::Lost(why));
                }
                progress.ends.ask(question).map_err(|Shrunk| {
                    Interruption::Lost(
                        "the topic is shorter than what was read of it: it was made anew".to_owned(),
                    )
                })
            }
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
                    .report("the connector is in its snapshot, and has not come to its last row".to_owned());
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
        }
        if !progress.has_complained && self.rows.lacks_rows() {
            progress.has_complained = true;
            let why = "the rows need more than memory_bytes_max: those beyond it are left out".to_owned();
            tracing::warn!("catalog {}: {why}", self.collection);
            self.rows.complain(why);
        }
        let as_of = match &self.settings.offsets {
            Some(offsets) if known.as_of.is_none() => {
                let OffsetsSettings { topic, connector } = offsets;
                self.rows.report(format!(
                    "topic {topic} does not say yet how far connector {connector} is: the lag is told once it does"
                ));
                None
            }
            Some(_) => known.as_of.map(|as_of| as_of.min(asked_at)),
            None => Some(asked_at),
        };
        match as_of {
            Some(as_of) => self.rows.reach(as_of, known.position, known.gtids),
            None => self.rows.publish(),
        }
        if let Some((offsets, as_of)) = self.settings.offsets.as_ref().zip(as_of)
            && asked_at.saturating_duration_since(as_of) > SILENT_MAX
        {
            let (connector, seconds) = (&offsets.connector, SILENT_MAX.as_secs());
            self.rows.report(format!(
                "connector {connector} has said nothing new for more than {seconds} s: look at \
                 GET /connectors/{connector}/status of Kafka Connect, its heartbeat.action.query and offset.flush.interval.ms"
            ));
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
        let (is_loaded, has_complained) = (false, false);
        Self {
            taker,
            ends: Ends::new(),
            partition_count,
            is_loaded,
            has_complained,
            record_count: 0,
            heard_at: None,
        }
    }
}

fn without_offsets(topic: &str) -> Interruption {
    Interruption::Broken(format!(
        "there is no topic {topic}, or it is hidden from this user: offsets_topic has to be offset.storage.topic of Kafka Connect"
    ))
}

fn forgets(topic: &str, bounds: &str) -> String {
    format!(
        "topic {topic} forgets rows that have not changed for long ({bounds}): set cleanup.policy=compact of the topic, \
         and have the connector do its snapshot again"
    )
}

fn broken(doing: &str, error: &KafkaError) -> Interruption {
    Interruption::Broken(format!("{doing}: {error}"))
}
