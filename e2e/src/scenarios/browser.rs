//! A real browser on the pages of the flash sale, as `browser/flash_sale.mjs` drives it.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Bench;
use crate::secret::write_secret;

const OPERATOR_KEY: &str = "operator-key-of-this-check";
/// The secret by which the check signs tokens as a shop does, as a JWK has it.
const SHOP_SECRET: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
/// The answer of every picture.
const DIGITS: &str = "012345";

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let operator_key = write_secret(&bench.directory.join("operator-key"), OPERATOR_KEY)?;
    let jwk = format!(r#"{{"kty":"oct","k":"{SHOP_SECRET}"}}"#);
    let jwt_key = write_secret(&bench.directory.join("shop.jwk"), &jwk)?;
    let launch = bench.launch()?.with(&[
        ("ONRUSH_SCENARIOS__FLASH_SALE", "true"),
        ("ONRUSH_OPERATOR__KEY_FILE", &operator_key),
        ("ONRUSH_GATE__JWT_KEY_FILE", &jwt_key),
        ("ONRUSH_GATE__ACCOUNTS", "true"),
        ("ONRUSH_GATE__UNSAFE_CHALLENGE_ANSWER", DIGITS),
    ]);
    let server = launch.start()?;
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(home.join("browser/run.sh"))
        .args([format!("http://{}", server.public()), format!("http://{}", server.operator())])
        .args([OPERATOR_KEY, SHOP_SECRET, DIGITS])
        .arg(modules_directory(&bench.directory))
        .output()
        .context("run browser/run.sh")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    server.stop(rustix::process::Signal::TERM)?;
    Ok(printed.lines().last().unwrap_or_default().to_owned())
}

/// Where the browser's modules are installed: beside the directory of the run, to be used again by the next.
fn modules_directory(run: &Path) -> PathBuf {
    let parent = run.parent().and_then(Path::parent).unwrap_or(run);
    parent.join("browser")
}
