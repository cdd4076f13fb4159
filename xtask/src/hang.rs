//! Ends what hangs: a command that says nothing for too long loses everything that it started, so that it can tell what
//! failed and go on.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than the slowest test and the slowest crate take, which say nothing meanwhile.
pub(crate) const SILENCE_MAX: Duration = Duration::from_mins(10);

/// Watches one command.
pub(crate) struct Watchdog {
    lines: SyncSender<()>,
    watching: JoinHandle<()>,
}

impl Watchdog {
    /// Kills all descendants of process `id`, but not itself, whenever it has said nothing for `silence_max`.
    pub(crate) fn start(id: u32, silence_max: Duration) -> Self {
        let (lines, seen) = sync_channel(1);
        Self { lines, watching: std::thread::spawn(move || watch(id, silence_max, &seen)) }
    }

    /// The command said something.
    pub(crate) fn line_seen(&self) {
        // If the last line is not taken yet, this one changes nothing.
        let _ = self.lines.try_send(());
    }

    /// The command has ended.
    pub(crate) fn stop(self) {
        drop(self.lines);
        let _ = self.watching.join();
    }
}

fn watch(id: u32, silence_max: Duration, seen: &Receiver<()>) {
    loop {
        match seen.recv_timeout(silence_max) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => match kill_descendants(id) {
                Ok(killed) => {
                    eprintln!(
                        "HANGS: no output for {} s; killed {}",
                        silence_max.as_secs(),
                        killed.join(", ")
                    );
                }
                Err(error) => eprintln!("HANGS: no output for {} s; {error:#}", silence_max.as_secs()),
            },
        }
    }
}

/// Kills them, parents first, and returns their names.
fn kill_descendants(id: u32) -> Result<Vec<String>> {
    let mut children: HashMap<u32, Vec<(u32, String)>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").context("list the processes")? {
        let name = entry.context("list the processes")?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has just ended has no file.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        if let Some((parent, command)) = parent_and_command(&stat) {
            children.entry(parent).or_default().push((process, command.to_owned()));
        }
    }
    let mut parents = vec![id];
    let mut killed = Vec::new();
    while let Some(parent) = parents.pop() {
        for (process, command) in children.remove(&parent).unwrap_or_default() {
            parents.push(process);
            if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
                // One that ended meanwhile hangs no longer.
                let _ = kill_process(pid, Signal::KILL);
                killed.push(format!("{command} ({process})"));
            }
        }
    }
    Ok(killed)
}

/// proc(5): the second field is the command in parentheses, which may hold any character; the fourth is the parent.
fn parent_and_command(stat: &str) -> Option<(u32, &str)> {
    let (front, rest) = stat.rsplit_once(')')?;
    let (_, command) = front.split_once('(')?;
    Some((rest.split_whitespace().nth(1)?.parse().ok()?, command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    #[test]
    fn parents_are_found_behind_any_command() {
        assert_eq!(parent_and_command("12 (a) b (c)) S 7 12 12 0"), Some((7, "a) b (c)")));
        assert_eq!(parent_and_command("12"), None);
    }

    #[test]
    fn what_hangs_is_killed_and_its_parent_goes_on() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "(sleep 1000; true) & sleep 1000; wait; echo went on"]);
        let mut shell = shell.stdout(Stdio::piped()).spawn().expect("start a shell");
        let watchdog = Watchdog::start(shell.id(), Duration::from_millis(200));
        let mut said = String::new();
        shell.stdout.take().expect("a pipe").read_to_string(&mut said).expect("read");
        watchdog.stop();
        assert!(shell.wait().expect("wait").success());
        assert_eq!(said, "went on\n");
    }
}
