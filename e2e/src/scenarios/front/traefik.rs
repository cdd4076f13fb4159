//! Traefik with the documented lines. Debian has no package of it, so it comes from `PyPI`.

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::vacant;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::proxy::{self, Proxy, put_into};

const LINES: &str = include_str!("../../../../docs/gate/traefik.yml");
const DOCUMENTED_RULE: &str = "Host(`shop.example`)";

/// Starts it, with its files in `directory`; nothing if it cannot be had.
pub(super) fn start(directory: &Path, server: SocketAddr, application: SocketAddr) -> Result<Option<Proxy>> {
    let Some(program) = install(&environment_directory(directory))? else { return Ok(None) };
    let directory = directory.join("traefik");
    fs::create_dir_all(&directory)?;
    let address = vacant()?;
    let lines = put_into(LINES, server, application)?;
    ensure!(lines.contains(DOCUMENTED_RULE), "the documented lines have another rule");
    let routes = directory.join("routes.yml");
    fs::write(&routes, lines.replace(DOCUMENTED_RULE, "PathPrefix(`/`)"))?;
    let configuration = format!(
        "global:\n  checkNewVersion: false\n  sendAnonymousUsage: false\n\
         entryPoints:\n  web:\n    address: \"{address}\"\n\
         providers:\n  file:\n    filename: \"{}\"\n",
        routes.display()
    );
    let file = directory.join("traefik.yml");
    fs::write(&file, configuration)?;
    let mut command = Command::new(program);
    command.arg(format!("--configFile={}", file.display()));
    let process = proxy::start(&mut command, &directory, address)?;
    let proxy = Proxy {
        name: "traefik",
        status_too_many: 429,
        status_without_server: 500,
        address,
        client_network: 2,
        process,
    };
    // It listens before it has read its routes.
    proxy.wait_for_routes()?;
    Ok(Some(proxy))
}

/// Where it is installed: beside the directory of the run, to be used again by the next.
fn environment_directory(run: &Path) -> PathBuf {
    let parent = run.parent().and_then(Path::parent).unwrap_or(run);
    parent.join("traefik")
}

/// The program; nothing, and loudly, on a machine that has no pip or cannot reach `PyPI`.
fn install(environment: &Path) -> Result<Option<PathBuf>> {
    let (program, python) = (environment.join("bin/traefik"), environment.join("bin/python"));
    if program.exists() {
        return Ok(Some(program));
    }
    println!("    installing traefik into {}", environment.display());
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("traefik/requirements.txt");
    let made = Command::new("python3").args(["-m", "venv"]).arg(environment).output();
    let is_made = made.is_ok_and(|output| output.status.success());
    if is_made {
        let pip = Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--require-hashes", "--only-binary=:all:", "-r"])
            .arg(requirements)
            .output()
            .context("start pip")?;
        if pip.status.success() {
            return Ok(Some(program));
        }
        println!("    {}", String::from_utf8_lossy(&pip.stderr).trim());
    }
    println!("    SKIPPED what needs traefik: it takes python3-venv and PyPI");
    Ok(None)
}
