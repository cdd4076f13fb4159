//! The stream of changes, and the question how far the source is.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use futures_util::FutureExt as _;
use onrush_core::is_row_key;
use onrush_node::catalog::{Snapshot, SourceRows};
use onrush_sinks::TargetError;
use pgwire_replication::{
    IdentifySystem, Lsn, PgWireError, ReplicationClient, ReplicationConfig, ReplicationEvent, TlsConfig,
};
use tokio_postgres::config::{Host, SslMode};

use super::connecting::{connect, now};
use super::fetching::UNSEEN_PAUSES;
use super::inspection::{FEED_NAME, Inspected, ask, shape};
use super::interruption::Interruption;
use super::places::end_of_records;
use super::settings::{SourceSettings, Watch};
use super::statements;
use super::transactions::{Transaction, Transactions};
use crate::Tls;
use crate::postgres::connection::{Connection, DEFAULT_PORT, within};
use crate::postgres::errors::unavailable;

/// Between two questions how far the source is. Answers are at least this old for whoever asks.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// How long the source may take to say how far it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The stream is cut if nothing came for so long though the source has gone on.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Events that wait in memory.
const EVENTS_MAX: usize = 256;

/// Questions between two looks at how the tables are built.
const PROBES_PER_LOOK: u32 = 10;

/// Transactions that are taken together.
const TRANSACTIONS_PER_TURN_MAX: usize = 1_000;

/// Bytes of one message, which has one row.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long the server may take to begin. It goes through its log from where the slot stands.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Which history of which cluster a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    system_id: String,
    timeline: u32,
    /// How far its log is on the disk.
    pub(super) flushed: u64,
}

impl Identity {
    /// Whether whoever has received this much from the one may go on with the other.
    pub(super) fn goes_on(&self, before: &Self, received: u64) -> bool {
        self.system_id == before.system_id && self.timeline == before.timeline && self.flushed >= received
    }
}

impl From<IdentifySystem> for Identity {
    fn from(told: IdentifySystem) -> Self {
        Self { system_id: told.system_id, timeline: told.timeline, flushed: told.xlogpos.as_u64() }
    }
}

/// What the stream and the questions how far the source is know of each other.
pub(super) struct StreamState {
    /// Up to where the server may forget what it told.
    acknowledged: Cell<u64>,
    /// When anything came last.
    heard_at: Cell<Instant>,
}

/// A connection on which the server tells what changes.
pub(super) struct Stream {
    client: ReplicationClient,
    transactions: Transactions,
    state: Rc<StreamState>,
    /// Where it began. What ended before was told before.
    begin: u64,
    /// Of the time of the newest transaction.
    near: Snapshot,
}

impl Stream {
    /// Opens the stream behind this place, at about the time of a snapshot.
    ///
    /// It is on the very server that was started at this moment, whichever of the hosts that is.
    pub(super) async fn open(
        settings: &SourceSettings,
        begin: u64,
        near: Snapshot,
        started_at: &str,
    ) -> Result<(Self, Identity), TargetError> {
        let doing = format!("follow replication slot {}", settings.replication_slot);
        let mut problem = format!("{doing}: none of the hosts is the server that statements go to");
        for config in configs(settings, begin)? {
            let opened = within(START_TIMEOUT, &doing, async {
                let failed = |error| TargetError::Unavailable(format!("{doing}: {error}"));
                let mut client = ReplicationClient::connect_gated(config).await.map_err(failed)?;
                let started =
                    client.simple_query("SELECT pg_postmaster_start_time()::text").await.map_err(failed)?;
                let is_same =
                    started.first().and_then(|row| row.first()?.as_deref()) == Some(started_at.as_bytes());
                if !is_same {
                    return Ok(None);
                }
                let identity = client.identify_system().await.map_err(failed)?;
                client.start().await.map_err(failed)?;
                client.wait_started().await.map_err(failed)?;
                Ok(Some((client, identity)))
            });
            match opened.await {
                Ok(Some((client, identity))) => {
                    return Ok((Self::of(client, settings, begin, near), identity.into()));
                }
                Ok(None) => {}
                Err(error) => problem = error.to_string(),
            }
        }
        Err(TargetError::Unavailable(problem))
    }

    fn of(client: ReplicationClient, settings: &SourceSettings, begin: u64, near: Snapshot) -> Self {
        let transactions = Transactions::new(&settings.watches);
        let state = Rc::new(StreamState { acknowledged: Cell::new(begin), heard_at: Cell::new(now()) });
        Self { client, transactions, state, begin, near }
    }

    /// What it shares with whoever asks how far the source is.
    pub(super) fn state(&self) -> Rc<StreamState> {
        Rc::clone(&self.state)
    }

    /// Waits for something new and takes what is there. Returns transactions, and the place that has been reached if that is known.
    async fn turn(&mut self) -> Result<(Vec<(u64, Transaction)>, Option<u64>), Interruption> {
        let (mut ended, mut reached) = (Vec::new(), None);
        let mut event = Some(self.client.recv().await);
        while let Some(next) = event {
            self.state.heard_at.set(now());
            match next.map_err(|error| ended_by(&error))? {
                Some(ReplicationEvent::Begin { xid, .. }) => self.transactions.begin(xid),
                Some(ReplicationEvent::Commit { end_lsn, .. }) => {
                    reached = Some(end_lsn.as_u64());
                    if let Some(transaction) = self.transactions.commit(end_lsn.as_u64()) {
                        let xid = self.near.whole_xid(transaction.xid);
                        self.near = Snapshot::new(xid + 1, Vec::new());
                        ended.push((xid, transaction));
                    }
                }
                Some(ReplicationEvent::XLogData { data, .. }) => {
                    self.transactions.take(&data).map_err(Interruption::Unreadable)?;
                }
                Some(ReplicationEvent::KeepAlive { wal_end, .. }) if !self.transactions.is_open() => {
                    reached = Some(wal_end.as_u64());
                }
                Some(_) => {}
                None => return Err(Interruption::Broken("the server ended the replication".to_owned())),
            }
            if ended.len() >= TRANSACTIONS_PER_TURN_MAX {
                break;
            }
            event = self.client.recv().now_or_never();
        }
        self.client.update_applied_lsn(Lsn::from_u64(self.state.acknowledged.get()));
        ended.retain(|(_, transaction)| transaction.end > self.begin);
        Ok((ended, reached))
    }
}

/// What an error of the stream means.
fn ended_by(error: &PgWireError) -> Interruption {
    let why = format!("the replication ended: {error}");
    match error {
        // The server would send it again.
        PgWireError::MessageTooLarge { .. } => Interruption::Unreadable(why),
        _ => Interruption::Broken(why),
    }
}

/// Takes changes for ever.
pub(super) async fn follow(
    stream: &mut Stream,
    settings: &SourceSettings,
    rows: &SourceRows,
    received: &mut Option<u64>,
) -> Result<Infallible, Interruption> {
    let mut dependents = Dependents { settings, connection: None };
    loop {
        let (transactions, reached) = stream.turn().await?;
        for (xid, transaction) in transactions {
            let end = transaction.end;
            if let Some(why) = &transaction.unknown
                && !rows.commit_unknown(xid, end)
            {
                return Err(Interruption::Lost(why.clone()));
            }
            let keys = match dependents.keys(xid, transaction).await {
                Ok(keys) => keys,
                Err(error) if !dependents.is_connected() => return Err(error.into()),
                // The source cannot say which keys depend on the change.
                Err(error) if !rows.commit_unknown(xid, end) => {
                    return Err(Interruption::Lost(error.to_string()));
                }
                Err(_) => BTreeSet::new(),
            };
            if !rows.commit(xid, end, keys) {
                return Err(Interruption::Lost("more has changed than could be noted".to_owned()));
            }
            *received = (*received).max(Some(end));
        }
        if let Some(reached) = reached {
            rows.advance(reached);
            *received = (*received).max(Some(reached));
        }
        rows.publish();
    }
}

/// Finds out which keys depend on what changed.
struct Dependents<'a> {
    settings: &'a SourceSettings,
    connection: Option<Connection>,
}

impl Dependents<'_> {
    /// Whether the server was asked, and could not answer.
    fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.client().is_closed())
    }

    /// The keys of rows that a transaction may have changed.
    async fn keys(
        &mut self,
        xid: u64,
        transaction: Transaction,
    ) -> Result<BTreeSet<CompactString>, TargetError> {
        let mut keys = BTreeSet::new();
        for (watch, values) in self.settings.watches.iter().zip(transaction.values) {
            match &watch.keys {
                None => keys.extend(values.into_iter().map(CompactString::from)),
                Some(_) if values.is_empty() => {}
                Some(query) => self.extend(&mut keys, watch, query, values, xid).await?,
            }
        }
        // Nobody can ask for others.
        keys.retain(|key| is_row_key(key));
        Ok(keys)
    }

    /// Asks the source which keys depend on these values, once it shows the transaction of this number.
    async fn extend(
        &mut self,
        keys: &mut BTreeSet<CompactString>,
        watch: &Watch,
        query: &str,
        values: BTreeSet<String>,
        xid: u64,
    ) -> Result<(), TargetError> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => self.connection.insert(connect(self.settings, "onrush catalog keys").await?),
        };
        let values: Vec<String> = values.into_iter().collect();
        let mut pause = UNSEEN_PAUSES.0;
        let (query, doing) =
            (statements::dependent_keys(query), format!("read the keys that depend on {}", watch.table));
        loop {
            let lines = ask(connection.client(), &doing, &query, &[&values]).await?;
            if statements::snapshot_of(&lines)?.sees(xid) {
                let found = lines.iter().filter_map(|line| line.get::<_, Option<&str>>(1));
                keys.extend(found.map(CompactString::from));
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(UNSEEN_PAUSES.1);
        }
    }
}

/// Asks again and again how far the source is, and whether its tables are as they were.
pub(super) async fn probe(
    control: &Connection,
    settings: &SourceSettings,
    rows: &SourceRows,
    inspected: &Inspected,
    state: &StreamState,
) -> Result<Infallible, Interruption> {
    let client = control.client();
    let mut looks = (0..PROBES_PER_LOOK).cycle();
    loop {
        let asked_at = now();
        let doing = "ask how far the source is";
        let answer = within(PROBE_TIMEOUT, doing, async {
            client.query_one(statements::PROBE, &[]).await.map_err(|error| unavailable(doing, &error))
        });
        let answer = answer.await?;
        let place = |at: usize| answer.get::<_, i64>(at).cast_unsigned();
        let snapshot = Snapshot::parse(answer.get(2)).unwrap_or_default();
        let unreached = rows.probed(end_of_records(place(0), place(1)), &snapshot, asked_at);
        state.acknowledged.set(rows.settled());
        let silence = now().saturating_duration_since(state.heard_at.get());
        let behind = unreached.map(|asked_at| now().saturating_duration_since(asked_at));
        if silence > SILENCE_MAX && behind.is_some_and(|behind| behind > SILENCE_MAX) {
            return Err(Interruption::Broken(
                "the stream of changes is silent though there are some".to_owned(),
            ));
        }
        if looks.next() == Some(0) && shape(client, settings).await? != inspected.shape {
            return Err(Interruption::Lost("a table was altered".to_owned()));
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

/// How the stream's connection is made to each of the hosts: as all others, in the words of its client.
fn configs(settings: &SourceSettings, begin: u64) -> Result<Vec<ReplicationConfig>, TargetError> {
    let database = settings.database();
    let config = database.primary(FEED_NAME).map_err(TargetError::Unavailable)?;
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let user = config.get_user().unwrap_or("postgres").to_owned();
    let database_name = config.get_dbname().unwrap_or(&user).to_owned();
    let tls = match (config.get_ssl_mode(), database.tls.mode) {
        (SslMode::Disable, _) => TlsConfig::disabled(),
        (_, Tls::UnsafeNoVerify) => TlsConfig::require(),
        _ => TlsConfig::verify_full(database.tls.ca_file.clone()),
    };
    let at = |(index, host): (usize, String)| {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        let password = text(config.get_password());
        let (slot, publication) = (settings.replication_slot.clone(), settings.publication.as_str());
        ReplicationConfig::new(host, user.clone(), password, database_name.clone(), slot, publication)
            .with_port(port)
            .with_tls(tls.clone())
            .with_start_lsn(Lsn::from_u64(begin))
            .with_status_interval(PROBE_INTERVAL)
            .with_max_message_size(MESSAGE_BYTES_MAX)
            .with_buffer_size(EVENTS_MAX)
            .with_application_name(FEED_NAME)
    };
    Ok(hosts(&config).into_iter().enumerate().map(at).collect())
}

/// Addresses if there are any, else names, else directories of sockets.
fn hosts(config: &tokio_postgres::Config) -> Vec<String> {
    if !config.get_hostaddrs().is_empty() {
        return config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(directory) => directory.display().to_string(),
    };
    config.get_hosts().iter().map(host).collect()
}
