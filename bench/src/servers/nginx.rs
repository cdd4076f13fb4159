//! nginx answering a constant from memory, the ceiling that one request over HTTP is compared with; nginx refusing by its
//! own rate limit; and nginx serving small files.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit};

use crate::machine::core_count;
use crate::process::{Running, free_port};

/// What every request is answered with.
const CONSTANT: &str = "location / { return 200 \"1234567\"; }";
/// The same behind a rate limit, which lets a request through every minute. `return` would be done before the limit is asked.
const LIMITED: &str = "limit_req_status 429;
    location / { limit_req zone=addresses; empty_gif; }";

/// Files and connections that a worker may have open where it serves no files.
const OPEN_MAX: u64 = 20_000;
/// What of that a worker needs for connections and for itself.
const OPEN_SPARE: u64 = 1_000;

/// A started nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Running,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// One worker per core, no access log, connections kept for ever. Its files go to `directory`.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        Self::start_with(directory, CONSTANT, OPEN_MAX)
    }

    /// The same, refusing all but one request a minute with 429.
    pub(crate) fn start_limited(directory: &Path) -> Result<Self> {
        Self::start_with(directory, LIMITED, OPEN_MAX)
    }

    /// The same, answering with the files below `root`, each at its path. A worker keeps as many of them open as
    /// [`Nginx::cached_files_max`] says, and looks at none again.
    pub(crate) fn start_files(directory: &Path, root: &Path, file_count: u64) -> Result<Self> {
        let location = file_location(root, Self::cached_files_max(file_count));
        Self::start_with(directory, &location, open_max(open_files_limit(), file_count))
    }

    /// How many of so many files a worker keeps open: all, unless this process may not have as many open.
    pub(crate) fn cached_files_max(file_count: u64) -> u64 {
        file_count.min(open_max(open_files_limit(), file_count).saturating_sub(OPEN_SPARE))
    }

    fn start_with(directory: &Path, location: &str, open_max: u64) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let port = free_port()?;
        let configuration = directory.join("nginx.conf");
        fs::write(&configuration, configuration_text(directory, port, location, open_max))
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

/// How many open files and connections a worker needs for so many files, if `limit` allows it.
fn open_max(limit: Option<u64>, file_count: u64) -> u64 {
    limit.unwrap_or(u64::MAX).min(file_count + OPEN_MAX)
}

/// The hard limit of open files, which the workers inherit; `None` when there is none.
fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// `sendfile` is off because it sends the head and the file by two calls, and so by two packets. For a small file it is faster to
/// read it and to send both by one.
fn file_location(root: &Path, cached_files_max: u64) -> String {
    format!(
        "default_type application/json;
    sendfile off;
    open_file_cache max={cached_files_max} inactive=24h;
    open_file_cache_valid 24h;
    location / {{ root {}; }}",
        root.display()
    )
}

/// Workers of a master that runs as root become another user, who may not be allowed to read below `directory`, unless
/// `user` says otherwise. Without root nginx ignores it.
fn configuration_text(directory: &Path, port: u16, location: &str, open_max: u64) -> String {
    let directory = directory.display();
    let worker_count = core_count();
    let temporary_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "daemon off;
user root;
worker_processes {worker_count};
pid {directory}/pid;
error_log stderr crit;
worker_rlimit_nofile {open_max};
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_are_open_as_the_limit_allows() {
        assert_eq!(open_max(None, 100_000), 120_000);
        assert_eq!(open_max(Some(1 << 20), 100_000), 120_000);
        assert_eq!(open_max(Some(20_000), 100_000), 20_000);
    }
}
