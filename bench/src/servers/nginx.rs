//! nginx answering a constant from memory, the ceiling that one request over HTTP is compared with; and nginx refusing by its
//! own rate limit.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::machine::core_count;
use crate::process::{Running, free_port};

/// What every request is answered with.
const CONSTANT: &str = "location / { return 200 \"1234567\"; }";
/// The same behind a rate limit, which lets a request through every minute. `return` would be done before the limit is asked.
const LIMITED: &str = "limit_req_status 429;
    location / { limit_req zone=addresses; empty_gif; }";

/// A started nginx that answers every request alike.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Running,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// One worker per core, no access log, connections kept for ever. Its files go to `directory`.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        Self::start_with(directory, CONSTANT)
    }

    /// The same, refusing all but one request a minute with 429.
    pub(crate) fn start_limited(directory: &Path) -> Result<Self> {
        Self::start_with(directory, LIMITED)
    }

    fn start_with(directory: &Path, location: &str) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let port = free_port()?;
        let configuration = directory.join("nginx.conf");
        fs::write(&configuration, configuration_text(directory, port, location))
            .context("write the nginx configuration")?;
        let mut command = Command::new("nginx");
        command.args(["-e", "stderr", "-p"]).arg(directory).arg("-c").arg(&configuration);
        let mut process = Running::start(&command, "TERM", &directory.join("output"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_until(Duration::from_secs(10), Duration::from_millis(10), || {
            TcpStream::connect(address).is_ok()
        })?;
        Ok(Self { process, address })
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }
}

fn configuration_text(directory: &Path, port: u16, location: &str) -> String {
    let directory = directory.display();
    let worker_count = core_count();
    let temporary_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "daemon off;
worker_processes {worker_count};
pid {directory}/pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
{temporary_paths}  access_log off;
  limit_req_zone $binary_remote_addr zone=addresses:10m rate=1r/m;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    {location}
  }}
}}
"
    )
}
