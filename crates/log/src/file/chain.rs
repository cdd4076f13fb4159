//! Which segment files belong to the log: those that follow each other up to the newest. Whatever broke the chain below
//! the snapshot that the state starts from has cost nothing, and is told; anything else is damage.

use std::fmt;

use crate::error::{Damage, OpenError, StorageError};
use crate::file::damage;
use crate::file::segment::{Segment, SegmentName, list_segments, read_segment};
use crate::file::storage::{Storage, while_doing};

/// The segments of a log, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) segments: Vec<Segment>,
    /// Names of files before a gap, oldest first: nothing can be read from them in order any more.
    pub(crate) cut_off: Vec<String>,
    pub(crate) gap: Option<Gap>,
}

/// A place below the snapshot where the chain of segments is broken, as in a copy that was made while the log was trimmed.
/// No event is lost, because the snapshot holds what came before it; only a sink that had not read so far lacks some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Path of the segment from which the log goes on.
    pub path: String,
    /// What was expected before it and what was found.
    pub problem: String,
    /// Oldest offset that can be read.
    pub oldest_offset: u64,
    /// Offset of the snapshot that the state starts from.
    pub snapshot_offset: u64,
    /// Segment files before the gap, which are left alone until the log is trimmed.
    pub cut_off_count: usize,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, problem, oldest_offset, snapshot_offset, cut_off_count } = self;
        write!(
            f,
            "the log goes on from {path}: {problem}. No event is lost: the snapshot at offset {snapshot_offset} holds what \
             came before it. A sink that still needs events below offset {oldest_offset} stops and says so. Segment files \
             before that place are not used ({cut_off_count}) and are removed when the log is trimmed"
        )
    }
}

/// Reads the headers of the segments and checks that they follow each other. The chain begins after the newest gap that
/// `from_offset`, the offset of the snapshot, makes harmless.
pub(crate) fn read_chain(
    storage: &dyn Storage,
    partition: u32,
    from_offset: u64,
) -> Result<Chain, OpenError> {
    let mut listed = list_segments(storage)?;
    let gap = find_gap(storage, Some(partition), &listed, from_offset)?;
    let needed = listed.split_off(gap.as_ref().map_or(0, |gap| gap.cut_off_count));
    let mut segments: Vec<Segment> = Vec::new();
    for (promised, name) in &needed {
        let segment = read(storage, *promised, name, Some(partition), from_offset)??;
        if let Some(before) = segments.last() {
            check_follows(storage, before, &segment)?;
        }
        segments.push(segment);
    }
    Ok(Chain { segments, cut_off: listed.into_iter().map(|(_, name)| name).collect(), gap })
}

/// The newest gap below the segment in which `from_offset` lies, in a list that begins with the oldest segment.
pub(crate) fn find_gap(
    storage: &dyn Storage,
    partition: Option<u32>,
    listed: &[(SegmentName, String)],
    from_offset: u64,
) -> Result<Option<Gap>, StorageError> {
    let Some(start) = start_of(listed, from_offset) else { return Ok(None) };
    let mut newer = None;
    for (index, (promised, name)) in listed[..=start].iter().enumerate().rev() {
        let joined = read(storage, *promised, name, partition, from_offset)?.and_then(|segment| {
            newer.as_ref().map_or(Ok(()), |newer| check_follows(storage, &segment, newer))?;
            Ok(segment)
        });
        match (joined, newer) {
            (Ok(segment), _) => newer = Some(segment),
            // The segment that the snapshot needs is damaged, which whoever reads it is told.
            (Err(_), None) => return Ok(None),
            (Err(damage), Some(newer)) => {
                let path = storage.path_of(&newer.name);
                let same = damage.path == path;
                let problem =
                    if same { damage.problem } else { format!("{}: {}", damage.path, damage.problem) };
                return Ok(Some(Gap {
                    path,
                    problem,
                    oldest_offset: newer.header.base_offset,
                    snapshot_offset: from_offset,
                    cut_off_count: index + 1,
                }));
            }
        }
    }
    Ok(None)
}

/// Place in a list that begins with the oldest segment of the last one that begins at or before the offset.
pub(crate) fn start_of(listed: &[(SegmentName, String)], offset: u64) -> Option<usize> {
    listed.iter().rposition(|(promised, _)| promised.base_offset <= offset)
}

/// Whether `segment` can be the one after `before`.
pub(crate) fn check_follows(
    storage: &dyn Storage,
    before: &Segment,
    segment: &Segment,
) -> Result<(), Damage> {
    let (a, b) = (&before.header, &segment.header);
    let problem = if b.sequence != a.sequence + 1 {
        format!(
            "expected segment {} before it, found segment {}: a file is missing",
            b.sequence - 1,
            a.sequence
        )
    } else if b.base_offset < a.base_offset || b.epoch < a.epoch {
        format!("its offset or epoch is below that of segment {}", a.sequence)
    } else {
        return Ok(());
    };
    Err(damage::in_chain(storage.path_of(&segment.name), a.sequence, (b.sequence, b.base_offset), problem))
}

fn read(
    storage: &dyn Storage,
    promised: SegmentName,
    name: &str,
    partition: Option<u32>,
    from_offset: u64,
) -> Result<Result<Segment, Damage>, StorageError> {
    let file = storage.open_read(name).map_err(while_doing(storage, "open", name))?;
    read_segment(storage, &*file, promised, name, partition, from_offset)
}
