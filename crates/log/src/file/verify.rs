//! Reading a whole directory without changing or locking it, for people: what each file holds and where it is damaged.

use std::fmt;
use std::sync::Arc;

use crate::error::{Damage, ReadError, Refused, SnapshotError, StorageError, VisitError, break_off};
use crate::file::chain::{Gap, check_follows, find_gap, start_of};
use crate::file::damage;
use crate::file::frame::{FrameKind, FrameRef};
use crate::file::segment::{Segment, SegmentHeader, SegmentName, list_segments, read_segment};
use crate::file::snapshot::{self, FileSnapshotReader};
use crate::file::storage::{Storage, while_doing};
use crate::file::walk::{Progress, Until, Walk, Window};

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Segments, oldest first; those before a gap are left out.
    pub segments: Vec<SegmentReport>,
    /// Snapshots, newest first.
    pub snapshots: Vec<SnapshotReport>,
    /// Where segments are missing that the newest whole snapshot makes unnecessary; this is not damage.
    pub gap: Option<Gap>,
}

/// What a segment file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// Path of the file.
    pub path: String,
    /// Its header; `None` if that is damaged.
    pub header: Option<SegmentHeader>,
    /// Offset after the last event in it.
    pub next_offset: u64,
    /// Last term in it.
    pub epoch: u32,
    /// Latest time in it, milliseconds.
    pub time_ms: u64,
    /// Batches in it.
    pub batch_count: u64,
    /// Frames in it that are not batches.
    pub mark_count: u64,
    /// Bytes up to the end of the last frame.
    pub used_bytes: u64,
    /// Size of the file, bytes.
    pub file_bytes: u64,
    /// Where an interrupted write stands; this is not damage.
    pub torn_at: Option<u64>,
    /// The first damage.
    pub damage: Option<Damage>,
}

/// What a snapshot file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReport {
    /// Path of the file.
    pub path: String,
    /// The state is that after all events below this offset.
    pub offset: u64,
    /// Size of the file, bytes.
    pub file_bytes: u64,
    /// Its digest; `None` if it is damaged.
    pub digest: Option<[u8; 16]>,
    /// The first damage.
    pub damage: Option<Damage>,
}

impl Report {
    /// The first damage of any file, segments first.
    pub fn damage(&self) -> Option<&Damage> {
        let segments = self.segments.iter().filter_map(|segment| segment.damage.as_ref());
        segments.chain(self.snapshots.iter().filter_map(|snapshot| snapshot.damage.as_ref())).next()
    }

    /// Offset of the newest whole snapshot, from which the state starts, or 0.
    fn start_offset(&self) -> u64 {
        let whole = self.snapshots.iter().find(|snapshot| snapshot.damage.is_none());
        whole.map_or(0, |snapshot| snapshot.offset)
    }

    /// Offset of the oldest event and the offset after the newest.
    pub fn offsets(&self) -> (u64, u64) {
        let first =
            self.segments.first().and_then(|segment| segment.header).map_or(0, |header| header.base_offset);
        (first, self.segments.last().map_or(0, |segment| segment.next_offset))
    }
}

/// Checks every segment and snapshot of a directory. A server may be writing to it meanwhile.
pub fn verify(storage: &Arc<dyn Storage>) -> Result<Report, StorageError> {
    inspect(storage, |_, _| Ok(()))
}

/// Checks every segment and snapshot and calls `visit` with each frame of each segment, oldest first; the text of an
/// error from it is reported as damage of that segment, whose later frames are then left out.
pub fn inspect(
    storage: &Arc<dyn Storage>,
    mut visit: impl FnMut(&SegmentHeader, FrameRef<'_>) -> Result<(), String>,
) -> Result<Report, StorageError> {
    // First, because a server that is running takes new ones and trims what they cover.
    let mut report = Report { snapshots: inspect_snapshots(storage)?, ..Report::default() };
    let snapshot_offset = report.start_offset();
    let storage = &**storage;
    let (segments, gap) = list_with_gap(storage, snapshot_offset)?;
    report.gap = gap;
    let cut_off_count = report.gap.as_ref().map_or(0, |gap| gap.cut_off_count);
    let start = start_of(&segments, snapshot_offset).unwrap_or(0);
    let mut before: Option<Segment> = None;
    for (index, (promised, name)) in segments.iter().enumerate().skip(cut_off_count) {
        let next = segments.get(index + 1).map(|(next, _)| next);
        let next = next.filter(|next| next.sequence == promised.sequence + 1).map(|next| next.base_offset);
        let partition = before.as_ref().map(|before| before.header.partition);
        let expected = Expected { promised: *promised, next, partition, snapshot_offset };
        let inspected = inspect_segment(storage, name, &expected, &mut visit);
        let whole =
            inspected.as_ref().is_ok_and(|(report, _)| report.damage.is_none() && report.torn_at.is_none());
        if !whole && !is_there(storage, name)? {
            // The server trimmed it while it was read, and with it all that are older.
            report.segments.clear();
            before = None;
            continue;
        }
        let (mut segment_report, segment) = inspected?;
        if let (Some(before), Some(segment)) = (&before, &segment)
            && let Err(damage) = check_follows(storage, before, segment)
        {
            if is_there(storage, &before.name)? {
                segment_report.damage = Some(damage);
            } else {
                report.segments.clear();
            }
        }
        if let Some(damage) = segment_report.damage.as_mut().filter(|_| index < start) {
            damage.remedy = damage::remedy_below(snapshot_offset);
        }
        report.segments.push(segment_report);
        before = segment;
    }
    check_ends(storage, &mut report, snapshot_offset)?;
    Ok(report)
}

/// Names of segment files with what they promise, oldest first, and the newest gap among them.
type Listing = (Vec<(SegmentName, String)>, Option<Gap>);

/// Lists the segments, again and again while a server trims them.
fn list_with_gap(storage: &dyn Storage, snapshot_offset: u64) -> Result<Listing, StorageError> {
    let mut segments = list_segments(storage)?;
    loop {
        let gap = find_gap(storage, None, &segments, snapshot_offset);
        let listed = list_segments(storage)?;
        if matches!(gap, Ok(None)) || listed == segments {
            return Ok((segments, gap?));
        }
        segments = listed;
    }
}

/// Whether the segments reach from the snapshot on at least up to it.
fn check_ends(storage: &dyn Storage, report: &mut Report, snapshot_offset: u64) -> Result<(), StorageError> {
    let newest = snapshot::list(storage)?.first().copied();
    // A server that took snapshots meanwhile has trimmed below them.
    let is_at_rest = report.snapshots.first().map(|snapshot| snapshot.offset) == newest;
    if let Some(oldest) = report.segments.first_mut()
        && let Some(header) =
            oldest.header.filter(|header| header.base_offset > snapshot_offset && is_at_rest)
    {
        let damage = damage::too_new(oldest.path.clone(), header.base_offset, snapshot_offset);
        oldest.damage.get_or_insert(damage);
    }
    if let Some(last) = report.segments.last_mut().filter(|last| last.next_offset < snapshot_offset) {
        let place = (last.used_bytes, last.next_offset);
        let damage = damage::too_short(last.path.clone(), place, snapshot_offset);
        last.damage.get_or_insert(damage);
    }
    Ok(())
}

fn is_there(storage: &dyn Storage, name: &str) -> Result<bool, StorageError> {
    Ok(list_segments(storage)?.iter().any(|(_, there)| there == name))
}

/// The partition that the first segment with a whole header belongs to.
pub(crate) fn partition_of(storage: &dyn Storage) -> Result<Option<u32>, StorageError> {
    Ok(list_segments(storage)?.iter().find_map(|(promised, name)| {
        let file = storage.open_read(name).ok()?;
        let segment = read_segment(storage, &*file, *promised, name, None, 0).ok()?.ok()?;
        Some(segment.header.partition)
    }))
}

fn inspect_snapshots(storage: &Arc<dyn Storage>) -> Result<Vec<SnapshotReport>, StorageError> {
    let partition = partition_of(&**storage)?;
    let mut snapshots = Vec::new();
    for offset in snapshot::list(&**storage)? {
        snapshots.extend(inspect_snapshot(storage, partition, offset)?);
    }
    Ok(snapshots)
}

/// What is known of a segment before it is read.
struct Expected {
    promised: SegmentName,
    /// Base offset of the segment after it, if that is there.
    next: Option<u64>,
    partition: Option<u32>,
    snapshot_offset: u64,
}

fn inspect_segment(
    storage: &dyn Storage,
    name: &str,
    expected: &Expected,
    visit: &mut dyn FnMut(&SegmentHeader, FrameRef<'_>) -> Result<(), String>,
) -> Result<(SegmentReport, Option<Segment>), StorageError> {
    let Expected { promised, next, partition, snapshot_offset } = *expected;
    let file = storage.open_read(name).map_err(while_doing(storage, "open", name))?;
    let mut report = SegmentReport {
        path: storage.path_of(name),
        header: None,
        next_offset: promised.base_offset,
        epoch: 0,
        time_ms: 0,
        batch_count: 0,
        mark_count: 0,
        used_bytes: 0,
        file_bytes: file.len().map_err(while_doing(storage, "measure", name))?,
        torn_at: None,
        damage: None,
    };
    let segment = match read_segment(storage, &*file, promised, name, partition, snapshot_offset)? {
        Ok(segment) => segment,
        Err(damage) => {
            report.damage = Some(damage);
            return Ok((report, None));
        }
    };
    report.header = Some(segment.header);
    let mut counting = |frame: FrameRef<'_>| {
        match frame.header.kind {
            FrameKind::Batch => report.batch_count += 1,
            FrameKind::Mark | FrameKind::Close => report.mark_count += 1,
        }
        visit(&segment.header, frame)
    };
    let until = next.map_or(Until::Tail, Until::Offset);
    let walk = Walk {
        storage,
        file: &*file,
        segment: &segment,
        until,
        from_offset: 0,
        to_offset: u64::MAX,
        snapshot_offset: Some(snapshot_offset),
    };
    let mut progress = Progress::at_start_of(&segment);
    let walked = walk_beside_a_writer(&walk, &mut progress, &mut counting)?;
    report.damage = walked;
    report.next_offset = progress.next_offset;
    report.epoch = progress.epoch;
    report.time_ms = progress.time_ms;
    report.used_bytes = progress.position;
    report.torn_at = progress.torn.then_some(progress.position);
    Ok((report, Some(segment)))
}

/// Walks on as long as frames turn up: a frame that was half written at the first look is whole at the second, and
/// what seemed to be damage, because a later one stood behind it, was the server at work.
fn walk_beside_a_writer(
    walk: &Walk<'_>,
    progress: &mut Progress,
    visit: &mut dyn FnMut(FrameRef<'_>) -> Result<(), String>,
) -> Result<Option<Damage>, StorageError> {
    let mut window = Window::default();
    loop {
        let before = progress.position;
        let mut kept = None;
        let walked = walk.run(&mut window, progress, &mut |frame| break_off(visit(frame), &mut kept));
        match walked.map_err(|error| error.with(kept)) {
            Ok(()) => return Ok(None),
            Err(VisitError::Log(ReadError::Storage(error))) => return Err(error),
            Err(VisitError::Log(ReadError::Damaged(_))) if progress.position > before => window.clear(),
            Err(VisitError::Log(ReadError::Damaged(damage))) => return Ok(Some(*damage)),
            Err(VisitError::Log(ReadError::Trimmed { .. })) => unreachable!("a walk reads one file"),
            Err(VisitError::Refused(Refused { offset, error: problem, .. })) => {
                let path = walk.storage.path_of(&walk.segment.name);
                let position = progress.position;
                return Ok(Some(Damage { path, position, offset, problem, remedy: String::new() }));
            }
        }
    }
}

/// `None` if a server that is running removed it meanwhile.
fn inspect_snapshot(
    storage: &Arc<dyn Storage>,
    partition: Option<u32>,
    offset: u64,
) -> Result<Option<SnapshotReport>, StorageError> {
    let read_all = || -> Result<FileSnapshotReader, SnapshotError> {
        let mut reader = FileSnapshotReader::open(Arc::clone(storage), partition, offset)?;
        while reader.next_chunk()?.is_some() {}
        Ok(reader)
    };
    let mut report = SnapshotReport {
        path: storage.path_of(&snapshot::finished_name(offset)),
        offset,
        file_bytes: 0,
        digest: None,
        damage: None,
    };
    match read_all() {
        Ok(reader) => {
            report.file_bytes = reader.file_bytes();
            report.digest = reader.digest();
        }
        Err(SnapshotError::Damaged(damage)) => report.damage = Some(*damage),
        Err(SnapshotError::Storage(error)) => return Err(error),
        Err(SnapshotError::Missing { .. }) => return Ok(None),
        Err(SnapshotError::TooLarge { .. }) => unreachable!("a reader writes no chunk"),
    }
    Ok(Some(report))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            writeln!(f, "{segment}")?;
        }
        for snapshot in &self.snapshots {
            writeln!(f, "{snapshot}")?;
        }
        if let Some(gap) = &self.gap {
            writeln!(f, "gap: {gap}")?;
        }
        let (first, next) = self.offsets();
        let batch_count: u64 = self.segments.iter().map(|segment| segment.batch_count).sum();
        let verdict = if self.damage().is_some() { "DAMAGED" } else { "whole" };
        write!(
            f,
            "{verdict}: {}, offsets {first}..{next}, {}, {}",
            Counted(self.segments.len() as u64, "segment", "segments"),
            Counted(batch_count, "batch", "batches"),
            Counted(self.snapshots.len() as u64, "snapshot", "snapshots")
        )
    }
}

/// So many of something: its word for one, and for any other number.
struct Counted(u64, &'static str, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, more) = self;
        write!(f, "{count} {}", if *count == 1 { one } else { more })
    }
}

impl fmt::Display for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}: ", self.path)?;
        if let Some(header) = &self.header {
            write!(
                f,
                "sequence {}, offsets {}..{}, epochs {}..={}, {}, {}, {} of {} bytes used",
                header.sequence,
                header.base_offset,
                self.next_offset,
                header.epoch,
                self.epoch,
                Counted(self.batch_count, "batch", "batches"),
                Counted(self.mark_count, "mark", "marks"),
                self.used_bytes,
                self.file_bytes
            )?;
        } else {
            write!(f, "{} bytes, unreadable header", self.file_bytes)?;
        }
        if let Some(position) = self.torn_at {
            write!(f, "; interrupted write at byte {position}")?;
        }
        match &self.damage {
            Some(damage) => write!(f, "\n  DAMAGED: {damage}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SnapshotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {}: offset {}, {} bytes", self.path, self.offset, self.file_bytes)?;
        if let Some(digest) = self.digest {
            write!(f, ", digest ")?;
            for byte in digest {
                write!(f, "{byte:02x}")?;
            }
        }
        match &self.damage {
            Some(damage) => write!(f, "\n  DAMAGED: {damage}"),
            None => Ok(()),
        }
    }
}
