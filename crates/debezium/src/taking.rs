//! What the records of a topic mean for the rows: which changed, whether all are there, and how new they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use compact_str::CompactString;
use onrush_core::{Row, RowLine};
use onrush_node::catalog::{ChangePlace, GtidSet, Taken, ToldRows};

use super::envelope::{self, Origin, Stamp, Told};
use super::moment::Moment;
use super::offset::Offset;
use super::unchanged_values::{complete, lacks_values};

/// JSON of a row. A row with more cannot be read until it changes.
pub const ROW_JSON_BYTES_MAX: usize = 1024 * 1024;

/// What is known of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// All that was committed before this place in its log was told.
    pub position: u64,
    /// And all of these transactions, if the source names them and the connector says how far it is.
    pub gtids: Option<Arc<GtidSet>>,
    /// And all that was committed before this moment.
    pub as_of: Option<Instant>,
}

/// Whether a connector tells all rows.
#[derive(Clone, Copy, Debug)]
enum Snapshot {
    No,
    /// It does, as they were at this place.
    Goes {
        place: ChangePlace,
        told_ms: u64,
        is_in_new_log: bool,
    },
    /// It has, and whoever asks from this moment on has them all.
    Told {
        place: ChangePlace,
        is_in_new_log: bool,
        at: Instant,
    },
}

/// Takes records into rows, one after the other.
pub struct Taker {
    rows: Arc<ToldRows>,
    column: Option<String>,
    snapshot: Snapshot,
    /// What the connector says of itself; nothing if nobody listens to that.
    told: Option<Known>,
    /// When the change at `told.position` was committed, by the source's clock.
    told_committed_ms: u64,
    /// What the records of the table say. It is true of one partition: what was told first may come later in another.
    known: Known,
    /// When the connector told the change at the position that is known, by its clock.
    position_told_ms: u64,
    /// Where the connector was when it began to tell all rows the last time.
    snapshot_position: u64,
    /// The key of the row that the newest record of a partition removed.
    removed: BTreeMap<i32, CompactString>,
}

impl Taker {
    /// `has_offsets` says whether the connector's own word of how far it is will be taken.
    pub fn new(rows: Arc<ToldRows>, column: Option<String>, has_offsets: bool) -> Self {
        Self {
            rows,
            column,
            snapshot: Snapshot::No,
            told: has_offsets.then(Known::default),
            told_committed_ms: 0,
            known: Known::default(),
            position_told_ms: 0,
            snapshot_position: 0,
            removed: BTreeMap::new(),
        }
    }

    /// What is known of the source: what the connector said of itself if that is taken, otherwise what the records said.
    pub fn known(&self) -> Known {
        self.told.as_ref().unwrap_or(&self.known).clone()
    }

    /// Whether a connector is telling all rows, so that some may be missing.
    pub fn is_in_snapshot(&self) -> bool {
        matches!(self.snapshot, Snapshot::Goes { .. })
    }

    /// Takes a record of the table.
    ///
    /// # Errors
    /// Nobody knows which row it is of, as a sentence.
    pub fn take(
        &mut self,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        moment: Moment,
    ) -> Result<(), String> {
        let told = match envelope::told(value) {
            Ok(Told::Nothing) => return Ok(()),
            Ok(Told::Empty { stamp }) => {
                let stamp = self.after_snapshot(stamp);
                self.rows.empty(stamp.place);
                self.note(stamp, Taken::Stored, moment);
                return Ok(());
            }
            told => told,
        };
        let no_key =
            "the record has no key: the table needs a primary key, or message.key.columns of the connector";
        let key = envelope::key(key.ok_or(no_key)?, self.column.as_deref())?;
        match told {
            Err(why) => {
                let why = format!("the row of {key:?} cannot be read: {why}");
                let _ = self.rows.spoil(&key, None, why);
            }
            Ok(Told::Put { json, stamp }) => {
                let stamp = self.after_snapshot(stamp);
                let taken = self.put(&key, json, stamp.place);
                self.note(stamp, taken, moment);
            }
            Ok(Told::Remove { stamp }) => {
                let stamp = self.after_snapshot(stamp);
                let taken = self.rows.remove(&key, Some(stamp.place));
                self.note(stamp, taken, moment);
                self.removed.insert(partition, key);
                return Ok(());
            }
            // The record before has said it, with its place.
            Ok(Told::Tombstone) if self.removed.get(&partition) == Some(&key) => {}
            Ok(Told::Tombstone) => {
                let _ = self.rows.remove(&key, None);
            }
            Ok(Told::Empty { .. } | Told::Nothing) => {}
        }
        self.removed.remove(&partition);
        Ok(())
    }

    /// Takes how far the connector says that it is.
    pub fn take_offset(&mut self, offset: Offset, moment: Moment) {
        let Offset { position, gtids, committed_ms, is_in_snapshot } = offset;
        let Some(told) = self.told.as_mut().filter(|_| !is_in_snapshot) else { return };
        let as_of = moment.of_source(committed_ms);
        // A server that has begun a new log has lower positions and later times.
        if position >= told.position || committed_ms > self.told_committed_ms {
            (told.position, self.told_committed_ms) = (position, committed_ms);
        }
        (told.gtids, told.as_of) = (gtids, told.as_of.max(as_of));
        if let Snapshot::Goes { place, is_in_new_log, .. } = self.snapshot
            && position >= place.position
            && committed_ms >= place.committed_ms
        {
            self.snapshot = Snapshot::Told { place, is_in_new_log, at: moment.now };
        }
    }

    /// All was taken that the topic had at this moment. Whether those are all rows.
    pub fn reach(&mut self, asked_at: Instant) -> bool {
        match self.snapshot {
            Snapshot::No => true,
            Snapshot::Told { place, is_in_new_log, at } if asked_at >= at => {
                self.rows.end_snapshot(place, is_in_new_log);
                self.snapshot = Snapshot::No;
                true
            }
            Snapshot::Goes { .. } | Snapshot::Told { .. } => false,
        }
    }

    fn put(&self, key: &str, json: &str, place: ChangePlace) -> Taken {
        let taken = self.rows.order(key, place);
        if taken == Taken::Repeated {
            return taken;
        }
        let completed = if lacks_values(json) {
            let before = self.rows.newest(key);
            complete(json, before.as_ref().map(Row::json)).map(Some)
        } else {
            Ok(None)
        };
        let why = match completed {
            Ok(completed) => {
                let json = completed.as_deref().unwrap_or(json).as_bytes();
                if json.len() <= ROW_JSON_BYTES_MAX {
                    return self.rows.put(Row::new(RowLine { key, json }), place);
                }
                format!("it has more than {ROW_JSON_BYTES_MAX} bytes of JSON")
            }
            Err(column) => format!(
                "the topic does not have the value of {column}, which PostgreSQL keeps outside of the row: \
                 ALTER TABLE … REPLICA IDENTITY FULL, and change the row"
            ),
        };
        self.rows.spoil(key, Some(place), format!("the row of {key:?} cannot be read: {why}"))
    }

    /// PostgreSQL tells a transaction that was not committed yet when all rows were read after them, though it wrote before.
    fn after_snapshot(&self, mut stamp: Stamp) -> Stamp {
        if stamp.is_of_first && stamp.place.position < self.snapshot_position {
            stamp.place.position = self.snapshot_position;
        }
        stamp
    }

    fn note(&mut self, stamp: Stamp, taken: Taken, moment: Moment) {
        let position = stamp.place.position;
        let is_lower = position < self.known.position;
        let is_in_new_log = match stamp.origin {
            Origin::Reread => return,
            Origin::Change => {
                self.end_snapshot_before(stamp.told_ms, moment);
                self.note_time(stamp.place.committed_ms, moment);
                taken == Taken::InNewLog
            }
            Origin::Snapshot | Origin::SnapshotEnd => {
                // No row may be both in the old log and in the new one.
                let is_later = is_lower && stamp.told_ms > self.position_told_ms;
                let is_in_new_log = taken == Taken::InNewLog || is_later;
                self.note_snapshot(stamp, is_in_new_log, moment);
                is_in_new_log
            }
        };
        if is_in_new_log || !is_lower {
            (self.known.position, self.position_told_ms) = (position, stamp.told_ms);
        }
    }

    fn note_snapshot(&mut self, stamp: Stamp, is_new: bool, moment: Moment) {
        self.snapshot_position = stamp.place.position;
        let (place, is_in_new_log, ended_at) = match self.snapshot {
            Snapshot::Goes { place, is_in_new_log, .. } if place.position == stamp.place.position => {
                (place, is_in_new_log || is_new, None)
            }
            Snapshot::Told { place, is_in_new_log, at } if place.position == stamp.place.position => {
                (place, is_in_new_log || is_new, Some(at))
            }
            _ => (stamp.place, is_new, None),
        };
        // Another partition may have the last row of all, which is read before this one then.
        let is_end = stamp.origin == Origin::SnapshotEnd && self.told.is_none();
        let ended_at = if is_end { Some(moment.now) } else { ended_at };
        self.snapshot = match ended_at {
            Some(at) => Snapshot::Told { place, is_in_new_log, at },
            None => Snapshot::Goes { place, told_ms: stamp.told_ms, is_in_new_log },
        };
    }

    /// A connector that tells of changes has told all rows before.
    fn end_snapshot_before(&mut self, told_ms: u64, moment: Moment) {
        if let Snapshot::Goes { place, told_ms: snapshot_ms, is_in_new_log } = self.snapshot
            && told_ms >= snapshot_ms
            && self.told.is_none()
        {
            self.snapshot = Snapshot::Told { place, is_in_new_log, at: moment.now };
        }
    }

    fn note_time(&mut self, ms: u64, moment: Moment) {
        self.known.as_of = self.known.as_of.max(moment.of_source(ms));
    }
}

#[cfg(test)]
#[path = "taking_tests.rs"]
mod tests;
