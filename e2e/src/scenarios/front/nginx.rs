//! nginx with the documented lines.

use anyhow::Result;
use onrush_proxy::vacant;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::proxy::{Proxy, Running, put_into};
use crate::tool::NGINX;

const LINES: &str = include_str!("../../../../docs/gate/nginx.conf");

/// Starts it, with its files in `directory`.
pub(super) fn start(directory: &Path, server: SocketAddr, application: SocketAddr) -> Result<Proxy> {
    let address = vacant()?;
    let lines = put_into(LINES, server, application)?;
    let process = run(directory, &format!("server {{ listen {address}; {lines} }}"), address)?;
    Ok(Proxy {
        name: NGINX.program,
        // `auth_request` takes no other refusals than 401 and 403.
        status_too_many: 403,
        status_without_server: 500,
        address,
        client_network: 0,
        process,
    })
}

/// Runs it with these lines in its http block, by which it listens at `address`.
pub(crate) fn run(directory: &Path, lines: &str, address: SocketAddr) -> Result<Running> {
    let directory = directory.join("nginx");
    fs::create_dir_all(&directory)?;
    let path = directory.display();
    let temporary_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {path}/{name};\n"))
        .concat();
    let configuration = format!(
        "daemon off; pid {path}/pid; error_log stderr crit; worker_processes 1; events {{}}
         http {{ access_log off; {temporary_paths}
         {lines} }}"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new(NGINX.program);
    command.args(["-e", "stderr", "-p"]).arg(&directory).arg("-c").arg(&file);
    Running::start(&mut command, &directory, address)
}
