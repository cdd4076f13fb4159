//! Puts the parts together, runs them until a signal comes, and takes them apart in the right order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use onrush_cluster::ClusterLog;
use onrush_edge::scenarios::product_inventory;
use onrush_edge::{Components, PasswordPool, Server, Sessions, Source};
use onrush_log::file::{FileLog, LogSettings, SyncMethod};
use onrush_log::{Log, OpenError, SnapshotError};
use onrush_node::{Clock, LoadError, MachineClock, Name, Partition, Partitions, Recovered, Retention};
use onrush_sinks::{IdsWhileLeading, Sinks};
use sd_notify::NotifyState;

use crate::announcement::Announcement;
use crate::failure::Failure;
use crate::feeds::Feeds;
use crate::logging::MessageQueue;
use crate::rereading::Rereading;
use crate::session_files::{self, SessionWatch};
use crate::settings::{self, Flags, LogFiles, Settings};
use crate::signals::{Hangups, Order, Signals};
use crate::{demo, descriptors, environment, founding, logging, shared_log};

/// How long sinks may write what is left in the log after it was closed. What they do not manage is written after the next
/// start.
const SINKS_DRAIN: Duration = Duration::from_secs(5);

/// What a shell shows for a process that SIGINT ended.
const EXIT_CODE_INTERRUPTED: i32 = 130;

/// How long the last messages may take to be written.
const MESSAGES_DRAIN: Duration = Duration::from_secs(1);

/// Runs the server until SIGTERM or SIGINT, then drains it.
pub(crate) fn serve(flags: &Flags) -> Result<(), Failure> {
    let settings = settings::load(flags, environment())?;
    let messages = logging::start(&settings.logging)?;
    let rereading = Rereading::new(flags, &messages, &settings.values);
    let outcome = open_and_run(&settings, &messages.queue, rereading);
    messages.queue.flush(MESSAGES_DRAIN);
    outcome
}

fn open_and_run(
    settings: &Settings,
    messages: &MessageQueue,
    rereading: Rereading<'_>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the event loop of signals")?;
    let hangups = {
        let _inside = runtime.enter();
        Hangups::listen()?
    };
    descriptors::raise_limit();
    if settings.log.sync_method == SyncMethod::UnsafeNone {
        tracing::warn!("log.sync is unsafe-none: a power cut loses what was acknowledged");
    }
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    // Before the log is opened: a start that cannot succeed leaves nothing behind.
    Server::check_addresses(&settings.edge).context("start listening")?;
    let started = start_partition(settings)?;
    runtime.block_on(run(settings, messages, started, hangups, rereading))
}

/// A partition that is open, with its sinks at work.
struct Started {
    partition: Arc<Partition>,
    /// Nothing is read back at once of a log that is shared.
    recovered: Option<Recovered>,
    sinks: Arc<Sinks>,
    /// The log that other nodes share.
    shared: Option<ClusterLog>,
}

fn start_partition(settings: &Settings) -> Result<Started, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let retention = Retention::default();
    let (log, shared): (Arc<dyn Log>, _) = match &settings.cluster {
        None => {
            let log = lock_log(settings).map_err(|error| open_failure(error.into()))?;
            founding::refuse_of_cluster(&settings.log.directory)?;
            (log, None)
        }
        Some(cluster) => {
            let log = shared_log::open(cluster)?;
            let node = shared_log::node_settings(settings, cluster, retention.clone());
            let (partition, segment_bytes) = (settings.node.partition.into(), settings.log.segment_bytes);
            let shared = ClusterLog::start(log, partition, node, segment_bytes, Arc::clone(&clock));
            let shared = shared.map_err(|error| open_failure(error.into()))?;
            (Arc::new(shared.clone()), Some(shared))
        }
    };
    let started = open_partition(settings, &log, &clock, shared.clone(), retention);
    if started.is_err() {
        shared.iter().for_each(ClusterLog::leave);
    }
    started
}

fn open_partition(
    settings: &Settings,
    log: &Arc<dyn Log>,
    clock: &Arc<dyn Clock>,
    shared: Option<ClusterLog>,
    retention: Retention,
) -> Result<Started, Failure> {
    let sinks = settings.sinks.iter().map(|sink| sink.node.clone()).collect();
    let sinks =
        Sinks::prepare(sinks, &settings.log.directory, &retention).context("read where a sink was")?;
    let (node, its_log, its_clock) = (settings.node.clone(), Arc::clone(log), Arc::clone(clock));
    let (partition, recovered) = if log.has_rivals() {
        (Partition::follow(its_log, node, its_clock, retention).map_err(open_failure)?, None)
    } else {
        let opened = Partition::open(its_log, node, its_clock, retention);
        let (partition, recovered) = opened.map_err(open_failure)?;
        (partition, Some(recovered))
    };
    let targets = settings.sinks.iter().map(|sink| sink.target.target()).collect();
    let leading = Arc::clone(&partition);
    let leads: IdsWhileLeading = Arc::new(move || leading.ids_while_leading());
    match sinks.start(log, &leads, clock, targets) {
        Ok(sinks) => Ok(Started { partition, recovered, sinks, shared }),
        Err(error) => {
            close(&partition, shared.as_ref());
            Err(Failure::Runtime(anyhow!(error).context("start the threads of sinks")))
        }
    }
}

/// Closes a partition. Of a log that others share it begins no term any more, and then leaves it.
fn close(partition: &Partition, shared: Option<&ClusterLog>) {
    if let Some(shared) = shared {
        shared.stand_down();
    }
    partition.close();
    if let Some(shared) = shared {
        shared.leave();
    }
}

/// The one place that says which log a single server has.
fn lock_log(settings: &Settings) -> Result<Arc<dyn Log>, OpenError> {
    let LogFiles { directory, segment_bytes, sync_method } = &settings.log;
    let partition = settings.node.partition.into();
    Ok(Arc::new(FileLog::lock(directory, *sync_method, partition, LogSettings::new(*segment_bytes))?))
}

async fn run(
    settings: &Settings,
    messages: &MessageQueue,
    started: Started,
    hangups: Hangups,
    mut rereading: Rereading<'_>,
) -> Result<(), Failure> {
    let Started { partition, recovered, sinks, shared } = started;
    let mut signals = Signals::listen(hangups)?;
    let sessions = open_sessions(settings);
    let started = sessions.and_then(|sessions| {
        let (feeds, sources) = Feeds::start(&settings.sourced)?;
        let node = shared.clone().map(|shared| Arc::new(shared_log::ReportedNode(shared)) as _);
        let parts = Components { sinks: Some(Arc::clone(&sinks) as _), node, ..Components::default() };
        let server = start_edge(settings, messages, &partition, parts, sessions.as_ref(), sources)?;
        Ok((server, sessions, feeds))
    });
    let (server, sessions, feeds) = match started {
        Ok(started) => started,
        Err(failure) => {
            close(&partition, shared.as_ref());
            sinks.stop(Duration::ZERO);
            return Err(failure);
        }
    };
    Announcement {
        settings,
        public: server.address(),
        operator: server.operator_address(),
        recovered: recovered.as_ref(),
    }
    .make();
    let addresses = format!("public {}, operator {}", server.address(), server.operator_address());
    notify(&[NotifyState::Ready, NotifyState::Status(&addresses)]);

    let files = settings.sessions.clone().zip(sessions);
    serve_until_stopped(&mut signals, &mut rereading, files.map(|(files, it)| SessionWatch::new(files, it)))
        .await;
    notify(&[NotifyState::Stopping]);
    tracing::info!("draining");
    let drained = tokio::task::spawn_blocking(move || {
        if let Some(shared) = &shared {
            // Nobody is to be refused who could be answered. So this node answers while its sinks write what they can, where those of
            // the next leader go on; then it resigns, and what comes waits here until it is known that another one leads.
            server.leave();
            sinks.stop(SINKS_DRAIN);
            shared.stand_down();
            partition.close();
            shared.wait_for_next();
            server.drain();
            feeds.stop();
            shared.leave();
        } else {
            server.drain();
            feeds.stop();
            close(&partition, None);
            sinks.stop(SINKS_DRAIN);
        }
    });
    tokio::select! {
        outcome = drained => outcome.context("drain")?,
        () = signals.stop() => {
            tracing::warn!("a second signal ends the drain; nothing that was acknowledged is lost");
            messages.flush(MESSAGES_DRAIN);
            std::process::exit(EXIT_CODE_INTERRUPTED);
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// Reads what changed, until somebody wants the server to stop.
async fn serve_until_stopped(
    signals: &mut Signals,
    rereading: &mut Rereading<'_>,
    mut watch: Option<SessionWatch>,
) {
    loop {
        let looked = async {
            match &mut watch {
                Some(watch) => watch.look().await,
                None => std::future::pending().await,
            }
        };
        let order = tokio::select! {
            order = signals.next() => order,
            () = looked => continue,
        };
        match order {
            Order::Stop => return,
            Order::ReadSettings => {
                rereading.read();
                watch.iter_mut().for_each(SessionWatch::read);
            }
        }
    }
}

/// Nothing while they are off.
fn open_sessions(settings: &Settings) -> Result<Option<Arc<Sessions>>, Failure> {
    let opened = settings.sessions.as_ref().map(|files| session_files::open(files, MachineClock.wall_ms()));
    Ok(opened.transpose().context("read the keys of sessions")?)
}

/// Nothing while accounts are off.
fn start_passwords(settings: &Settings) -> Result<Option<Arc<PasswordPool>>, Failure> {
    let has_accounts = settings.sessions.as_ref().is_some_and(|files| files.accounts);
    let started =
        has_accounts.then(PasswordPool::start).transpose().context("start a thread for passwords")?;
    Ok(started.map(Arc::new))
}

fn start_edge(
    settings: &Settings,
    messages: &MessageQueue,
    partition: &Arc<Partition>,
    parts: Components,
    sessions: Option<&Arc<Sessions>>,
    sources: Vec<(Name, Source)>,
) -> Result<Server, Failure> {
    if settings.demo {
        demo::create_missing(partition, settings.node.default_shape)?;
        if settings.edge.catalog.embedded.iter().any(|name| name == product_inventory::COLLECTION) {
            demo::create_products(partition)?;
        }
    }
    let connections_max = descriptors::connections_max(settings.edge.connections_max);
    let mut edge = onrush_edge::Settings { connections_max, ..settings.edge.clone() };
    edge.catalog.sources = sources;
    let components = Components {
        lost_line_count: Some(messages.lost_line_count()),
        sessions: sessions.cloned(),
        passwords: start_passwords(settings)?,
        replica: settings.sinks.iter().find_map(|sink| sink.target.replica()),
        ..parts
    };
    let partitions = Arc::new(Partitions::one(Arc::clone(partition)));
    Ok(Server::start(edge, &partitions, components).context("start listening")?)
}

fn open_failure(error: LoadError) -> Failure {
    match error {
        LoadError::Log(OpenError::Locked { .. }) => Failure::Locked(error.to_string()),
        LoadError::Log(OpenError::Damaged(_) | OpenError::Between { .. })
        | LoadError::Undecodable(_)
        | LoadError::Snapshot(SnapshotError::Damaged(_)) => Failure::Damaged(error.to_string()),
        error => Failure::Runtime(anyhow!(error).context("open the log")),
    }
}

/// Tells the service manager, if there is one. One that cannot be told will see for itself.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "could not notify the service manager");
    }
}
