//! Runs the steps of a task one after the other, says how far it is, and sums up at the end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::hang::{SILENCE_MAX, Watchdog};

/// What became of every step so far.
pub(crate) struct Steps {
    started: Instant,
    outcomes: Vec<(String, Outcome)>,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration, String),
    Skipped(String),
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: now(), outcomes: Vec::new() }
    }

    /// Runs one step. A failure is kept for the summary and the next step runs all the same, so that one run tells
    /// everything that is wrong.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        eprintln!("\n[{:>6.1} s] {name}", elapsed(self.started).as_secs_f64());
        let step_started = now();
        let result = step();
        let took = elapsed(step_started);
        let passed = result.is_ok();
        let outcome = match result {
            Ok(()) => Outcome::Passed(took),
            Err(error) => {
                eprintln!("FAILED: {error:#}");
                Outcome::Failed(took, format!("{error:#}"))
            }
        };
        self.outcomes.push((name.to_owned(), outcome));
        passed
    }

    /// Leaves a step out, loudly.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        eprintln!("\n[{:>6.1} s] SKIPPED {name}: {reason}", elapsed(self.started).as_secs_f64());
        self.outcomes.push((name.to_owned(), Outcome::Skipped(reason.to_owned())));
    }

    /// Prints what became of every step; an error if one failed.
    pub(crate) fn sum_up(self) -> Result<()> {
        println!("\nsummary, {:.1} s in all", elapsed(self.started).as_secs_f64());
        let mut failed_count = 0;
        for (name, outcome) in &self.outcomes {
            match outcome {
                Outcome::Passed(took) => println!("  passed   {:>6.1} s  {name}", took.as_secs_f64()),
                Outcome::Skipped(reason) => println!("  SKIPPED            {name}: {reason}"),
                Outcome::Failed(took, reason) => {
                    failed_count += 1;
                    println!("  FAILED   {:>6.1} s  {name}: {reason}", took.as_secs_f64());
                }
            }
        }
        if failed_count > 0 {
            bail!("{failed_count} of {} steps failed", self.outcomes.len());
        }
        Ok(())
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// The cargo that runs this task, in the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// Runs a command to its end; an error if it could not start or did not succeed.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    succeeded(command, status)
}

/// Like [`execute`], showing the output as it comes and keeping the lines that `keep` wants. What the command started is
/// killed if nothing comes for [`SILENCE_MAX`].
pub(crate) fn execute_keeping(
    command: &mut Command,
    keep: impl Fn(&str) -> bool,
) -> (Vec<String>, Result<()>) {
    let mut kept = Vec::new();
    let result = follow(command, |line| {
        if keep(line) {
            kept.push(line.to_owned());
        }
    });
    (kept, result)
}

/// Whether a command can be started and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn follow(command: &mut Command, mut line_seen: impl FnMut(&str)) -> Result<()> {
    // One pipe for both outputs keeps their lines in the order in which they were written.
    let (output, input) = std::io::pipe().context("open a pipe")?;
    command.stdout(input.try_clone().context("open a pipe")?).stderr(input);
    let mut child = command.spawn().with_context(|| format!("start {}", shown(command)))?;
    // The command keeps its ends of the pipe until they are replaced; while it does, the reader sees no end.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let watchdog = Watchdog::start(child.id(), SILENCE_MAX);
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("read the output")? > 0 {
        watchdog.line_seen();
        std::io::stdout().write_all(&line).context("write to standard output")?;
        line_seen(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    let status = child.wait().context("wait for the command")?;
    watchdog.stop();
    succeeded(command, status)
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[allow(
    clippy::disallowed_methods,
    reason = "progress and timeouts are measured in wall time, and no test depends on it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[allow(
    clippy::disallowed_methods,
    reason = "progress and timeouts are measured in wall time, and no test depends on it"
)]
pub(crate) fn elapsed(since: Instant) -> Duration {
    since.elapsed()
}
