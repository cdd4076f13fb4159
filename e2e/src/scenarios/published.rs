//! The published load commands of four systems that do parts of this, unchanged but for the cookie and the time, and what must be true after each; then the
//! window's test vectors, by the real clock.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Bench;
use crate::http::{self, Connection, request, request_json};
use crate::secret::write_secret;
use crate::server::{Launch, Server};
use crate::tool::{AB, HEY, WRK};

/// Attempts at a vector whose requests did not all fall into the second that they were meant for.
const VECTOR_ATTEMPTS_MAX: usize = 5;

/// The key by which the shop's tokens are checked, and a token under it: of ann until the year 2100.
const SHOP_KEY: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;
const ANN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.UCbIWVrSlZEWDk-CJI4sPUofrLV853K_rm41b9p3ors";

/// Days of the demonstration's station.
const DAY_COUNT: usize = 30;

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let jwt_key = write_secret(&bench.directory.join("shop.jwk"), SHOP_KEY)?;
    let launch = bench.launch()?.arguments(&["--demo"]).with(&[("ONRUSH_GATE__JWT_KEY_FILE", &jwt_key)]);
    let server = launch.start()?;
    flash_sale(server.public()).context("the flash sale")?;
    let visits = visitor_counter(server.public()).context("the visitor counter")?;
    stations(server.public()).context("the stations")?;
    bookings(server.public()).context("the bookings")?;
    let hits = request_window(server.public()).context("the request window")?;
    server.kill()?;
    after_restart(&launch, visits, hits).context("after a kill and a restart")?;
    let exact_arguments = ["--demo", "--persistence-timeframe", "1s", "--precision", "1s"];
    let mut exact = bench.launch()?.arguments(&exact_arguments);
    exact.data = bench.directory.join("exact");
    let server = exact.start()?;
    let vectors = if bench.short { &VECTORS[..1] } else { VECTORS };
    for vector in vectors {
        check_vector(server.public(), vector).with_context(|| format!("{vector:?}"))?;
    }
    server.stop(Signal::TERM)?;
    Ok(format!("{visits} visits, {hits} requests in the window, {} vectors", vectors.len()))
}

/// One customer asks for the product again and again, on 2,000 connections, and gets one.
fn flash_sale(public: SocketAddr) -> Result<()> {
    let log_in = request_json("POST", "/v1/session", &[], &json!({"token": ANN}).to_string());
    let session = http::once(public, &log_in)?;
    let cookie =
        session.header("set-cookie").and_then(|cookie| cookie.split(';').next()).context("no session")?;
    let mut bought = 0;
    if WRK.present() {
        let url = format!("http://{public}/check?productID=1");
        let printed =
            WRK.run(&["-t80", "-c2000", "-d2s", "-H", &format!("Cookie: {cookie}"), "--latency", &url])?;
        let count = |words: &str| {
            let line = printed.lines().find(|line| line.contains(words))?;
            line.split_whitespace().find_map(|word| word.parse::<u64>().ok())
        };
        let (asked, refused) = (count(" requests in "), count("Non-2xx or 3xx responses"));
        let answered = asked.zip(refused).context("wrk says nothing of its requests")?;
        ensure!(answered.0 == answered.1 + 1, "one buyer gets one; wrk says:\n{printed}");
        bought = 1;
    }
    let sale: Value = http::once(public, &request("GET", "/v1/sales/flash"))?.expect(200)?;
    ensure!(sale["stocks"][0]["quantity_confirmed"] == bought, "the sale is {sale}");
    Ok(())
}

fn visitor_counter(public: SocketAddr) -> Result<u64> {
    let url = format!("http://{public}/web-counter/increment");
    let mut visits = 0;
    if AB.present() {
        let printed = AB.run(&["-n", "10000", "-c", "100", &url])?;
        ensure!(
            printed.contains("Complete requests:      10000") && !printed.contains("Non-2xx"),
            "ab says:\n{printed}"
        );
        visits = 10_000;
    }
    let answer = http::once(public, &request("GET", "/web-counter/increment"))?;
    ensure!(
        answer.status == 200 && answer.text() == (visits + 1).to_string(),
        "after {visits} visits the next is answered {} {:?}",
        answer.status,
        answer.text()
    );
    Ok(visits + 1)
}

/// The days of the station, checked for order and completeness.
fn days(public: SocketAddr) -> Result<Vec<Value>> {
    let days: Vec<Value> = http::once(public, &request("GET", "/stations/PWTC"))?.expect(200)?;
    let dates = days.iter().map(|day| day["date"].as_str().unwrap_or_default()).collect::<Vec<_>>();
    ensure!(
        days.len() == DAY_COUNT && dates.is_sorted() && dates[0] == "20210516" && dates[29] == "20210614",
        "the days are {dates:?}"
    );
    ensure!(days.iter().all(|day| day["location"] == "PWTC"), "the days are {days:?}");
    Ok(days)
}

fn stations(public: SocketAddr) -> Result<()> {
    ensure!(days(public)?.iter().all(|day| day["availability"] == 1_000), "not every day has 1000");
    let unknown = http::once(public, &request("GET", "/stations/NOWHERE"))?;
    ensure!(unknown.status == 404, "an unknown station is {}", unknown.status);
    if HEY.present() {
        let url = format!("http://{public}/stations/PWTC");
        let printed = HEY.run(&["-c", "50", "-z", "2s", &url])?;
        let statuses = statuses(&printed);
        ensure!(matches!(statuses.as_slice(), [(200, 1..)]), "hey says:\n{printed}");
    }
    Ok(())
}

fn booking(person: &str, date: &str) -> Value {
    json!({
        "mysejahteraId": person, "firstName": "Ahmad", "lastName": "Ali", "address": "Jalan 1, Kuala Lumpur",
        "location": "PWTC", "phoneNumber": "0123456789", "date": date,
    })
}

fn bookings(public: SocketAddr) -> Result<()> {
    let mut booked = 0;
    if HEY.present() {
        let body = booking("900127015527", "20210516").to_string();
        let url = format!("http://{public}/booking");
        let printed =
            HEY.run(&["-c", "100", "-z", "2s", "-T", "application/json", "-m", "POST", "-d", &body, &url])?;
        ensure!(
            matches!(statuses(&printed).as_slice(), [(200, 1), (400, 1..)]),
            "one person booked over and over; hey says:\n{printed}"
        );
        booked = 1;
    }
    let post = |body: &Value| http::once(public, &request_json("POST", "/booking", &[], &body.to_string()));
    let asked = booking("another", "20210517");
    let echo: Value = post(&asked)?.expect(200)?;
    ensure!(echo == asked, "the echo is {echo}");
    for (what, refused) in [
        ("the same person on another day", booking("another", "20210518")),
        ("nobody", booking("", "20210517")),
        ("a day that is not offered", booking("third", "20300101")),
    ] {
        let answer = post(&refused)?;
        let failed: Value = answer.expect(400).context(what)?;
        ensure!(
            failed["status"] == "Failed" && failed["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {failed}"
        );
    }
    let days = days(public)?;
    ensure!(
        days[0]["availability"] == 1_000 - booked
            && days[1]["availability"] == 999
            && days[2..].iter().all(|day| day["availability"] == 1_000),
        "after the bookings the days are {days:?}"
    );
    Ok(())
}

/// Every method counts; returns the count.
fn request_window(public: SocketAddr) -> Result<u64> {
    let mut hits = 0;
    let mut connection = Connection::open(public)?;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        hits += 1;
        let counted: Value = connection.call(&request(method, "/"))?.expect(200)?;
        ensure!(counted == json!({"requestCount": hits}), "{method} / is answered {counted}, not {hits}");
    }
    let head = connection.call(&request("HEAD", "/"))?;
    ensure!(head.status == 200, "HEAD / is {}", head.status);
    hits += 1;
    if HEY.present() {
        let url = format!("http://{public}/");
        let printed = HEY.run(&["-n", "2000", "-c", "100", &url])?;
        ensure!(statuses(&printed) == [(200, 2_000)], "hey says:\n{printed}");
        hits += 2_000;
    }
    Ok(hits)
}

fn after_restart(launch: &Launch, visits: u64, hits: u64) -> Result<()> {
    let server = launch.start()?;
    let next = http::once(server.public(), &request("GET", "/web-counter/increment"))?;
    ensure!(next.text() == (visits + 1).to_string(), "visit {} was answered {}", visits + 1, next.text());
    let days_before = days(server.public())?;
    expect_hits(&server, hits + 1)?;
    server.stop(Signal::TERM)?;
    launch.start()?.stop(Signal::INT)?;
    let server = launch.start()?;
    ensure!(days(server.public())? == days_before, "an idle start and stop changed the stations");
    expect_hits(&server, hits + 2)?;
    server.stop(Signal::TERM)
}

fn expect_hits(server: &Server, hits: u64) -> Result<()> {
    let counted: Value = http::once(server.public(), &request("GET", "/"))?.expect(200)?;
    ensure!(counted == json!({"requestCount": hits}), "the window says {counted}, not {hits}");
    Ok(())
}

/// Statuses and their counts from hey's report, in ascending order.
fn statuses(report: &str) -> Vec<(u16, u64)> {
    let rows = report.lines().filter_map(|line| {
        let (status, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
        let count = rest.trim().strip_suffix("responses")?;
        Some((status.parse().ok()?, count.trim().parse().ok()?))
    });
    let mut rows = rows.collect::<Vec<_>>();
    rows.sort_unstable();
    rows
}

/// Requests in given seconds: `(second, how many, first answer)`; answers then count up by one. Span and precision are 1 s.
type Vector = [(u64, u64, u64)];

const VECTORS: &[&Vector] = &[
    &[(0, 1, 1), (1, 1, 2), (2, 2, 2), (3, 1, 3), (4, 1, 2), (6, 1, 1)],
    &[(0, 1000, 1), (1, 100, 1001), (2, 10, 101), (3, 1, 11)],
];

/// Sends a vector's requests by the clock; an attempt in which the machine was too slow to keep the seconds is repeated.
fn check_vector(public: SocketAddr, vector: &Vector) -> Result<()> {
    for _ in 0..VECTOR_ATTEMPTS_MAX {
        // Two whole seconds without requests empty the window.
        let start = clock().as_secs() + 3;
        if attempt(public, vector, start)? {
            return Ok(());
        }
    }
    bail!("in {VECTOR_ATTEMPTS_MAX} attempts the requests never fell into the seconds meant for them")
}

/// False when a request may have fallen into another second than it was meant for.
fn attempt(public: SocketAddr, vector: &Vector, start: u64) -> Result<bool> {
    let mut connection = Connection::open(public)?;
    for (second, count, first) in vector {
        let due = Duration::from_secs(start + second) + Duration::from_millis(100);
        thread::sleep(due.saturating_sub(clock()));
        let requests = (0..*count).map(|_| request("GET", "/")).collect::<Vec<_>>();
        let answers = connection.pipeline(&requests, 50)?;
        if clock().as_secs() != start + second {
            return Ok(false);
        }
        for (expected, answer) in (*first..).zip(answers) {
            let counted: Value = answer.expect(200)?;
            ensure!(
                counted == json!({"requestCount": expected}),
                "in second {second} the answer is {counted}, not {expected}"
            );
        }
    }
    Ok(true)
}

fn clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_hey_are_read() {
        let report = "Status code distribution:\n  [400]\t8608 responses\n  [200]\t1 responses\n\nError distribution:\n";
        assert_eq!(statuses(report), [(200, 1), (400, 8608)]);
    }
}
