//! What signals mean to a server: SIGTERM and SIGINT drain it, SIGHUP has the settings read again, and others that would end
//! a process are ignored.

use anyhow::Context;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Signals that end a process that does not expect them, and mean nothing to this one. The last one comes when a limit on the
/// size of files is reached: then the write fails as well, as on a full disk.
const IGNORED: [Number; 8] = [
    Number::USR1,
    Number::USR2,
    Number::ALARM,
    Number::VTALARM,
    Number::PROF,
    Number::IO,
    Number::POWER,
    Number::XFSZ,
];

/// What an operator wants.
pub(crate) enum Order {
    Stop,
    ReadSettings,
}

/// SIGHUP. Listened to from the beginning, because recovery can take long.
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Needs the event loop. From now on only signals that mean to end the process do.
    pub(crate) fn listen() -> Result<Self, Failure> {
        for number in IGNORED {
            // Once listened to, a signal never ends the process again, whether or not anybody still listens.
            drop(signal(SignalKind::from_raw(number.as_raw())).context("ignore signals")?);
        }
        Ok(Self(signal(SignalKind::hangup()).context("listen for signals")?))
    }
}

/// All signals that mean something.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on SIGTERM and SIGINT are orders.
    pub(crate) fn listen(hangups: Hangups) -> Result<Self, Failure> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: hangups.0,
        })
    }

    /// Waits for the next order.
    pub(crate) async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hangup.recv() => Order::ReadSettings,
        }
    }

    /// Waits until somebody wants it to stop; everything else comes too late.
    pub(crate) async fn stop(&mut self) {
        while !matches!(self.next().await, Order::Stop) {}
    }
}
