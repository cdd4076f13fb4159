//! The stream of changes, and the question how far the source is.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use futures_util::FutureExt as _;
use onrush_core::is_row_key;
use onrush_node::catalog::{Snapshot, SourceRows};
use onrush_sinks::TargetError;
use pgwire_replication::{Lsn, ReplicationClient, ReplicationConfig, ReplicationEvent, TlsConfig};
use tokio_postgres::config::{Host, SslMode};

use super::connecting::{connect, now};
use super::fetching::{UNSEEN_PAUSE, snapshot_of};
use super::inspection::{Inspected, ask, ask_one, shape};
use super::interruption::Interruption;
use super::places::end_of_records;
use super::settings::{SourceSettings, Watch};
use super::statements;
use super::transactions::{Transaction, Transactions};
use crate::Tls;
use crate::postgres::connection::{Connection, within};

/// Between two questions how far the source is. Answers are at least this old for whoever asks.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Questions between two looks at how the tables are built.
const PROBES_PER_LOOK: u32 = 10;

/// Transactions that are taken together.
const TRANSACTIONS_PER_TURN_MAX: usize = 1_000;

/// Bytes of one message, which has one row.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long the server may take to begin. It goes through its log from where the slot stands.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection on which the server tells what changes.
pub(super) struct Stream {
    client: ReplicationClient,
    transactions: Transactions,
    acknowledged: Arc<AtomicU64>,
    /// Where it began. What ended before was told before.
    begin: u64,
    /// Of the time of the newest transaction.
    near: Snapshot,
}

impl Stream {
    /// Opens the stream behind this place, at about the time of a snapshot.
    pub(super) async fn open(
        settings: &SourceSettings,
        begin: u64,
        near: Snapshot,
    ) -> Result<Self, TargetError> {
        let config = config(settings, begin)?;
        let doing = format!("follow replication slot {}", settings.replication_slot);
        let started = within(START_TIMEOUT, &doing, async {
            let failed = |error| TargetError::Unavailable(format!("{doing}: {error}"));
            let mut client = ReplicationClient::connect(config).await.map_err(failed)?;
            client.wait_started().await.map_err(failed)?;
            Ok(client)
        });
        let client = started.await?;
        let transactions = Transactions::new(&settings.watches);
        Ok(Self { client, transactions, acknowledged: Arc::new(AtomicU64::new(begin)), begin, near })
    }

    /// Where others say up to where the server may forget what it told.
    pub(super) fn acknowledgement(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.acknowledged)
    }

    /// Waits for something new and takes what is there. Returns transactions, and the place that has been reached if that is known.
    async fn turn(&mut self) -> Result<(Vec<(u64, Transaction)>, Option<u64>), Interruption> {
        let (mut ended, mut reached) = (Vec::new(), None);
        let mut event = Some(self.client.recv().await);
        while let Some(next) = event {
            match next.map_err(|error| Interruption::Broken(format!("the replication ended: {error}")))? {
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
                    self.transactions.take(&data).map_err(Interruption::Broken)?;
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
        self.client.update_applied_lsn(Lsn::from_u64(self.acknowledged.load(Ordering::Relaxed)));
        ended.retain(|(_, transaction)| transaction.end > self.begin);
        Ok((ended, reached))
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
            let keys = dependents.keys(xid, transaction).await?;
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
    /// The keys of rows that a transaction may have changed.
    async fn keys(
        &mut self,
        xid: u64,
        transaction: Transaction,
    ) -> Result<BTreeSet<CompactString>, Interruption> {
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
    ) -> Result<(), Interruption> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => self.connection.insert(connect(self.settings, "onrush catalog keys").await?),
        };
        let values: Vec<String> = values.into_iter().collect();
        let (query, doing) =
            (statements::dependent_keys(query), format!("read the keys that depend on {}", watch.table));
        loop {
            let lines = ask(connection.client(), &doing, &query, &[&values]).await?;
            if snapshot_of(&lines)?.sees(xid) {
                let found = lines.iter().filter_map(|line| line.get::<_, Option<&str>>(1));
                keys.extend(found.map(CompactString::from));
                return Ok(());
            }
            tokio::time::sleep(UNSEEN_PAUSE).await;
        }
    }
}

/// Asks again and again how far the source is, and whether its tables are as they were.
pub(super) async fn probe(
    control: &Connection,
    settings: &SourceSettings,
    rows: &SourceRows,
    inspected: &Inspected,
    acknowledgement: Arc<AtomicU64>,
) -> Result<Infallible, Interruption> {
    let client = control.client();
    for count in 0_u32.. {
        let asked_at = now();
        let answer = ask_one(client, "ask how far the source is", statements::PROBE, &[]).await?;
        let place = |at: usize| answer.get::<_, i64>(at).cast_unsigned();
        let snapshot = Snapshot::parse(answer.get(2)).unwrap_or_default();
        rows.probed(end_of_records(place(0), place(1)), &snapshot, asked_at);
        rows.publish();
        acknowledgement.store(rows.settled(), Ordering::Relaxed);
        if count % PROBES_PER_LOOK == 0 && shape(client, settings).await? != inspected.shape {
            return Err(Interruption::Lost("a table was altered".to_owned()));
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    unreachable!("it counts for ever")
}

/// How the stream's connection is made: as all others, in the words of its client.
fn config(settings: &SourceSettings, begin: u64) -> Result<ReplicationConfig, TargetError> {
    let database = settings.database();
    let config = database.primary("onrush catalog feed").map_err(TargetError::Unavailable)?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(directory)) => directory.display().to_string(),
        None => config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
    };
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let user = config.get_user().unwrap_or("postgres").to_owned();
    let database_name = config.get_dbname().unwrap_or(&user).to_owned();
    let tls = match (config.get_ssl_mode(), database.tls.mode) {
        (SslMode::Disable, _) => TlsConfig::disabled(),
        (_, Tls::UnsafeNoVerify) => TlsConfig::require(),
        _ => TlsConfig::verify_full(database.tls.ca_file.clone()),
    };
    Ok(ReplicationConfig::new(
        host,
        user,
        text(config.get_password()),
        database_name,
        settings.replication_slot.clone(),
        settings.publication.as_str(),
    )
    .with_port(config.get_ports().first().copied().unwrap_or(5432))
    .with_tls(tls)
    .with_start_lsn(Lsn::from_u64(begin))
    .with_status_interval(PROBE_INTERVAL)
    .with_max_message_size(MESSAGE_BYTES_MAX)
    .with_application_name("onrush catalog feed"))
}
