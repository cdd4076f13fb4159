//! A million keys that no row has, asked for twice: the database is asked for each once, and what is remembered of them is bounded.

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::thread;

use crate::Bench;
use crate::http::{self, Connection, Lost, request};
use crate::server::Server;
use crate::services::Services;
use crate::source_database::{self, SourceDatabase};

/// Keys that no row has.
const KEY_COUNT: u64 = 1_000_000;

/// The most that a read may ask for.
const KEYS_PER_READ: u64 = 100;

/// Keys that the server remembers in the second part.
const BOUND: u64 = 100_000;

/// What a key may take, with room for allocations that are twice as large as needed and for the connections.
const BYTES_PER_KEY_MAX: u64 = 80;

/// What the reads may take, whatever is remembered.
const SLACK_BYTES: u64 = 48 << 20;

const CONNECTION_COUNT: u64 = 4;
const DEPTH: usize = 50;

/// What a server has asked its database, and what it takes.
#[derive(Clone, Copy, Debug)]
struct Figures {
    statements: u64,
    asked_rows: u64,
    memory_bytes: u64,
    resident_bytes: u64,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(services) = Services::find()? else {
        return Ok("SKIPPED: there is no PostgreSQL (cargo xtask services up)".to_owned());
    };
    let rows = "CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL); \
                INSERT INTO things SELECT n, 'Thing ' || n FROM generate_series(1, 1000) AS n";
    let database = SourceDatabase::make(&services, "onrush_unknown", rows)?;
    let remembered =
        all_are_remembered(bench, &database).context("more are remembered than are asked for")?;
    let bounded = memory_is_bounded(bench, &database).context("fewer are remembered than are asked for")?;
    Ok(format!("{KEY_COUNT} unknown keys, twice: {remembered}; with room for {BOUND} of them {bounded}"))
}

/// With the bound that servers have: the second time nothing is asked.
fn all_are_remembered(bench: &mut Bench, database: &SourceDatabase) -> Result<String> {
    let server = start(bench, database, "remembered", "")?;
    let before = Figures::of(&server)?;
    ask_for_all(server.public(), KEYS_PER_READ)?;
    let first = Figures::of(&server)?;
    let asked = first.asked_rows - before.asked_rows;
    ensure!(asked == KEY_COUNT, "the database was asked for {asked} rows");
    let statements = first.statements - before.statements;
    ensure!(statements <= KEY_COUNT / KEYS_PER_READ, "the reads were {statements} statements");
    for keys_per_read in [KEYS_PER_READ, 1] {
        ask_for_all(server.public(), keys_per_read)?;
    }
    let last = Figures::of(&server)?;
    ensure!(
        (last.statements, last.asked_rows) == (first.statements, first.asked_rows),
        "what is remembered was asked for again: {first:?}, then {last:?}"
    );
    let grown = check_memory(before, last, KEY_COUNT)?;
    server.stop(Signal::TERM)?;
    Ok(format!(
        "{statements} statements the first time, none the second and third, memory grew by {} KiB",
        grown / 1024
    ))
}

/// With a smaller bound: all are asked for again, and memory is as if there were few.
fn memory_is_bounded(bench: &mut Bench, database: &SourceDatabase) -> Result<String> {
    let server = start(bench, database, "bounded", &format!("absent_keys_max = {BOUND}\n"))?;
    let before = Figures::of(&server)?;
    for _ in 0..2 {
        ask_for_all(server.public(), KEYS_PER_READ)?;
    }
    let last = Figures::of(&server)?;
    let asked = last.asked_rows - before.asked_rows;
    ensure!(asked <= 2 * KEY_COUNT, "the database was asked for {asked} rows");
    let grown = check_memory(before, last, BOUND)?;
    server.stop(Signal::TERM)?;
    Ok(format!("memory grew by {} KiB", grown / 1024))
}

/// By how much the process has grown, which is not more than so many keys may take; rows take nothing.
fn check_memory(before: Figures, after: Figures, key_count: u64) -> Result<u64> {
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    let most = key_count * BYTES_PER_KEY_MAX + SLACK_BYTES;
    ensure!(grown <= most, "memory grew by {grown} bytes, and {key_count} keys may take {most}");
    let rows = after.memory_bytes.saturating_sub(before.memory_bytes);
    ensure!(rows == 0, "rows took {rows} bytes more, and there are none");
    Ok(grown)
}

/// A server that reads rows when they are asked for, and remembers for longer than this takes that there are none.
fn start(bench: &mut Bench, database: &SourceDatabase, name: &str, more: &str) -> Result<Server> {
    let directory = bench.directory.join(name);
    std::fs::create_dir_all(&directory).context("make a directory")?;
    let address = database.address();
    let source = database.settings(&directory, &address.ip().to_string(), address.port())?;
    let text = format!(
        "[catalog]\nwait_ms_max = 20000\nready_when_coherent = true\n\n[catalog.things]\n{source}table = \"things\"\nkey = \"id\"\n\
         load = false\nabsent_ms = 3600000\nlag_ms_max = 60000\nreplication_slot = \"onrush_unknown_{name}\"\n{more}"
    );
    let settings = source_database::write_settings(&directory, &text)?;
    let mut launch = bench.launch()?.arguments(&["--config", &settings.display().to_string()]);
    launch.data = directory.join("data");
    launch.output = directory.join("server.log");
    source_database::prepare(&launch, &settings, &["things"])?;
    launch.start()
}

/// Reads each key once, so many at a time. No row has any of them.
fn ask_for_all(public: SocketAddr, keys_per_read: u64) -> Result<()> {
    let share = KEY_COUNT / CONNECTION_COUNT;
    thread::scope(|scope| {
        let parts: Vec<_> = (0..CONNECTION_COUNT)
            .map(|part| scope.spawn(move || ask_for(public, part * share, share, keys_per_read)))
            .collect();
        for part in parts {
            part.join().map_err(|_| anyhow!("a reader panicked"))??;
        }
        Ok(())
    })
}

fn ask_for(public: SocketAddr, first: u64, count: u64, keys_per_read: u64) -> Result<()> {
    // Keys that could be rows of the table, and are not.
    let key = |number: u64| (10_000_000 + number).to_string();
    let mut connection = Connection::open(public)?;
    let reads: Vec<u64> = (first..first + count).step_by(usize::try_from(keys_per_read)?).collect();
    for reads in reads.chunks(DEPTH) {
        let requests: Vec<_> = reads
            .iter()
            .map(|number| {
                if keys_per_read == 1 {
                    return request("GET", &format!("/v1/catalog/things/{}", key(*number)));
                }
                let keys: Vec<_> = (*number..number + keys_per_read).map(key).collect();
                request("GET", &format!("/v1/catalog/things?keys={}", keys.join(",")))
            })
            .collect();
        let answers = connection.pipeline(&requests, DEPTH).map_err(|lost: Lost| anyhow!("{lost}"))?;
        for answer in answers {
            if keys_per_read == 1 {
                ensure!(answer.status == 404, "an unknown key is {} {}", answer.status, answer.text());
                continue;
            }
            let told: Value = answer.expect(200)?;
            let missing = told["missing"].as_array().map_or(0, Vec::len);
            ensure!(missing as u64 == keys_per_read, "{missing} of {keys_per_read} keys are missing");
        }
    }
    Ok(())
}

impl Figures {
    fn of(server: &Server) -> Result<Self> {
        let listed: Value = http::once(server.operator(), &request("GET", "/v1/catalog"))?.expect(200)?;
        let figure = |name: &str| {
            listed["collections"][0][name].as_u64().with_context(|| format!("no {name} in {listed}"))
        };
        Ok(Self {
            statements: figure("fetches")?,
            asked_rows: figure("fetched_rows")?,
            memory_bytes: figure("memory_bytes")?,
            resident_bytes: server.memory_bytes()?,
        })
    }
}
