//! Several nodes over one shared log, stepped through schedules of every kind of trouble. The log is in memory; the nodes have the
//! rules of the core and what `onrush_log::shared` has for them. There is no thread, clock or chance in a run but its seed.

mod action;
mod bug;
mod choices;
mod figures;
mod history;
mod node;
mod question;
mod run;
mod seat;
#[cfg(test)]
mod tests;
mod trace;
mod truth;
mod world;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use onrush_node::Stopwatch;

use bug::Bug;
use figures::Figures;
use run::Finding;

/// Seeds that a thread takes at once.
const SEEDS_PER_TURN: u64 = 256;
/// How often a long run says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Step several nodes over one shared log through schedules, and check what clients were told
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct CommandLine {
    /// Seed of the first schedule; each further one has the next seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many schedules
    #[arg(long, default_value_t = 1)]
    schedules: u64,
    /// Threads that run schedules
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Instead of schedules by chance, all that depart from the smooth way so many times at most, in a small world
    #[arg(long, value_name = "COUNT")]
    departures: Option<usize>,
    /// With --departures: within how many steps
    #[arg(long, default_value_t = 24)]
    steps: usize,
    /// Plant a mistake, which should be found
    #[arg(long, value_enum)]
    bug: Option<Bug>,
    /// Tell what happened in a schedule in which nothing was found
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    // A broken promise is a panic, which is caught and told with what led to it.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments = CommandLine::parse();
    let progress = Progress::begin();
    let found = match arguments.departures {
        Some(departures) => {
            run::run_all(departures, arguments.steps, arguments.bug, |figures| progress.add(figures))
                .map_err(|finding| ("a schedule with few departures".to_owned(), finding))
        }
        None => by_chance(&arguments, &progress)
            .map_err(|(seed, finding)| (format!("the schedule of --seed {seed}"), finding)),
    };
    progress.tell();
    match found {
        Ok(()) => ExitCode::SUCCESS,
        Err((which, Finding { problem, step_count, trace })) => {
            for line in trace {
                println!("{line}");
            }
            println!("\n{which} breaks a promise when the trouble ends after {step_count} steps:\n{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the schedules. What is found in that of the lowest seed, of those that were run.
fn by_chance(arguments: &CommandLine, progress: &Progress) -> Result<(), (u64, Finding)> {
    let CommandLine { seed, schedules, bug, trace, .. } = *arguments;
    let end = seed.saturating_add(schedules);
    let next = AtomicU64::new(seed);
    let is_over = AtomicBool::new(false);
    let found: Mutex<Option<(u64, Finding)>> = Mutex::new(None);
    let run = || {
        while !is_over.load(Ordering::Relaxed) {
            let first = next.fetch_add(SEEDS_PER_TURN, Ordering::Relaxed);
            for seed in first..first.saturating_add(SEEDS_PER_TURN).min(end) {
                match run::run_seed(seed, bug) {
                    Ok(figures) => progress.add(&figures),
                    Err(finding) => {
                        is_over.store(true, Ordering::Relaxed);
                        let mut found = found.lock().expect("nobody panics with it");
                        if found.as_ref().is_none_or(|(other, _)| seed < *other) {
                            *found = Some((seed, finding));
                        }
                        return;
                    }
                }
            }
            if first >= end {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..arguments.threads {
            scope.spawn(run);
        }
        run();
    });
    if trace {
        for line in run::trace_of_seed(seed, bug) {
            println!("{line}");
        }
    }
    found.into_inner().expect("nobody panics with it").map_or(Ok(()), Err)
}

/// How far a run is.
struct Progress {
    stopwatch: Stopwatch,
    so_far: Mutex<SoFar>,
}

struct SoFar {
    run_count: u64,
    figures: Figures,
    told_at: Duration,
}

impl Progress {
    fn begin() -> Self {
        let so_far = SoFar { run_count: 0, figures: Figures::default(), told_at: Duration::ZERO };
        Self { stopwatch: Stopwatch::start(), so_far: Mutex::new(so_far) }
    }

    fn add(&self, figures: &Figures) {
        let mut so_far = self.so_far.lock().expect("nobody panics with it");
        so_far.run_count += 1;
        so_far.figures += *figures;
        if so_far.run_count.is_multiple_of(SEEDS_PER_TURN)
            && self.stopwatch.elapsed() >= so_far.told_at + PROGRESS_INTERVAL
        {
            so_far.told_at = self.stopwatch.elapsed();
            drop(so_far);
            self.tell();
        }
    }

    fn tell(&self) {
        let so_far = self.so_far.lock().expect("nobody panics with it");
        let took = self.stopwatch.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = so_far.run_count as f64 / took;
        eprintln!(
            "{} schedules without a finding in {took:.1} s, {rate:.0} a second; {}",
            so_far.run_count, so_far.figures
        );
    }
}
