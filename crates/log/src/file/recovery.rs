//! Opening a log: check every frame from the snapshot on, find the end, make it durable for certain, begin a new term.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::contract::Opening;
use crate::error::{AppendError, BrokenOff, OpenError, Refused, StorageError, VisitError};
use crate::file::chain::{Chain, Gap, read_chain};
use crate::file::damage;
use crate::file::frame::{FrameKind, FrameRef};
use crate::file::segment::{Segment, SegmentHeader};
use crate::file::shared::{Shared, Term};
use crate::file::spare::{Spare, SpareThread};
use crate::file::storage::{StorageFile, while_doing};
use crate::file::tail_buffer::TailBuffer;
use crate::file::walk::{Progress, Until, VisitFrame, Walk, Window};
use crate::file::writer::{FileWriter, LogCounters, LogSettings, begin_segment};
use crate::limits::{BLOCK_BYTES, SEGMENT_HEADER_BYTES};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Offset after the last event of the log.
    pub next_offset: u64,
    /// The new term.
    pub epoch: u32,
    /// Latest time in the frames that were checked; 0 if there were none.
    pub time_ms: u64,
    /// Frames checked, those below `from_offset` in the same segment included.
    pub frame_count: u64,
    /// Segment files in the log.
    pub segment_count: usize,
    /// File and byte of an interrupted write that was cut off; it was never acknowledged.
    pub torn_at: Option<(String, u64)>,
    /// Where the chain of segments is broken below the snapshot, which costs the state nothing.
    pub gap: Option<Gap>,
}

/// Opens the log in a new term, and fences the writer before.
pub(crate) fn open(
    shared: &Arc<Shared>,
    settings: &LogSettings,
    opening: Opening,
    visit: &mut VisitFrame<'_>,
) -> Result<(FileWriter, Recovered), VisitError<OpenError, BrokenOff>> {
    settings.check().map_err(OpenError::Settings)?;
    if opening.resume_at.is_some_and(|resume_at| resume_at < opening.from_offset) {
        return Err(OpenError::Settings("cannot resume before the snapshot".to_owned()).into());
    }
    let mut term = shared.term();
    term.epoch += 1;
    // Two of them would make the same file.
    term.spare_thread = None;
    let chain = read_chain(&*shared.storage, shared.partition, opening.from_offset)?;
    if let Some(gap) = &chain.gap {
        tracing::warn!("{gap}");
    }
    let found = check_frames(shared, &chain.segments, opening, visit)?;
    let (mut writer, recovered) = begin_term(shared, &mut term, settings, opening, chain, &found)?;
    let proved = prove_end(&mut writer, found.time_ms);
    // A writer that is dropped takes the term.
    drop(term);
    proved?;
    Ok((writer, recovered))
}

/// Begins to write behind what was found.
fn begin_term(
    shared: &Arc<Shared>,
    term: &mut Term,
    settings: &LogSettings,
    opening: Opening,
    chain: Chain,
    found: &Progress,
) -> Result<(FileWriter, Recovered), OpenError> {
    let Chain { segments, cut_off, gap } = chain;
    let storage = &*shared.storage;
    term.epoch = term.epoch.max(found.epoch + 1);
    let spare = Spare::new(Arc::clone(&shared.storage), settings.segment_bytes, settings.spare_making)?;
    term.spare_thread =
        Some(SpareThread::start(&spare).map_err(while_doing(storage, "start the spare thread for", ""))?);
    let last = segments.last().map(|last| (last.header.sequence, storage.path_of(&last.name)));
    let torn_at = last.as_ref().filter(|_| found.torn).map(|(_, path)| (path.clone(), found.position));
    {
        let mut known = shared.segments();
        known.replace(segments);
        known.cut_off = cut_off.into();
        known.durable_offset = found.next_offset;
        known.durable_position = found.position;
        known.spare = Some(Arc::clone(&spare));
    }
    let mut tail = TailBuffer::new();
    let (segment, file) = match last {
        Some(_) if opening.resume_at.is_none() => make_end_durable(shared, found, &mut tail)?,
        last => {
            tail.restart(SEGMENT_HEADER_BYTES);
            let header = SegmentHeader {
                partition: shared.partition,
                epoch: term.epoch,
                sequence: last.map_or(1, |(sequence, _)| sequence + 1),
                base_offset: found.next_offset,
                salt: 0,
                segment_bytes: settings.segment_bytes,
            };
            begin_after(shared, &spare, header, opening.salt_seed)?
        }
    };
    let writer = FileWriter {
        shared: Arc::clone(shared),
        spare,
        file,
        segment,
        tail,
        next_offset: found.next_offset,
        epoch: term.epoch,
        salt_seed: opening.salt_seed,
        segment_bytes: settings.segment_bytes,
        closed: false,
        handed_over_count: 0,
        counters: LogCounters::default(),
    };
    writer.spare.make_inline();
    let recovered = Recovered {
        next_offset: found.next_offset,
        epoch: term.epoch,
        time_ms: found.time_ms,
        frame_count: found.frame_count,
        segment_count: shared.segments().segments.len(),
        torn_at,
        gap,
    };
    Ok((writer, recovered))
}

/// Begins a segment although none is being written: that of a new log, or the one that supersedes a failed batch.
fn begin_after(
    shared: &Shared,
    spare: &Spare,
    header: SegmentHeader,
    salt_seed: u64,
) -> Result<(Arc<Segment>, Box<dyn StorageFile>), StorageError> {
    spare.make_inline();
    if !spare.take() {
        let full = std::io::ErrorKind::StorageFull.into();
        return Err(while_doing(&*shared.storage, "make a new segment in", "")(full));
    }
    begin_segment(shared, spare, header, salt_seed, header.segment_bytes)
}

/// Proves that what was found is complete and that the term has begun; where the segment is full, the next segment
/// proves it.
fn prove_end(log: &mut FileWriter, time_ms: u64) -> Result<(), OpenError> {
    if !log.fits(0) {
        return Ok(());
    }
    match log.append_frame(FrameKind::Mark, 0, time_ms, &[]) {
        Ok(()) => Ok(()),
        Err(AppendError::Storage(error)) => Err(error.into()),
        Err(error) => unreachable!("a mark that fits, in a log that was opened just now: {error}"),
    }
}

/// Goes through the frames from the last segment that begins at or before the snapshot on.
fn check_frames(
    shared: &Shared,
    segments: &[Segment],
    opening: Opening,
    visit: &mut VisitFrame<'_>,
) -> Result<Progress, VisitError<OpenError, BrokenOff>> {
    let storage = &*shared.storage;
    let from_offset = opening.from_offset;
    let Some(oldest) = segments.first() else {
        return match opening.resume_at {
            Some(resume_at) if resume_at > from_offset => {
                Err(OpenError::from(damage::all_missing(storage.path_of(""), from_offset, resume_at)).into())
            }
            _ => Ok(Progress::empty(from_offset)),
        };
    };
    let first = segments.partition_point(|segment| segment.header.base_offset <= from_offset);
    let Some(first) = first.checked_sub(1) else {
        let path = storage.path_of(&oldest.name);
        return Err(OpenError::from(damage::too_new(path, oldest.header.base_offset, from_offset)).into());
    };
    let mut lies_between = false;
    let mut visit_between = |frame: FrameRef<'_>| {
        lies_between = frame.header.base_offset < from_offset;
        if lies_between { ControlFlow::Break(()) } else { visit(frame) }
    };
    let mut window = Window::default();
    let mut found = Progress::at_start_of(&segments[first]);
    for (segment, next) in segments[first..].iter().zip(segments[first + 1..].iter().map(Some).chain([None]))
    {
        let until = match (next, opening.resume_at) {
            (Some(next), _) => Until::Offset(next.header.base_offset),
            (None, Some(resume_at)) => Until::Offset(resume_at),
            (None, None) => Until::Tail,
        };
        let file = storage
            .open_read(&segment.name)
            .map_err(|error| OpenError::from(while_doing(storage, "open", &segment.name)(error)))?;
        let snapshot_offset = Some(from_offset);
        let walk =
            Walk { storage, file: &*file, segment, until, from_offset, to_offset: u64::MAX, snapshot_offset };
        found = found.continued_in(segment);
        window.clear();
        let walked = walk.run(&mut window, &mut found, &mut visit_between);
        match walked.map_err(|error| error.map_log(OpenError::from)) {
            Ok(()) => {}
            Err(VisitError::Refused(Refused { place, offset, .. })) if lies_between => {
                return Err(OpenError::Between { place, offset, from_offset }.into());
            }
            Err(error) => return Err(error),
        }
        if next.is_none() && found.next_offset < from_offset {
            let place = (found.position, found.next_offset);
            let damage = damage::too_short(storage.path_of(&segment.name), place, from_offset);
            return Err(OpenError::from(damage).into());
        }
    }
    Ok(found)
}

/// Writes the last frame once more and syncs. A process that was killed between write and sync, or whose sync failed,
/// leaves bytes in the page cache that may be on no disk and that no later sync would write.
fn make_end_durable(
    shared: &Shared,
    found: &Progress,
    tail: &mut TailBuffer,
) -> Result<(Arc<Segment>, Box<dyn StorageFile>), StorageError> {
    let storage = &*shared.storage;
    let segment =
        shared.segments().segments.back().map(Arc::clone).expect("a log that goes on has a segment");
    let name = &segment.name;
    let file = storage.open(name).map_err(while_doing(storage, "open", name))?;
    let block = BLOCK_BYTES as u64;
    let start = found.last_frame.map_or(SEGMENT_HEADER_BYTES, |position| position / block * block);
    tail.restart(start);
    let count = usize::try_from(found.position - start).expect("one frame and a block at most");
    let bytes = tail.space(count);
    let mut filled = 0;
    while filled < count {
        let read = file.read_at(&mut bytes[filled..], start + filled as u64).map_err(while_doing(
            storage,
            "read the last frame of",
            name,
        ))?;
        if read == 0 {
            let ended = std::io::ErrorKind::UnexpectedEof.into();
            return Err(while_doing(storage, "read the last frame of", name)(ended));
        }
        filled += read;
    }
    if count > 0 {
        file.write_durable_at(tail.blocks(), start).map_err(while_doing(
            storage,
            "rewrite the last frame of",
            name,
        ))?;
        tail.keep_last_block();
    }
    storage.sync_dir().map_err(while_doing(storage, "sync", ""))?;
    Ok((segment, file))
}
