//! From a log to a leader: the newest snapshot, then the entries behind it.

use std::time::Duration;

use onrush_core::{Incarnation, Limits, State, TimeMs};
use onrush_log::{
    Entry, Log, LogWriter, Opened, Opening, Refused, SnapshotError, SnapshotReader, StorageError, VisitError,
};

use super::identity::Identity;
use super::leader::Leader;
use crate::Settings;
use crate::clock::Stopwatch;
use crate::record::{DecodeError, FactDecoder, Record, decode_records};

/// Why a partition did not open.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log.
    #[error(transparent)]
    Log(#[from] onrush_log::OpenError),
    /// A batch that is whole and makes no sense.
    #[error(transparent)]
    Undecodable(Refused<DecodeError>),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The system.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl From<StorageError> for LoadError {
    fn from(error: StorageError) -> Self {
        Self::Log(error.into())
    }
}

impl From<VisitError<onrush_log::OpenError, DecodeError>> for LoadError {
    fn from(error: VisitError<onrush_log::OpenError, DecodeError>) -> Self {
        match error {
            VisitError::Log(error) => Self::Log(error),
            VisitError::Refused(refused) => Self::Undecodable(refused),
        }
    }
}

/// What was read back when a partition opened.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The state started from the snapshot at this offset, if there was one.
    pub snapshot_offset: Option<u64>,
    /// The log goes up to this offset.
    pub offset: u64,
    /// Events applied on top of the snapshot.
    pub replayed_count: u64,
    /// Payload bytes of those events.
    pub replayed_bytes: u64,
    /// Where an unfinished write stood, a file and a byte, that was cut off. Nothing in it had been acknowledged.
    pub torn_at: Option<(String, u64)>,
    /// The leader's term.
    pub epoch: u64,
    /// The newest time in the log; 0 if it is new.
    pub time_ms: TimeMs,
    /// How long it took.
    pub took: Duration,
    /// Counters, sales and reservations in the state.
    pub counter_count: u64,
    /// See `counter_count`.
    pub sale_count: u64,
    /// See `counter_count`.
    pub reservation_count: u64,
    /// Rows of the catalogue in the state.
    pub row_count: u64,
}

/// A log that can be appended to, and the leader that goes with it.
pub(crate) struct Loaded {
    pub(crate) writer: Box<dyn LogWriter>,
    pub(crate) leader: Leader,
    pub(crate) recovered: Recovered,
}

/// Reads everything back. `resume_at` is the durable offset of a log of this process whose last write failed.
/// `identity` is always the same in a process.
pub(crate) fn load(
    log: &dyn Log,
    settings: &Settings,
    resume_at: Option<u64>,
    identity: Identity,
) -> Result<Loaded, LoadError> {
    let stopwatch = Stopwatch::start();
    let snapshot_offset = log.snapshots()?.first().copied();
    let (mut state, mut time) = match snapshot_offset {
        Some(offset) => load_snapshot(&mut *log.read_snapshot(offset)?, settings.limits)?,
        None => (State::new(settings.limits, random_u64()?), 0),
    };
    let from_offset = snapshot_offset.unwrap_or(0);
    let (mut replayed_count, mut replayed_bytes) = (0, 0);
    let opening = Opening { from_offset, resume_at, salt_seed: random_u64()? };
    let Opened { writer, next_offset, epoch, torn_at } = log.open(opening, |entry| {
        time = time.max(entry.time_ms);
        replayed_bytes += entry.payload.len() as u64;
        replayed_count += replay(&mut state, &entry, from_offset)?;
        Ok::<_, DecodeError>(())
    })?;
    let recovered = Recovered {
        snapshot_offset,
        offset: next_offset,
        replayed_count,
        replayed_bytes,
        torn_at,
        epoch,
        time_ms: time.max(state.time()),
        took: stopwatch.elapsed(),
        counter_count: state.counter_count().into(),
        sale_count: state.sale_count().into(),
        reservation_count: state.reservation_count().into(),
        row_count: state.row_count(),
    };
    let leader = Leader::new(state, time, settings.default_shape, settings.partition, identity);
    Ok(Loaded { writer, leader, recovered })
}

/// Applies the events of an entry at or behind `from_offset`; how many there were.
pub(crate) fn replay(state: &mut State, entry: &Entry<'_>, from_offset: u64) -> Result<u64, DecodeError> {
    let mut count = 0;
    decode_records(entry.format, entry.payload, entry.time_ms, |Record { index, at, event }| {
        if entry.base_offset + index >= from_offset {
            state.apply(&event, at);
            count += 1;
        }
        Ok::<_, DecodeError>(())
    })?;
    Ok(count)
}

/// The state in a snapshot, and its time.
pub(crate) fn load_snapshot(
    snapshot: &mut dyn SnapshotReader,
    limits: Limits,
) -> Result<(State, TimeMs), LoadError> {
    let mut state = State::restore(limits, random_u64()?);
    let mut facts = FactDecoder::new(snapshot.format());
    while let Some(chunk) = snapshot.next_chunk()? {
        let decoded = facts.decode(chunk, |fact| state.restore_fact(fact));
        if let Err(error) = decoded {
            return Err(snapshot.refuse(error.to_string()).into());
        }
    }
    if snapshot.digest() != Some(state.digest().0) {
        return Err(snapshot.refuse("the state read from it has another digest".to_owned()).into());
    }
    Ok((state, snapshot.time_ms()))
}

/// What this process brings to a partition.
pub(crate) fn draw_identity() -> Result<Identity, LoadError> {
    let id_key = ((u128::from(random_u64()?) << 64) | u128::from(random_u64()?)).to_be_bytes();
    let tag = u32::try_from(random_u64()? >> 32).unwrap_or(u32::MAX);
    Ok(Identity { id_key, incarnation: Incarnation(tag.max(1)) })
}

/// Randomness for what must not be guessed: seeds and secrets.
pub(crate) fn random_u64() -> Result<u64, LoadError> {
    getrandom::u64().map_err(|error| LoadError::System { doing: "draw random numbers", source: error.into() })
}
