//! A node's own copy of what is in force: a log in files, without a sync, because the shared log is what is durable.

use onrush_log::shared::SharedRecord;
use onrush_log::{
    AppendError, Batch, Entry, Format, Log, LogReader, LogWriter, Opening, ReadError, VisitError,
};

use crate::place_file::Reached;

/// Why the copy cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// Its writer.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Its reader.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The shared log no longer has what it had.
    #[error(
        "the shared log has another batch at offset {offset} than this node has read there before: it was truncated or put back. \
         Nothing is written to it any more"
    )]
    Differs { offset: u64 },
    /// What is before it is not there.
    #[error("the batch at offset {offset} comes, and the copy ends at offset {end}")]
    Gap { offset: u64, end: u64 },
    /// Another program wrote it.
    #[error(
        "the batch at offset {offset} is written in a way that this program does not copy; start a program as new as the one that wrote it"
    )]
    Format { offset: u64 },
}

pub(crate) struct LocalCopy {
    writer: Box<dyn LogWriter>,
    reader: Box<dyn LogReader>,
    /// Events that it has.
    end: u64,
}

impl LocalCopy {
    /// Opens it; nothing if it lacks what `reached` says, so that it is worth nothing.
    pub(crate) fn open(
        log: &dyn Log,
        reached: &Reached,
        salt_seed: u64,
    ) -> Result<Option<Self>, onrush_log::OpenError> {
        let from_offset = log.snapshots()?.first().copied().unwrap_or(0);
        let opening = Opening { from_offset, resume_at: None, salt_seed };
        let opened =
            log.open(opening, |_| Ok::<_, std::convert::Infallible>(())).map_err(VisitError::of_log)?;
        let is_whole = opened.next_offset >= reached.place.next_offset;
        Ok(is_whole.then(|| Self { writer: opened.writer, reader: log.reader(), end: opened.next_offset }))
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Keeps a batch in force. One that is there already is compared.
    pub(crate) fn keep(&mut self, record: &SharedRecord<'_>) -> Result<(), CopyError> {
        let offset = record.base_offset;
        if offset < self.end {
            return self.compare(record);
        }
        if offset > self.end {
            return Err(CopyError::Gap { offset, end: self.end });
        }
        if record.format != Format::NEWEST {
            return Err(CopyError::Format { offset });
        }
        let SharedRecord { event_count, time_ms, told_ms, payload, .. } = *record;
        self.writer.append(Batch { event_count, time_ms, told_ms, payload })?;
        self.end = record.next_offset();
        Ok(())
    }

    /// Keeps an entry that another node has kept. It is the next one.
    pub(crate) fn append(&mut self, entry: &Entry<'_>) -> Result<(), CopyError> {
        let Entry { format, base_offset: offset, event_count, time_ms, payload, .. } = *entry;
        if event_count > 0 && format != Format::NEWEST {
            return Err(CopyError::Format { offset });
        }
        self.writer.append(Batch { event_count, time_ms, told_ms: time_ms, payload })?;
        self.end = offset + u64::from(event_count);
        Ok(())
    }

    fn compare(&mut self, record: &SharedRecord<'_>) -> Result<(), CopyError> {
        let offset = record.base_offset;
        if offset < self.reader.oldest_offset() {
            return Ok(());
        }
        let mut is_same = false;
        let read = self.reader.read(offset, offset + 1, |entry| {
            is_same |= entry.base_offset == offset
                && entry.event_count == record.event_count
                && entry.payload == record.payload;
            Ok::<_, std::convert::Infallible>(())
        });
        read.map_err(VisitError::of_log)?;
        if is_same { Ok(()) } else { Err(CopyError::Differs { offset }) }
    }

    /// Makes sure that the files are where they were opened.
    pub(crate) fn check(&mut self) -> Result<(), CopyError> {
        Ok(self.writer.check()?)
    }

    /// Ends it in good order.
    pub(crate) fn close(self, time_ms: u64) -> Result<(), CopyError> {
        Ok(self.writer.close(time_ms)?)
    }
}
