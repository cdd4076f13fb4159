//! What a database must be like for its changes to be followed, found out before anything is followed.

use std::time::Duration;

use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connecting::TIMEOUTS;
use super::settings::{SourceSettings, Watch};
use super::statements::{self, KeyType};
use crate::postgres::connection::within;
use crate::postgres::errors::unavailable;

/// A database whose changes can be followed.
#[derive(Debug)]
pub(super) struct Inspected {
    /// Stands for how the watched tables are built.
    pub(super) shape: String,
    /// What an operator should know, if the disk of the server is without a guard.
    pub(super) warning: Option<String>,
    /// When the server was started, which tells it from others.
    pub(super) started_at: String,
}

/// A replication slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplicationSlot {
    Missing,
    /// The server gave up what it had kept.
    Lost,
    /// It goes on from here.
    At(u64),
}

/// The smallest server whose changes can be followed: `pg_current_snapshot` and partitioned tables in publications.
const VERSION_MIN: i32 = 130_000;

/// What the connection of the feed is called. Servers may take whoever follows them for a standby by this name.
pub(super) const FEED_NAME: &str = "onrush catalog feed";

/// How long a replication slot may take to be made.
const CREATION_TIMEOUT: Duration = Duration::from_mins(10);

/// Asks for everything that has to be as it must.
pub(super) async fn inspect(client: &Client, settings: &SourceSettings) -> Result<Inspected, TargetError> {
    let server = ask_one(client, "read the server's settings", SERVER, &[]).await?;
    let (version, wal_level, is_standby): (i32, String, bool) = (server.get(0), server.get(1), server.get(2));
    if version < VERSION_MIN {
        return refuse(format!("the server is PostgreSQL {}; at least 13 is needed", version / 10_000));
    }
    if wal_level != "logical" {
        return refuse(format!(
            "wal_level is {wal_level}: run ALTER SYSTEM SET wal_level = logical and start the server again"
        ));
    }
    if is_standby {
        return refuse("the server is a standby: url must lead to the primary".to_owned());
    }
    let (encoding, standbys): (&str, &str) = (server.get(4), server.get(5));
    if encoding != "UTF8" {
        return refuse(format!(
            "the database is in {encoding}: only UTF8 has every key that somebody may ask for"
        ));
    }
    // Its commits would wait until onrush has read the rows, which nobody sees before the commit is done.
    if standbys.contains('*') || standbys.contains(FEED_NAME) {
        return refuse(format!(
            "synchronous_standby_names is {standbys}, which takes onrush for a standby that commits wait for: name the standbys in it"
        ));
    }
    let key_type = key_type(client, settings).await?;
    for watch in &settings.watches {
        inspect_table(client, settings, watch).await?;
        inspect_keys(client, watch, key_type).await?;
    }
    let shape = shape(client, settings).await?;
    let keeps_all: i64 = server.get(3);
    let warning = (keeps_all < 0).then(|| {
        "max_slot_wal_keep_size is -1, so a replication slot that nobody reads fills the server's disk: set it, for instance with \
         ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'"
            .to_owned()
    });
    Ok(Inspected { shape, warning, started_at: server.get(6) })
}

const SERVER: &str = "SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(), \
     (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), current_setting('server_encoding'), \
     current_setting('synchronous_standby_names'), pg_postmaster_start_time()::text";

const TABLE: &str = "SELECT c.relkind::text, c.relreplident::text, \
     EXISTS (SELECT FROM pg_publication WHERE pubname = $3), \
     EXISTS (SELECT FROM pg_publication_tables p \
             WHERE p.pubname = $3 AND p.schemaname = $1 AND p.tablename = $2), \
     EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $4 AND a.attnum > 0), \
     EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey) \
             WHERE i.indrelid = c.oid AND a.attname = $4 \
               AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)), \
     coalesce((SELECT pubviaroot FROM pg_publication WHERE pubname = $3), false), \
     coalesce((SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication WHERE pubname = $3), false), \
     EXISTS (SELECT FROM pg_publication_tables p \
             WHERE p.pubname = $3 AND p.schemaname = $1 AND p.tablename = $2 AND to_jsonb(p) ->> 'rowfilter' IS NOT NULL), \
     c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

async fn inspect_table(client: &Client, settings: &SourceSettings, watch: &Watch) -> Result<(), TargetError> {
    let (schema, table) = watch.names();
    let doing = format!("look at {}", watch.table);
    let found = ask(client, &doing, TABLE, &[&schema, &table, &settings.publication, &watch.column]).await?;
    let Some(found) = found.first() else {
        return refuse(format!("there is no table {}, or it may not be seen", watch.table));
    };
    let (kind, identity): (&str, &str) = (found.get(0), found.get(1));
    let is = |at: usize| found.get::<_, bool>(at);
    let (table, publication) = (&watch.table, &settings.publication);
    let problem = if !matches!(kind, "r" | "p") {
        format!("{table} is no table: watch the tables that it reads")
    } else if !is(2) {
        format!(
            "there is no publication {publication}: run onrush catalog prepare, or what it prints with --print"
        )
    } else if !is(3) {
        format!(
            "publication {publication} does not have {table}: run ALTER PUBLICATION {publication} ADD TABLE {table}"
        )
    } else if !is(4) {
        format!("{table} has no column {}", watch.column)
    } else if identity != "f" && !is(5) {
        watch.identity_missing()
    } else if kind == "p" && !is(6) {
        format!(
            "{table} is partitioned: run ALTER PUBLICATION {publication} SET (publish_via_partition_root = true)"
        )
    } else if !is(7) {
        format!(
            "publication {publication} leaves out some kinds of changes: run ALTER PUBLICATION {publication} SET (publish = \
             'insert, update, delete, truncate')"
        )
    } else if is(8) {
        format!(
            "publication {publication} has a row filter on {table}: changes that it leaves out would not be noticed"
        )
    } else if is(9) {
        format!("{table} has tables that inherit from it, whose changes would not be noticed")
    } else {
        return Ok(());
    };
    refuse(problem)
}

/// Whether what changes tell of the column leads to keys: by a query, or because it is written as keys are.
async fn inspect_keys(client: &Client, watch: &Watch, of_rows: KeyType) -> Result<(), TargetError> {
    let (schema, table) = watch.names();
    let (query, doing) = if let Some(keys) = &watch.keys {
        (statements::dependent_keys(keys), format!("prepare watch.{}: keys", watch.table))
    } else {
        let (schema, table) = (statements::quoted(schema), statements::quoted(table));
        let column = statements::quoted(&watch.column);
        (format!("SELECT {column} FROM {schema}.{table} LIMIT 0"), format!("look at {}", watch.table))
    };
    let statement = within(EXCHANGE_TIMEOUT, &doing, async {
        client.prepare(&query).await.map_err(|error| unavailable(&doing, &error))
    });
    let statement = statement.await?;
    if watch.keys.is_some() {
        return match statement.params() {
            [parameter] if *parameter == Type::TEXT_ARRAY => Ok(()),
            _ => refuse(format!("{doing}: $1 must be an array of text, as in $1::text[]")),
        };
    }
    let found = statement.columns()[0].type_();
    if KeyType::of(found).is_some_and(|found| found.is_like(of_rows)) {
        return Ok(());
    }
    refuse(format!(
        "{}.{} is {found}, which is not written as the key of the rows is: give watch.{} a query of keys",
        watch.table, watch.column, watch.table
    ))
}

/// What a key is, if rows of the query can be told by it.
pub(super) async fn key_type(client: &Client, settings: &SourceSettings) -> Result<KeyType, TargetError> {
    let doing = "prepare the query";
    let statement = within(EXCHANGE_TIMEOUT, doing, async {
        client.prepare(&statements::key_type(settings)).await.map_err(|error| unavailable(doing, &error))
    });
    let statement = statement.await?;
    let found = statement.columns()[0].type_();
    KeyType::of(found).ok_or_else(|| {
        TargetError::Unavailable(format!(
            "{} is {found}: a key is smallint, integer, bigint, uuid, text or varchar",
            settings.key
        ))
    })
}

/// Stands for the watched tables as they are built: their columns, their partitions, and what the publication has of them. It is another
/// after any of that was altered.
pub(super) async fn shape(client: &Client, settings: &SourceSettings) -> Result<String, TargetError> {
    const SHAPE: &str = "WITH watched AS (SELECT c.oid, c.relkind FROM unnest($1::text[], $2::text[]) AS w(schema_name, table_name) \
             JOIN pg_namespace n ON n.nspname = w.schema_name \
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name), \
         parts AS (SELECT t.relid AS oid FROM watched w, pg_partition_tree(w.oid) AS t WHERE w.relkind = 'p' \
             UNION SELECT oid FROM watched), \
         facts AS ( \
             SELECT concat_ws(' ', 'column', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped, a.attgenerated, \
                 a.attmissingval::text) AS fact FROM parts p JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum > 0 \
             UNION ALL SELECT concat_ws(' ', 'table', c.oid, c.relreplident, CASE WHEN w.oid IS NULL THEN c.relfilenode END) \
                 FROM parts p JOIN pg_class c ON c.oid = p.oid LEFT JOIN watched w ON w.oid = p.oid \
             UNION ALL SELECT concat_ws(' ', 'publication', to_jsonb(p)::text) FROM pg_publication p WHERE p.pubname = $3 \
             UNION ALL SELECT concat_ws(' ', 'member', to_jsonb(t)::text) FROM pg_publication_tables t \
                 JOIN unnest($1::text[], $2::text[]) AS w(schema_name, table_name) \
                     ON (w.schema_name, w.table_name) = (t.schemaname, t.tablename) WHERE t.pubname = $3) \
         SELECT md5(coalesce(string_agg(fact, ',' ORDER BY fact), '')) FROM facts";
    let (schemas, tables): (Vec<&str>, Vec<&str>) = settings.watches.iter().map(Watch::names).unzip();
    let parameters: [Parameter<'_>; 3] = [&schemas, &tables, &settings.publication];
    Ok(ask_one(client, "look at how the tables are built", SHAPE, &parameters).await?.get(0))
}

/// How the replication slot of the collection stands.
pub(super) async fn replication_slot(client: &Client, name: &str) -> Result<ReplicationSlot, TargetError> {
    const SLOT: &str = "SELECT plugin::text, database::text = current_database(), coalesce(wal_status, '') = 'lost', \
         (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint FROM pg_replication_slots WHERE slot_name = $1";
    let found = ask(client, "look at the replication slot", SLOT, &[&name]).await?;
    let Some(found) = found.first() else { return Ok(ReplicationSlot::Missing) };
    let (plugin, is_here): (Option<&str>, Option<bool>) = (found.get(0), found.get(1));
    if plugin != Some("pgoutput") || is_here != Some(true) {
        return refuse(format!(
            "replication slot {name} belongs to something else: set another replication_slot or, if nobody needs that one, drop it with \
             SELECT pg_drop_replication_slot('{name}')"
        ));
    }
    if found.get::<_, bool>(2) {
        return Ok(ReplicationSlot::Lost);
    }
    let confirmed: Option<i64> = found.get(3);
    Ok(ReplicationSlot::At(confirmed.map_or(0, i64::cast_unsigned)))
}

/// Makes the replication slot. The server waits until transactions have ended that write now.
///
/// Returns where it begins, and the number that the next transaction has then.
pub(super) async fn create_replication_slot(client: &Client, name: &str) -> Result<(u64, u64), TargetError> {
    const CREATE: &str =
        "SELECT (lsn - '0/0'::pg_lsn)::bigint FROM pg_create_logical_replication_slot($1, 'pgoutput')";
    const NO_TIMEOUTS: &str = "SET statement_timeout = 0; SET lock_timeout = 0";
    let doing = format!(
        "make replication slot {name}, for which the server waits until open transactions have ended"
    );
    let created = within(CREATION_TIMEOUT, &doing, async {
        let failed = |error| unavailable(&doing, &error);
        client.batch_execute(NO_TIMEOUTS).await.map_err(failed)?;
        let created = client.query_one(CREATE, &[&name]).await.map_err(failed)?;
        client.batch_execute(TIMEOUTS).await.map_err(failed)?;
        Ok(created)
    });
    let begin = created.await?.get::<_, i64>(0).cast_unsigned();
    let seen = ask(client, "read a snapshot", statements::SNAPSHOT, &[]).await?;
    Ok((begin, statements::snapshot_of(&seen)?.xmax()))
}

/// Removes the replication slot, which nobody may read now.
pub(super) async fn drop_replication_slot(client: &Client, name: &str) -> Result<(), TargetError> {
    const DROP: &str =
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
    ask(client, &format!("drop replication slot {name}"), DROP, &[&name]).await.map(drop)
}

type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// Runs a query within [`EXCHANGE_TIMEOUT`].
pub(super) async fn ask(
    client: &Client,
    doing: &str,
    query: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<tokio_postgres::Row>, TargetError> {
    within(EXCHANGE_TIMEOUT, doing, async {
        client.query(query, parameters).await.map_err(|error| unavailable(doing, &error))
    })
    .await
}

pub(super) async fn ask_one(
    client: &Client,
    doing: &str,
    query: &str,
    parameters: &[Parameter<'_>],
) -> Result<tokio_postgres::Row, TargetError> {
    let mut rows = ask(client, doing, query, parameters).await?;
    rows.pop().ok_or_else(|| TargetError::Unavailable(format!("{doing}: the server gave no row")))
}

fn refuse<T>(problem: String) -> Result<T, TargetError> {
    Err(TargetError::Unavailable(problem))
}
