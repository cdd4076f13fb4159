//! Waiting for other processes, never for ever: for a condition that can only be asked for over and over, and on a connection.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::steps::{elapsed, now};

/// How long to pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest wait for a connection, and for one read or write on it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// Attempts until there is a result, at least once; `None` if there was none within `limit`.
#[allow(clippy::disallowed_methods, reason = "a pause between two looks at another process, with a deadline")]
pub(crate) fn until<T>(limit: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let started = now();
    loop {
        if let Some(result) = attempt() {
            return Some(result);
        }
        if elapsed(started) >= limit {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// A connection to a port of the loopback interface on which no read and no write waits for long.
pub(crate) fn connect(port: &str) -> Result<TcpStream> {
    let port: u16 = port.parse().context("read the number of the port")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, CONNECTION_TIMEOUT).context("connect")?;
    stream.set_read_timeout(Some(CONNECTION_TIMEOUT)).context("limit the wait of a read")?;
    stream.set_write_timeout(Some(CONNECTION_TIMEOUT)).context("limit the wait of a write")?;
    Ok(stream)
}
