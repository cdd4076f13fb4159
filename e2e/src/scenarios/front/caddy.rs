//! Caddy with the documented lines.

use anyhow::{Result, ensure};
use onrush_proxy::vacant;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::proxy::{Proxy, Running, put_into};
use crate::tool::CADDY;

const LINES: &str = include_str!("../../../../docs/gate/Caddyfile");
const DOCUMENTED_SITE: &str = "shop.example {";

/// Starts it, with its files in `directory`.
pub(super) fn start(directory: &Path, server: SocketAddr, application: SocketAddr) -> Result<Proxy> {
    let directory = directory.join("caddy");
    fs::create_dir_all(&directory)?;
    let address = vacant()?;
    let lines = put_into(LINES, server, application)?;
    ensure!(lines.contains(DOCUMENTED_SITE), "the documented lines have another site");
    let lines = lines.replace(DOCUMENTED_SITE, &format!("http://{address} {{"));
    let configuration = format!("{{\n admin off\n auto_https off\n}}\n{lines}");
    let file = directory.join("Caddyfile");
    fs::write(&file, configuration)?;
    let mut command = Command::new(CADDY.program);
    command.arg("run").arg("--config").arg(&file);
    command.env("XDG_DATA_HOME", &directory).env("XDG_CONFIG_HOME", &directory);
    let process = Running::start(&mut command, &directory, address)?;
    Ok(Proxy {
        name: CADDY.program,
        status_too_many: 429,
        status_without_server: 502,
        address,
        client_network: 1,
        process,
    })
}
