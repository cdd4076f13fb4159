//! Schemathesis against the `OpenAPI` document that the server serves: no 500, nothing undocumented, no schema violation.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::http;
use crate::http::request_json;
use crate::tool::kept_directory;

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?.arguments(&["--demo"]);
    let server = launch.start()?;
    // The demo has what the document gives as examples. A reservation is behind them too, so that not every answer is a 404.
    let ask = r#"{"customer":"900127015527","lines":[{"stock":"2021-05-16","quantity":1}]}"#;
    http::once(server.public(), &request_json("POST", "/v1/sales/PWTC/reservations", &[], ask))?
        .expect::<serde_json::Value>(201)?;
    let seed = bench.random.below(u64::from(u32::MAX));
    let examples_max = if bench.short { 20 } else { 200 };
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(home.join("schemathesis/run.sh"))
        .args([format!("http://{}", server.public()), format!("http://{}", server.operator())])
        .args([seed.to_string(), examples_max.to_string()])
        .arg(kept_directory(&bench.directory, "schemathesis"))
        .output()
        .context("run schemathesis/run.sh")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    server.stop(rustix::process::Signal::TERM)?;
    let summaries = printed.lines().filter(|line| line.contains(" generated, ")).map(str::trim);
    Ok(format!("seed {seed}, {}", summaries.collect::<Vec<_>>().join("; ")))
}
