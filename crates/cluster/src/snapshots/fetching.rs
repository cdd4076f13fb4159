//! Finding the newest snapshots in their log, and making a copy of one.

use std::cmp::Reverse;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use crc32c::{crc32c, crc32c_append};
use onrush_log::shared::{Extent, LogId, RecordNo, SharedError, SharedLog, SharedRecord};
use onrush_log::{Format, Log, SnapshotError, SnapshotWriter};
use onrush_node::Stopwatch;

use super::content::{Item, Items};
use super::manifest::Manifest;
use super::piece::{Piece, PieceKind};
use crate::copy::{CopyError, LocalCopy};
use crate::place_file::Reached;

/// Records at the end of the log among which the newest manifest is looked for first.
const WINDOW: u64 = 4;
/// Each time that is not enough, so many times as many.
const WINDOW_GROWTH: u64 = 8;
const PATIENCE: Duration = Duration::from_millis(500);
/// A log that shows nothing for so long is not waited for.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How often it is said how far the fetching is.
const SAY_INTERVAL: Duration = Duration::from_secs(5);

/// Records among which one is looked for that says of which log it is.
const LOOKED_AT_MAX: u64 = 1_000;

/// Whether to stop in the middle.
pub(crate) type Stops<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// Why a snapshot is of no use. An older one may be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Open(#[from] onrush_log::OpenError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// It is not what its manifest says.
    #[error("the snapshot of offset {offset} in the log of snapshots is damaged: {problem}")]
    Damaged { offset: u64, problem: &'static str },
}

/// The newest snapshots of a log, or of any if that is not known, each once, by their places in the shared log, the newest first: as many
/// as are found where `count` are.
pub(crate) fn newest_manifests(
    log: &dyn SharedLog,
    partition: u32,
    log_id: Option<LogId>,
    count: usize,
    stops: Stops<'_>,
) -> Result<Vec<Manifest>, SharedError> {
    let Extent { oldest, end } = log.extent(partition)?;
    let mut window = WINDOW;
    loop {
        let from = RecordNo(end.0.saturating_sub(window).max(oldest.0));
        let mut found: Vec<Manifest> = Vec::new();
        read_all(log, partition, from..end, stops, &mut |_, record| {
            let manifest = Piece::decode(record).and_then(|record| Manifest::of(&record));
            let manifest = manifest.filter(|it| {
                it.partition == partition
                    && log_id.is_none_or(|id| id == it.log_id)
                    && !found.iter().any(|known| known.snapshot == it.snapshot)
            });
            found.extend(manifest);
            ControlFlow::Continue(())
        })?;
        if found.len() >= count || from == oldest {
            // Of those with the same place the one that was sent last.
            found.reverse();
            found.sort_by_key(|it| Reverse(it.reached.place.next_no));
            return Ok(found);
        }
        window *= WINDOW_GROWTH;
    }
}

/// Fills an empty copy with what a snapshot has.
pub(crate) fn fetch(
    log: &dyn SharedLog,
    manifest: &Manifest,
    copy: &dyn Log,
    salt_seed: u64,
) -> Result<LocalCopy, FetchError> {
    let end = log.extent(manifest.partition)?.end;
    let mut fetching = Fetching::new(copy, salt_seed);
    let (mut piece_count, mut bytes, mut checksum) = (0, 0, 0);
    let (mut outcome, since) = (Ok(()), Stopwatch::start());
    let mut said_at = Duration::ZERO;
    read_all(log, manifest.partition, manifest.from_no..end, &|| false, &mut |_, record| {
        let piece = Piece::decode(record).filter(|it| {
            it.kind == PieceKind::Piece
                && it.snapshot == manifest.snapshot
                && it.log_id == manifest.log_id
                && it.number == piece_count
        });
        // What comes between is of another one, or comes twice.
        if let Some(piece) = piece {
            piece_count += 1;
            bytes += piece.payload.len() as u64;
            checksum = crc32c_append(checksum, piece.payload);
            outcome = fetching.take(piece.payload);
        }
        if since.elapsed() >= said_at + SAY_INTERVAL {
            said_at = since.elapsed();
            tracing::info!(bytes, of = manifest.bytes, "fetching the newest snapshot");
        }
        if outcome.is_err() || piece_count == manifest.piece_count {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let offset = manifest.reached.place.next_offset;
    let damaged = |problem| FetchError::Damaged { offset, problem };
    outcome.map_err(|trouble| trouble.of(offset))?;
    if piece_count < manifest.piece_count {
        return Err(damaged("pieces are missing"));
    }
    if (bytes, checksum) != (manifest.bytes, manifest.checksum) || !fetching.items.is_empty() {
        return Err(damaged("its bytes are not those that were sent"));
    }
    let copy = fetching.finish().map_err(|trouble| trouble.of(offset))?;
    if copy.end() != offset {
        return Err(damaged("it ends at another offset"));
    }
    Ok(copy)
}

/// Whether this very record is in a log: that with this number has this checksum.
pub(crate) fn has_record(
    log: &dyn SharedLog,
    partition: u32,
    no: RecordNo,
    checksum: u32,
) -> Result<bool, SharedError> {
    let mut is_same = false;
    read_all(log, partition, no..RecordNo(no.0 + 1), &|| false, &mut |_, record| {
        is_same = crc32c(record) == checksum;
        ControlFlow::Break(())
    })?;
    Ok(is_same)
}

/// The id of a log by the first of its records that has one; nothing if none of the first ones has.
pub(crate) fn log_id_of(
    log: &dyn SharedLog,
    partition: u32,
    extent: Extent,
) -> Result<Option<LogId>, SharedError> {
    let end = RecordNo(extent.end.0.min(extent.oldest.0 + LOOKED_AT_MAX));
    let mut id = None;
    read_all(log, partition, extent.oldest..end, &|| false, &mut |_, bytes| {
        id = SharedRecord::decode(bytes).ok().map(|record| record.log_id);
        if id.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(id)
}

/// Visits records, until the visitor breaks off.
fn read_all(
    log: &dyn SharedLog,
    partition: u32,
    Range { start: from, end }: Range<RecordNo>,
    stops: Stops<'_>,
    visit: &mut dyn FnMut(RecordNo, &[u8]) -> ControlFlow<()>,
) -> Result<(), SharedError> {
    let (mut next, mut is_over, mut heard) = (from, false, Stopwatch::start());
    if next >= end {
        return Ok(());
    }
    let mut reader = log.reader(partition, from)?;
    while next < end && !is_over {
        if stops() {
            return Err(SharedError::Unknown("the node stops".into()));
        }
        let before = next;
        let progress = reader.read(PATIENCE, &mut |no, record| {
            is_over = visit(no, record).is_break();
            if is_over || no.0 + 1 >= end.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        next = progress.next;
        if next > before {
            heard = Stopwatch::start();
        } else if heard.elapsed() > SILENCE_MAX {
            return Err(SharedError::Unknown("it shows none of its records".into()));
        }
    }
    Ok(())
}

/// A copy that is being filled.
struct Fetching<'a> {
    copy: &'a dyn Log,
    salt_seed: u64,
    items: Items,
    state: Option<Box<dyn SnapshotWriter>>,
    /// Once the state is there, or if there is none.
    filled: Option<LocalCopy>,
}

/// A [`FetchError`] that does not know its offset.
enum Trouble {
    Is(FetchError),
    Damage(&'static str),
}

impl Trouble {
    fn of(self, offset: u64) -> FetchError {
        match self {
            Self::Is(error) => error,
            Self::Damage(problem) => FetchError::Damaged { offset, problem },
        }
    }
}

impl<E: Into<FetchError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Is(error.into())
    }
}

impl<'a> Fetching<'a> {
    fn new(copy: &'a dyn Log, salt_seed: u64) -> Self {
        Self { copy, salt_seed, items: Items::default(), state: None, filled: None }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Trouble> {
        self.items.add(piece);
        loop {
            let Self { copy, salt_seed, items, state, filled } = self;
            let Some(item) = items.next().map_err(Trouble::Damage)? else { return Ok(()) };
            match item {
                Item::State { format, offset, time_ms } => {
                    if state.is_some() || filled.is_some() {
                        return Err(Trouble::Damage("a state begins in the middle"));
                    }
                    if format != Format::NEWEST {
                        return Err(Trouble::Damage(
                            "a later version wrote it; start a program as new as that",
                        ));
                    }
                    *state = Some(copy.write_snapshot(offset, time_ms)?);
                }
                Item::Chunk(chunk) => match state {
                    Some(state) => state.write_chunk(chunk)?,
                    None => return Err(Trouble::Damage("a chunk is of no state")),
                },
                Item::StateEnd { digest } => match state.take() {
                    Some(state) => state.finish(digest)?,
                    None => return Err(Trouble::Damage("a state ends that did not begin")),
                },
                Item::Entry(entry) => {
                    if state.is_some() {
                        return Err(Trouble::Damage("an entry is in the middle of the state"));
                    }
                    let filled = match filled {
                        Some(filled) => filled,
                        None => filled.insert(open(*copy, *salt_seed)?),
                    };
                    if entry.base_offset != filled.end() {
                        return Err(Trouble::Damage("an entry is missing"));
                    }
                    filled.append(&entry)?;
                }
            }
        }
    }

    fn finish(self) -> Result<LocalCopy, Trouble> {
        match self.filled {
            Some(filled) => Ok(filled),
            None => Ok(open(self.copy, self.salt_seed)?),
        }
    }
}

fn open(copy: &dyn Log, salt_seed: u64) -> Result<LocalCopy, FetchError> {
    Ok(LocalCopy::open(copy, &Reached::default(), salt_seed)?.expect("it has all of nothing"))
}
