//! The writing end of the log in memory.

use std::io;
use std::sync::Arc;

use super::{AppendFault, Contents, MemoryLog, StoredEntry, failure};
use crate::contract::{Batch, Capacity, LogWriter, Wake};
use crate::error::AppendError;
use crate::limits::BATCH_BYTES_MAX;

pub(super) struct MemoryWriter {
    pub(super) log: MemoryLog,
    pub(super) epoch: u64,
    pub(super) next_offset: u64,
    /// How many are in force, as far as the writer was told.
    pub(super) told_count: u64,
    pub(super) closed: bool,
}

impl MemoryWriter {
    /// Does something in the term of this writer; what fails ends it, unless nothing has happened.
    fn in_term<T>(
        &mut self,
        step: impl FnOnce(&mut Contents) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        if self.closed {
            return Err(AppendError::Closed);
        }
        let mut contents = self.log.contents();
        let done = if contents.epoch == self.epoch { step(&mut contents) } else { Err(AppendError::Fenced) };
        self.closed = !matches!(done, Ok(_) | Err(AppendError::NoRoom | AppendError::TooLarge { .. }));
        done
    }
}

impl LogWriter for MemoryWriter {
    fn capacity(&self) -> Capacity {
        let contents = self.log.contents();
        let is_at_end = self.closed || contents.epoch != self.epoch;
        let bytes = contents.room_bytes.map_or(BATCH_BYTES_MAX, |bytes| bytes.min(BATCH_BYTES_MAX));
        Capacity {
            bytes: if is_at_end { 0 } else { bytes },
            is_growing: false,
            batch_count: contents.outstanding_max,
        }
    }

    fn append(&mut self, batch: Batch<'_>) -> Result<(), AppendError> {
        let payload_bytes = batch.payload.len() as u64;
        let entry = StoredEntry {
            epoch: self.epoch,
            base_offset: self.next_offset,
            event_count: batch.event_count,
            time_ms: batch.time_ms,
            payload: batch.payload.into(),
        };
        let next_offset = entry.next_offset();
        self.in_term(|contents| {
            if payload_bytes > BATCH_BYTES_MAX {
                return Err(AppendError::TooLarge { payload_bytes, batch_bytes_max: BATCH_BYTES_MAX });
            }
            let is_full = contents.room_bytes.is_some_and(|room_bytes| payload_bytes >= room_bytes);
            if is_full || contents.outstanding.len() >= contents.outstanding_max {
                return Err(AppendError::NoRoom);
            }
            match contents.append_fault.take() {
                None if contents.outstanding_max > 1 => contents.outstanding.push_back(Arc::new(entry)),
                None => contents.keep(Arc::new(entry)),
                Some(fault) => {
                    contents.outstanding.clear();
                    if fault == AppendFault::Kept && contents.durable_offset == entry.base_offset {
                        contents.keep(Arc::new(entry));
                        // The writer is never told.
                        contents.in_force_count -= 1;
                    }
                    return Err(failure("append to", io::Error::other("as the test wanted")).into());
                }
            }
            Ok(())
        })?;
        self.next_offset = next_offset;
        Ok(())
    }

    fn in_force(&mut self) -> Result<u64, AppendError> {
        let in_force_count = {
            let contents = self.log.contents();
            if contents.epoch == self.epoch { contents.in_force_count } else { self.told_count }
        };
        if in_force_count > self.told_count {
            self.told_count = in_force_count;
            return Ok(in_force_count);
        }
        self.in_term(|contents| {
            if contents.lost {
                return Err(failure("append to", io::Error::other("as the test wanted")).into());
            }
            Ok(in_force_count)
        })
    }

    fn wake_by(&mut self, wake: Wake) {
        let mut contents = self.log.contents();
        if contents.epoch == self.epoch {
            contents.wake = Some(wake);
        }
    }

    fn check(&mut self) -> Result<(), AppendError> {
        self.in_term(|contents| Ok(contents.check_there()?))
    }

    fn close(mut self: Box<Self>, _: u64) -> Result<(), AppendError> {
        self.in_term(|_| Ok(()))
    }
}
