//! The thread of a sink: it follows the log, writes what is selected to the target, and after any trouble waits, opens the
//! target again and goes on from what is durable there. It runs at the lowest priority, and locks what an answer needs only to
//! read a few numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use onrush_log::{Log, LogReader, VisitError};
use onrush_node::{Clock, ReservationIds, Stopwatch};

use crate::back_off::back_off;
use crate::ceiling::Ceiling;
use crate::files::Noted;
use crate::handle::{SinkHandle, StopOrder};
use crate::history::SnapshotHistory;
use crate::known_server::KnownServer;
use crate::leading::{IdsWhileLeading, keep_from, note_for_rivals, wait_to_lead};
use crate::name_table::NameTable;
use crate::settings::AtBacklogMax;
use crate::start_point::{self, StartPoint};
use crate::status::{SinkState, Stop};
use crate::target::{Source, Target, TargetError, log_id};
use crate::writer::{SearchStep, TargetWriter, Trouble};

/// Lowest priority: a sink may lag, an answer may not.
const NICENESS: i32 = 19;
/// How long a sink that has caught up with the log rests, so that a few events go together.
const LINGER: Duration = Duration::from_millis(25);
/// How often a sink that does not go on looks at its orders and its backlog.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the same trouble, or a large backlog, is said again.
const SAY_INTERVAL: Duration = Duration::from_mins(1);
/// Log read after which the snapshot is kept again, unless the snapshot itself is as large.
const SNAPSHOT_INTERVAL_BYTES: u64 = 16 << 20;
/// How often a sink that has caught up keeps its snapshot, if that is small.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(5);
const SMALL_SNAPSHOT_BYTES: u64 = 1 << 20;
/// So many refusals in a row are waited out where another node may have led a moment ago: about three seconds.
const RIVAL_REFUSALS_MAX: u32 = 4;
/// How often the offset of a target that keeps none is noted.
const OFFSET_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) struct Runner {
    handle: Arc<SinkHandle>,
    writer: TargetWriter,
    log: Arc<dyn Log>,
    reader: Box<dyn LogReader>,
    ids: ReservationIds,
    leads: IdsWhileLeading,
    source: Source,
    clock: Arc<dyn Clock>,
    /// The target itself tells where to go on.
    keeps_offset: bool,
    /// The snapshot on the disk: its offset and size.
    sink_snapshot_offset: u64,
    sink_snapshot_bytes: u64,
    snapshot_history: SnapshotHistory,
    since_sink_snapshot: Stopwatch,
    since_offset: Stopwatch,
    noted_offset: u64,
    known_server: KnownServer,
    failures_in_a_row: u32,
    since_said: Option<Stopwatch>,
    since_backlog_said: Option<Stopwatch>,
    ceiling: Ceiling,
    /// Log kept for the sink when it began to catch up: as long as that shrinks, it is not let go.
    begun_bytes: u64,
}

impl Runner {
    pub(crate) fn new(
        handle: &Arc<SinkHandle>,
        target: Box<dyn Target>,
        log: Arc<dyn Log>,
        ids: ReservationIds,
        leads: IdsWhileLeading,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let sink = handle.settings.name.clone();
        let source = Source { log_id: log_id(&ids), partition: ids.partition().into(), sink };
        Self {
            handle: Arc::clone(handle),
            keeps_offset: target.keeps_offset(),
            writer: TargetWriter::new(handle, target, NameTable::new(ids.clone())),
            reader: log.reader(),
            log,
            ids,
            leads,
            source,
            clock,
            sink_snapshot_offset: 0,
            sink_snapshot_bytes: 0,
            snapshot_history: SnapshotHistory::default(),
            since_sink_snapshot: Stopwatch::start(),
            since_offset: Stopwatch::start(),
            noted_offset: 0,
            known_server: KnownServer::new(&handle.files),
            failures_in_a_row: 0,
            since_said: None,
            since_backlog_said: None,
            begun_bytes: 0,
            ceiling: Ceiling::new(handle.settings.events_per_second_max),
        }
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
            tracing::warn!(sink = self.handle.settings.name, %error, "the sink runs at normal priority");
        }
        while let Err(trouble) = self.follow_and_catch() {
            if !self.is_leading() {
                // Whatever it was, the next leader's sink goes on from what is durable.
                self.writer.target.let_go();
                self.failures_in_a_row = 0;
                if wait_to_lead(&self.handle, &self.leads, &*self.log).is_none() {
                    return;
                }
                continue;
            }
            self.note_progress();
            match self.judge(&trouble) {
                Verdict::Again => {}
                Verdict::Wait(interval) => self.wait(interval),
                Verdict::Stop(stop) => self.stay_stopped(stop),
            }
            if self.handle.stop_order() != StopOrder::GoOn {
                return;
            }
        }
    }

    fn is_leading(&self) -> bool {
        (self.leads)().is_some()
    }

    fn may_go_on(&self) -> bool {
        self.handle.stop_order() == StopOrder::GoOn && self.is_leading()
    }

    /// A fault in a target or in its client stops the sink, never the server, and never an answer.
    fn follow_and_catch(&mut self) -> Result<(), Trouble> {
        let followed = catch_unwind(AssertUnwindSafe(|| self.follow()));
        followed.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Trouble::Panic(text.unwrap_or_else(|| "no reason given".to_owned())))
        })
    }

    /// Opens the target and follows the log until it is told to stop.
    fn follow(&mut self) -> Result<(), Trouble> {
        // Whoever opens a target last has it.
        if !self.is_leading() {
            return Err(Trouble::NotLeading);
        }
        let opened = self.writer.open(&self.source, self.known_server.expected())?;
        self.known_server.note_opened(self.writer.target.opened().confirmed);
        self.begin(opened)?;
        self.handle.shown().state = SinkState::Running;
        loop {
            let order = self.handle.stop_order();
            if order == StopOrder::Now {
                return self.end();
            }
            if !self.is_leading() {
                return Err(Trouble::NotLeading);
            }
            let written_before = self.handle.shown().written_count;
            if self.advance(self.ceiling.turn_events_max())? {
                if self.ceiling.is_set() {
                    self.writer.make_durable()?;
                    self.note_progress();
                    let written_count = self.handle.shown().written_count - written_before;
                    std::thread::park_timeout(self.ceiling.rest_after(written_count));
                }
            } else {
                self.writer.make_durable()?;
                self.note_progress();
                if order == StopOrder::WhenCaughtUp {
                    return self.end();
                }
                self.keep_snapshot_if_due(true)?;
                std::thread::park_timeout(LINGER);
            }
            self.keep_snapshot_if_due(false)?;
            if let Some(stop) = self.judge_backlog() {
                return Err(Trouble::Stop(stop));
            }
        }
    }

    /// How far the target has everything, as it says itself, or as it is noted for one that keeps no offset.
    fn reached(&self, opened: Option<u64>, sink_snapshot: Option<Noted>) -> std::io::Result<Noted> {
        let files = &self.handle.files;
        match opened {
            // It keeps none, and lost what it had. Noted first, or a restart would go on behind that.
            Some(offset) if !self.keeps_offset => {
                let lost = Noted { offset, incarnation: None };
                if files.read_offset()?.is_some_and(|noted| noted.offset > offset) {
                    files.write_offset(lost, true)?;
                }
                note_for_rivals(&*self.log, &self.handle.settings.name, &lost.encode(), || self.may_go_on());
                Ok(lost)
            }
            Some(offset) => Ok(Noted { offset, incarnation: self.writer.target.opened().incarnation }),
            // It has nothing, or lost everything: it gets what the log has, from the beginning.
            None if self.keeps_offset => Ok(Noted::default()),
            // Another node may have led since this one wrote its files.
            None => match self.log.noted(&self.handle.settings.name).and_then(|note| Noted::decode(&note)) {
                Some(noted) => Ok(noted),
                None => files.noted_or_snapshot(sink_snapshot),
            },
        }
    }

    /// Finds where to go on, and the names as of there.
    fn begin(&mut self, opened: Option<u64>) -> Result<(), Trouble> {
        let sink_snapshot = self.handle.files.read_snapshot_of_sink(&self.ids)?;
        let snapshot_noted = sink_snapshot
            .as_ref()
            .map(|(names, offset)| Noted { offset: *offset, incarnation: Some(names.incarnation()) });
        let reached = self.reached(opened, snapshot_noted)?;
        let (sink, reader) = (&self.handle.settings.name, &mut *self.reader);
        let sink_snapshot = self.snapshot_history.own_snapshot(sink, &*self.log, reader, sink_snapshot)?;
        let files = &self.handle.files;
        let mut from = reached.offset;
        self.noted_offset = from;
        let skipped = files.read_skipped()?;
        let opened_at = from;
        while let Some(gap) = skipped.iter().find(|gap| (gap.from..gap.to).contains(&from)) {
            from = gap.to;
        }
        let end = self.reader.durable_offset();
        if from > end {
            let reason = format!(
                "the target has the events below offset {from}, but the log ends at {end}: it is an older copy of the \
                 log, or another one. {}",
                self.writer.how_to_begin_again()
            );
            return Err(TargetError::Refused(reason).into());
        }
        let StartPoint { names, offset, is_snapshot } =
            start_point::find(&*self.log, sink_snapshot, &self.ids, from)?;
        self.sink_snapshot_offset = offset;
        keep_from(&*self.log, &self.handle, offset);
        self.begun_bytes = self.reader.bytes_from(offset);
        if is_snapshot {
            match files.write_snapshot(&names, offset) {
                Ok(_) => self.snapshot_history.is_own_from_now_on(),
                Err(error) => {
                    tracing::warn!(sink = self.handle.settings.name, %error, "the sink's snapshot could not be kept");
                }
            }
        }
        for gap in skipped.iter().filter(|gap| gap.to > opened_at) {
            self.writer.target.push_skipped(gap)?;
        }
        self.writer.begin(names, offset, from, skipped);
        if let Some(incarnation) = reached.incarnation {
            self.writer.expect(opened_at, incarnation)?;
        }
        self.writer.bytes_since_snapshot = 0;
        self.handle.shown().sink_offset = from;
        Ok(())
    }

    /// Reads up to so many events on and sends; whether there was anything to read.
    fn advance(&mut self, events_max: u64) -> Result<bool, Trouble> {
        let (from, end) = (self.writer.passed, self.reader.durable_offset());
        if from >= end {
            return Ok(false);
        }
        let Self { reader, writer, .. } = self;
        let read = reader.read(from, end.min(from + events_max), |entry| writer.take_entry(&entry));
        let reached = read.map_err(|error| match error {
            VisitError::Log(error) => Trouble::from(error),
            VisitError::Refused(refused) => refused.error,
        })?;
        writer.passed = writer.passed.max(reached);
        writer.check_claim(writer.passed)?;
        // Whole batches were sent on the way; a part of one goes only when the log has no more for now.
        if writer.has_pushed() && writer.passed >= end {
            writer.send()?;
        }
        self.note_progress();
        Ok(true)
    }

    fn note_progress(&mut self) {
        let sink_offset = self.writer.sink_offset();
        let is_caught_up = sink_offset >= self.reader.durable_offset();
        self.known_server.note_progress(self.writer.said_durable());
        let mut shown = self.handle.shown();
        if sink_offset > shown.sink_offset {
            shown.sink_offset = sink_offset;
            self.failures_in_a_row = 0;
            if self.since_said.take().is_some() {
                tracing::info!(sink = self.handle.settings.name, sink_offset, "the sink goes on");
            }
        }
        if is_caught_up {
            shown.caught_up_at = self.clock.wall_ms();
        }
        drop(shown);
        if !self.keeps_offset
            && sink_offset > self.noted_offset
            && self.since_offset.elapsed() >= OFFSET_INTERVAL
        {
            self.note_offset(sink_offset);
        }
    }

    fn note_offset(&mut self, sink_offset: u64) {
        // On the way to where the sink goes on, it is not known yet what holds there.
        let Some(incarnation) = self.writer.incarnation_before(sink_offset) else { return };
        let noted = Noted { offset: sink_offset, incarnation: Some(incarnation) };
        self.log.note(&self.handle.settings.name, &noted.encode());
        // An older offset only costs repeats, so trouble with the disk is no reason to stop.
        if let Err(error) = self.handle.files.write_offset(noted, false) {
            tracing::warn!(sink = self.handle.settings.name, %error, "the sink's offset could not be noted");
        }
        (self.noted_offset, self.since_offset) = (sink_offset, Stopwatch::start());
    }

    /// Keeps the snapshot so that the log before it can go.
    fn keep_snapshot_if_due(&mut self, is_caught_up: bool) -> Result<(), Trouble> {
        let far = self.writer.bytes_since_snapshot
            >= SNAPSHOT_INTERVAL_BYTES.max(self.sink_snapshot_bytes.saturating_mul(4));
        let late = is_caught_up
            && self.sink_snapshot_bytes <= SMALL_SNAPSHOT_BYTES
            && self.writer.passed > self.sink_snapshot_offset
            && self.since_sink_snapshot.elapsed() >= SNAPSHOT_INTERVAL;
        if far || late { self.keep_snapshot() } else { Ok(()) }
    }

    /// The target knows of everything below the snapshot before the snapshot is kept: a target behind it could not be told the
    /// names again.
    fn keep_snapshot(&mut self) -> Result<(), Trouble> {
        if !self.writer.is_sent() {
            self.writer.send()?;
        }
        self.writer.make_durable()?;
        self.note_progress();
        let offset = self.writer.passed;
        if offset > self.sink_snapshot_offset && self.writer.is_of_this_history() {
            match self.write_snapshot(offset) {
                Ok(bytes) => {
                    (self.sink_snapshot_bytes, self.sink_snapshot_offset) = (bytes, offset);
                    if !self.keeps_offset {
                        // What says that the log is no longer needed must not be known without it.
                        self.note_offset(offset);
                    }
                    keep_from(&*self.log, &self.handle, offset);
                }
                // The log is kept from the older snapshot on; a later one will be kept.
                Err(error) => {
                    tracing::warn!(sink = self.handle.settings.name, %error, "the sink's snapshot could not be kept");
                }
            }
        }
        self.writer.bytes_since_snapshot = 0;
        self.since_sink_snapshot = Stopwatch::start();
        Ok(())
    }

    fn write_snapshot(&mut self, offset: u64) -> std::io::Result<u64> {
        let (files, names) = (&self.handle.files, &self.writer.names);
        if !self.keeps_offset {
            files.write_offset(Noted { offset, incarnation: Some(names.incarnation()) }, true)?;
        }
        let bytes = files.write_snapshot(names, offset)?;
        self.snapshot_history.is_own_from_now_on();
        Ok(bytes)
    }

    /// The last things before the thread ends.
    fn end(&mut self) -> Result<(), Trouble> {
        if self.writer.has_pushed() {
            self.writer.send()?;
        }
        self.keep_snapshot()?;
        self.known_server.note();
        Ok(())
    }

    fn judge(&mut self, trouble: &Trouble) -> Verdict {
        {
            let mut shown = self.handle.shown();
            shown.failure_count += 1;
            shown.last_error = Some((self.clock.wall_ms(), trouble.to_string()));
        }
        match trouble {
            Trouble::Stop(stop) => Verdict::Stop(stop.clone()),
            // The sink of a node that led before may have the target, or be ahead of this node's copy, for a moment.
            Trouble::Target(TargetError::Refused(_))
                if self.log.has_rivals() && self.failures_in_a_row < RIVAL_REFUSALS_MAX =>
            {
                self.failures_in_a_row += 1;
                Verdict::Wait(back_off(self.failures_in_a_row))
            }
            Trouble::Target(TargetError::Refused(reason)) => {
                Verdict::Stop(Stop::Refused { reason: reason.clone() })
            }
            Trouble::Target(TargetError::LeftBehind(reason)) => {
                // Opened once more in this run, it is by an operator's word.
                self.known_server.accept_any();
                Verdict::Stop(Stop::Refused { reason: reason.clone() })
            }
            Trouble::Panic(_) => Verdict::Stop(Stop::Refused { reason: trouble.to_string() }),
            Trouble::Target(TargetError::Rejected { offset, reason }) => {
                match self.writer.narrow_down(*offset) {
                    SearchStep::Found(offset) => {
                        Verdict::Stop(Stop::Rejected { offset, reason: reason.clone() })
                    }
                    SearchStep::Closer => Verdict::Again,
                    SearchStep::Nothing => Verdict::Stop(Stop::Refused { reason: reason.clone() }),
                }
            }
            _ => {
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                let interval = back_off(self.failures_in_a_row);
                if self.since_said.as_ref().is_none_or(|said| said.elapsed() >= SAY_INTERVAL) {
                    self.since_said = Some(Stopwatch::start());
                    tracing::warn!(
                        sink = self.handle.settings.name,
                        error = %trouble,
                        "the sink cannot go on for now; it goes on trying, and the log is kept for it"
                    );
                }
                Verdict::Wait(interval)
            }
        }
    }

    fn wait(&mut self, interval: Duration) {
        self.handle.shown().state = SinkState::Retrying;
        let since = Stopwatch::start();
        while since.elapsed() < interval && self.may_go_on() {
            if self.handle.takes_retry() {
                return;
            }
            if let Some(stop) = self.judge_backlog() {
                return self.stay_stopped(stop);
            }
            std::thread::park_timeout(interval.saturating_sub(since.elapsed()).min(CHECK_INTERVAL));
        }
    }

    /// Waits until an operator says to go on.
    fn stay_stopped(&mut self, stop: Stop) {
        tracing::error!(
            sink = self.handle.settings.name,
            reason = stop.reason(),
            "the sink has stopped; `onrush sinks` shows what can be done"
        );
        // An order to try again that came before is not one for what just happened.
        self.handle.takes_retry();
        self.handle.shown().state = SinkState::Stopped(stop);
        while self.may_go_on() && !self.handle.takes_retry() {
            if let Some(stop) = self.judge_backlog() {
                self.handle.shown().state = SinkState::Stopped(stop);
            }
            std::thread::park_timeout(CHECK_INTERVAL);
        }
        self.failures_in_a_row = 0;
        self.handle.shown().state = SinkState::Retrying;
    }

    /// Says so when too much of the log is kept for the sink, and lets it go if that is its setting.
    fn judge_backlog(&mut self) -> Option<Stop> {
        let settings = &self.handle.settings;
        let backlog_bytes = self.handle.backlog_bytes(&*self.reader);
        if backlog_bytes <= settings.backlog_bytes_max.max(self.begun_bytes) {
            return None;
        }
        if settings.at_backlog_max == AtBacklogMax::LetGo {
            self.handle.kept.let_go();
            return Some(Stop::LetGo);
        }
        if self.since_backlog_said.as_ref().is_none_or(|said| said.elapsed() >= SAY_INTERVAL) {
            self.since_backlog_said = Some(Stopwatch::start());
            tracing::error!(
                sink = settings.name,
                backlog_bytes,
                backlog_bytes_max = settings.backlog_bytes_max,
                "more of the log is kept for the sink than it may hold back; it is kept on, and when the disk is full \
                 writes are answered 503: mend the target, or set at_backlog_max = \"let-go\""
            );
        }
        None
    }
}

enum Verdict {
    Again,
    Wait(Duration),
    Stop(Stop),
}
