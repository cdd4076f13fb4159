//! The threads of the edge: each has an event loop, a listener on the shared port and the connections that the kernel
//! gave it. They share the partition and a few counters, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_node::Partition;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use crate::components::Components;
use crate::counters::EdgeCounters;
use crate::deadlines::TICK;
use crate::problem::Problem;
use crate::pump::Pump;
use crate::routes::{self, App};
use crate::settings::Settings;
use crate::thread::EdgeThread;
use crate::{h1, hot};

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: i32 = 4096;

/// The running edge. Dropping it does not stop it; [`Server::drain`] does.
pub struct Server {
    address: SocketAddr,
    operator_address: SocketAddr,
    partition: Arc<Partition>,
    stop: watch::Sender<Stop>,
    threads: Vec<JoinHandle<()>>,
    operator: JoinHandle<()>,
}

impl Server {
    /// Makes sure that both addresses are free and not the same, before anything else is done. [`Server::start`] looks
    /// again.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub fn check_addresses(settings: &Settings) -> io::Result<()> {
        let _public = probe(settings.listen)?;
        probe(settings.operator_listen).map(drop)
    }

    /// Opens the listeners and starts the threads.
    ///
    /// # Errors
    /// An address cannot be listened on, or a thread cannot be started.
    pub fn start(settings: Settings, partition: &Arc<Partition>, components: Components) -> io::Result<Self> {
        Self::check_addresses(&settings)?;
        let settings = Arc::new(settings);
        let counters = Arc::new(EdgeCounters::default());
        let (stop, stopped) = watch::channel(Stop::Nobody);
        let thread_count = settings.threads.max(1);
        let first = listen(settings.listen)?;
        let address = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..thread_count {
            listeners.push(listen(address)?);
        }
        let operator = listen(settings.operator_listen)?;
        let operator_address = operator.local_addr()?;
        let read_counters = Arc::clone(&counters);
        let read_edge_metrics = Arc::new(move || read_counters.read());
        let app = Arc::new(App::new(Arc::clone(partition), &settings, components, read_edge_metrics));
        let mut threads = Vec::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            let start = ThreadStart {
                listener,
                settings: Arc::clone(&settings),
                counters: Arc::clone(&counters),
                partition: Some(Arc::clone(partition)),
                router: routes::public_router(Arc::clone(&app)),
                stopped: stopped.clone(),
            };
            threads.push(start.spawn(&format!("edge-{number}"))?);
        }
        let start = ThreadStart {
            listener: operator,
            settings: Arc::clone(&settings),
            counters,
            partition: None,
            router: routes::operator_router(app),
            stopped,
        };
        let operator = start.spawn("operator")?;
        let partition = Arc::clone(partition);
        Ok(Self { address, operator_address, partition, stop, threads, operator })
    }

    /// Where the public listener is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator listener is.
    pub fn operator_address(&self) -> SocketAddr {
        self.operator_address
    }

    /// Stops listening, answers what is in flight within the settings' `drain_timeout`, and returns when every
    /// connection is closed. Call [`Partition::close`] afterwards.
    pub fn drain(self) {
        self.partition.leave();
        // The operator can watch the drain: that listener is the last to go. No receiver means that all threads are gone.
        let _ = self.stop.send(Stop::Public);
        self.threads.into_iter().for_each(join);
        let _ = self.stop.send(Stop::Everybody);
        join(self.operator);
    }
}

/// Whose threads are to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Nobody,
    Public,
    Everybody,
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("an edge thread had panicked");
    }
}

/// Makes sure that nobody else listens there: sharing the port with our own threads means that the system would let us
/// share it with a second server as well.
fn probe(address: SocketAddr) -> io::Result<Socket> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        // Only a socket that listens keeps another from the same address.
        socket.listen(1)?;
        Ok(socket)
    };
    open().map_err(|error| named(address, &error))
}

fn named(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!(
            "cannot listen on {address}: {error}; stop what listens there, or choose another --listen or --operator-listen"
        ),
    )
}

/// A listener that shares its port with those of the other threads; the kernel spreads connections over them.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|error: io::Error| named(address, &error))
}

struct ThreadStart {
    listener: std::net::TcpListener,
    settings: Arc<Settings>,
    counters: Arc<EdgeCounters>,
    /// Absent on the operator's thread.
    partition: Option<Arc<Partition>>,
    router: axum::Router,
    stopped: watch::Receiver<Stop>,
}

impl ThreadStart {
    fn spawn(self, name: &str) -> io::Result<JoinHandle<()>> {
        // Made on its thread, because it cannot leave it; what goes wrong is told to the caller.
        let (tell, told) = sync_channel(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    let _ = tell.send(Ok(()));
                    runtime.block_on(self.run());
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        })?;
        told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(thread)
    }

    async fn run(self) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot watch the listener"),
        };
        let pump = self.partition.as_ref().map(Pump::new);
        let is_public = pump.is_some();
        if let Some(pump) = &pump {
            tokio::task::spawn_local(Rc::clone(pump).run());
        }
        let prefix = random_prefix();
        let thread = EdgeThread::new(self.settings, self.counters, pump, self.router, prefix);
        let ticking = Rc::clone(&thread);
        tokio::task::spawn_local(async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                ticking.tick();
            }
        });
        let mut stopped = self.stopped;
        tokio::select! {
            () = accept_all(&listener, &thread) => {}
            _ = stopped.wait_for(|stop| if is_public { *stop != Stop::Nobody } else { *stop == Stop::Everybody }) => {}
        }
        drop(listener);
        drain(&thread).await;
    }
}

fn random_prefix() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    // The hasher's keys come from the system's randomness; request ids need no more than to differ.
    #[allow(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
    let prefix = RandomState::new().hash_one(0) as u32;
    prefix
}

async fn accept_all(listener: &TcpListener, thread: &Rc<EdgeThread>) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => accept(stream, thread),
            Err(error) => {
                if !TOLD.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "cannot accept connections; the server goes on trying, and does not say this again");
                }
                // Out of file descriptors, most likely: give those that are open time to end.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn accept(stream: TcpStream, thread: &Rc<EdgeThread>) {
    let counters = &thread.counters;
    counters.accepted_count.add(1);
    let Some(place) = thread.take_place() else {
        counters.over_capacity_count.add(1);
        return refuse(&stream);
    };
    // Without it small answers wait for acknowledgements; a socket that cannot do it is closed already.
    let _ = stream.set_nodelay(true);
    let served = Rc::clone(thread);
    let (hand_over, deadline) = tokio::sync::oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        let _place = place;
        if let Ok(deadline) = deadline.await {
            h1::serve(stream, served, deadline).await;
        }
    });
    // The receiver is in the task that was just spawned.
    let _ = hand_over.send(thread.deadlines.watch(task.abort_handle()));
}

/// Tells a connection too many to come back later, if that can be done at once.
fn refuse(stream: &TcpStream) {
    let mut body = Vec::new();
    let head = hot::render_problem(&Problem::overloaded(), &mut body);
    let mut answer = Vec::new();
    answer.extend_from_slice(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n");
    let length = body.len().to_string();
    let mut write =
        |name: &str, value: &str| answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    write("content-type", head.content_type);
    write("content-length", &length);
    for (name, value) in &head.fields {
        write(name, value);
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    // A client that cannot take it now learns the same from the closed connection.
    let _ = stream.try_write(&answer);
}

/// Lets connections end: those between requests at once, the others when they were answered.
async fn drain(thread: &Rc<EdgeThread>) {
    thread.draining.set(true);
    let ended = async {
        while thread.deadlines.open_count() > 0 {
            thread.tick();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(thread.settings.drain_timeout, ended).await.is_err() {
        tracing::warn!(
            connection_count = thread.deadlines.open_count(),
            "connections were cut off at the drain timeout"
        );
    }
}
