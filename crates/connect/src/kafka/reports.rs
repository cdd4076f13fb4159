//! What librdkafka reports when it is asked: deliveries, errors, and log lines.

use std::sync::{Mutex, MutexGuard};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;

use super::complaint::{Complaint, Fault};
use super::handshake;
use super::progress::Progress;
use crate::TlsSettings;

/// One client's reports.
#[derive(Default)]
pub(crate) struct Reports {
    progress: Mutex<Progress>,
    complaint: Mutex<Complaint>,
    /// Cut out of whatever is repeated.
    password: Option<String>,
    tls: Option<TlsSettings>,
}

impl Reports {
    /// `tls` says whom the client believes, if it is known.
    pub(crate) fn new(password: Option<String>, tls: Option<TlsSettings>) -> Self {
        Self { password, tls, ..Self::default() }
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("nobody panics while counting")
    }

    /// Whether waiting for the first answer is of no use.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.complaint().is_hopeless()
    }

    /// Whether only a new client can get a connection, which reads password and certificates again.
    pub(crate) fn is_refused(&self) -> bool {
        self.complaint().fault().is_some()
    }

    /// The text, with what was last said of a connection behind it. Asks a broker for its certificate again if it was that.
    pub(crate) fn with_complaint(&self, text: String) -> String {
        let (complaint, address) = {
            let complaint = self.complaint();
            let is_seen_again = complaint.fault() == Some(Fault::Encryption);
            (complaint.text(), complaint.address().filter(|_| is_seen_again).map(str::to_owned))
        };
        let seen = address.zip(self.tls.as_ref()).and_then(|(address, tls)| handshake::fault(&address, tls));
        match seen.or(complaint) {
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
        let line = self.without_password(line);
        if facility == "FAIL" {
            self.complaint().take_line(&line);
        }
        tracing::debug!(facility, "librdkafka: {line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaint().take(error.rdkafka_error_code(), self.without_password(reason));
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
