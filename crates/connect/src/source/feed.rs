//! Following a source: one thread for each collection, which connects again after any trouble, and loads the rows when what it
//! has may no longer be all.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_node::catalog::SourceRows;
use onrush_sinks::TargetError;
use tokio::sync::{Notify, watch};

use super::connecting::{connect, now};
use super::fetching::fetch_all;
use super::inspection::{
    ReplicationSlot, ask, create_replication_slot, drop_replication_slot, inspect, replication_slot,
};
use super::interruption::Interruption;
use super::loading::load;
use super::settings::SourceSettings;
use super::statements;
use super::stream::{Identity, Stream, follow, probe};
use crate::postgres::connection::Connection;

/// The first pause after a failure, and the longest.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A connection that was good for so long is followed by the next at once.
const WORKED: Duration = Duration::from_millis(500);

/// How long the end waits for the source.
const FAREWELL: Duration = Duration::from_secs(3);

/// Keeps the rows of one collection coherent with their source, until it is dropped.
pub struct Feed {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread, whose name begins with `catalog-`.
    ///
    /// # Errors
    /// The operating system has no room for a thread, as a sentence.
    pub fn start(collection: &str, settings: SourceSettings, rows: Arc<SourceRows>) -> Result<Self, String> {
        let (stop, stopped) = watch::channel(false);
        let wanted = Arc::new(Notify::new());
        let wake = Arc::clone(&wanted);
        rows.on_wanted(move || wake.notify_one());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("start an event loop: {error}"))?;
        let name = collection.to_owned();
        let run = move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, follow_for_ever(name, settings, rows, wanted, stopped));
        };
        let thread = onrush_node::spawn(&format!("catalog-{collection}"), run);
        let thread = thread.map_err(|error| format!("start a thread: {error}"))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops all of them at once, and waits until they have taken leave of their sources, a few seconds at most.
    pub fn stop_all(feeds: Vec<Self>) {
        for feed in &feeds {
            let _ = feed.stop.send(true);
        }
        drop(feeds);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is kept from one connection to the next.
struct Progress {
    /// Up to where the rows in memory have all changes that were told; nothing if they have to be loaded.
    received: Option<u64>,
    /// Whether the rows were loaded since.
    is_loaded: bool,
    /// How the tables were built then.
    shape: Option<String>,
    /// Whose history it is.
    identity: Option<Identity>,
    /// The rows are loaded once all transactions below this number have ended.
    load_after: u64,
    /// Whether the replication slot would tell what cannot be read.
    drops_slot: bool,
}

impl Progress {
    const NONE: Self = Self {
        received: None,
        is_loaded: false,
        shape: None,
        identity: None,
        load_after: 0,
        drops_slot: false,
    };
}

async fn follow_for_ever(
    collection: String,
    settings: SourceSettings,
    rows: Arc<SourceRows>,
    wanted: Arc<Notify>,
    mut stopped: watch::Receiver<bool>,
) {
    let settings = Arc::new(settings);
    for _ in 0..settings.connections {
        let fetching = fetch_all(Arc::clone(&settings), Arc::clone(&rows), Arc::clone(&wanted));
        tokio::task::spawn_local(fetching);
    }
    let mut progress = Progress::NONE;
    let (mut pause, mut has_followed) = (RETRY_PAUSES.0, false);
    loop {
        let began = now();
        let interruption = tokio::select! {
            interruption = session(&collection, &settings, &rows, &mut progress) => interruption,
            _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
        };
        has_followed |= progress.received.is_some();
        // Whatever worked for a while is tried again soon.
        if now().saturating_duration_since(began) > WORKED {
            pause = RETRY_PAUSES.0;
        }
        match interruption {
            Interruption::Broken(why) => {
                tracing::warn!("catalog {collection}: {why}");
                rows.report(why);
            }
            Interruption::Lost(why) => {
                lose(&collection, &rows, why);
                progress = Progress::NONE;
            }
            Interruption::Unreadable(why) => {
                lose(&collection, &rows, why);
                progress = Progress { drops_slot: true, ..Progress::NONE };
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
        }
        pause = (2 * pause).min(RETRY_PAUSES.1);
    }
    if has_followed || progress.received.is_some() {
        say_farewell(&collection, &settings).await;
    }
}

fn lose(collection: &str, rows: &SourceRows, why: String) {
    tracing::warn!("catalog {collection}: all rows are loaded anew: {why}");
    rows.lose(why);
}

/// Follows the source over one connection, until something is wrong with it.
async fn session(
    collection: &str,
    settings: &SourceSettings,
    rows: &SourceRows,
    progress: &mut Progress,
) -> Interruption {
    match try_session(collection, settings, rows, progress).await {
        Ok(never) => match never {},
        Err(interruption) => interruption,
    }
}

async fn try_session(
    collection: &str,
    settings: &SourceSettings,
    rows: &SourceRows,
    progress: &mut Progress,
) -> Result<std::convert::Infallible, Interruption> {
    let control = connect(settings, "onrush catalog").await?;
    let inspected = inspect(control.client(), settings).await?;
    if let Some(warning) = &inspected.warning {
        tracing::warn!("catalog {collection}: {warning}");
    }
    if progress.shape.as_ref().is_some_and(|shape| *shape != inspected.shape) {
        return Err(Interruption::Lost("a table was altered".to_owned()));
    }
    progress.shape = Some(inspected.shape.clone());
    let begin = begin(&control, settings, rows, progress).await?;
    let near = ask(control.client(), "read a snapshot", statements::SNAPSHOT, &[]).await?;
    let near = statements::snapshot_of(&near)?;
    let (mut stream, identity) = Stream::open(settings, begin, near, &inspected.started_at).await?;
    let received = progress.received.unwrap_or_default();
    if progress.identity.as_ref().is_some_and(|before| !identity.goes_on(before, received)) {
        return Err(Interruption::Lost("the server has another history than the one before".to_owned()));
    }
    progress.identity = Some(identity);
    tracing::info!("catalog {collection}: follows replication slot {}", settings.replication_slot);
    let loading = async {
        if !progress.is_loaded {
            load(collection, settings, rows, progress.load_after).await?;
            progress.is_loaded = true;
        }
        std::future::pending::<Result<std::convert::Infallible, Interruption>>().await
    };
    let received = &mut progress.received;
    let state = stream.state();
    tokio::select! {
        ended = follow(&mut stream, settings, rows, received) => ended,
        ended = probe(&control, settings, rows, &inspected, &state) => ended,
        ended = loading => ended,
    }
}

/// Where the stream begins. Without a slot that goes on where the rows in memory end, they are lost.
async fn begin(
    control: &Connection,
    settings: &SourceSettings,
    rows: &SourceRows,
    progress: &mut Progress,
) -> Result<u64, Interruption> {
    let (client, name) = (control.client(), settings.replication_slot.as_str());
    let at = match replication_slot(client, name).await? {
        ReplicationSlot::At(at) if !progress.drops_slot => Some(at),
        ReplicationSlot::Lost | ReplicationSlot::At(_) => {
            drop_replication_slot(client, name).await?;
            None
        }
        ReplicationSlot::Missing => None,
    };
    match (at, progress.received) {
        (Some(at), Some(received)) if at <= received => return Ok(received),
        (_, Some(_)) => {
            let why =
                format!("replication slot {name} no longer has all changes since the newest that was taken");
            return Err(Interruption::Lost(why));
        }
        (_, None) => {}
    }
    progress.drops_slot = false;
    // What a slot that was read before has told was seen by somebody, so by every load as well.
    let (at, load_after) = match at {
        Some(at) => (at, 0),
        None => create_replication_slot(client, name).await?,
    };
    rows.restart(at);
    (progress.received, progress.is_loaded, progress.load_after) = (Some(at), false, load_after);
    Ok(at)
}

/// What is in memory goes with the process, so nobody needs what the slot would keep, and the server's disk is spared.
async fn say_farewell(collection: &str, settings: &SourceSettings) {
    let farewell = async {
        let control = connect(settings, "onrush catalog").await?;
        // The server may still take the connection that was closed for alive.
        while let Err(error) = drop_replication_slot(control.client(), &settings.replication_slot).await {
            if control.client().is_closed() {
                return Err(error);
            }
            tokio::time::sleep(RETRY_PAUSES.0).await;
        }
        Ok::<_, TargetError>(())
    };
    let problem = match tokio::time::timeout(FAREWELL, farewell).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", FAREWELL.as_secs()),
    };
    tracing::warn!(
        "catalog {collection}: replication slot {} stays and makes the server keep its log; if onrush does not start again, drop it: \
         {problem}",
        settings.replication_slot
    );
}
