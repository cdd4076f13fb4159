//! The real servers that sinks write to, as `cargo xtask services up` tells of them in the environment: where they are, and
//! how to kill, freeze and start them.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the variables begin with.
pub(crate) const PREFIX: &str = "ONRUSH_SERVICES";

/// The servers of one directory.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    directory: PathBuf,
    xtask: PathBuf,
}

impl Services {
    /// The servers that the environment tells of; `None` without any, unless `ONRUSH_SERVICES=1` demands them.
    pub(crate) fn find() -> Result<Option<Self>> {
        let path = |key: &str| env::var_os(format!("{PREFIX}_{key}")).map(PathBuf::from);
        match (path("DIRECTORY"), path("XTASK")) {
            (Some(directory), Some(xtask)) => Ok(Some(Self { directory, xtask })),
            _ if env::var_os(PREFIX).is_some_and(|demanded| demanded == "1") => {
                bail!("{PREFIX}=1 is set, but not {PREFIX}_DIRECTORY and {PREFIX}_XTASK")
            }
            _ => Ok(None),
        }
    }

    /// Servers of another directory.
    pub(crate) fn at(&self, directory: &Path) -> Self {
        Self { directory: directory.to_owned(), xtask: self.xtask.clone() }
    }

    /// Starts those of these names, until what is returned is dropped or purged.
    pub(crate) fn up(&self, names: &[&str]) -> Result<Up> {
        let up = Up(self.clone());
        self.call(&[&["up"], names].concat())?;
        Ok(up)
    }

    /// A value of `services.env` as of now: process ids change when a server starts again.
    pub(crate) fn value(&self, key: &str) -> Result<String> {
        let path = self.directory.join("services.env");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let values = lines.collect::<BTreeMap<_, _>>();
        let name = format!("{PREFIX}_{key}");
        let value = values.get(name.as_str()).with_context(|| format!("{name} is not in services.env"))?;
        Ok(value.trim_matches('\'').to_owned())
    }

    /// An address of `services.env`, whether it stands alone or in a URL.
    pub(crate) fn address(&self, key: &str) -> Result<SocketAddr> {
        let value = self.value(key)?;
        let after_scheme = value.split_once("://").map_or(value.as_str(), |(_, rest)| rest);
        let after_user = after_scheme.rsplit_once('@').map_or(after_scheme, |(_, rest)| rest);
        let address = after_user.split('/').next().unwrap_or_default();
        address.parse().with_context(|| format!("{PREFIX}_{key} has no address"))
    }

    /// Whether this server was started.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(&format!("{}_PID", name.to_uppercase().replace('-', "_"))).is_ok()
    }

    /// Every password, none of which may ever be shown.
    pub(crate) fn passwords(&self) -> Result<Vec<String>> {
        ["POSTGRES", "REDIS", "RABBITMQ"].iter().map(|kind| self.value(&format!("{kind}_PASSWORD"))).collect()
    }

    /// Ends a server as a power cut would.
    pub(crate) fn kill(&self, name: &str) -> Result<()> {
        self.call(&["kill", name])
    }

    /// Starts a server again on the same port and data, and waits until it answers; one that runs is left alone.
    pub(crate) fn start(&self, name: &str) -> Result<()> {
        self.call(&["start", name])
    }

    /// Lets a server go on that a run left frozen when it was ended from outside.
    pub(crate) fn thaw(&self, name: &str) {
        // What cannot be stopped is gone, and not frozen.
        drop(self.freeze(name).ok());
    }

    /// Stops all processes of a server in their tracks until what is returned is dropped.
    pub(crate) fn freeze(&self, name: &str) -> Result<Frozen> {
        let key = format!("{}_PID", name.to_uppercase().replace('-', "_"));
        let parent = self.value(&key)?.parse::<i32>().context("read a process id")?;
        let mut frozen = Frozen { stopped: Vec::new() };
        for pid in [parent].into_iter().chain(children_of(parent)?) {
            let pid = Pid::from_raw(pid).context("a process id of 0")?;
            if kill_process(pid, Signal::STOP).is_ok() {
                frozen.stopped.push(pid);
            }
        }
        ensure!(!frozen.stopped.is_empty(), "{name} is not there to be frozen");
        Ok(frozen)
    }

    fn call(&self, words: &[&str]) -> Result<()> {
        let output = Command::new(&self.xtask)
            .arg("services")
            .args(words)
            .env(format!("{PREFIX}_DIRECTORY"), &self.directory)
            .output()
            .with_context(|| format!("run {}", self.xtask.display()))?;
        ensure!(
            output.status.success(),
            "services {} ended with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// Servers that run; dropping it stops all of their directory, and leaves their logs and data there.
#[derive(Debug)]
pub(crate) struct Up(Services);

impl Up {
    /// Stops them and removes what they keep, when all went well.
    pub(crate) fn purge(self) -> Result<()> {
        self.0.call(&["down", "--purge"])
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Err(error) = self.0.call(&["down"]) {
            println!("    could not stop the servers: {error:#}");
        }
    }
}

/// A frozen server; dropping it lets the server go on.
#[derive(Debug)]
pub(crate) struct Frozen {
    stopped: Vec<Pid>,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.stopped {
            // Fails only when the process has ended meanwhile.
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

fn children_of(parent: i32) -> Result<Vec<i32>> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    Ok(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}
