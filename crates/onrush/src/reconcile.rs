//! `onrush reconcile`: reads the log again, holds it against what a sink has written, and tells every difference.

mod report;

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, anyhow};
use onrush_connect::Audit;
use onrush_log::file::StoredFileLog;
use onrush_sinks::{
    ReplayError, Replayed, SinkEvent, Skipped, Source, TargetError, log_extent, noted_offset, replay,
    sink_snapshot_offset, skipped,
};

use crate::cli::ReconcileArguments;
use crate::failure::Failure;
use crate::output::print;
use crate::settings::{self, Settings, Sink};
use crate::{environment, log_reading};
use report::Comparison;

/// Events between two looks whether progress has to be told.
const PROGRESS_EVENTS: u64 = 1 << 14;

/// What was tried when the log could not be read.
const UNREAD: &str = "read the log (--data names its directory)";

/// Compares, and prints what was found.
pub(crate) fn run(typed: &ReconcileArguments) -> Result<(), Failure> {
    let settings = settings::load(&typed.flags(), environment())?;
    let comparison = compare(&settings, sink_named(&settings, &typed.sink)?)?;
    print(&if typed.json { comparison.json() } else { comparison.text() })?;
    let Comparison { sink, unwritten_count, findings, .. } = &comparison;
    match unwritten_count {
        _ if !findings.agree() => {
            Err(Failure::Differs(format!("what the sink {sink} has written differs from the log")))
        }
        0 => Ok(()),
        1 => Err(Failure::Behind(format!("the sink {sink} has not written the last event of the log yet"))),
        count => Err(Failure::Behind(format!(
            "the sink {sink} has not written the last {count} events of the log yet"
        ))),
    }
}

fn sink_named<'s>(settings: &'s Settings, name: &str) -> Result<&'s Sink, Failure> {
    settings.sinks.iter().find(|sink| sink.node.name == name).ok_or_else(|| {
        let names: Vec<_> = settings.sinks.iter().map(|sink| sink.node.name.as_str()).collect();
        let known = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Failure::Settings(format!("the settings have no sink {name} ({known})").into())
    })
}

fn compare(settings: &Settings, sink: &Sink) -> Result<Comparison, Failure> {
    let directory = settings.log.directory.as_path();
    let log = StoredFileLog::open(&log_reading::log_in(directory)).context(UNREAD)?;
    let name = sink.node.name.as_str();
    let Replayed { log_id, partition, from, to: log_to } = log_extent(&log).map_err(unread)?;
    let skipped = skipped(directory, name).map_err(unread)?;
    let source = Source { log_id, partition: partition.into(), sink: name.to_owned() };
    // What was written is looked at after this, so it reaches at least as far.
    let known_to = if sink.target.target().keeps_offset() {
        log_to
    } else {
        noted_offset(directory, name).map_err(unread)?.min(log_to)
    };
    // A target that knows less than it once had has lost something, and that is missing.
    let once_to = sink_snapshot_offset(directory, name).map_err(unread)?;
    let mut auditor = sink.target.auditor();
    let to = auditor.open(&source, from, known_to).map_err(uncompared)?.max(once_to).min(log_to);
    let mut course = Course {
        auditor: &mut *auditor,
        skipped: &skipped,
        to,
        unwritten_count: 0,
        failed: None,
        progress: Progress::start(to),
    };
    let replayed = replay(&log, &sink.node.selection, &mut |event| course.take(event));
    course.progress.end();
    if let Some(error) = course.failed {
        return Err(uncompared(error));
    }
    if replayed.map_err(unread)?.from != from {
        let problem = "the log was trimmed while it was read: compare again";
        return Err(Failure::Runtime(anyhow!(problem)));
    }
    let unwritten_count = course.unwritten_count;
    for late in course.skipped {
        course.auditor.excuse(late).map_err(uncompared)?;
    }
    let findings = auditor.finish().map_err(uncompared)?;
    let kind = sink.target.kind();
    Ok(Comparison { sink: name.to_owned(), kind, from, to, log_to, unwritten_count, skipped, findings })
}

/// The events of the log on their way to the auditor.
struct Course<'a> {
    auditor: &'a mut dyn Audit,
    /// What was left out and is not yet behind, oldest first.
    skipped: &'a [Skipped],
    /// Events from here on are not compared, but counted.
    to: u64,
    unwritten_count: u64,
    failed: Option<TargetError>,
    progress: Progress,
}

impl Course<'_> {
    /// Takes the next event. The text of an error is not used, as `failed` says more.
    fn take(&mut self, event: &SinkEvent<'_>) -> Result<(), String> {
        if event.offset >= self.to {
            self.unwritten_count += 1;
            return Ok(());
        }
        self.progress.report(event.offset);
        self.named(event).map_err(|error| {
            self.failed = Some(error);
            String::new()
        })
    }

    fn named(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        while let [next, later @ ..] = self.skipped
            && next.from <= event.offset
        {
            if event.offset < next.to {
                return Ok(());
            }
            self.auditor.excuse(next)?;
            self.skipped = later;
        }
        self.auditor.expect(event)
    }
}

/// How far the comparison is, for a person who waits.
struct Progress {
    to: u64,
    event_count: u64,
    reported_percent: Option<u64>,
    person_waits: bool,
}

impl Progress {
    fn start(to: u64) -> Self {
        Self { to, event_count: 0, reported_percent: None, person_waits: io::stderr().is_terminal() }
    }

    fn report(&mut self, offset: u64) {
        self.event_count += 1;
        if !self.person_waits || !self.event_count.is_multiple_of(PROGRESS_EVENTS) {
            return;
        }
        let percent = u64::try_from(u128::from(offset) * 100 / u128::from(self.to.max(1))).unwrap_or(100);
        if self.reported_percent.replace(percent) != Some(percent) {
            // Whoever cannot be told waits all the same.
            let _ = write!(io::stderr(), "\rread {percent} % of the log");
        }
    }

    fn end(&mut self) {
        if self.reported_percent.take().is_some() {
            let _ = write!(io::stderr(), "\r{:30}\r", "");
        }
    }
}

fn unread(error: ReplayError) -> Failure {
    match error {
        ReplayError::Damaged(_) => Failure::Damaged(error.to_string()),
        error => Failure::Runtime(anyhow!(error).context(UNREAD)),
    }
}

fn uncompared(error: TargetError) -> Failure {
    Failure::Runtime(anyhow!(error).context("compare the target with the log"))
}
