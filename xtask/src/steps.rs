//! Runs the steps of a task one after the other, says how far it is, and sums up at the end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::hang::{SILENCE_MAX, Watchdog};

/// What became of every step so far.
pub(crate) struct Steps {
    started: Instant,
    outcomes: Vec<(String, Outcome)>,
}

/// A step that goes on beside others.
pub(crate) struct Beside<T> {
    name: String,
    started: Instant,
    work: JoinHandle<Result<T>>,
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
        self.say(name);
        let started = now();
        let result = step();
        self.keep(name.to_owned(), started, result).is_some()
    }

    /// Begins a step that mostly waits, so that others can use the processors meanwhile. It ends with [`Steps::wait_for`].
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        name: &str,
        step: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Beside<T> {
        self.say(name);
        Beside { name: name.to_owned(), started: now(), work: std::thread::spawn(step) }
    }

    /// Waits for a step that was begun; what it gave, if it succeeded.
    pub(crate) fn wait_for<T>(&mut self, step: Beside<T>) -> Option<T> {
        let result = step.work.join().unwrap_or_else(|_| bail!("it panicked"));
        self.keep(step.name, step.started, result)
    }

    fn say(&self, name: &str) {
        eprintln!("\n[{:>6.1} s] {name}", elapsed(self.started).as_secs_f64());
    }

    fn keep<T>(&mut self, name: String, started: Instant, result: Result<T>) -> Option<T> {
        let took = elapsed(started);
        let (outcome, given) = match result {
            Ok(given) => (Outcome::Passed(took), Some(given)),
            Err(error) => {
                eprintln!("FAILED: {name}: {error:#}");
                (Outcome::Failed(took, format!("{error:#}")), None)
            }
        };
        self.outcomes.push((name, outcome));
        given
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

/// The same command behind everything else that needs the processors, in the root of the workspace.
pub(crate) fn at_lowest_priority(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args()).current_dir(root());
    nice
}

/// Runs a command to its end; an error if it could not start or did not succeed.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    succeeded(command, status)
}

/// Like [`execute`], with every line of the output given to `seen` as it comes. What the command started is killed if nothing
/// comes for [`SILENCE_MAX`].
pub(crate) fn execute_seeing(command: &mut Command, mut seen: impl FnMut(&str)) -> Result<()> {
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
        seen(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    let status = child.wait().context("wait for the command")?;
    watchdog.stop();
    succeeded(command, status)
}

/// Whether a command can be started and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_was_begun_counts_when_it_is_waited_for() {
        let mut steps = Steps::new();
        let given = steps.begin("gives", || Ok(7));
        let failing = steps.begin("fails", || -> Result<()> { bail!("as this test wants it") });
        assert!(steps.run("between", || Ok(())));
        assert_eq!(steps.wait_for(given), Some(7));
        assert_eq!(steps.wait_for(failing), None);
        let summary = steps.sum_up().unwrap_err().to_string();
        assert_eq!(summary, "1 of 3 steps failed");
    }

    #[test]
    fn every_line_of_both_outputs_is_seen_before_the_end() {
        let mut lines = Vec::new();
        let mut shell = Command::new("sh");
        let result =
            execute_seeing(shell.args(["-c", "echo one; echo two >&2; printf three; exit 3"]), |line| {
                lines.push(line.to_owned());
            });
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(result.unwrap_err().to_string().contains("exit status: 3"));
    }
}
