//! Processes that outlive this one: started in a session of their own, remembered by their id and the time of their start, so
//! that an id that another process has got since is never signalled, and ended with everything they started.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::waiting;

/// How long a process that was killed may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(20);

/// One process, for ever: no other has both the same id and the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Clock ticks after the start of the machine.
    started: u64,
}

/// What `/proc/PID/stat` tells, as far as it is needed; proc(5) numbers the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    process: Process,
    parent: i32,
    state: char,
}

impl Stat {
    fn is_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

impl Process {
    /// Reads what [`Process::line`] wrote.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let (pid, started) = line.split_once(' ').context("a record of a process is not two numbers")?;
        Ok(Self {
            pid: pid.parse().context("read the id of a process")?,
            started: started.parse().context("read the start of a process")?,
        })
    }

    pub(crate) fn line(self) -> String {
        format!("{} {}\n", self.pid, self.started)
    }

    /// Whether it still runs. One that ended and that nobody has waited for does not.
    pub(crate) fn is_alive(self) -> bool {
        read_stat(self.pid).is_some_and(|stat| stat.process == self && !stat.is_ended())
    }

    fn signal(self, signal: Signal) {
        if self.is_alive() {
            let pid = Pid::from_raw(self.pid).expect("a process that was seen has an id above zero");
            // It may have ended by itself in between, which is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }

    /// The processes that it started, those that they started, and so on.
    fn descendants(self) -> Vec<Self> {
        let all: Vec<Stat> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(read_stat)
            .collect();
        let mut found = vec![self];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(all.iter().filter(|stat| stat.parent == parent.pid).map(|stat| stat.process));
            next += 1;
        }
        found.split_off(1)
    }
}

/// Whether a process has ended and nobody has waited for it yet.
pub(crate) fn is_unwaited(pid: i32) -> bool {
    read_stat(pid).is_some_and(Stat::is_ended)
}

/// Asks the processes to end by `signal`, and kills them and what they started if they have not ended after `timeout`.
pub(crate) fn stop(processes: &[Process], signal: Signal, timeout: Duration) -> Result<()> {
    let descendants: Vec<_> = processes.iter().flat_map(|process| process.descendants()).collect();
    for process in processes {
        process.signal(signal);
    }
    let all_gone = || processes.iter().chain(&descendants).all(|process| !process.is_alive()).then_some(());
    if waiting::until(timeout, all_gone).is_some() {
        return Ok(());
    }
    kill(&[processes, &descendants].concat())
}

/// Kills the processes and everything they started, and returns when all are gone.
pub(crate) fn kill(processes: &[Process]) -> Result<()> {
    let descendants: Vec<_> = processes.iter().flat_map(|process| process.descendants()).collect();
    let all = [processes, &descendants].concat();
    let all_gone = || {
        for process in &all {
            process.signal(Signal::KILL);
        }
        all.iter().all(|process| !process.is_alive()).then_some(())
    };
    if waiting::until(KILL_TIMEOUT, all_gone).is_none() {
        bail!("killed processes were not gone after {KILL_TIMEOUT:?}");
    }
    Ok(())
}

/// A command that will run `program` as the leader of a session of its own and, if a user is given, as that user. Its
/// arguments and variables are for the caller to add.
pub(crate) fn detached(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setsid");
    become_user(&mut command, user);
    command.arg(program).stdin(Stdio::null());
    command
}

/// Like [`detached`], for a program that is waited for.
pub(crate) fn attached(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("env");
    become_user(&mut command, user);
    command.arg(program).stdin(Stdio::null());
    command
}

/// `setpriv` becomes the program it starts, where `runuser` would stay between.
fn become_user(command: &mut Command, user: Option<&str>) {
    if let Some(user) = user {
        // The directory this program runs in may be closed to the user.
        command.current_dir("/");
        command.args(["setpriv", "--init-groups"]);
        command.args([format!("--reuid={user}"), format!("--regid={user}")]);
    }
}

/// Starts a command of [`detached`], its output appended to `log`.
pub(crate) fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
    let output = append(log)?;
    command.stdout(output.try_clone().context("share the log")?).stderr(output);
    let child = command.spawn().context("start a service")?;
    let pid = i32::try_from(child.id()).context("read the id of a process")?;
    // Nobody has waited for it, so even if it has ended already it is still listed.
    read_stat(pid).map(|stat| stat.process).with_context(|| format!("read /proc/{pid}/stat"))
}

/// Runs a command to its end, its output appended to `log`.
pub(crate) fn run_logged(command: &mut Command, what: &str, log: &Path) -> Result<()> {
    let output = append(log)?;
    command.stdout(output.try_clone().context("share the log")?).stderr(output);
    let status = command.status().with_context(|| what.to_owned())?;
    if !status.success() {
        bail!("{what}: it ended with {status}");
    }
    Ok(())
}

fn append(log: &Path) -> Result<File> {
    File::options().create(true).append(true).open(log).with_context(|| format!("open {}", log.display()))
}

fn read_stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of the program stands between brackets and may hold any character, brackets and spaces too.
fn parse_stat(text: &str) -> Option<Stat> {
    let pid = text.split(' ').next()?.parse().ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    let parent = fields.get(1)?.parse().ok()?;
    let started = fields.get(19)?.parse().ok()?;
    Some(Stat { process: Process { pid, started }, parent, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_writing_and_reading() {
        let process = Process { pid: 4_194_304, started: u64::MAX };
        assert_eq!(process.line(), "4194304 18446744073709551615\n");
        assert_eq!(Process::parse(process.line().trim_end()).expect("read what was written"), process);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        for line in ["", "12", "12 ", "x 1", "1 x", "99999999999 1", "1 2 3"] {
            assert!(Process::parse(line).is_err(), "{line:?} was read");
        }
    }

    #[test]
    fn the_fields_of_a_process_are_found_behind_any_name() {
        for name in ["redis-server", "a) b (c", ""] {
            let text = format!("77 ({name}) S 5 77 77 0 -1 0 1 2 3 4 5 6 7 8 20 0 9 0 4242 1 2\n");
            let stat = Stat { process: Process { pid: 77, started: 4242 }, parent: 5, state: 'S' };
            assert_eq!(parse_stat(&text), Some(stat), "{name:?}");
        }
        for text in ["", "77", "77 (x) S 5 6", "x (x) S 5 77 77 0 -1 0 1 2 3 4 5 6 7 8 20 0 9 0 4242"] {
            assert_eq!(parse_stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_the_very_process_is_alive() {
        let own = i32::try_from(std::process::id()).expect("ids are small");
        let this = read_stat(own).expect("this process is listed").process;
        assert!(this.is_alive());
        assert!(!Process { started: this.started + 1, ..this }.is_alive());
    }

    #[test]
    fn killing_reaches_what_the_process_started() {
        let mut shell = Command::new("setsid");
        // The second sleep is the leader of another session, as the processes of PostgreSQL are.
        shell.args(["sh", "-c", "sleep 600 & setsid sleep 600 & wait"]);
        let shell = spawn(&mut shell, Path::new("/dev/null")).expect("start a shell");
        let asleep = || {
            let started = shell.descendants();
            (started.len() == 2).then_some(started)
        };
        let started = waiting::until(KILL_TIMEOUT, asleep).expect("the shell starts two processes");
        kill(&[shell]).expect("kill the shell");
        assert!(!shell.is_alive());
        assert_eq!(started.iter().filter(|process| process.is_alive()).count(), 0);
    }
}
