//! A producer from its first message to its first failure, driven by the sink's own thread: freeing a message where it was made
//! costs half of what a second thread for the reports does.

use std::time::Duration;

use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;

use super::progress::{Failure, Progress, rejects};
use super::reports::Reports;
use super::writer::Draft;

/// How long one look for reports takes while there is nothing else to do. librdkafka spins for the last millisecond.
const LOOK: Duration = Duration::from_millis(10);

/// Looks without a report before the timeout.
const QUIET_LOOKS_MAX: u128 = EXCHANGE_TIMEOUT.as_millis() / LOOK.as_millis();

/// Looks for what is still to be reported of a producer that was purged, which comes from its own threads.
const PURGE_LOOKS_MAX: u32 = 500;

/// Messages queued between two glances at the reports, which do not wait.
const QUEUED_BETWEEN_GLANCES: u32 = 128;

/// Reports taken at the end of a batch, each for up to a whole request; the rest is taken later.
const GLANCES_PER_BATCH: u32 = 64;

/// The producer and what is known of its messages.
pub(super) struct Sender {
    producer: BaseProducer<Reports>,
    queued_count: u32,
}

impl Sender {
    pub(super) fn new(producer: BaseProducer<Reports>) -> Self {
        Self { producer, queued_count: 0 }
    }

    fn reports(&self) -> &Reports {
        self.producer.client().context()
    }

    /// Queues the message for the event at `offset`; waits for room if too many wait for their acknowledgement.
    pub(super) fn queue(&mut self, offset: u64, key: &str, draft: Draft<'_>) -> Result<(), TargetError> {
        self.queued_count += 1;
        if self.queued_count == QUEUED_BETWEEN_GLANCES {
            self.queued_count = 0;
            self.producer.poll(Duration::ZERO);
        }
        let opaque = usize::try_from(offset).expect("offsets are as wide as pointers where this runs");
        let mut record = BaseRecord::with_opaque_to(draft.topic, opaque);
        record = record.key(key).payload(draft.payload).headers(draft.headers);
        loop {
            let Err((error, returned)) = self.producer.send(record) else {
                self.reports().progress().queued(offset);
                return Ok(());
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(self.refusal(offset, &error));
            }
            let done_count = self.reports().progress().done_count();
            self.wait(|progress| progress.done_count() > done_count)?;
            record = returned;
        }
    }

    /// Ends a batch; returns the offset below which everything is acknowledged.
    pub(super) fn send(&self, offset: u64) -> Result<u64, TargetError> {
        self.reports().progress().sent(offset);
        for _ in 0..GLANCES_PER_BATCH {
            self.producer.poll(Duration::ZERO);
        }
        self.durable()
    }

    /// Waits for every acknowledgement; returns the offset below which there are all.
    pub(super) fn wait_until_durable(&self) -> Result<u64, TargetError> {
        self.wait(Progress::is_idle)?;
        self.durable()
    }

    fn durable(&self) -> Result<u64, TargetError> {
        let (durable, failure) = {
            let progress = self.reports().progress();
            (progress.durable(), progress.failure())
        };
        if failure.is_some() { Err(self.failure()) } else { Ok(durable.unwrap_or_default()) }
    }

    /// Waits until it is done, a failure, a refusal, or the timeout of a broker that acknowledges nothing more. librdkafka would try
    /// again after a refusal, with the password that is refused.
    fn wait(&self, is_done: impl Fn(&Progress) -> bool) -> Result<(), TargetError> {
        let (mut done_count, mut quiet_count) = (0, 0);
        while quiet_count < QUIET_LOOKS_MAX {
            let before = done_count;
            {
                let progress = self.reports().progress();
                if progress.failure().is_some() {
                    drop(progress);
                    return Err(self.failure());
                }
                if is_done(&progress) {
                    return Ok(());
                }
                done_count = progress.done_count();
            }
            if self.reports().is_refused() {
                return Err(self.failure());
            }
            quiet_count = if done_count == before { quiet_count + 1 } else { 0 };
            self.producer.poll(LOOK);
        }
        let text = format!("no message was acknowledged for {} s", EXCHANGE_TIMEOUT.as_secs());
        Err(TargetError::Unavailable(self.reports().with_complaint(text)))
    }

    /// Why the producer did not take a message.
    fn refusal(&self, offset: u64, error: &KafkaError) -> TargetError {
        match error.rdkafka_error_code() {
            Some(code) if rejects(code) => {
                TargetError::Rejected { offset: Some(offset), reason: code.to_string() }
            }
            // It may have stopped because of an earlier message, which says more.
            _ => match self.failure() {
                TargetError::Unavailable(reason) => {
                    TargetError::Unavailable(format!("queue a message: {error}: {reason}"))
                }
                rejection => rejection,
            },
        }
    }

    /// What the producer failed of, once it is done with everything: only then is it known how many were rejected.
    fn failure(&self) -> TargetError {
        let is_refused = self.reports().is_refused();
        self.producer.purge(PurgeConfig::default().queue().inflight());
        for _ in 0..PURGE_LOOKS_MAX {
            if self.reports().progress().is_idle() {
                break;
            }
            self.producer.poll(LOOK);
        }
        let failure = self.reports().progress().failure();
        let text = match failure {
            Some(Failure::Rejected { offset, code }) => {
                return TargetError::Rejected { offset, reason: code.to_string() };
            }
            _ if is_refused => "no connection to a broker".to_owned(),
            Some(Failure::Lost(code)) => format!("a message was not taken ({code})"),
            None => "the producer stopped".to_owned(),
        };
        TargetError::Unavailable(self.reports().with_complaint(text))
    }
}
