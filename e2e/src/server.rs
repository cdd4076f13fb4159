//! The real binary as a child process: started on a data directory, waited for until it is ready, killed, asked to stop,
//! and watched from outside.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{self, request};
use crate::random::Random;
use crate::services;

/// How long a start (recovery included) or a stop may take before a run says that the server hangs.
const HANG_TIMEOUT: Duration = Duration::from_mins(1);

/// Ports to listen on lie below the range from which Linux takes the ports of outgoing connections.
const PORTS: (u64, u64) = (10_000, 32_000);

/// How to start a server; the same launch starts it again on the same addresses and directory.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program.
    pub onrush_bin: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// Where its output goes, appended.
    pub output: PathBuf,
    /// The public listener.
    pub public: SocketAddr,
    /// The operator listener.
    pub operator: SocketAddr,
    arguments: Vec<String>,
    /// Settings by environment.
    pub environment: Vec<(String, String)>,
}

impl Launch {
    /// A launch with everything under `directory` and two free ports.
    pub(crate) fn new(onrush_bin: &Path, directory: &Path, random: &mut Random) -> Result<Self> {
        let public = free_address(random)?;
        let operator = loop {
            let address = free_address(random)?;
            if address != public {
                break address;
            }
        };
        Ok(Self {
            onrush_bin: onrush_bin.to_owned(),
            data: directory.join("data"),
            output: directory.join("server.log"),
            public,
            operator,
            arguments: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// Adds settings by environment; those that are there already win.
    #[must_use]
    pub(crate) fn with(mut self, settings: &[(&str, &str)]) -> Self {
        let added = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.environment = added.chain(self.environment).collect();
        self
    }

    /// Adds arguments of `serve`.
    #[must_use]
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Starts the process and returns when `/readyz` answers 200.
    pub(crate) fn start(&self) -> Result<Server> {
        self.start_until(|status| status == 200)
    }

    /// Starts one of several nodes and returns when `/readyz` answers, whether it leads or not.
    pub(crate) fn start_following(&self) -> Result<Server> {
        self.start_until(|_| true)
    }

    fn start_until(&self, is_enough: fn(u16) -> bool) -> Result<Server> {
        let mut server = Server { child: self.spawn()?, launch: self.clone() };
        let started = Instant::now();
        loop {
            if let Some(status) = server.child.try_wait().context("look at the server")? {
                bail!("the server ended at start with {status}; its last output:\n{}", self.output_tail());
            }
            if http::once(self.public, &request("GET", "/readyz")).is_ok_and(|ready| is_enough(ready.status))
            {
                return Ok(server);
            }
            ensure!(
                started.elapsed() < HANG_TIMEOUT,
                "the server was not ready after {HANG_TIMEOUT:?}; its last output:\n{}",
                self.output_tail()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts the process without waiting for it to be ready.
    pub(crate) fn spawn(&self) -> Result<Child> {
        let output =
            File::options().create(true).append(true).open(&self.output).context("open server output")?;
        self.command()
            .arg("serve")
            .args(["--listen", &self.public.to_string(), "--operator-listen", &self.operator.to_string()])
            .arg("--data")
            .arg(&self.data)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share server output")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", self.onrush_bin.display()))
    }

    /// The program with the settings of this launch, and none of the variables that tell of the servers of a run.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.onrush_bin);
        for (variable, _) in env::vars_os() {
            if variable.to_string_lossy().starts_with(services::PREFIX) {
                command.env_remove(variable);
            }
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Runs `onrush log verify` on the data directory, which must find it sound.
    pub(crate) fn verify_log(&self) -> Result<()> {
        let Output { status, stdout, stderr } =
            self.command().args(["log", "verify"]).arg(&self.data).output().context("run log verify")?;
        ensure!(
            status.success(),
            "log verify ended with {status}:\n{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
        Ok(())
    }

    /// The last lines that the server wrote.
    pub(crate) fn output_tail(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines = text.lines().collect::<Vec<_>>();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// A running server; dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    launch: Launch,
}

impl Server {
    /// The public listener.
    pub(crate) fn public(&self) -> SocketAddr {
        self.launch.public
    }

    /// The operator listener.
    pub(crate) fn operator(&self) -> SocketAddr {
        self.launch.operator
    }

    /// Ends the process as a power cut would: SIGKILL, nothing is flushed.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill().context("kill the server")?;
        self.child.wait().context("wait for the killed server")?;
        Ok(())
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("signal the server")
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        wait_for(&mut self.child)
    }

    /// Asks the process to stop and expects exit status 0.
    pub(crate) fn stop(mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        let status = self.wait()?;
        ensure!(
            status.success(),
            "after {signal:?} the server ended with {status}; its last output:\n{}",
            self.launch.output_tail()
        );
        Ok(())
    }

    /// The value of a metric, its name given with its labels.
    pub(crate) fn metric(&self, name: &str) -> Result<String> {
        let page = http::once(self.operator(), &request("GET", "/metrics"))?;
        let text = String::from_utf8_lossy(&page.body);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {name} in /metrics"))?.to_owned())
    }

    /// Resident memory in bytes, from `/proc`.
    pub(crate) fn memory_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS line")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("read VmRSS")?;
        Ok(kibibytes * 1024)
    }

    /// Open file descriptors, from `/proc`.
    pub(crate) fn descriptor_count(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.child.id());
        Ok(fs::read_dir(&path).with_context(|| format!("list {path}"))?.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process to end; one that hangs is killed and is an error.
pub(crate) fn wait_for(child: &mut Child) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("look at the process")? {
            return Ok(status);
        }
        if started.elapsed() > HANG_TIMEOUT {
            child.kill().context("kill a hanging process")?;
            child.wait().context("wait for a killed process")?;
            bail!("the process had not ended after {HANG_TIMEOUT:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn free_address(random: &mut Random) -> Result<SocketAddr> {
    for _ in 0..200 {
        let port = u16::try_from(random.between(PORTS.0, PORTS.1)).context("a port fits u16")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("found no free port between {} and {}", PORTS.0, PORTS.1)
}
