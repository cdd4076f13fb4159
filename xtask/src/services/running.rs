//! Starting, stopping and watching the services of one directory. Whoever changes something holds the lock of the directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::chance::Ports;
use super::home::{Home, remove_if_there, write_private};
use super::lines::Lines;
use super::registry::SERVERS;
use super::server::Server;
use super::{process, waiting};
use crate::steps::{elapsed, now};

/// How long a service may take to end in order before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a service that runs may take to prove that it works before it is started anew.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);

/// The services of one directory.
pub(crate) struct Services {
    directory: PathBuf,
    _lock: Option<File>,
}

/// What became of a service that was to run.
enum Start {
    Started(&'static dyn Server),
    RanAlready,
}

impl Services {
    /// The services of a directory, to look at them.
    pub(crate) fn at(directory: &Path) -> Result<Self> {
        // The services are told their paths, and do not run in the directory that these are relative to.
        let open = || std::fs::create_dir_all(directory).and_then(|()| directory.canonicalize());
        let directory = open().with_context(|| format!("open {}", directory.display()))?;
        Ok(Self { directory, _lock: None })
    }

    /// The services of a directory, to change them: waits until nobody else does. Every change has a deadline.
    pub(crate) fn locked(directory: &Path) -> Result<Self> {
        let services = Self::at(directory)?;
        let lock = File::create(services.directory.join("lock")).context("open the lock of the services")?;
        lock.lock().context("lock the services")?;
        Ok(Self { _lock: Some(lock), ..services })
    }

    /// The file that tells where the services are.
    pub(crate) fn variables_path(&self) -> PathBuf {
        self.directory.join("services.env")
    }

    /// Starts those of the named services that do not work, with those they rest on; all but those of a group if none is named.
    pub(crate) fn up(&self, names: &[String], fresh: bool) -> Result<()> {
        let wanted: Vec<_> = SERVERS.into_iter().filter(|server| is_wanted(*server, names)).collect();
        for server in &wanted {
            self.choose(*server, fresh).with_context(|| format!("{}: choose its place", server.name()))?;
        }
        let firsts = wanted.iter().copied().filter(|server| server.rests_on().is_none());
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let wanted = &wanted;
            let threads: Vec<_> = firsts
                .map(|first| scope.spawn(move || self.bring_up_with_followers(first, wanted)))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no start panics")).collect()
        });
        let (mut started, mut failures) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Ok(Start::Started(server)) => started.push(server),
                Ok(Start::RanAlready) => {}
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        if !failures.is_empty() {
            self.stop_all(&started)?;
        }
        self.write_variables()?;
        ensure!(failures.is_empty(), "{}\nwhat had been started was stopped again", failures.join("\n"));
        Ok(())
    }

    /// Starts one service again, where it was.
    pub(crate) fn start(&self, name: &str) -> Result<()> {
        self.bring_up(named(name))?;
        self.write_variables()
    }

    /// Kills one service with everything it started.
    pub(crate) fn kill(&self, name: &str) -> Result<()> {
        let processes = self.home(named(name)).processes()?;
        ensure!(!processes.is_empty(), "{name} was not started");
        process::kill(&processes).with_context(|| format!("kill {name}"))
    }

    /// Stops all services, and removes everything they keep if `purge`.
    pub(crate) fn down(&self, purge: bool) -> Result<()> {
        self.stop_all(&SERVERS)?;
        remove_if_there(&self.variables_path()).context("remove services.env")?;
        if purge {
            for server in SERVERS {
                self.purge(server)?;
            }
        }
        Ok(())
    }

    /// Prints a line for each service.
    pub(crate) fn status(&self) -> Result<()> {
        for server in SERVERS {
            let home = self.home(server);
            let settings = home.settings()?;
            let process = home.processes()?.into_iter().next();
            let state = match (process, &settings) {
                (Some(process), Some(settings)) if process.is_alive() => {
                    let port = settings.get("PORT")?;
                    match server.probe(&home, settings) {
                        Ok(()) => format!("answers on 127.0.0.1:{port}, process {}", process.pid),
                        Err(error) => format!("DOES NOT ANSWER on 127.0.0.1:{port}: {error:#}"),
                    }
                }
                (Some(_), _) => "ENDED without being stopped".to_owned(),
                (None, Some(_)) => "stopped".to_owned(),
                (None, None) => "never started".to_owned(),
            };
            println!("{:<17} {state}", server.name());
        }
        Ok(())
    }

    fn home(&self, server: &dyn Server) -> Home {
        Home::new(&self.directory, server.name())
    }

    /// Sees to it that the service has settings. They are kept for as long as its data.
    fn choose(&self, server: &dyn Server, fresh: bool) -> Result<()> {
        let home = self.home(server);
        if home.is_alive()? || (home.is_prepared() && !fresh) {
            return Ok(());
        }
        self.purge(server)?;
        std::fs::create_dir_all(&home.directory).context("make its directory")?;
        let settings = server.choose(&home, &mut Ports::besides(self.chosen_ports()?))?;
        home.keep_settings(&settings)
    }

    /// The ports of all services of this directory, whether they run or not.
    fn chosen_ports(&self) -> Result<BTreeSet<u16>> {
        let mut ports = BTreeSet::new();
        for server in SERVERS {
            let settings = self.home(server).settings()?.unwrap_or_default();
            let of_server = settings.iter().filter(|(key, _)| key.ends_with("PORT"));
            ports.extend(of_server.filter_map(|(_, port)| port.parse::<u16>().ok()));
        }
        Ok(ports)
    }

    /// Brings up a service and then those of `wanted` that rest on it, up to the first that fails.
    fn bring_up_with_followers(
        &self,
        first: &'static dyn Server,
        wanted: &[&'static dyn Server],
    ) -> Vec<Result<Start>> {
        let followers = wanted.iter().filter(|server| server.rests_on() == Some(first.name()));
        let mut outcomes = Vec::new();
        for server in std::iter::once(&first).chain(followers) {
            outcomes.push(self.bring_up(*server));
            if outcomes.last().is_some_and(Result::is_err) {
                break;
            }
        }
        outcomes
    }

    /// Returns when the service answers, started unless it ran already; after a failure it does not run.
    fn bring_up(&self, server: &'static dyn Server) -> Result<Start> {
        let (name, home) = (server.name(), self.home(server));
        let settings = home.settings()?.with_context(|| format!("{name} was never up"))?;
        let probe = || server.probe(&home, &settings).ok();
        if home.is_alive()? {
            if waiting::until(PROBE_TIMEOUT, probe).is_some() {
                eprintln!("{name}: answers already");
                return Ok(Start::RanAlready);
            }
            eprintln!("{name}: runs, but does not answer; it is started anew");
        }
        self.stop(server)?;
        let started = now();
        match start_and_wait(server, &home, &settings) {
            Ok(()) => {
                let seconds = elapsed(started).as_secs_f64();
                eprintln!("{name}: answers on 127.0.0.1:{} ({seconds:.1} s)", settings.get("PORT")?);
                Ok(Start::Started(server))
            }
            Err(error) => {
                process::kill(&home.processes()?)?;
                home.forget_processes()?;
                let (log, tail) = (home.log(), home.log_tail());
                bail!("{name} did not start: {error:#}; the end of {}:\n{tail}", log.display())
            }
        }
    }

    /// Stops these services, side by side.
    fn stop_all(&self, servers: &[&dyn Server]) -> Result<()> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = servers.iter().map(|server| scope.spawn(|| self.stop(*server))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no stop panics"))
        })
    }

    fn stop(&self, server: &dyn Server) -> Result<()> {
        let home = self.home(server);
        let processes = home.processes()?;
        process::stop(&processes, server.stop_signal(), STOP_TIMEOUT)
            .with_context(|| format!("stop {}", server.name()))?;
        home.forget_processes()
    }

    /// Stops a service and those that follow its data, and removes everything they keep.
    fn purge(&self, server: &dyn Server) -> Result<()> {
        for follower in SERVERS.into_iter().filter(|one| one.rests_on() == Some(server.name())) {
            self.purge(follower)?;
        }
        self.stop(server)?;
        self.home(server).remove().with_context(|| format!("remove what {} kept", server.name()))
    }

    /// Writes down where the services are that run, and by what program they can be killed and started.
    fn write_variables(&self) -> Result<()> {
        let program = std::env::current_exe().context("find this program")?.display().to_string();
        let mut lines = Lines::default();
        lines.insert("ONRUSH_SERVICES_DIRECTORY", self.directory.display());
        // Linux says so of a program that was built again while it ran.
        lines.insert("ONRUSH_SERVICES_XTASK", program.trim_end_matches(" (deleted)"));
        let mut missing_count = 0;
        for server in SERVERS {
            let home = self.home(server);
            if let Some(process) = home.processes()?.into_iter().next()
                && let Some(settings) = home.settings()?
            {
                for (key, value) in server.variables(&home, &settings, process)? {
                    lines.insert(&format!("ONRUSH_SERVICES_{key}"), value);
                }
            } else if server.group().is_none() {
                missing_count += 1;
            }
        }
        // Tests that read this take a variable that is absent for a failure, and leave themselves out otherwise.
        if missing_count == 0 {
            lines.insert("ONRUSH_SERVICES", 1);
        }
        write_private(&self.variables_path(), &lines.text()?)
    }
}

/// Returns when the service answers; an error if it ends before, or does not answer in time.
fn start_and_wait(server: &dyn Server, home: &Home, settings: &Lines) -> Result<()> {
    let name = server.name();
    if !home.is_prepared() {
        eprintln!("{name}: making its files");
        server.prepare(home, settings)?;
        home.keep_prepared()?;
    }
    eprintln!("{name}: starting");
    let processes = server.launch(home, settings)?;
    home.keep_processes(&processes)?;
    let mut last = None;
    let attempt = || {
        if !processes[0].is_alive() {
            return Some(Err(anyhow::anyhow!("it ended by itself")));
        }
        server.probe(home, settings).map_err(|error| last = Some(error)).ok().map(Ok)
    };
    match waiting::until(server.start_timeout(), attempt) {
        Some(outcome) => outcome,
        None => bail!("no answer in {:?}: {:#}", server.start_timeout(), last.expect("it was probed")),
    }
}

fn named(name: &str) -> &'static dyn Server {
    SERVERS.into_iter().find(|server| server.name() == name).expect("the command line takes only known names")
}

/// Whether a service is named, or its group, or one that rests on it. If nothing is named, all are wanted that are in no group.
fn is_wanted(server: &dyn Server, names: &[String]) -> bool {
    let followers = SERVERS.into_iter().filter(|one| one.rests_on() == Some(server.name()));
    let mut concerned =
        std::iter::once(server.name()).chain(server.group()).chain(followers.map(Server::name));
    match names {
        [] => server.group().is_none(),
        names => concerned.any(|one| names.iter().any(|name| name == one)),
    }
}
