//! The threads of the edge: each has an event loop, a listener on the shared port and the connections that the kernel
//! gave it. They share the partitions and a few counters, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_node::Partitions;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use crate::api::{self, App};
use crate::components::Components;
use crate::gate::Gate;
use crate::hot::HotTable;
use crate::net::call_batcher::CallBatcher;
use crate::net::counters::EdgeCounters;
use crate::net::deadlines::TICK;
use crate::net::listener::{accept_all, listen, probe};
use crate::net::thread::{EdgeThread, Routes};
use crate::settings::Settings;

/// The running edge. Dropping it does not stop it; [`Server::drain`] does.
pub struct Server {
    address: SocketAddr,
    operator_address: SocketAddr,
    partitions: Arc<Partitions>,
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
    pub fn start(
        settings: Settings,
        partitions: &Arc<Partitions>,
        components: Components,
    ) -> io::Result<Self> {
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
        let app = Arc::new(App::new(Arc::clone(partitions), &settings, components, read_edge_metrics));
        let mut threads = Vec::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            let start = ThreadStart {
                listener,
                settings: Arc::clone(&settings),
                counters: Arc::clone(&counters),
                partitions: Some(Arc::clone(partitions)),
                routes: Routes {
                    gate: Gate::Public(Arc::clone(&app.gate)),
                    hot: api::hot_table(settings.scenarios),
                    preflights: Some(api::preflights(settings.scenarios)),
                    router: api::public_router(Arc::clone(&app)),
                    catalog: Arc::clone(&app.catalog),
                    partitions: Some(Arc::clone(partitions)),
                },
                stopped: stopped.clone(),
            };
            threads.push(start.spawn(&format!("edge-{number}"))?);
        }
        let start = ThreadStart {
            listener: operator,
            settings: Arc::clone(&settings),
            counters,
            partitions: None,
            routes: Routes {
                gate: api::operator_gate(&app),
                hot: HotTable::default(),
                preflights: None,
                catalog: Arc::clone(&app.catalog),
                router: api::operator_router(app),
                partitions: Some(Arc::clone(partitions)),
            },
            stopped,
        };
        let operator = start.spawn("operator")?;
        let partitions = Arc::clone(partitions);
        Ok(Self { address, operator_address, partitions, stop, threads, operator })
    }

    /// Where the public listener is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator listener is.
    pub fn operator_address(&self) -> SocketAddr {
        self.operator_address
    }

    /// From now on `/readyz` says that the server stops, while requests are still answered.
    pub fn leave(&self) {
        self.partitions.every().iter().for_each(|partition| partition.leave());
    }

    /// Stops listening, answers what is in flight within the settings' `drain_timeout`, and returns when every
    /// connection is closed. Close the partitions afterwards.
    pub fn drain(self) {
        self.leave();
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

struct ThreadStart {
    listener: std::net::TcpListener,
    settings: Arc<Settings>,
    counters: Arc<EdgeCounters>,
    /// Absent on the operator's thread.
    partitions: Option<Arc<Partitions>>,
    routes: Routes,
    stopped: watch::Receiver<Stop>,
}

impl ThreadStart {
    fn spawn(self, name: &str) -> io::Result<JoinHandle<()>> {
        // Made on its thread, because it cannot leave it; what goes wrong is told to the caller.
        let (report, reported) = sync_channel(1);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    let _ = report.send(Ok(()));
                    runtime.block_on(self.run());
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            }
        })?;
        reported.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(thread)
    }

    async fn run(self) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot watch the listener"),
        };
        let batcher = self.partitions.as_ref().map(CallBatcher::new);
        let is_public = batcher.is_some();
        if let Some(batcher) = &batcher {
            tokio::task::spawn_local(Rc::clone(batcher).run());
        }
        let prefix = random_prefix();
        let thread = EdgeThread::new(self.settings, self.counters, batcher, self.routes, prefix);
        tokio::task::spawn_local(Rc::clone(&thread.turn_clock).run());
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

/// Lets connections end: those between requests at once, the others when they were answered.
async fn drain(thread: &Rc<EdgeThread>) {
    thread.begin_to_drain();
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
