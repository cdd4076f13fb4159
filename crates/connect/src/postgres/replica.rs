//! Reading the newest visit back from a streaming replica. One connection on a thread of its own answers everybody: whoever
//! asks while a query is under way is answered by the next one.

use std::collections::HashMap;
use std::time::Duration;

use onrush_node::sinks::{CounterRow, Replica, ReplicaAnswer, TargetError};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Config, Row, Statement};

use super::connection::{Connection, within};
use super::errors::unavailable;
use super::io_thread::IoThread;
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

struct Question {
    counter: String,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<CounterRow>, String>;

impl PostgresReplica {
    /// A replica that is not connected yet. Without a `replica_url` it answers with an error.
    pub fn new(settings: Settings) -> Self {
        match Self::start(settings) {
            Ok((questions, io)) => Self { questions: Ok(questions), _io: Some(io) },
            Err(reason) => Self { questions: Err(reason), _io: None },
        }
    }

    fn start(settings: Settings) -> Result<(mpsc::Sender<Question>, IoThread), String> {
        let config = settings.replica(ROUND)?.ok_or("the sink has no replica_url")?;
        let io = IoThread::start("postgres-reader")?;
        let (sender, receiver) = mpsc::channel(QUESTIONS_MAX);
        // Nothing waits for the end of it.
        drop(io.begin(answer_all(settings, config, receiver)));
        Ok((sender, io))
    }
}

impl Replica for PostgresReplica {
    fn newest(&self, counter: &str) -> ReplicaAnswer<Option<CounterRow>> {
        let (answer, answered) = oneshot::channel();
        let asked = self.questions.clone().and_then(|questions| {
            let question = Question { counter: counter.to_owned(), answer };
            questions.try_send(question).map_err(|_| "too many wait for the replica".to_owned())
        });
        Box::pin(async move {
            asked?;
            answered.await.unwrap_or_else(|_| Err("the reader of the replica has ended".to_owned()))
        })
    }
}

/// Answers questions for ever.
async fn answer_all(settings: Settings, config: Config, mut questions: mpsc::Receiver<Question>) {
    let mut reader = None;
    let mut round = Vec::with_capacity(QUESTIONS_MAX);
    while questions.recv_many(&mut round, QUESTIONS_MAX).await > 0 {
        let mut answers: HashMap<String, Answer> = HashMap::new();
        let answered = within(ROUND, "ask the replica", async {
            let reader = match &mut reader {
                Some(reader) => reader,
                None => reader.insert(Reader::open(&settings, config.clone()).await?),
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

/// A replica that has replayed all that it received has no lag; otherwise the age of the last replayed transaction is one.
const NEWEST: &str = "SELECT h.id, (extract(epoch FROM h.at) * 1000)::bigint, h.value, lag.ms
    FROM (SELECT CASE
            WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint
        END AS ms) lag
    JOIN LATERAL (SELECT id, at, value FROM counter_history WHERE counter = $1 ORDER BY id DESC LIMIT 1) h ON true";

impl Reader {
    async fn open(settings: &Settings, config: Config) -> Result<Self, TargetError> {
        let connection = Connection::open(settings, config).await?;
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
