//! Many readers, and reads that meet a change.

use anyhow::{Context as _, Result, anyhow, ensure};
use postgres::Client;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use super::shop::{PRODUCT_COUNT, ask_line, await_now, compare, line_target, many_request};
use crate::http::{self, ANSWER_TIMEOUT, Connection, request};

const READER_COUNT: i64 = 64;
const MISS_COUNT: usize = 1_000;
const READ_TIME: Duration = Duration::from_secs(2);

/// A row is read, and while the database is still at it the row changes: what it was before may be told to whoever asked before, and to nobody
/// after.
pub(super) fn a_read_that_a_change_overtook_is_not_kept(run: &mut Run<'_>) -> Result<()> {
    let Run { asked, client, .. } = run;
    let public = asked.public();
    for (product, units) in [(50, 1), (51, 2), (52, 3)] {
        client.batch_execute("UPDATE pause SET seconds = 1")?;
        thread::scope(|scope| -> Result<()> {
            let early = scope.spawn(move || ask_line(public, product));
            await_sessions(client, "wait_event = 'PgSleep'").context("nobody reads the row")?;
            client.batch_execute(&format!(
                "BEGIN; UPDATE pause SET seconds = 0; \
                 UPDATE tala_warehouse_stock_item SET qty_salable = {units} WHERE product_id = {product}; COMMIT"
            ))?;
            await_now(asked, client)?;
            compare(asked, client, &[product]).context("while the row is still read as it was")?;
            let early = early.join().map_err(|_| anyhow!("a reader panicked"))??;
            ensure!(early.status == 200, "the early reader got {} {}", early.status, early.text());
            compare(asked, client, &[product]).context("after the row was read as it was")
        })?;
    }
    Ok(())
}

/// Whoever logs from many threads needs a logger that takes it.
pub(super) fn many_readers_with_every_message_logged_end_nothing(run: &mut Run<'_>) -> Result<()> {
    let Run { all, asked, client, .. } = run;
    let has_ended = AtomicBool::new(false);
    let publics = [all.public(), asked.public()];
    thread::scope(|scope| -> Result<()> {
        let has_ended = &has_ended;
        let reading = (0..READER_COUNT)
            .map(|number| {
                scope.spawn(move || read_on(publics[usize::from(number % 2 == 1)], number, has_ended))
            })
            .collect::<Vec<_>>();
        let begun = Instant::now();
        while begun.elapsed() < READ_TIME {
            client.batch_execute(
                "UPDATE tala_warehouse_stock_item SET qty_salable = qty_salable + 1 WHERE product_id % 9 = 0",
            )?;
        }
        has_ended.store(true, Ordering::Relaxed);
        for reader in reading {
            reader.join().map_err(|_| anyhow!("a reader panicked"))??;
        }
        Ok(())
    })?;
    let ids = (1..=PRODUCT_COUNT).collect::<Vec<_>>();
    compare(all, client, &ids)?;
    compare(asked, client, &ids)
}

/// Reads one product and many, by turns.
fn read_on(public: SocketAddr, number: i64, has_ended: &AtomicBool) -> Result<()> {
    let mut connection = Connection::open(public)?;
    let many = many_request(&(1..=50).map(|step| 100 + number + step).collect::<Vec<_>>());
    for turn in 0.. {
        if has_ended.load(Ordering::Relaxed) {
            break;
        }
        let line = request("GET", &line_target(100 + (number * 7 + turn) % 200));
        for asked in [&line, &many] {
            let answer = connection.call(asked)?;
            ensure!(answer.status == 200, "a reader got {} {}", answer.status, answer.text());
        }
    }
    Ok(())
}

/// All of them wait for the same query.
pub(super) fn a_thousand_misses_of_one_product_are_one_query(run: &mut Run<'_>) -> Result<()> {
    const PRODUCT: i64 = 5_000;
    const WAITS: &str = "wait_event_type = 'Lock' AND query LIKE '%pause()%'";
    let mut locking = run.shop.client()?;
    let Run { asked, client, .. } = run;
    client.batch_execute("INSERT INTO product VALUES (5000, 'SKU-5000', 'Lamp 5000')")?;
    await_now(asked, client)?;
    let statements = statement_count(asked.operator())?;
    locking.batch_execute("BEGIN; LOCK TABLE product")?;
    let mut connections = Vec::new();
    for _ in 0..MISS_COUNT {
        let mut connection = Connection::open(asked.public())?;
        connection.send(&request("GET", &line_target(PRODUCT)))?;
        connections.push(connection);
    }
    await_sessions(client, WAITS).context("nobody reads the row")?;
    let waiting = session_count(client, WAITS)?;
    locking.batch_execute("COMMIT")?;
    for connection in &mut connections {
        let answer = connection.receive(false)?;
        ensure!(answer.status == 200, "a reader got {} {}", answer.status, answer.text());
    }
    let statements = statement_count(asked.operator())? - statements;
    ensure!(
        (statements, waiting) == (1, 1),
        "{MISS_COUNT} misses were {statements} statements, of which {waiting} ran at once"
    );
    Ok(())
}

/// That there is none is known from the first answer on, and no longer than there is none.
pub(super) fn an_unknown_product_is_asked_for_once(run: &mut Run<'_>) -> Result<()> {
    const PRODUCT: i64 = 9_999;
    let Run { asked, client, .. } = run;
    let statements = statement_count(asked.operator())?;
    for _ in 0..100 {
        let answer = ask_line(asked.public(), PRODUCT)?;
        ensure!(answer.status == 404, "an unknown product is {} {}", answer.status, answer.text());
    }
    let statements = statement_count(asked.operator())? - statements;
    ensure!(statements == 1, "100 reads of an unknown product were {statements} statements");
    client.batch_execute("INSERT INTO product VALUES (9999, 'SKU-9999', 'Lamp 9999')")?;
    compare(asked, client, &[PRODUCT])
}

/// Waits until a session of the database is like this.
fn await_sessions(client: &mut Client, condition: &str) -> Result<()> {
    let begun = Instant::now();
    while session_count(client, condition)? == 0 {
        ensure!(begun.elapsed() < ANSWER_TIMEOUT, "no session is there of which {condition}");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn session_count(client: &mut Client, condition: &str) -> Result<i64> {
    let query =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {condition}");
    Ok(client.query_one(&query, &[]).context("look at the sessions")?.get(0))
}

/// Statements by which the server has read rows, as it says.
fn statement_count(operator: SocketAddr) -> Result<u64> {
    let listed: Value = http::once(operator, &request("GET", "/v1/catalog"))?.expect(200)?;
    listed["collections"][0]["fetches"].as_u64().with_context(|| format!("no count of statements: {listed}"))
}
