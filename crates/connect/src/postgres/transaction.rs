//! One batch, one transaction. All statements are under way at once; COMMIT follows when the fence held and nothing failed, so
//! that rows and offset become durable together or not at all.

use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::future::join_all;
use onrush_core::Incarnation;
use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

use super::batch::Batch;
use super::change_exchanges::{Exchange, push_changes};
use super::changes::Visits;
use super::connection::{Connection, within};
use super::copy_rows::CopyRows;
use super::errors::{POOLER, of_rows};
use super::numbers::bigint;
use super::ownership::{fenced, why_not_advanced};
use super::session::Session;
use super::time::Timestamp;

/// From which offset to which a batch leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advance {
    pub(super) from: Option<u64>,
    pub(super) to: u64,
    /// In which the event before `to` was decided.
    pub(super) incarnation: Incarnation,
}

const DOING: &str = "write a batch";
/// Bytes of a message of COPY; the client copies each into its own buffer, which never shrinks.
const COPY_MESSAGE_BYTES: usize = 64 << 10;
/// Visits inserted by one statement: some tenths of a second.
const VISITS_MAX: u64 = 100_000;

/// Writes a closed batch and waits until it is durable; its buffers are left empty with their memory.
pub(super) async fn write(session: &Session, batch: &mut Batch, advance: Advance) -> Result<(), TargetError> {
    let [events, reservations, history] =
        [&mut batch.event_rows, &mut batch.reservation_rows, &mut batch.history_rows]
            .map(|rows| Bytes::from(rows.take()));
    let written = within(EXCHANGE_TIMEOUT, DOING, async {
        let Session { connection, statements, .. } = session;
        let mut exchanges: Vec<Exchange<'_>> = vec![
            Box::pin(async { connection.client().batch_execute("BEGIN").await.map(|()| 0) }),
            Box::pin(step(session, batch.next_row_id, advance)),
        ];
        for (statement, rows) in [
            (&statements.copy_events, &events),
            (&statements.copy_reservations, &reservations),
            (&statements.copy_history, &history),
        ] {
            if !rows.is_empty() {
                exchanges.push(Box::pin(copy(connection, statement, rows)));
            }
        }
        push_changes(&mut exchanges, session, &batch.changes);
        // Last, when the tables are locked: nobody changes them before COMMIT.
        exchanges.push(Box::pin(is_same_session(session)));
        exchanges.push(Box::pin(columns(session)));
        // The client sends each at its first poll, so the server gets them in this order.
        check(session, advance, join_all(exchanges).await).await
    });
    written.await?;
    batch.event_rows = CopyRows::reusing(Vec::from(events));
    batch.reservation_rows = CopyRows::reusing(Vec::from(reservations));
    batch.history_rows = CopyRows::reusing(Vec::from(history));
    write_visits(session, &batch.changes.visits).await?;
    within(EXCHANGE_TIMEOUT, DOING, async {
        session.connection.client().batch_execute("COMMIT").await.map_err(|error| of_rows(DOING, &error))
    })
    .await
}

/// What came of the exchanges, in their order: what failed first is to blame for the rest.
async fn check(
    session: &Session,
    advance: Advance,
    results: Vec<Result<u64, Error>>,
) -> Result<(), TargetError> {
    let has_advanced = !matches!(results[ADVANCE_AT], Ok(row_count) if row_count != 1);
    let repeats_rows = |result: &Result<u64, Error>| matches!(result, Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION));
    if !has_advanced && results.iter().any(repeats_rows) {
        // The rows are there, and the fence is not this runner's: somebody else wrote them.
        return Err(fenced(&session.sink));
    }
    let mut answers = Vec::with_capacity(results.len());
    for result in results {
        answers.push(result.map_err(|error| of_rows(DOING, &error))?);
    }
    let [.., session_count, columns] = answers[..] else {
        unreachable!("these are asked for in every batch")
    };
    if session_count != 1 {
        return Err(TargetError::Unavailable(format!("{DOING}: {POOLER}")));
    }
    if !has_advanced {
        return Err(why_not_advanced(session, advance.from.map(bigint)).await);
    }
    if columns.cast_signed() != session.columns {
        let reason = "the tables were changed meanwhile, so their columns are looked at again";
        return Err(TargetError::Unavailable(format!("{DOING}: {reason}")));
    }
    Ok(())
}

/// Where the advance of the offset is among the exchanges.
const ADVANCE_AT: usize = 1;

async fn step(session: &Session, next_row_id: u64, advance: Advance) -> Result<u64, Error> {
    let (from, to) = (advance.from.map(bigint), bigint(advance.to));
    let parameters: [&(dyn ToSql + Sync); 6] =
        [&session.sink, &session.fence, &from, &to, &bigint(next_row_id), &i64::from(advance.incarnation.0)];
    session.connection.client().execute(&session.statements.advance, &parameters).await
}

async fn is_same_session(session: &Session) -> Result<u64, Error> {
    session.connection.client().execute(&session.statements.is_same_session, &[&session.mark]).await
}

async fn columns(session: &Session) -> Result<u64, Error> {
    let row = session.connection.client().query_one(&session.statements.columns, &[]).await?;
    Ok(row.get::<_, i64>(0).cast_unsigned())
}

async fn copy(connection: &Connection, statement: &Statement, rows: &Bytes) -> Result<u64, Error> {
    let mut sink = Box::pin(connection.client().copy_in::<_, Bytes>(statement).await?);
    for start in (0..rows.len()).step_by(COPY_MESSAGE_BYTES) {
        let end = rows.len().min(start + COPY_MESSAGE_BYTES);
        sink.feed(rows.slice(start..end)).await?;
    }
    sink.as_mut().finish().await
}

/// Inserts a row for each visit, so many with each statement that one alone never takes long.
async fn write_visits(session: &Session, visits: &[Visits]) -> Result<(), TargetError> {
    let mut portion = Portion::default();
    for visit in visits {
        let mut done = 0;
        while done < visit.by {
            let count = (visit.by - done).min(VISITS_MAX - portion.row_count);
            portion.add(visit, done, count);
            done += count;
            if portion.row_count == VISITS_MAX {
                portion.write(session).await?;
            }
        }
    }
    portion.write(session).await
}

/// Visits of one statement.
#[derive(Default)]
struct Portion<'a> {
    row_count: u64,
    first_ids: Vec<i64>,
    offsets: Vec<i64>,
    counters: Vec<&'a str>,
    first_values: Vec<i64>,
    bys: Vec<i64>,
    ats: Vec<Timestamp>,
}

impl<'a> Portion<'a> {
    /// Adds `count` visits of an event behind its first `done`.
    fn add(&mut self, visits: &'a Visits, done: u64, count: u64) {
        self.row_count += count;
        self.first_ids.push(bigint(visits.first_id + done));
        self.offsets.push(bigint(visits.offset));
        self.counters.push(&visits.counter);
        self.first_values.push(bigint(visits.value - visits.by + 1 + done));
        self.bys.push(bigint(count));
        self.ats.push(Timestamp::at(visits.at));
    }

    async fn write(&mut self, session: &Session) -> Result<(), TargetError> {
        if self.row_count == 0 {
            return Ok(());
        }
        let all = std::mem::take(self);
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&all.first_ids, &all.offsets, &all.counters, &all.first_values, &all.bys, &all.ats];
        let insert = session.connection.client().execute(&session.statements.add_visits, &parameters);
        within(EXCHANGE_TIMEOUT, DOING, async { insert.await.map_err(|error| of_rows(DOING, &error)) })
            .await?;
        Ok(())
    }
}
