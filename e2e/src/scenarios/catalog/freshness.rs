//! What a client may ask about the version of a collection and the tag of a row.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::Duration;

use super::reader::WAIT;
use super::rows::{PARTS, version_of};
use crate::http::{self, Connection, Response, request, request_json};
use crate::problem::check_problem;
use crate::run_clock::Clock;
use crate::server::Server;

/// Changes whose versions are asked for.
const CHANGE_COUNT: u64 = 50;

/// How far in the future the version lies that does not come.
const FAR: u64 = 1_000_000_000;

/// Checks them on the collection of parts.
pub(super) fn check(server: &Server, clock: Clock) -> Result<()> {
    let mut operator = Connection::open(server.operator())?;
    let mut public = Connection::open(server.public())?;
    let target = format!("/v1/catalog/{PARTS}/asked");
    let mut newest = 0;
    for number in 0..CHANGE_COUNT {
        let row = format!("{{\"number\":{number}}}");
        let put: Value = operator.call(&request_json("PUT", &target, &[], &row))?.expect(200)?;
        let version: u64 = put["version"].as_str().context("no version")?.parse()?;
        ensure!(version > newest, "version {version} comes after {newest}");
        newest = version;
        let answer = public.call(&request("GET", &format!("{target}?min_version={version}")))?;
        ensure!(answer.status == 200 && answer.text() == row, "{row} was put: {}", answer.text());
        ensure!(version_of(&answer)? >= version, "version {} is older than {version}", version_of(&answer)?);
        known(&mut public, &target, &answer)?;
    }
    for target in [format!("{target}?min_version="), format!("/v1/catalog/{PARTS}?keys=asked&min_version=")] {
        let bytes = request("GET", &format!("{target}{}", newest + FAR));
        let (times, answer) = clock.time(|| public.call(&bytes));
        let (code, waited) = (check_problem(&answer?)?, Duration::from_nanos(times.ended_ns - times.sent_ns));
        ensure!(code == "incoherent", "a version that does not come is {code}");
        ensure!(waited >= WAIT, "a version that does not come was awaited for {waited:?}");
        let answer = http::once(server.public(), &request("GET", &format!("{target}{newest}")))?;
        ensure!(answer.status == 200, "the newest version is {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// The tag of a row says that a client has it, alone or among others, until the row is another.
fn known(public: &mut Connection, target: &str, answer: &Response) -> Result<()> {
    let tag = answer.header("etag").context("no ETag")?;
    for (condition, status) in [
        (tag.to_owned(), 304),
        (format!("\"other\", {tag}"), 304),
        (format!("W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {condition}\r\n\r\n");
        let shown = public.call(bytes.as_bytes())?;
        let told = (shown.status, shown.header("etag"), version_of(&shown)?);
        ensure!(
            told == (status, Some(tag), version_of(answer)?),
            "with If-None-Match: {condition}: {told:?}"
        );
        ensure!(
            status == 304 || shown.body == answer.body,
            "with If-None-Match: {condition}: {}",
            shown.text()
        );
    }
    Ok(())
}
