//! Traefik with the documented lines. Debian has no package of it, so it comes from `PyPI`.

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::vacant;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::proxy::{Proxy, Running, put_into};
use crate::tool::kept_directory;

const LINES: &str = include_str!("../../../../docs/gate/traefik.yml");
/// Which version, and what it must be.
const REQUIREMENTS: &str = include_str!("../../../traefik/requirements.txt");
const DOCUMENTED_RULE: &str = "Host(`shop.example`)";

/// Starts it, with its files in `directory`; nothing if it cannot be had.
pub(super) fn start(directory: &Path, server: SocketAddr, application: SocketAddr) -> Result<Option<Proxy>> {
    let Some(program) = install(&kept_directory(directory, "traefik"))? else { return Ok(None) };
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
    let process = Running::start(&mut command, &directory, address)?;
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

/// The program; nothing, and loudly, on a machine that has no pip or cannot reach `PyPI`.
fn install(environment: &Path) -> Result<Option<PathBuf>> {
    let (program, python) = (environment.join("bin/traefik"), environment.join("bin/python"));
    // What is there was installed by the same lines, or is of another version.
    let installed = environment.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|lines| lines == REQUIREMENTS) {
        return Ok(Some(program));
    }
    println!("    installing traefik into {}", environment.display());
    let made = Command::new("python3").args(["-m", "venv"]).arg(environment).output();
    let is_made = made.is_ok_and(|output| output.status.success());
    if is_made {
        let pip = Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--require-hashes", "--only-binary=:all:", "-r"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("traefik/requirements.txt"))
            .output()
            .context("start pip")?;
        if pip.status.success() {
            fs::write(&installed, REQUIREMENTS)?;
            return Ok(Some(program));
        }
        println!("    {}", String::from_utf8_lossy(&pip.stderr).trim());
    }
    println!("    SKIPPED what needs traefik: it takes python3-venv and PyPI");
    Ok(None)
}
