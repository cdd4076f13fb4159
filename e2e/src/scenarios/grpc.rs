//! A client of gRPC that others wrote, Python's grpcio, calls the services of the demo; `grpc/client.py` does it and tells what it heard.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::python;

/// What reflection must tell of.
const SERVICES: [&str; 5] = [
    "onrush.v1.Catalog",
    "onrush.v1.Counters",
    "onrush.v1.Windows",
    "proto.ProductInventoryService",
    "grpc.health.v1.Health",
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(environment) = python::environment(&bench.directory, "grpc")? else {
        return Ok("nothing was checked".to_owned());
    };
    let server = bench.launch()?.arguments(&["--demo"]).start()?;
    let output = Command::new(environment.join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("grpc/client.py"))
        .arg(server.public().to_string())
        .output()
        .context("run grpc/client.py")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let seen = serde_json::from_str(&printed).with_context(|| format!("read what was seen: {printed}"))?;
    check(&seen)?;
    server.stop(Signal::TERM)?;
    Ok(format!("grpcio: {} kinds of answers, {} calls at once", expected().len(), seen["at_once"]["answers"]))
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
        ("old_client", products.clone()),
        ("old_client_not_packed", products),
        ("health", json!("SERVING")),
        ("health_watch", unimplemented),
    ]
}
