//! Whether what is kept beside a log is of its history. A log that went on from an older copy of a data directory has other events
//! at the same offsets.

use onrush_core::{Event, Fact, Incarnation};
use onrush_log::{Log, LogReader, SnapshotReader, VisitError};
use onrush_node::record::{FactDecoder, decode_records};

use crate::name_table::NameTable;
use crate::start_point::StartPointError;

/// Whether the file of a sink's snapshot is of this log's history, once that is known: it is found out once.
#[derive(Default)]
pub(crate) struct SnapshotHistory(Option<bool>);

impl SnapshotHistory {
    /// The snapshot, unless it was copied from another history of the log: its names would be wrong.
    pub(crate) fn own_snapshot(
        &mut self,
        sink: &str,
        log: &dyn Log,
        reader: &mut dyn LogReader,
        sink_snapshot: Option<(NameTable, u64)>,
    ) -> Result<Option<(NameTable, u64)>, StartPointError> {
        let Some((names, offset)) = sink_snapshot else { return Ok(None) };
        if self.0.is_none() {
            let is_own = is_of_this_history(log, reader, offset, names.incarnation())?;
            if !is_own {
                tracing::warn!(
                    sink,
                    "the sink's snapshot is of another history of the log; the log is read instead"
                );
            }
            self.0 = Some(is_own);
        }
        Ok(Some((names, offset)).filter(|_| self.0 == Some(true)))
    }

    /// The snapshot was written from this log.
    pub(crate) fn is_own_from_now_on(&mut self) {
        self.0 = Some(true);
    }
}

/// Whether it is so in this log that what is before `offset` was decided last in `incarnation`. Where too little of the log
/// is left to say, it is taken to be so. It reads from a snapshot to the offset, as a start of the server does.
fn is_of_this_history(
    log: &dyn Log,
    reader: &mut dyn LogReader,
    offset: u64,
    incarnation: Incarnation,
) -> Result<bool, StartPointError> {
    if offset > reader.durable_offset() {
        return Ok(false);
    }
    let oldest = reader.oldest_offset();
    let snapshot = log.snapshots()?.into_iter().find(|at| (oldest..=offset).contains(at));
    let (from, mut found) = match snapshot {
        Some(at) => (at, incarnation_in(&mut *log.read_snapshot(at)?)?),
        None => (oldest, (oldest == 0).then_some(Incarnation::FIRST)),
    };
    let read = reader.read(from, offset, |entry| {
        decode_records(entry.format, entry.payload, entry.time_ms, |record| {
            if let Event::IncarnationBegun { incarnation } = record.event
                && entry.base_offset + record.index < offset
            {
                found = Some(incarnation);
            }
            Ok::<_, StartPointError>(())
        })
    });
    read.map_err(|error| match error {
        VisitError::Log(error) => StartPointError::from(error),
        VisitError::Refused(refused) => refused.error,
    })?;
    Ok(found.is_none_or(|found| found == incarnation))
}

/// The incarnation that a snapshot was taken in.
fn incarnation_in(snapshot: &mut dyn SnapshotReader) -> Result<Option<Incarnation>, StartPointError> {
    let mut found = None;
    let mut facts = FactDecoder::new(snapshot.format());
    while found.is_none()
        && let Some(chunk) = snapshot.next_chunk()?
    {
        facts.decode(chunk, |fact| {
            if let Fact::Partition { incarnation, .. } = fact {
                found = Some(*incarnation);
            }
            Ok(())
        })?;
    }
    Ok(found)
}
