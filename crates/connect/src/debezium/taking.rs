//! What the records of a topic mean for the rows: which changed, whether all are there, and how new they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use onrush_core::{Row, RowLine};
use onrush_node::catalog::{ChangePlace, Taken, ToldRows};

use super::envelope::{self, Heartbeat, Origin, Stamp, Told};
use super::unchanged_values::{complete, lacks_values};
use crate::source::ROW_JSON_BYTES_MAX;

/// What is known of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// All that was committed before this place in its log was told.
    pub(super) position: u64,
    /// And all that was committed before this moment.
    pub(super) as_of: Option<Instant>,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Instant,
    /// Unix time in milliseconds.
    pub(super) wall_ms: u64,
}

impl Moment {
    /// When it was this time at the source, as far as its clock is ours, and never later than now.
    fn of_source(self, ms: u64) -> Instant {
        let ago = Duration::from_millis(self.wall_ms.saturating_sub(ms));
        self.now.checked_sub(ago).unwrap_or(self.now)
    }
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

/// See the module.
pub(super) struct Taker {
    rows: Arc<ToldRows>,
    column: Option<String>,
    snapshot: Snapshot,
    known: Known,
    /// The key of the row that the newest record of a partition removed.
    removed: BTreeMap<i32, CompactString>,
}

impl Taker {
    pub(super) fn new(rows: Arc<ToldRows>, column: Option<String>) -> Self {
        let (known, removed) = (Known::default(), BTreeMap::new());
        Self { rows, column, snapshot: Snapshot::No, known, removed }
    }

    pub(super) fn known(&self) -> Known {
        self.known
    }

    /// Whether a connector is telling all rows, so that some may be missing.
    pub(super) fn is_in_snapshot(&self) -> bool {
        matches!(self.snapshot, Snapshot::Goes { .. })
    }

    /// Takes a record of the table.
    ///
    /// # Errors
    /// Nobody knows which row it is of, as a sentence.
    pub(super) fn take(
        &mut self,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        moment: Moment,
    ) -> Result<(), String> {
        let told = match envelope::told(value) {
            Ok(Told::Nothing) => return Ok(()),
            Ok(Told::Empty { stamp }) => {
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
                let taken = self.put(&key, json, stamp.place);
                self.note(stamp, taken, moment);
            }
            Ok(Told::Remove { stamp }) => {
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

    /// Takes a record of the topic of heartbeats.
    ///
    /// # Errors
    /// It is no heartbeat, as a sentence.
    pub(super) fn take_heartbeat(&mut self, value: Option<&[u8]>, moment: Moment) -> Result<(), String> {
        match envelope::heartbeat(value)? {
            None => {}
            Some(Heartbeat::Alive(ms)) => {
                self.end_snapshot_before(ms, moment);
                self.note_time(ms, moment);
            }
            Some(Heartbeat::Change(stamp)) if stamp.origin == Origin::Change => {
                self.note(stamp, Taken::Stored, moment);
            }
            Some(Heartbeat::Change(_)) => {}
        }
        Ok(())
    }

    /// All was taken that the topic had at this moment. Whether those are all rows.
    pub(super) fn reach(&mut self, asked_at: Instant) -> bool {
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

    fn note(&mut self, stamp: Stamp, taken: Taken, moment: Moment) {
        match stamp.origin {
            Origin::Reread => return,
            Origin::Change => {
                self.end_snapshot_before(stamp.told_ms, moment);
                self.note_time(stamp.place.committed_ms, moment);
            }
            Origin::Snapshot | Origin::SnapshotEnd => self.note_snapshot(stamp, taken, moment),
        }
        if taken == Taken::InNewLog {
            self.known.position = stamp.place.position;
        }
        self.known.position = self.known.position.max(stamp.place.position);
    }

    fn note_snapshot(&mut self, stamp: Stamp, taken: Taken, moment: Moment) {
        let is_new = taken == Taken::InNewLog;
        let (place, is_in_new_log) = match self.snapshot {
            Snapshot::Goes { place, is_in_new_log, .. } if place.position == stamp.place.position => {
                (place, is_in_new_log || is_new)
            }
            _ => (stamp.place, is_new),
        };
        self.snapshot = match stamp.origin {
            Origin::SnapshotEnd => Snapshot::Told { place, is_in_new_log, at: moment.now },
            _ => Snapshot::Goes { place, told_ms: stamp.told_ms, is_in_new_log },
        };
    }

    /// A connector that tells of changes, or of itself, has told all rows before.
    fn end_snapshot_before(&mut self, told_ms: u64, moment: Moment) {
        if let Snapshot::Goes { place, told_ms: snapshot_ms, is_in_new_log } = self.snapshot
            && told_ms >= snapshot_ms
        {
            self.snapshot = Snapshot::Told { place, is_in_new_log, at: moment.now };
        }
    }

    fn note_time(&mut self, ms: u64, moment: Moment) {
        self.known.as_of = self.known.as_of.max(Some(moment.of_source(ms)));
    }
}

#[cfg(test)]
#[path = "taking_tests.rs"]
mod tests;
