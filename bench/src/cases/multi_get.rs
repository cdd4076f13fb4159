//! Reads of several rows at once: over gRPC, next to the same keys over HTTP. Every answer is looked at.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use onrush_client::Client;
use serde_json::Value;

use super::catalog::{PATH, ROW_BYTES, SETTING, put_rows, row};
use crate::closed_loop::{self, Plan, Protocol};
use crate::http::{exchange, request_bytes};
use crate::http2;
use crate::random::{Random, Zipf};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::Onrush;
use crate::setting::Bench;

const COLLECTION: &str = "bench";
const CALL: &str = "/onrush.v1.Catalog/GetRows";
/// So that all keys, and with them all answers, are of one length.
const FIRST_KEY: u32 = 100_000;
const ROW_COUNT: u32 = 100_000;
const KEY_COUNT: usize = 20;
/// Sets of keys, asked for one after the other.
const SET_COUNT: usize = 4_096;
const EXPONENT: f64 = 1.0;
const FACTOR: usize = 61_803;
const CONNECTION_COUNT: usize = 64;
/// Sets of which the rows are compared byte by byte.
const COMPARED_COUNT: usize = 50;

const HTTP: &str = "HTTP";
const GRPC: &str = "gRPC";
const CLIENT: &str = "gRPC by the client for Rust";

/// Rows per second.
pub(crate) fn multi_get(bench: &Bench) -> Result<Findings> {
    let rows: Vec<(String, String)> =
        (FIRST_KEY..FIRST_KEY + ROW_COUNT).map(|number| (number.to_string(), row(number))).collect();
    let environment = [(SETTING.0.to_owned(), SETTING.1.to_owned())];
    let onrush = Onrush::start_bare(&bench.settings.onrush, &bench.directory("multi-get")?, &environment)?;
    put_rows(&onrush, &rows)?;
    let sets = key_sets();
    compare_some(&onrush, &sets)?;
    let gets: Vec<_> = sets.iter().map(|keys| request_bytes("GET", &path(keys), None)).collect();
    let calls: Result<Vec<_>> = sets.iter().map(|keys| http2::call(CALL, &message(keys))).collect();
    let calls = calls?;
    let http_bytes = exchange(onrush.address, "GET", &path(&sets[0]), None)?.body.len();
    let grpc_bytes = http2::body_bytes(onrush.address, &calls[0])?;
    let order: Vec<_> = (0..SET_COUNT).collect();
    let duration = Duration::from_secs(bench.settings.turn_seconds);
    let raw = |name: &str, protocol, requests, body_bytes| {
        let plan = Plan {
            address: onrush.address,
            protocol,
            requests,
            order: &order,
            connection_count: CONNECTION_COUNT,
            duration,
            body_bytes,
        };
        Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(move |_| ask(&plan)) }
    };
    let mut contenders = [
        raw(HTTP, Protocol::Http, &gets, http_bytes),
        raw(GRPC, Protocol::Grpc, &calls, grpc_bytes),
        Contender {
            name: CLIENT.into(),
            pids: onrush.pids(),
            turn: Box::new(|_| ask_by_client(&onrush, &sets, duration)),
        },
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds("20 keys at once", &rounds);
    let figure = |side| {
        let rows = rounds.values(side, |turn| turn.outcome.success_rate() * KEY_COUNT as f64);
        Figure::new(side, "rows/s", rows)
    };
    let compare = |name: &str, side| Row::new(name, figure(side), Some(figure(HTTP)), Better::Higher);
    let mut row = compare("20 keys at once over gRPC", GRPC)
        .targets(Target::RatioAtLeast(0.8), Target::RatioAtLeast(1.0))
        .note(format!(
            "{ROW_COUNT} rows of {ROW_BYTES} B, sets of {KEY_COUNT} keys by a Zipf distribution with exponent {EXPONENT:.1}, the same for both; \
             {CONNECTION_COUNT} connections with one call at a time each; clients of both are the one thread of this program, which looks at the \
             status and the length of every answer: {http_bytes} B over HTTP, {grpc_bytes} B over gRPC; none was refused and none of another length"
        ));
    row.notes.extend(rounds.doubts());
    let by_client = compare("the same by the client for Rust", CLIENT).note(format!(
        "{CONNECTION_COUNT} connections in one thread, which takes every answer apart: the client is what it measures"
    ));
    findings.rows.extend([row, by_client]);
    onrush.stop()?;
    Ok(findings)
}

fn ask(plan: &Plan<'_>) -> Result<Outcome> {
    let run = closed_loop::run(plan)?;
    ensure!(
        run.first_other.is_none(),
        "{} answers, {} refusals, {} of another length than {} bytes; the first such: {:?}",
        run.success_count,
        run.refusal_count,
        run.other_length_count,
        plan.body_bytes,
        run.first_other.unwrap_or_default()
    );
    ensure!(run.success_count > 0, "no answer in {:?}", plan.duration);
    Ok(Outcome::of_count(run.success_count, run.seconds, None))
}

/// Asks by the client that users have.
fn ask_by_client(onrush: &Onrush, sets: &[Vec<String>], duration: Duration) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = format!("http://{}", onrush.address);
    let started = Instant::now();
    let ask = async |place: usize| -> Result<u64> {
        let client = Client::connect(&address).await?;
        let mut count = 0;
        for keys in sets.iter().cycle().skip(place * sets.len() / CONNECTION_COUNT) {
            if started.elapsed() >= duration {
                break;
            }
            let rows = client.rows(COLLECTION, keys.clone()).await?;
            ensure!(rows.rows.len() == KEY_COUNT, "{} rows are missing", rows.missing.len());
            count += 1;
        }
        Ok(count)
    };
    let counts = runtime.block_on(futures_util::future::try_join_all((0..CONNECTION_COUNT).map(ask)))?;
    Ok(Outcome::of_count(counts.iter().sum(), started.elapsed().as_secs_f64(), None))
}

/// Different keys in each set.
fn key_sets() -> Vec<Vec<String>> {
    let zipf = Zipf::new(ROW_COUNT, EXPONENT);
    let mut random = Random::new(1);
    let mut set = || {
        let mut keys = BTreeSet::new();
        while keys.len() < KEY_COUNT {
            keys.insert(zipf.draw(&mut random) * FACTOR % ROW_COUNT as usize + FIRST_KEY as usize);
        }
        keys.iter().map(ToString::to_string).collect()
    };
    (0..SET_COUNT).map(|_| set()).collect()
}

fn path(keys: &[String]) -> String {
    format!("{PATH}?keys={}", keys.join(","))
}

/// `onrush.v1.GetRowsRequest`: the collection is field 1, each key a field 2, and all texts are short.
fn message(keys: &[String]) -> Vec<u8> {
    let field = |number: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![number << 3 | 2, length];
        bytes.extend(text.as_bytes());
        bytes
    };
    let mut bytes = field(1, COLLECTION);
    bytes.extend(keys.iter().flat_map(|key| field(2, key)));
    bytes
}

/// Both ways give the same rows.
fn compare_some(onrush: &Onrush, sets: &[Vec<String>]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(Client::connect(&format!("http://{}", onrush.address)))?;
    for keys in sets.iter().take(COMPARED_COUNT) {
        let answer = exchange(onrush.address, "GET", &path(keys), None)?;
        let over_http: Value = serde_json::from_str(&answer.body).context("parse rows")?;
        let over_grpc = runtime.block_on(client.rows(COLLECTION, keys.clone()))?;
        ensure!(over_grpc.rows.len() == KEY_COUNT, "rows are missing: {:?}", over_grpc.missing);
        for row in over_grpc.rows {
            let json: Value = serde_json::from_slice(&row.json).context("parse a row")?;
            ensure!(over_http["rows"][&row.key] == json, "row {} differs over HTTP and gRPC", row.key);
        }
    }
    Ok(())
}
