//! How fast a sink writes a log that is there already: a copy of the log, a fresh place at the target, a new server, and the
//! time from the sink's start to its end of the log.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::disk::copy_tree;
use crate::engine::EngineOrder;
use crate::meter::{Meter, Spent};
use crate::rounds::Outcome;
use crate::servers::{Onrush, SinkFigures};
use crate::setting::{Bench, progress};
use crate::targets::{SinkTarget, environment, with_place};

/// Bytes of log between two snapshots: never reached, so that only the sink works.
const WITHOUT_SNAPSHOTS: u64 = 1 << 40;
/// How often a sink is asked how far it is; each question costs the server a connection.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a sink may take for a log.
pub(crate) const DRAIN_TIME_MAX: Duration = Duration::from_mins(10);
/// A log that is written within less time tells too little about the rate.
const TRIAL_TIME_MIN: Duration = Duration::from_millis(900);
const TRIAL_RESERVATION_COUNT: u64 = 10_000;
/// About 200 MB of log; a sink that is faster than this in a turn gets shorter turns.
const RESERVATION_COUNT_MAX: u64 = 10_000_000;

/// A log of reservations, each confirmed at once and by a customer of its own.
pub(crate) struct FilledLog {
    directory: PathBuf,
    /// The reservations and the sale.
    pub(crate) event_count: u64,
}

impl FilledLog {
    fn fill(bench: &Bench, name: &str, reservation_count: u64) -> Result<Self> {
        let directory = bench.directory(name)?;
        EngineOrder::fill(&directory, reservation_count, WITHOUT_SNAPSHOTS)?;
        Ok(Self { directory, event_count: reservation_count + 1 })
    }

    /// As many reservations as the sink writes in a turn, found by shorter logs.
    pub(crate) fn for_turns(bench: &Bench, target: &dyn SinkTarget) -> Result<Self> {
        let name = format!("log-{}", target.kind());
        let mut reservation_count = TRIAL_RESERVATION_COUNT;
        let rate = loop {
            let trial = Self::fill(bench, &name, reservation_count)?;
            let outcome = with_place(target, "trial", |place| drain(bench, &trial, target, place))?;
            let is_long = outcome.seconds >= TRIAL_TIME_MIN.as_secs_f64();
            if is_long || reservation_count == RESERVATION_COUNT_MAX {
                break outcome.success_rate();
            }
            reservation_count = (reservation_count * 4).min(RESERVATION_COUNT_MAX);
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number below 2^52"
        )]
        let fitting_count = (rate * bench.settings.turn_seconds as f64) as u64;
        let reservation_count = fitting_count.clamp(TRIAL_RESERVATION_COUNT, RESERVATION_COUNT_MAX);
        progress(&format!(
            "  {}: {rate:.0} events/s at first; {reservation_count} events a turn",
            target.kind()
        ));
        Self::fill(bench, &name, reservation_count)
    }
}

/// Writes the log to a fresh place by a server of its own. The place stays.
pub(crate) fn drain(bench: &Bench, log: &FilledLog, target: &dyn SinkTarget, place: &str) -> Result<Outcome> {
    let directory = bench.directory("drain")?;
    copy_tree(&log.directory, &Onrush::data_directory(&directory))?;
    target.prepare(place)?;
    let onrush = Onrush::start(&bench.settings.onrush, &directory, &environment(target, place))?;
    let watched = watch(&onrush, target).with_context(|| format!("write the log to {}", target.kind()))?;
    onrush.stop()?;
    let Watched { first, last, seconds, spent } = watched;
    // The server adds a few events of its own when it starts.
    ensure!(last.written_count >= log.event_count, "only {} events were written", last.written_count);
    let mut outcome = Outcome::of_count(last.written_count - first.written_count, seconds, Some(spent));
    outcome.error_count = last.failure_count;
    if let Some(error) = last.last_error {
        outcome.doubts.push(format!("{} failures, the last: {}", last.failure_count, error.error));
    }
    let there_count = target.event_count(place)?;
    if there_count != last.written_count {
        outcome.doubts.push(format!("{} events written, but {there_count} there", last.written_count));
    }
    Ok(outcome)
}

/// A sink from the first moment at which it was seen to run until it was level with its log.
struct Watched {
    first: SinkFigures,
    last: SinkFigures,
    seconds: f64,
    spent: Spent,
}

fn watch(onrush: &Onrush, target: &dyn SinkTarget) -> Result<Watched> {
    let meter = Meter::start(&target.pids(), &onrush.pids());
    let look = |is_there: fn(&SinkFigures) -> bool| wait_for_sink(onrush, target.kind(), is_there);
    let first = look(|sink| sink.state == "running")?;
    let started = Instant::now();
    let last = look(|sink| sink.lag_events == 0)?;
    Ok(Watched { first, last, seconds: started.elapsed().as_secs_f64(), spent: meter.stop() })
}

/// Asks until the sink is as wanted. A sink that stopped will never be.
pub(crate) fn wait_for_sink(
    onrush: &Onrush,
    sink: &str,
    is_as_wanted: impl Fn(&SinkFigures) -> bool,
) -> Result<SinkFigures> {
    let limit = Instant::now() + DRAIN_TIME_MAX;
    loop {
        let figures = onrush.sink(sink)?;
        if is_as_wanted(&figures) {
            return Ok(figures);
        }
        if figures.state == "stopped" {
            bail!("the sink {sink} stopped: {}", figures.reason.unwrap_or_default());
        }
        if Instant::now() > limit {
            let error = figures.last_error.map(|last| last.error).unwrap_or_default();
            bail!("the sink {sink} is {} and {} events behind; {error}", figures.state, figures.lag_events);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}
