//! What librdkafka reports when it is asked: deliveries, errors, and log lines.

use std::sync::{Mutex, MutexGuard};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;

use super::progress::Progress;

/// One client's reports.
#[derive(Default)]
pub(super) struct Reports {
    progress: Mutex<Progress>,
    complaint: Mutex<Complaint>,
    /// Cut out of whatever is repeated.
    password: Option<String>,
}

#[derive(Default)]
struct Complaint {
    newest: Option<String>,
    hopeless: bool,
}

impl Reports {
    pub(super) fn new(password: Option<String>) -> Self {
        Self { password, ..Self::default() }
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("nobody panics while counting")
    }

    /// Whether librdkafka gave up what it tried, so that waiting for it is of no use.
    pub(super) fn is_hopeless(&self) -> bool {
        self.complaint().hopeless
    }

    /// The text, with the newest error of a connection behind it.
    pub(super) fn with_complaint(&self, text: String) -> String {
        match &self.complaint().newest {
            Some(complaint) => format!("{text}: {complaint}"),
            None => text,
        }
    }

    fn complaint(&self) -> MutexGuard<'_, Complaint> {
        self.complaint.lock().expect("nobody panics while complaining")
    }

    fn without_password(&self, text: &str) -> String {
        match &self.password {
            Some(password) if !password.is_empty() => text.replace(password, "…"),
            _ => text.to_owned(),
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(facility, "librdkafka: {}", self.without_password(line));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{AllBrokersDown, Authentication};
        let code = error.rdkafka_error_code();
        let mut complaint = self.complaint();
        complaint.hopeless |= matches!(code, Some(AllBrokersDown | Authentication));
        // That all are down says less than why the last one is.
        if code != Some(AllBrokersDown) || complaint.newest.is_none() {
            complaint.newest = Some(self.without_password(reason));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, offset: usize) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        self.progress().done(offset as u64, outcome);
    }
}

impl ConsumerContext for Reports {}
