//! What a long denylist costs those who are not on it: two servers, one with a million entries and one with two. Nobody is
//! refused.

use anyhow::{Result, ensure};
use std::net::Ipv4Addr;

use super::reserve::{ENDLESS, onrush_reserve};
use crate::http::request_bytes;
use crate::load::fill;
use crate::process::resident_bytes;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::Rounds;
use crate::servers::Onrush;
use crate::setting::{Bench, progress};
use crate::wrk::Wrk;

const CONNECTION_COUNT: u32 = 100;
/// As many as a server takes by default; half are customers.
const ENTRY_COUNT: u64 = 1_000_000;
const FEW: &str = "onrush, 2 entries";
const MANY: &str = "onrush, 1 million";

/// Reservations with a denylist of a million, to reservations with one of two. Both ask for the customer and the address.
pub(crate) fn denied(bench: &Bench) -> Result<Findings> {
    let binary = &bench.settings.onrush;
    let few = Onrush::start(binary, &bench.directory("denied-few")?, &[])?;
    let many = Onrush::start(binary, &bench.directory("denied-many")?, &[])?;
    deny(&few, 2)?;
    let bytes_before = resident_bytes(&many.pids());
    let seconds = deny(&many, ENTRY_COUNT)?;
    let bytes = (resident_bytes(&many.pids()) - bytes_before) / ENTRY_COUNT;
    progress(&format!("  {ENTRY_COUNT} entries after {seconds:.1} s"));
    few.put_sale("drop", ENDLESS)?;
    many.put_sale("drop", ENDLESS)?;
    let scripts = bench.directory("denied-scripts")?;
    let wrk =
        Wrk { directory: &scripts, connection_count: CONNECTION_COUNT, seconds: bench.settings.turn_seconds };
    let mut contenders = [onrush_reserve(&wrk, &few, FEW), onrush_reserve(&wrk, &many, MANY)];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let title = "reserve past a denylist, 100 connections";
    let mut findings = Findings::of_rounds(title, &rounds);
    let figure = |side| Figure::new(side, "/s", rounds.values(side, |turn| turn.outcome.success_rate()));
    let mut row = Row::new(title, figure(MANY), Some(figure(FEW)), Better::Higher)
        .targets(Target::RatioAtLeast(0.95), Target::RatioAtLeast(1.0))
        .note(format!(
            "half are customers and half are networks of the lengths 24 and 32; an entry takes {bytes} B of the process; all were \
             put by HTTP in {seconds:.1} s, {:.0}/s",
            ENTRY_COUNT as f64 / seconds
        ));
    row.notes.extend(rounds.doubts());
    findings.rows.push(row);
    few.stop()?;
    many.stop()?;
    Ok(findings)
}

/// Puts customers and networks on the list that send nothing. Returns the seconds that it took.
fn deny(onrush: &Onrush, count: u64) -> Result<f64> {
    let filled = fill(onrush.operator_address, count, |number| {
        request_bytes("PUT", &format!("/v1/denylist/{}", subject(number)), Some("{}"))
    })?;
    ensure!(filled.other_count == 0, "{} of {count} entries were refused", filled.other_count);
    Ok(filled.seconds)
}

fn subject(number: u64) -> String {
    let at = u32::try_from(number / 4).expect("there are a million entries at most");
    match number % 4 {
        0 | 2 => format!("customer/denied-{number}"),
        // From 32.0.0.0 and from 10.0.0.0 on; clients are at 127.0.0.1.
        1 => format!("address/{}%2F24", Ipv4Addr::from_bits((32 << 24) + (at << 8))),
        _ => format!("address/{}", Ipv4Addr::from_bits((10 << 24) + at)),
    }
}
