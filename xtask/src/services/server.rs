//! What every service can do, whatever program it is.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::chance::Ports;
use super::home::Home;
use super::lines::Lines;
use super::process::Process;

/// A program that can be had from a package and run as a service.
///
/// The calls come in this order: `choose` once; `prepare` before the first start; `launch` at every start; `probe` until it
/// succeeds. `settings` is always what `choose` returned, and every path that a method makes lies in `home` or in the
/// settings' `DATA`.
pub(crate) trait Server: Sync {
    /// One of [`super::registry::NAMES`].
    fn name(&self) -> &'static str;

    /// The programs it is made of.
    fn programs(&self) -> &'static [&'static str];

    /// The service that must answer before this one is prepared, and whose data this one follows.
    fn rests_on(&self) -> Option<&'static str> {
        None
    }

    /// The name of several services that are of use only together. Such are started only if they are named.
    fn group(&self) -> Option<&'static str> {
        None
    }

    /// Chooses ports (keys that end in `PORT`), passwords and directories. `home` exists and is empty.
    fn choose(&self, home: &Home, ports: &mut Ports) -> Result<Lines>;

    /// Makes the data directory.
    fn prepare(&self, home: &Home, settings: &Lines) -> Result<()>;

    /// Starts the processes, the one that does the work first.
    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>>;

    /// An error if the service does not do its work at this moment. Takes at most a few seconds.
    fn probe(&self, home: &Home, settings: &Lines) -> Result<()>;

    /// What asks the service to end in order.
    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }

    /// The longest time from a start to the first answer on a machine with other things to do.
    fn start_timeout(&self) -> Duration {
        Duration::from_mins(3)
    }

    /// The variables that tell a test where the service is and how to get in, without their prefix.
    fn variables(
        &self,
        home: &Home,
        settings: &Lines,
        process: Process,
    ) -> Result<Vec<(&'static str, String)>>;
}
