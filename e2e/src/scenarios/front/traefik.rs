//! Traefik with the documented lines. Debian has no package of it, so it comes from `PyPI`.

use anyhow::{Result, ensure};
use onrush_proxy::vacant;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::proxy::{Proxy, Running, put_into};
use crate::python;

const LINES: &str = include_str!("../../../../docs/gate/traefik.yml");
const DOCUMENTED_RULE: &str = "Host(`shop.example`)";

/// Starts it, with its files in `directory`; nothing if it cannot be had.
pub(super) fn start(directory: &Path, server: SocketAddr, application: SocketAddr) -> Result<Option<Proxy>> {
    let Some(environment) = python::environment(directory, "traefik")? else { return Ok(None) };
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
    let mut command = Command::new(environment.join("bin/traefik"));
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
