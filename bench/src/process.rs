//! Child processes that never outlive the benchmark, and what they cost: processor time, context switches and memory,
//! read from `/proc` as proc(5) describes it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// `USER_HZ`, the unit of processor time in `/proc`: 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What variables that onrush reads begin with. Those around the benchmark are not meant for the servers that it starts.
const SETTINGS_PREFIX: &str = "ONRUSH_";

/// A started server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
    output: PathBuf,
}

/// What a set of processes has used since they started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) context_switch_count: u64,
}

impl Running {
    /// Starts `command` with its output in the file `output`. The kernel sends it `signal_at_parent_death` (a name for
    /// setpriv(1)) when the benchmark dies, however it dies. Call from the main thread: the signal follows the thread.
    pub(crate) fn start(command: &Command, signal_at_parent_death: &str, output: &Path) -> Result<Self> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::create(output).with_context(|| format!("create {}", output.display()))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", signal_at_parent_death, "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(std::env::vars_os().filter(|(key, _)| !key.to_string_lossy().starts_with(SETTINGS_PREFIX)))
            .envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name} under setpriv"))?;
        Ok(Self { child, name, output: output.to_owned() })
    }

    /// Polls `ready` every `interval` until it is true; fails when the process ends or `limit` has passed.
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        interval: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended early ({status}): {}", self.name, self.output_tail());
            }
            if started.elapsed() > limit {
                bail!("{} was not ready after {limit:?}: {}", self.name, self.output_tail());
            }
            std::thread::sleep(interval);
        }
        Ok(())
    }

    /// The process itself. [`Usage::of`] adds its children, which for nginx are the ones that work.
    pub(crate) fn pids(&self) -> Vec<u32> {
        vec![self.child.id()]
    }

    /// SIGTERM, then up to `limit` for an orderly end. A process that has to be killed is an error.
    pub(crate) fn stop(mut self, limit: Duration) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("send SIGTERM")?;
        let started = Instant::now();
        while started.elapsed() < limit {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("{} did not stop within {limit:?} of SIGTERM", self.name)
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("send SIGKILL")?;
        self.child.wait().context("wait for the end")?;
        Ok(())
    }

    fn output_tail(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join(" | ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's workers would outlive a master that is killed, so it gets the chance to stop them.
        for signal in [Signal::TERM, Signal::KILL] {
            for _ in 0..40 {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                let _ = kill_process(Pid::from_child(&self.child), signal);
                std::thread::sleep(Duration::from_millis(25));
            }
        }
    }
}

impl Usage {
    /// Of these processes and all below them. The processor time of children that have ended stays in it, their context
    /// switches do not.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut usage = Self::default();
        for pid in with_descendants(pids) {
            let stat = Stat::of(pid);
            usage.cpu_seconds += stat.map_or(0.0, |stat| stat.own_seconds + stat.waited_children_seconds);
            usage.context_switch_count += context_switch_count(pid);
        }
        usage
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - earlier.cpu_seconds,
            context_switch_count: self.context_switch_count.saturating_sub(earlier.context_switch_count),
        }
    }
}

/// Processor seconds of this process and of the children it has waited for: the load generators.
pub(crate) fn client_cpu_seconds() -> f64 {
    Stat::of(std::process::id()).map_or(0.0, |stat| stat.own_seconds + stat.waited_children_seconds)
}

/// Processor seconds that the whole machine has been busy, whoever used them.
pub(crate) fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|field| fields.get(*field)).sum::<f64>();
    busy / TICKS_PER_SECOND
}

/// Resident memory in bytes, all of it (`VmRSS`).
pub(crate) fn resident_bytes(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status_sum(Path::new(&format!("/proc/{pid}/status")), &["VmRSS:"]) * 1024).sum()
}

/// The most that it ever was (`VmHWM`).
pub(crate) fn most_resident_bytes(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| status_sum(Path::new(&format!("/proc/{pid}/status")), &["VmHWM:"]) * 1024).sum()
}

/// `PATH` and the directory that Debian keeps servers in, which only root's `PATH` has.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

struct Stat {
    parent: u32,
    own_seconds: f64,
    waited_children_seconds: f64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may hold anything, so count from behind it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok());
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            waited_children_seconds: (ticks(16)? + ticks(17)?) / TICKS_PER_SECOND,
        })
    }
}

fn with_descendants(pids: &[u32]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, Stat::of(pid)?.parent))
    });
    let all: Vec<(u32, u32)> = all.collect();
    let mut found = pids.to_vec();
    let mut looked_at = 0;
    while let Some(parent) = found.get(looked_at).copied() {
        found
            .extend(all.iter().filter(|(pid, of)| *of == parent && !pids.contains(pid)).map(|(pid, _)| *pid));
        looked_at += 1;
    }
    found
}

fn context_switch_count(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .map(|task| {
            status_sum(
                &task.path().join("status"),
                &["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"],
            )
        })
        .sum()
}

fn status_sum(path: &Path, keys: &[&str]) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let values = text.lines().filter(|line| keys.iter().any(|key| line.starts_with(key)));
    values.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_and_stopped() {
        let output = std::env::temp_dir().join(format!("onrush-bench-{}", std::process::id()));
        let running = Running::start(Command::new("sleep").arg("30"), "KILL", &output).unwrap();
        assert!(with_descendants(&[std::process::id()]).contains(&running.pids()[0]));
        running.stop(Duration::from_secs(5)).unwrap();
        fs::remove_file(output).unwrap();
    }

    #[test]
    fn own_usage_is_read() {
        let own = [std::process::id()];
        assert!(resident_bytes(&own) > 100_000);
        assert!(Usage::of(&own).context_switch_count > 0);
        assert!(machine_busy_seconds() > 0.0);
    }

    #[test]
    fn an_early_end_is_reported_with_its_output() {
        let output = std::env::temp_dir().join(format!("onrush-bench-early-{}", std::process::id()));
        let mut running =
            Running::start(Command::new("sh").args(["-c", "echo no room; exit 3"]), "KILL", &output).unwrap();
        let error =
            running.wait_until(Duration::from_secs(5), Duration::from_millis(5), || false).unwrap_err();
        assert!(error.to_string().contains("no room"), "{error}");
        fs::remove_file(output).unwrap();
    }
}
