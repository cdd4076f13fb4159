//! The writing end of a shared log, for as long as this node leads.

use std::sync::Arc;

use onrush_log::shared::{
    NodeId, RECORD_HEADER_BYTES, RecordKind, RecordNo, SharedAppender, SharedBounds, SharedError,
    SharedRecord,
};
use onrush_log::{AppendError, BATCH_BYTES_MAX, Batch, Capacity, Format, LogWriter, Wake};

use crate::board::{Board, Term};

pub(crate) struct ClusterWriter {
    pub(crate) board: Arc<Board>,
    pub(crate) appender: Box<dyn SharedAppender>,
    pub(crate) bounds: SharedBounds,
    pub(crate) partition: u32,
    pub(crate) node: NodeId,
    pub(crate) epoch: RecordNo,
    /// As its caller was told.
    pub(crate) told_count: u64,
    pub(crate) record: Vec<u8>,
}

impl ClusterWriter {
    /// Does something while this node leads.
    fn in_term<R>(&self, step: impl FnOnce(&mut Term) -> R) -> Result<R, AppendError> {
        self.board.in_term(self.epoch, step).ok_or(AppendError::Fenced)
    }

    fn give_up(&self) {
        // Who is deposed has nothing to give up.
        let _ = self.in_term(|term| term.is_given_up = true);
    }
}

impl LogWriter for ClusterWriter {
    fn capacity(&self) -> Capacity {
        let leads = self.in_term(|term| !term.in_force.has_failed()).unwrap_or(false);
        let bytes_max = (self.bounds.record_bytes_max - RECORD_HEADER_BYTES) as u64;
        Capacity {
            bytes: if leads { bytes_max.min(BATCH_BYTES_MAX) } else { 0 },
            is_growing: false,
            batch_count: self.bounds.outstanding_max,
        }
    }

    fn append(&mut self, batch: Batch<'_>) -> Result<(), AppendError> {
        let payload_bytes = batch.payload.len() as u64;
        let batch_bytes_max =
            ((self.bounds.record_bytes_max - RECORD_HEADER_BYTES) as u64).min(BATCH_BYTES_MAX);
        if payload_bytes > batch_bytes_max {
            return Err(AppendError::TooLarge { payload_bytes, batch_bytes_max });
        }
        let outstanding_max = self.bounds.outstanding_max;
        let handed = self.in_term(|term| {
            if term.in_force.has_failed() {
                return Err(AppendError::Closed);
            }
            if term.in_force.outstanding_count() >= outstanding_max {
                return Err(AppendError::NoRoom);
            }
            let base_offset = term.next_offset;
            term.next_offset += u64::from(batch.event_count);
            Ok((term.in_force.hand_over(), base_offset, term.log_id))
        })?;
        let ((sequence, expected), base_offset, log_id) = handed?;
        let is_mark = batch.event_count == 0;
        let record = SharedRecord {
            kind: if is_mark { RecordKind::Mark } else { RecordKind::Batch },
            format: if is_mark { Format::V1 } else { Format::NEWEST },
            log_id,
            partition: self.partition,
            node: self.node,
            epoch: Some(self.epoch),
            sequence,
            base_offset,
            time_ms: batch.time_ms,
            told_ms: batch.told_ms,
            event_count: batch.event_count,
            payload: batch.payload,
        };
        self.record.clear();
        record.encode(&mut self.record);
        self.appender.append(sequence, expected, &self.record).map_err(|error| {
            self.give_up();
            unknown(&error)
        })
    }

    fn in_force(&mut self) -> Result<u64, AppendError> {
        let (count, has_failed) = self.in_term(|term| (term.in_force.count(), term.in_force.has_failed()))?;
        if count == self.told_count && has_failed {
            self.give_up();
            return Err(AppendError::Unknown(
                "the shared log did not take a record as it was handed over".to_owned(),
            ));
        }
        self.told_count = count;
        Ok(count)
    }

    fn wake_by(&mut self, wake: Wake) {
        // Who is deposed finds out when it asks.
        let _ = self.in_term(|term| term.wake_by(wake));
    }

    fn check(&mut self) -> Result<(), AppendError> {
        self.in_term(|_| ())
    }

    fn close(self: Box<Self>, _: u64) -> Result<(), AppendError> {
        self.in_term(|_| ())
    }
}

impl Drop for ClusterWriter {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn unknown(error: &SharedError) -> AppendError {
    AppendError::Unknown(error.to_string())
}
