//! A TCP proxy between a client and its server that does to their connections what networks do: cuts them in the middle,
//! loses answers, is slow, is silent.
#![expect(clippy::disallowed_methods, reason = "a slow line is made by waiting")]

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that are carried at once.
const CHUNK_BYTES: usize = 64 << 10;
/// The longest wait for the server to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long answers are lost before the cut, so that everything sent meanwhile has its effect.
const LOSS_PAUSE: Duration = Duration::from_millis(200);

/// What the proxy does to all connections. Modes that cut do it once, and then everything passes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carries everything.
    Pass,
    /// Carries so many bytes at once in each direction, and pauses after them.
    Slow {
        /// At least one.
        bytes: usize,
        /// How long.
        pause: Duration,
    },
    /// Carries nothing, and tells nobody.
    Silent,
    /// Closes every connection at once.
    Refuse,
    /// Cuts all connections after so many more bytes to the server.
    CutTo(u64),
    /// Cuts all connections after so many more bytes from the server.
    CutFrom(u64),
    /// Carries what goes to the server, and loses what it answers.
    LoseAnswers,
    /// The same for a moment; then all connections are cut.
    LoseAnswersAndCut,
}

/// A running proxy; dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    connections: Vec<TcpStream>,
    has_ended: bool,
    cut_count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    To,
    From,
}

impl Proxy {
    /// Starts a proxy on a free port of loopback.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), server)
    }

    /// Starts a proxy on a given address.
    pub fn start_on(address: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let state = State { mode: Mode::Pass, connections: Vec::new(), has_ended: false, cut_count: 0 };
        let shared = Arc::new(Shared { server, state: Mutex::new(state) });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().has_ended {
                    return;
                }
                // Whoever connected sees that the server is not there.
                let _ = accepting.connect(client);
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done, to open connections too.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.lock();
        state.mode = mode;
        if mode == Mode::Refuse {
            state.cut();
        }
    }

    /// Cuts all connections that are open now.
    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// How often connections were cut as a mode says.
    pub fn cut_count(&self) -> u64 {
        self.shared.lock().cut_count
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_ended = true;
        state.cut();
        drop(state);
        // The listener wakes, sees that it ended, and closes.
        let _ = TcpStream::connect(self.address);
    }
}

/// An address of loopback where nobody listens.
pub fn vacant() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl State {
    fn cut(&mut self) {
        for stream in self.connections.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn cut_once(&mut self) {
        self.mode = Mode::Pass;
        self.cut_count += 1;
        self.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if self.lock().mode == Mode::Refuse {
            return Ok(());
        }
        let server = TcpStream::connect_timeout(&self.server, CONNECT_TIMEOUT)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let halves = (client.try_clone()?, server.try_clone()?);
        let kept = [client.try_clone()?, server.try_clone()?];
        let mut state = self.lock();
        if state.mode == Mode::Refuse || state.has_ended {
            return Ok(());
        }
        state.connections.retain(|stream| stream.peer_addr().is_ok());
        state.connections.extend(kept);
        drop(state);
        for (direction, from, to) in [(Direction::To, client, halves.1), (Direction::From, server, halves.0)]
        {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                shared.carry(direction, &from, &to);
                // Either may be closed already.
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    /// Carries one direction until either side ends.
    fn carry(&self, direction: Direction, mut from: &TcpStream, mut to: &TcpStream) {
        let mut chunk = vec![0_u8; CHUNK_BYTES];
        loop {
            let length = match from.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let carried = self.carried(direction, length);
            if self.write(&mut to, &chunk[..carried]).is_err() {
                return;
            }
            self.after(direction, carried);
        }
    }

    /// Writes at the pace of the mode, which may change meanwhile.
    fn write(&self, to: &mut &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while let Mode::Slow { bytes: bytes_max, pause } = self.lock().mode
            && !bytes.is_empty()
        {
            let (piece, rest) = bytes.split_at(bytes.len().min(bytes_max.max(1)));
            to.write_all(piece)?;
            bytes = rest;
            thread::sleep(pause);
        }
        to.write_all(bytes)
    }

    /// How many of `length` bytes go through.
    fn carried(&self, direction: Direction, length: usize) -> usize {
        match (self.lock().mode, direction) {
            (Mode::CutTo(left), Direction::To) | (Mode::CutFrom(left), Direction::From) => {
                length.min(usize::try_from(left).unwrap_or(usize::MAX))
            }
            (Mode::Silent, _) | (Mode::LoseAnswers | Mode::LoseAnswersAndCut, Direction::From) => 0,
            _ => length,
        }
    }

    /// Counts what was carried, and cuts when it is time for it.
    fn after(&self, direction: Direction, carried: usize) {
        let mut state = self.lock();
        match (&mut state.mode, direction) {
            (Mode::CutTo(left), Direction::To) | (Mode::CutFrom(left), Direction::From) => {
                *left = left.saturating_sub(carried as u64);
                if *left == 0 {
                    state.cut_once();
                }
            }
            (Mode::LoseAnswersAndCut, Direction::From) => {
                drop(state);
                thread::sleep(LOSS_PAUSE);
                let mut state = self.lock();
                if state.mode == Mode::LoseAnswersAndCut {
                    state.cut_once();
                }
            }
            _ => {}
        }
    }
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
        let mut stream = TcpStream::connect(proxy.address()).expect("connect");
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
            (Mode::Silent, 0),
            (Mode::LoseAnswers, 0),
            (Mode::LoseAnswersAndCut, 0),
            (Mode::Refuse, 0),
            (Mode::Slow { bytes: 3, pause: Duration::from_millis(1) }, 10),
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
