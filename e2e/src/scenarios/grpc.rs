//! A client of gRPC that others wrote, Python's grpcio, calls the services of the demo; `grpc/client.py` does it and tells what it heard.
//! Then `grpc/crash.py` reserves over streams of batches while the server is killed, and finds every answer again.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::api::{Sale, SaleSettings};
use crate::http::{ANSWER_TIMEOUT, Connection};
use crate::python;
use crate::server::{Launch, Server};

/// What reflection must tell of.
const SERVICES: [&str; 7] = [
    "onrush.v1.Catalog",
    "onrush.v1.Counters",
    "onrush.v1.Reservations",
    "onrush.v1.Sales",
    "onrush.v1.Windows",
    "proto.ProductInventoryService",
    "grpc.health.v1.Health",
];

/// Units of the sale for which there are more claims.
const UNITS: u64 = 1_000;
/// Units of the sale during which the server is killed: fewer than there are claims, if it lasts.
const CRASH_UNITS: u64 = 100_000;
/// Reservations that are made before it is killed, each time a few more.
const KILLED_AFTER: u64 = 3_000;

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(environment) = python::environment(&bench.directory, "grpc")? else {
        return Ok("nothing was checked".to_owned());
    };
    let launch = bench.launch()?.arguments(&["--demo"]);
    let server = launch.start()?;
    put_sale(&server, "batches", UNITS, 0)?;
    put_sale(&server, "one", 1, 60_000)?;
    put_sale(&server, "crash", CRASH_UNITS, 0)?;
    let seen = result_of(client(&environment, &server, "client.py", &[])?)?;
    check(&seen)?;
    let (server, answered) = kill_in_the_middle(&environment, &launch, server)?;
    let found = find_again(&environment, &server, &answered)?;
    server.stop(Signal::TERM)?;
    launch.verify_log()?;
    let (kinds, at_once) = (expected().len(), &seen["at_once"]["answers"]);
    Ok(format!(
        "grpcio: {kinds} kinds of answers, {at_once} calls at once; {found} reservations answered on streams before SIGKILL, all found again"
    ))
}

/// A sale of one stock, `unit`, one for each customer.
fn put_sale(server: &Server, sale: &str, units: u64, hold_ttl_ms: u64) -> Result<()> {
    let stocks = [("unit", units)];
    SaleSettings { sale, stocks: &stocks, per_customer_max: Some(1), hold_ttl_ms, cooldown_ms: 0 }
        .put(server.operator())?;
    Ok(())
}

/// Starts one of the programs in `grpc/`.
pub(super) fn client(
    environment: &Path,
    server: &Server,
    program: &str,
    arguments: &[&str],
) -> Result<Child> {
    Command::new(environment.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("grpc").join(program))
        .arg(server.public().to_string())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run grpc/{program}"))
}

/// Waits for the end of it. What it printed is one value.
pub(super) fn result_of(client: Child) -> Result<Value> {
    let output = client.wait_with_output().context("wait for a client")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&printed).with_context(|| format!("read what was seen: {printed}"))
}

/// Kills the server while streams are open, and starts it again. Returns what was answered before.
fn kill_in_the_middle(environment: &Path, launch: &Launch, server: Server) -> Result<(Server, Value)> {
    let reserving = client(environment, &server, "crash.py", &["reserve"])?;
    let started = Instant::now();
    while confirmed(&server)? < KILLED_AFTER {
        ensure!(started.elapsed() < ANSWER_TIMEOUT, "streams make no reservations");
        thread::sleep(Duration::from_millis(2));
    }
    server.kill()?;
    let answered = result_of(reserving)?;
    Ok((launch.start()?, answered))
}

/// Looks for every answered reservation, and holds the figures of the sale against their number.
fn find_again(environment: &Path, server: &Server, answered: &Value) -> Result<u64> {
    let answered_count = answered.as_object().context("answers are an object")?.len() as u64;
    ensure!(answered_count > 0, "nothing was answered before the server was killed");
    let confirmed_count = confirmed(server)?;
    ensure!(
        (answered_count..=CRASH_UNITS).contains(&confirmed_count),
        "{answered_count} reservations were answered, and {confirmed_count} of {CRASH_UNITS} units are sold"
    );
    let mut finding = client(environment, server, "crash.py", &["find"])?;
    let stdin = finding.stdin.take().context("the input of a client")?;
    serde_json::to_writer(stdin, answered)?;
    let found = result_of(finding)?;
    ensure!(
        found["found"] == answered_count,
        "of {answered_count} answered reservations were found: {found}"
    );
    ensure!(confirmed(server)? == confirmed_count, "asking again for what was answered sold more");
    Ok(answered_count)
}

/// Units that the sale has sold during which the server is killed.
fn confirmed(server: &Server) -> Result<u64> {
    let mut connection = Connection::open(server.public())?;
    Ok(Sale::read(&mut connection, "crash")?.stock("unit")?.quantity_confirmed)
}

/// Compares what the client saw with what the server promises.
fn check(seen: &Value) -> Result<()> {
    let services = seen["services"].as_array().context("the client saw no services")?;
    for service in SERVICES {
        ensure!(services.contains(&json!(service)), "reflection does not tell of {service}: {services:?}");
    }
    let details = &seen["compressed_details"];
    ensure!(
        details.as_str().is_some_and(|text| text.contains("compressed")),
        "a client that compresses is not told what is wrong: {details}"
    );
    for (what, expected) in expected() {
        ensure!(seen[what] == expected, "{what} is {}, and must be {expected}", seen[what]);
    }
    Ok(())
}

/// Each thing that the client saw, as it must be.
fn expected() -> Vec<(&'static str, Value)> {
    let refused = |status, reason| json!({"status": status, "reason": reason, "domain": "onrush.dev"});
    let unimplemented = json!({"status": "UNIMPLEMENTED"});
    let products = json!({"code": 0, "message": "", "products": [
        {"id": 35_586, "warehouses": {"HN": 2, "HCM": 15}},
        {"id": 1, "warehouses": {"HN": 7, "HCM": 20}},
    ]});
    vec![
        ("counter", json!([1, 2, 2])),
        ("counter_unknown", refused("NOT_FOUND", "counter_not_found")),
        ("window", json!([1, 1])),
        ("window_shape", json!([[60_000, 100], [60_000, 100]])),
        ("row", json!({"key": "35586", "name": "Blue lamp 35586"})),
        ("row_is_same_among_many", json!(true)),
        ("rows", json!(["35586", "1"])),
        ("rows_missing", json!(["nothing"])),
        ("row_unknown", refused("NOT_FOUND", "row_not_found")),
        ("collection_unknown", refused("NOT_FOUND", "collection_not_found")),
        ("past_deadline", json!({"status": "DEADLINE_EXCEEDED"})),
        ("row_ahead", refused("UNAVAILABLE", "incoherent")),
        ("nearly_large", refused("INVALID_ARGUMENT", "invalid_request")),
        ("large", refused("RESOURCE_EXHAUSTED", "body_too_large")),
        ("very_large", refused("RESOURCE_EXHAUSTED", "body_too_large")),
        ("compressed", unimplemented.clone()),
        ("at_once", json!({"answers": 200, "each_its_own": true, "total": 200})),
        ("claims", json!([["new", 1000], ["insufficient_stock", 200]])),
        ("claims_in_order", json!(true)),
        ("claims_again", json!([["again", 1000], ["insufficient_stock", 200]])),
        ("claims_again_in_order", json!(true)),
        ("stock", json!([1000, 0, 1000, 0])),
        ("additions", json!(true)),
        ("additions_refused", json!([5, "invalid_request"])),
        ("batch_broken", refused("INVALID_ARGUMENT", "invalid_request")),
        ("batch_empty", refused("INVALID_ARGUMENT", "invalid_request")),
        ("reserved_again", json!([true, true])),
        // Held twice, confirmed, released.
        ("reservation_statuses", json!([1, 1, 2, 3])),
        ("reservations_listed", json!([true])),
        ("sale_unknown", refused("NOT_FOUND", "sale_not_found")),
        ("sales", json!(["PWTC", "batches", "crash", "flash", "one"])),
        ("old_client", products.clone()),
        ("old_client_not_packed", products),
        ("health", json!("SERVING")),
        ("health_watch", unimplemented),
    ]
}
