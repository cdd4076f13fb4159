//! Reads of cached rows: a catalog that the server was given by its operator, next to nginx with a file for each row, and to
//! Redis with a key for each. All are sent the same order of keys, in which few keys are asked for most of the time, and
//! every answer is looked at.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::closed_loop::{self, Plan, Protocol};
use crate::http::{exchange, post_lines, request_bytes};
use crate::load::{Clients, fill_by};
use crate::machine::core_count;
use crate::process::resident_bytes;
use crate::random::{Random, Zipf};
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Nginx, Onrush, Redis, redis_command};
use crate::setting::{Bench, progress};

/// The collection, as its setting names it.
pub(super) const SETTING: (&str, &str) = ("ONRUSH_CATALOG__BENCH__SOURCE", "embedded");
pub(super) const PATH: &str = "/v1/catalog/bench";
const ROW_COUNT: u32 = 100_000;
pub(super) const ROW_BYTES: usize = 500;
/// The server takes up to 1.5 MiB and 10,000 lines at once.
const ROWS_PER_REQUEST: usize = 2_500;
const EXPONENT: f64 = 1.0;
const SEED: u64 = 1;
/// Keys that are drawn. It starts again behind the last.
const ORDER_LENGTH: usize = 1 << 20;
/// Times that each row is read before the first round for every worker of nginx, which has a cache of its own: a connection
/// goes to any of them, and one worker misses a row with a probability of 2 %.
const PASSES_PER_WORKER: usize = 4;
const READERS: Clients = Clients { connection_count: 64, pipelined_count: 64 };
/// Rows that are put before memory is looked at.
const FIRST_ROW_COUNT: usize = 20_000;
/// Of this many rows one is compared byte by byte.
const COMPARED_EVERY: usize = 1_000;

const ONRUSH: &str = "onrush";
const NGINX: &str = "nginx";
const REDIS: &str = "redis";

/// Reads by key with 100 and 400 connections, and bytes of memory that a row takes beyond its own.
pub(crate) fn catalog(bench: &Bench) -> Result<Findings> {
    let rows: Vec<(String, String)> =
        (0..ROW_COUNT).map(|number| (number.to_string(), row(number))).collect();
    let environment = [(SETTING.0.to_owned(), SETTING.1.to_owned())];
    let directory = bench.directory("catalog-onrush")?;
    let onrush = Onrush::start_bare(&bench.settings.onrush, &directory, &environment)?;
    let files = bench.directory("catalog-files")?;
    write_files(&files, &rows)?;
    let nginx = Nginx::start_files(&bench.directory("catalog-nginx")?, &files, u64::from(ROW_COUNT))?;
    let redis = Redis::start(&bench.directory("catalog-redis")?)?;
    let memory = memory_row(
        bytes_beyond(&onrush.pids(), &rows, |rows| put_rows(&onrush, rows))?,
        bytes_beyond(&redis.pids(), &rows, |rows| redis.set_all(rows))?,
    );
    read_all([nginx.address, onrush.address])?;
    compare_some(&rows, [nginx.address, onrush.address], &redis)?;
    let gets: Vec<_> = rows.iter().map(|(key, _)| get(key)).collect();
    let redis_gets: Vec<_> = rows.iter().map(|(key, _)| redis_command(&["GET", key]).into_bytes()).collect();
    let side = |name, pids, address, protocol| {
        let requests = if name == REDIS { &redis_gets } else { &gets };
        Side { name, pids, address, protocol, requests, head_bytes: Cell::new(0.0) }
    };
    let sides = [
        side(NGINX, nginx.pids(), nginx.address, Protocol::Http),
        side(ONRUSH, onrush.pids(), onrush.address, Protocol::Http),
        side(REDIS, redis.pids(), redis.address, Protocol::Redis),
    ];
    let order = order();
    let mut findings = Findings::default();
    for connection_count in [100, 400] {
        let duration = Duration::from_secs(bench.settings.turn_seconds);
        let mut contenders = sides.each_ref().map(|side| side.contender(&order, connection_count, duration));
        let rounds = Rounds::interleave(bench, &mut contenders)?;
        drop(contenders);
        findings.merge(compared(&rounds, &sides, connection_count));
    }
    findings.rows.push(memory);
    onrush.stop()?;
    Ok(findings)
}

/// One of the servers, and what it is sent.
struct Side<'a> {
    name: &'static str,
    pids: Vec<u32>,
    address: SocketAddr,
    protocol: Protocol,
    /// One for each row.
    requests: &'a [Vec<u8>],
    /// Bytes of an answer beside the row, as the last turn had them.
    head_bytes: Cell<f64>,
}

impl Side<'_> {
    /// Anything but the row ends the benchmark: a server that answers less has less to do.
    fn contender<'a>(
        &'a self,
        order: &'a [usize],
        connection_count: usize,
        duration: Duration,
    ) -> Contender<'a> {
        let turn = move |_: &str| {
            let run = closed_loop::run(&Plan {
                address: self.address,
                protocol: self.protocol,
                requests: self.requests,
                order,
                connection_count,
                duration,
                body_bytes: ROW_BYTES,
            })?;
            ensure!(
                run.first_other.is_none(),
                "{} rows, {} refusals, {} bodies of another length than {ROW_BYTES} bytes; the first such answer: {:?}",
                run.success_count,
                run.refusal_count,
                run.other_length_count,
                run.first_other.unwrap_or_default()
            );
            ensure!(run.success_count > 0, "no answer in {duration:?}");
            self.head_bytes.set(run.received_bytes as f64 / run.success_count as f64 - ROW_BYTES as f64);
            Ok(Outcome::of_count(run.success_count, run.seconds, None))
        };
        Contender { name: self.name.into(), pids: self.pids.clone(), turn: Box::new(turn) }
    }
}

fn compared(rounds: &Rounds, sides: &[Side<'_>], connection_count: usize) -> Findings {
    let title = format!("GET {PATH}/{{key}}, {connection_count} connections");
    let mut findings = Findings::of_rounds(&title, rounds);
    let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let compare =
        |peer| Row::new(format!("{title}, to {peer}"), figure(ONRUSH), Some(figure(peer)), Better::Higher);
    let mut to_nginx = compare(NGINX)
        .targets(Target::RatioAtLeast(0.95), Target::RatioAtLeast(1.2))
        .note(format!(
            "{ROW_COUNT} rows of {ROW_BYTES} B, keys by a Zipf distribution with exponent {EXPONENT:.1}, the same order for all; \
             clients of all sides are the one thread of this program, which looks at every answer"
        ))
        .note(answers_in_words(rounds, sides))
        .note(nginx_in_words());
    to_nginx.notes.extend(rounds.doubts());
    let to_redis = compare(REDIS)
        .targets(Target::RatioAtLeast(0.9), Target::RatioAtLeast(1.2))
        .note("Redis is asked by GET over its own protocol, one command at a time on each connection");
    findings.rows.extend([to_nginx, to_redis]);
    findings
}

fn answers_in_words(rounds: &Rounds, sides: &[Side<'_>]) -> String {
    let parts = sides.iter().map(|side| {
        let count: f64 = rounds.values(side.name, |turn| turn.outcome.success_count as f64).iter().sum();
        format!("{} {count:.0} with {:.0} B beside the row", side.name, side.head_bytes.get())
    });
    format!(
        "answers in all rounds, none refused and none of another length: {}; heads are as each server sends them",
        parts.collect::<Vec<_>>().join(", ")
    )
}

fn nginx_in_words() -> String {
    let cached = Nginx::cached_files_max(u64::from(ROW_COUNT));
    let text = format!("each worker of nginx keeps up to {cached} of {ROW_COUNT} files open");
    if cached == u64::from(ROW_COUNT) {
        return text;
    }
    format!(
        "{text}, as many as this process may (ulimit -Hn), and opens others for each request, which makes it slower; \
         raise the limit above {} to compare with all of them open",
        2 * ROW_COUNT
    )
}

/// Targets are in the direction of every ratio: 1.67 is 0.6 of what Redis takes.
fn memory_row(onrush_bytes: f64, redis_bytes: f64) -> Row {
    let figure = |side, bytes| Figure::new(side, "B a row", vec![bytes]);
    Row::new(
        format!("memory beyond the {ROW_BYTES} B of a row"),
        figure(ONRUSH, onrush_bytes),
        Some(figure(REDIS, redis_bytes)),
        Better::Lower,
    )
    .targets(Target::RatioAtLeast(1.0), Target::RatioAtLeast(1.67))
    .note(format!(
        "growth of resident memory while rows {FIRST_ROW_COUNT} to {ROW_COUNT} are put, for each of them, less {ROW_BYTES}: those before \
         make the buffers that a load takes once; onrush takes {:.2} of what Redis takes (now at most 1.0, aim 0.6)",
        onrush_bytes / redis_bytes
    ))
}

/// By how much the resident memory of a server grows for each row while it is given all but the first, less the row's own bytes.
fn bytes_beyond(
    pids: &[u32],
    rows: &[(String, String)],
    put: impl Fn(&[(String, String)]) -> Result<()>,
) -> Result<f64> {
    let (first, rest) = rows.split_at(FIRST_ROW_COUNT);
    put(first)?;
    let before = resident_bytes(pids) as f64;
    put(rest)?;
    Ok((resident_bytes(pids) as f64 - before) / rest.len() as f64 - ROW_BYTES as f64)
}

/// A JSON object of [`ROW_BYTES`], different for each number.
pub(super) fn row(number: u32) -> String {
    let mut text = format!(
        "{{\"title\":\"Article {number}\",\"price_cents\":{},\"description\":\"",
        100 + number % 10_000
    );
    let end = "\"}";
    let letters = (b'a'..=b'z').map(char::from).cycle().skip(number as usize % 26);
    text.extend(letters.take(ROW_BYTES - text.len() - end.len()));
    text + end
}

/// Which row is asked for when. Ranks are spread over the keys by a factor that has no divisor in common with their count,
/// or the rows that are asked for most would be neighbours in memory.
fn order() -> Vec<usize> {
    const FACTOR: usize = 61_803;
    let zipf = Zipf::new(ROW_COUNT, EXPONENT);
    let mut random = Random::new(SEED);
    (0..ORDER_LENGTH).map(|_| zipf.draw(&mut random) * FACTOR % ROW_COUNT as usize).collect()
}

fn get(key: &str) -> Vec<u8> {
    request_bytes("GET", &format!("{PATH}/{key}"), None)
}

/// One file for each row, at the path under which onrush has it.
fn write_files(root: &Path, rows: &[(String, String)]) -> Result<()> {
    let directory = root.join(PATH.trim_start_matches('/'));
    fs::create_dir_all(&directory)?;
    for (key, row) in rows {
        fs::write(directory.join(key), row).with_context(|| format!("write the file of row {key}"))?;
    }
    // Otherwise the kernel would write them during the first rounds.
    rustix::fs::syncfs(File::open(&directory)?).context("sync the files of rows")?;
    progress(&format!("  wrote {} files", rows.len()));
    Ok(())
}

pub(super) fn put_rows(onrush: &Onrush, rows: &[(String, String)]) -> Result<()> {
    for some in rows.chunks(ROWS_PER_REQUEST) {
        let mut lines = String::new();
        for (key, row) in some {
            writeln!(lines, "{{\"key\":\"{key}\",\"row\":{row}}}")?;
        }
        let answer = post_lines(onrush.operator_address, PATH, &lines)?;
        let body: Value = serde_json::from_str(&answer.body).context("parse the answer to rows")?;
        ensure!(body["rows"] == some.len(), "{} rows were put, but the server says {body}", some.len());
    }
    progress(&format!("  put {} rows", rows.len()));
    Ok(())
}

/// Reads every row often enough that each worker of nginx has its file open.
fn read_all(addresses: [SocketAddr; 2]) -> Result<()> {
    let count = u64::from(ROW_COUNT) * (PASSES_PER_WORKER * core_count()) as u64;
    for address in addresses {
        let read =
            fill_by(READERS, address, count, |number| get(&(number % u64::from(ROW_COUNT)).to_string()))?;
        ensure!(
            read.other_count == 0,
            "{} of {count} reads from {address} were not answered 2xx",
            read.other_count
        );
        progress(&format!("  read each row {} times in {:.1} s", count / u64::from(ROW_COUNT), read.seconds));
    }
    Ok(())
}

/// Lengths are looked at in every turn. Here some rows are compared as a whole.
fn compare_some(rows: &[(String, String)], addresses: [SocketAddr; 2], redis: &Redis) -> Result<()> {
    for (key, row) in rows.iter().step_by(COMPARED_EVERY) {
        for address in addresses {
            let answer = exchange(address, "GET", &format!("{PATH}/{key}"), None)?;
            ensure!(answer.body == *row, "{address} has another row {key}: {}", answer.body);
        }
        ensure!(redis.value(key)? == *row, "Redis has another row {key}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_json_of_one_length() {
        for number in [0, 9, 12_345, ROW_COUNT - 1] {
            let text = row(number);
            assert_eq!(text.len(), ROW_BYTES, "{text}");
            let title = serde_json::from_str::<Value>(&text).unwrap()["title"].clone();
            assert_eq!(title, format!("Article {number}"));
        }
    }

    #[test]
    fn a_request_with_rows_is_within_the_bounds_of_the_server() {
        let line = format!("{{\"key\":\"{}\",\"row\":{}}}\n", ROW_COUNT - 1, row(ROW_COUNT - 1));
        assert!(line.len() * ROWS_PER_REQUEST <= 1_572_864);
    }

    #[test]
    fn many_keys_are_asked_for_and_few_of_them_often() {
        let order = order();
        let mut counts = vec![0_u32; ROW_COUNT as usize];
        for key in &order {
            counts[*key] += 1;
        }
        let distinct: BTreeSet<_> = order.iter().collect();
        assert!(distinct.len() > 50_000, "{}", distinct.len());
        counts.sort_unstable_by(|left, right| right.cmp(left));
        let share = f64::from(counts[..100].iter().sum::<u32>()) / order.len() as f64;
        assert!((0.40..0.46).contains(&share), "{share}");
    }
}
