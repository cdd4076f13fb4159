//! Reading the newest visit back from a streaming replica. One connection on a thread of its own answers everybody: whoever
//! asks while a query is under way is answered by the next one.

use std::collections::HashMap;
use std::time::Duration;

use onrush_sinks::{CounterRow, Replica, ReplicaAnswer, TargetError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Row, Statement};

use super::connection::{Connection, within};
use super::errors::unavailable;
use super::io_thread::{IoThread, died};
use super::settings::Settings;

/// A replica of the sink's database. Connects when it is first asked, and again after an error.
pub struct PostgresReplica {
    questions: Result<mpsc::Sender<Question>, String>,
    // Ends the reading when this is dropped.
    _io: Option<IoThread>,
}

/// Questions that wait for their turn; beyond, they are refused at once.
const QUESTIONS_MAX: usize = 64;
/// Longest time for one round: to connect if need be, and to answer everybody who waits.
const ROUND: Duration = Duration::from_secs(2);
const NO_REPLICA: &str = "the sink has no replica_url";

struct Question {
    counter: String,
    answer: oneshot::Sender<NewestRow>,
}

type NewestRow = Result<Option<CounterRow>, String>;

impl PostgresReplica {
    /// A replica that is not connected yet. Without a `replica_url` it answers with an error.
    pub fn new(settings: Settings) -> Self {
        match Self::start(settings) {
            Ok((questions, io)) => Self { questions: Ok(questions), _io: Some(io) },
            Err(reason) => Self { questions: Err(reason), _io: None },
        }
    }

    fn start(settings: Settings) -> Result<(mpsc::Sender<Question>, IoThread), String> {
        if settings.replica_url.is_none() {
            return Err(NO_REPLICA.to_owned());
        }
        let io = IoThread::start("postgres-reader")?;
        let (sender, receiver) = mpsc::channel(QUESTIONS_MAX);
        // Nothing waits for the end of it.
        drop(io.begin(answer_all(settings, receiver)));
        Ok((sender, io))
    }
}

impl Replica for PostgresReplica {
    fn newest(&self, counter: &str) -> ReplicaAnswer<Option<CounterRow>> {
        let (answer, answered) = oneshot::channel();
        let asked = self.questions.clone().and_then(|questions| {
            let question = Question { counter: counter.to_owned(), answer };
            questions.try_send(question).map_err(|error| match error {
                TrySendError::Full(_) => "too many wait for the replica".to_owned(),
                TrySendError::Closed(_) => died().to_string(),
            })
        });
        Box::pin(async move {
            asked?;
            answered.await.unwrap_or_else(|_| Err(died().to_string()))
        })
    }
}

/// Answers questions for ever.
async fn answer_all(settings: Settings, mut questions: mpsc::Receiver<Question>) {
    let mut reader = None;
    let mut round = Vec::with_capacity(QUESTIONS_MAX);
    while questions.recv_many(&mut round, QUESTIONS_MAX).await > 0 {
        let mut answers: HashMap<String, NewestRow> = HashMap::new();
        let answered = within(ROUND, "ask the replica", async {
            let reader = match &mut reader {
                Some(reader) => reader,
                None => reader.insert(Reader::open(&settings).await?),
            };
            for question in &round {
                if !answers.contains_key(&question.counter) {
                    let newest = reader.newest(&question.counter).await?;
                    answers.insert(question.counter.clone(), Ok(newest));
                }
            }
            Ok(())
        });
        let failure = answered.await.err().map(|error| error.to_string());
        if failure.is_some() {
            reader = None;
        }
        for question in round.drain(..) {
            let known = answers.get(&question.counter).cloned();
            let answer = known.unwrap_or_else(|| Err(failure.clone().expect("else all are answered")));
            // Whoever asked may have gone.
            let _ = question.answer.send(answer);
        }
    }
}

/// A connection to the replica with its one statement.
struct Reader {
    connection: Connection,
    newest: Statement,
}

/// A replica that is being streamed to and has replayed all that it received has no lag; otherwise the age of the last replayed
/// transaction is one, unknown if there was none. The status of the receiver is null to roles without `pg_read_all_stats`; they see
/// whether there is one.
const NEWEST: &str = "SELECT h.id, (extract(epoch FROM h.at) * 1000)::bigint, h.value, lag.ms
    FROM (SELECT CASE
            WHEN NOT pg_is_in_recovery() THEN 0
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE coalesce(status, 'streaming') = 'streaming') THEN 0
            ELSE (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint
        END AS ms) lag
    JOIN LATERAL (SELECT id, at, value FROM counter_history WHERE counter = $1 ORDER BY id DESC LIMIT 1) h ON true";

impl Reader {
    async fn open(settings: &Settings) -> Result<Self, TargetError> {
        let config = settings.replica(ROUND).map_err(TargetError::Unavailable)?;
        let config = config.ok_or_else(|| TargetError::Unavailable(NO_REPLICA.to_owned()))?;
        let connection = Connection::open_within(ROUND, settings, config).await?;
        let newest = connection.client().prepare(NEWEST).await;
        let newest = newest.map_err(|error| unavailable("prepare to read the replica", &error))?;
        Ok(Self { connection, newest })
    }

    async fn newest(&self, counter: &str) -> Result<Option<CounterRow>, TargetError> {
        let row = self.connection.client().query_opt(&self.newest, &[&counter]).await;
        let row = row.map_err(|error| unavailable("read the replica", &error))?;
        Ok(row.as_ref().map(counter_row))
    }
}

fn counter_row(row: &Row) -> CounterRow {
    CounterRow {
        id: row.get::<_, i64>(0).cast_unsigned(),
        at: row.get::<_, i64>(1).cast_unsigned(),
        value: row.get::<_, i64>(2).cast_unsigned(),
        lag_ms: row.get::<_, Option<i64>>(3).map(|lag| lag.max(0).cast_unsigned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    /// The functions of the server, replaced by what a replica in some state would say.
    const STAGE: &str = "BEGIN;
        CREATE SCHEMA replica_stage; SET LOCAL search_path = replica_stage, pg_catalog;
        CREATE TABLE counter_history AS SELECT 1::bigint AS id, now() AS at, 5::bigint AS value, 'visits' AS counter;
        CREATE TABLE pg_stat_wal_receiver (status text);
        CREATE TABLE state AS SELECT true AS recovers, '0/1'::pg_lsn AS received, '0/1'::pg_lsn AS replayed;
        CREATE FUNCTION pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT recovers FROM state';
        CREATE FUNCTION pg_last_wal_receive_lsn() RETURNS pg_lsn LANGUAGE sql AS 'SELECT received FROM state';
        CREATE FUNCTION pg_last_wal_replay_lsn() RETURNS pg_lsn LANGUAGE sql AS 'SELECT replayed FROM state';
        CREATE FUNCTION pg_last_xact_replay_timestamp() RETURNS timestamptz LANGUAGE sql
            AS $$SELECT now() - interval '1 hour'$$";

    #[tokio::test]
    async fn only_a_replica_that_is_streamed_to_has_no_lag() {
        let Ok(url) = std::env::var("ONRUSH_SERVICES_POSTGRES_URL") else { return };
        let mut settings = Settings::new(url);
        settings.password = std::env::var("ONRUSH_SERVICES_POSTGRES_PASSWORD").ok().map(Secret::new);
        let connection = Connection::open(&settings, settings.primary("test").unwrap()).await.unwrap();
        // Never committed, so nothing is left of it.
        connection.run("set the stage", STAGE).await.unwrap();
        let newest = connection.client().prepare(NEWEST).await.unwrap();
        let reader = Reader { connection, newest };
        for (state, has_lag) in [
            ("INSERT INTO pg_stat_wal_receiver VALUES ('streaming')", false),
            ("UPDATE pg_stat_wal_receiver SET status = NULL", false),
            ("UPDATE pg_stat_wal_receiver SET status = 'waiting'", true),
            ("DELETE FROM pg_stat_wal_receiver", true),
            (
                "INSERT INTO pg_stat_wal_receiver VALUES ('streaming'); UPDATE state SET received = '0/2'",
                true,
            ),
            ("UPDATE state SET received = NULL", true),
            ("UPDATE state SET recovers = false", false),
        ] {
            reader.connection.run("change the state", state).await.unwrap();
            let row = reader.newest("visits").await.unwrap().unwrap();
            assert_eq!(row.value, 5);
            let lag_ms = row.lag_ms.unwrap();
            assert_eq!(lag_ms >= 3_600_000, has_lag, "{state}: {lag_ms} ms");
            assert_eq!(lag_ms == 0, !has_lag, "{state}: {lag_ms} ms");
        }
    }
}
