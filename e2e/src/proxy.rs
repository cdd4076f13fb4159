//! A TCP proxy between the server and a target that does to the connection what networks do: cut it in the middle, swallow
//! answers, be slow.

use anyhow::{Context as _, Result};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a quiet connection looks whether it has been cut.
const TICK: Duration = Duration::from_millis(20);

/// Bytes that are carried at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What the proxy does to all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Carries everything.
    Pass,
    /// Cuts all connections after so many more bytes to the target, then passes.
    CutTo(u64),
    /// Cuts all connections after so many more bytes from the target, then passes.
    CutFrom(u64),
    /// Carries what goes to the target, and loses what it answers.
    Swallow,
    /// Carries so many bytes in a twentieth of a second.
    Slow(usize),
    /// Closes every connection at once.
    Refuse,
}

/// A running proxy; dropping it closes all its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    mode: Mutex<Mode>,
    connections: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    To,
    From,
}

impl Proxy {
    /// Starts a proxy on a free port.
    pub(crate) fn start(target: SocketAddr) -> Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), target)
    }

    /// Starts a proxy on a given port.
    pub(crate) fn start_on(address: SocketAddr, target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr().context("ask for the proxy's port")?;
        listener.set_nonblocking(true).context("set up the proxy")?;
        let shared = Arc::new(Shared {
            target,
            mode: Mutex::new(Mode::Pass),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { address, shared })
    }

    /// Changes what is done, to open connections too.
    pub(crate) fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
        if mode == Mode::Refuse {
            self.cut();
        }
    }

    /// Cuts all connections that are open now.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while !self.ended.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((client, _)) => self.connect(client),
                Err(_) => thread::sleep(TICK),
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        if *lock(&self.mode) == Mode::Refuse {
            return;
        }
        let Ok(server) = TcpStream::connect_timeout(&self.target, Duration::from_secs(5)) else { return };
        for stream in [&client, &server] {
            let prepared = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_nodelay(true))
                .and_then(|()| stream.set_read_timeout(Some(TICK)))
                .and_then(|()| stream.try_clone());
            let Ok(kept) = prepared else { return };
            let mut connections = lock(&self.connections);
            connections.retain(|stream| stream.peer_addr().is_ok());
            connections.push(kept);
        }
        let (Ok(client_half), Ok(server_half)) = (client.try_clone(), server.try_clone()) else { return };
        for (direction, from, to) in
            [(Direction::To, client, server_half), (Direction::From, server, client_half)]
        {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(direction, from, to));
        }
    }

    /// Carries one direction until either side ends.
    fn carry(&self, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = vec![0_u8; CHUNK_BYTES];
        loop {
            let mode = *lock(&self.mode);
            let length_max =
                if let Mode::Slow(bytes) = mode { bytes.clamp(1, CHUNK_BYTES) } else { CHUNK_BYTES };
            let length = match from.read(&mut chunk[..length_max]) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            let (carried, cut) = self.admit(direction, length);
            if to.write_all(&chunk[..carried]).is_err() {
                break;
            }
            if cut {
                self.cut();
                break;
            }
            if matches!(mode, Mode::Slow(_)) {
                thread::sleep(Duration::from_millis(50));
            }
        }
        // Either may be closed already.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// How many of `length` bytes go through, and whether everything is cut after them.
    fn admit(&self, direction: Direction, length: usize) -> (usize, bool) {
        let mut mode = lock(&self.mode);
        let left = match (&mut *mode, direction) {
            (Mode::CutTo(left), Direction::To) | (Mode::CutFrom(left), Direction::From) => left,
            (Mode::Swallow, Direction::From) => return (0, false),
            _ => return (length, false),
        };
        let admitted = length.min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= admitted as u64;
        let cut = *left == 0;
        if cut {
            *mode = Mode::Pass;
        }
        (admitted, cut)
    }

    fn cut(&self) {
        for stream in lock(&self.connections).drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, behind a proxy.
    fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("accept");
                thread::spawn(move || {
                    let mut chunk = [0_u8; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut chunk) {
                        stream.write_all(&chunk[..length]).expect("answer");
                    }
                });
            }
        });
        Proxy::start(address).expect("start")
    }

    /// Sends ten bytes and returns how many come back before the connection ends or is quiet.
    fn returned(proxy: &Proxy) -> usize {
        let mut stream = TcpStream::connect(proxy.address).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set up");
        if stream.write_all(b"0123456789").is_err() {
            return 0;
        }
        let mut received = Vec::new();
        let mut chunk = [0_u8; 16];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            received.extend_from_slice(&chunk[..length]);
            if received.len() == 10 {
                break;
            }
        }
        received.len()
    }

    #[test]
    fn each_mode_does_what_it_says_and_a_cut_happens_once() {
        for (mode, expected) in [
            (Mode::Pass, 10),
            (Mode::CutFrom(4), 4),
            (Mode::Pass, 10),
            (Mode::Swallow, 0),
            (Mode::Refuse, 0),
            (Mode::Slow(3), 10),
        ] {
            let proxy = echo();
            proxy.set(mode);
            assert_eq!(returned(&proxy), expected, "{mode:?}");
        }
        let proxy = echo();
        proxy.set(Mode::CutTo(4));
        assert!(returned(&proxy) <= 4);
        assert_eq!(returned(&proxy), 10, "a cut happens once");
    }
}
