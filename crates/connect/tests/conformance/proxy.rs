//! A TCP proxy that fails in chosen ways between a target and its server.
#![expect(clippy::disallowed_methods, reason = "a slow line is made by waiting")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes that a trickling line takes at once, and the pause after them.
const TRICKLE_BYTES: usize = 700;
const TRICKLE_PAUSE: Duration = Duration::from_millis(1);
/// How long answers are swallowed after the first, so that everything sent meanwhile has its effect.
const SWALLOW_PAUSE: Duration = Duration::from_millis(200);

/// What happens to bytes. Those that cut do it once: all connections are closed, then everything passes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// Everything passes, slowly.
    Trickle,
    /// Nothing passes, and nobody is told.
    Silent,
    /// Connections are closed at once.
    Refuse,
    /// All connections are cut after so many more bytes to the server.
    CutToServer(usize),
    /// All connections are cut after so many more bytes from the server.
    CutFromServer(usize),
    /// The server gets everything, its answers are lost, and then all connections are cut.
    Swallow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    FromServer,
}

/// A proxy; it ends with its value.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
}

struct State {
    mode: Mode,
    open: Vec<TcpStream>,
    ended: bool,
    cut_count: u64,
}

impl Proxy {
    /// Listens on a port of its own.
    pub fn new(server: SocketAddr) -> Self {
        Self::at(server, vacant())
    }

    /// Listens here.
    pub fn at(server: SocketAddr, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = State { mode: Mode::Pass, open: Vec::new(), ended: false, cut_count: 0 };
        let shared = Arc::new(Shared { server, state: Mutex::new(state) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().ended {
                    return;
                }
                accepting.serve(client);
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.lock();
        state.mode = mode;
        if mode == Mode::Refuse {
            state.cut();
        }
    }

    /// How often connections were cut as a mode says.
    pub fn cut_count(&self) -> u64 {
        self.shared.lock().cut_count
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.cut();
        drop(state);
        // The listener wakes, sees that it ended, and closes.
        let _ = TcpStream::connect(self.address);
    }
}

/// A port on loopback where nobody listens.
pub fn vacant() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound")
}

impl State {
    fn cut(&mut self) {
        for stream in self.open.drain(..) {
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
        self.state.lock().expect("nobody panics with the lock")
    }

    fn serve(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.lock();
        if state.mode == Mode::Refuse {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server) else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
            state.open.push(stream.try_clone().expect("descriptors are left"));
        }
        drop(state);
        let again = |stream: &TcpStream| stream.try_clone().expect("descriptors are left");
        for (from, to, way) in
            [(again(&client), again(&server), Way::ToServer), (server, client, Way::FromServer)]
        {
            let shared = Arc::clone(self);
            std::thread::spawn(move || {
                shared.pump(&from, &to, way);
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, way: Way) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let passed = self.passed(way, count);
            if self.lock().mode == Mode::Trickle {
                for piece in buffer[..passed].chunks(TRICKLE_BYTES) {
                    if to.write_all(piece).is_err() {
                        return;
                    }
                    std::thread::sleep(TRICKLE_PAUSE);
                }
            } else if to.write_all(&buffer[..passed]).is_err() {
                return;
            }
            self.after(way, count, passed);
        }
    }

    /// How many of the bytes pass.
    fn passed(&self, way: Way, count: usize) -> usize {
        match (self.lock().mode, way) {
            (Mode::CutToServer(left), Way::ToServer) | (Mode::CutFromServer(left), Way::FromServer) => {
                count.min(left)
            }
            (Mode::Silent, _) | (Mode::Swallow, Way::FromServer) => 0,
            _ => count,
        }
    }

    /// Cuts when it is time for it.
    fn after(&self, way: Way, count: usize, passed: usize) {
        let mut state = self.lock();
        match (state.mode, way) {
            (Mode::CutToServer(left), Way::ToServer) if passed < count || left <= passed => state.cut_once(),
            (Mode::CutFromServer(left), Way::FromServer) if passed < count || left <= passed => {
                state.cut_once();
            }
            (Mode::CutToServer(left), Way::ToServer) => state.mode = Mode::CutToServer(left - passed),
            (Mode::CutFromServer(left), Way::FromServer) => state.mode = Mode::CutFromServer(left - passed),
            (Mode::Swallow, Way::FromServer) => {
                drop(state);
                std::thread::sleep(SWALLOW_PAUSE);
                let mut state = self.lock();
                if state.mode == Mode::Swallow {
                    state.cut_once();
                }
            }
            _ => {}
        }
    }
}
