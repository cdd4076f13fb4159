//! A proxy that was started for the check, and how it is asked.

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{Response, parse_head};
use crate::tool::CURL;

/// How long a proxy may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A proxy that asks the server.
pub(super) struct Proxy {
    pub(super) name: &'static str,
    /// What it answers a client that asks too often.
    pub(super) status_too_many: u16,
    /// What it answers while the server is away.
    pub(super) status_without_server: u16,
    pub(super) address: SocketAddr,
    /// The third part of its clients' addresses.
    pub(super) client_network: u8,
    #[expect(dead_code, reason = "it ends when this is dropped")]
    pub(super) process: Running,
}

/// The documented lines with the addresses of this check in place of those of the documentation.
pub(super) fn put_into(lines: &str, server: SocketAddr, application: SocketAddr) -> Result<String> {
    let replaced = lines
        .replace("127.0.0.1:8080", &server.to_string())
        .replace("127.0.0.1:3000", &application.to_string());
    let is_there = |address: SocketAddr| replaced.contains(&address.to_string());
    ensure!(is_there(server) && is_there(application), "the documented lines have other addresses");
    Ok(replaced)
}

/// The process of a proxy, which ends with this.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it and waits until it listens at `address`.
    pub(crate) fn start(command: &mut Command, directory: &Path, address: SocketAddr) -> Result<Self> {
        let path = directory.join("output");
        let output = File::create(&path)?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn();
        let program = command.get_program().display();
        let running = Self(process.with_context(|| format!("start {program}"))?);
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < START_TIMEOUT, "{program} does not listen: see {}", path.display());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }
}

impl Proxy {
    /// The address of a client. Each proxy has clients of its own.
    pub(super) fn client(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, self.client_network, number)
    }

    /// Waits until it knows where a page is.
    pub(super) fn wait_for_routes(&self) -> Result<()> {
        let started = Instant::now();
        while self.ask("GET", 1, &[])?.status == 404 {
            ensure!(started.elapsed() < START_TIMEOUT, "{} has no routes", self.name);
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Asks for a page of the application, from the address of this client.
    pub(super) fn ask(&self, method: &str, client: u8, fields: &[&str]) -> Result<Response> {
        let from = self.client(client).to_string();
        let mut arguments = vec!["--silent", "--include", "--interface", &from, "--request", method];
        for field in fields {
            arguments.extend(["--header", field]);
        }
        let url = format!("http://{}/page", self.address);
        arguments.push(&url);
        let printed = CURL.run(&arguments)?;
        let (head, body) = printed.split_once("\r\n\r\n").context("an answer without an end of its head")?;
        Ok(Response { body: body.as_bytes().to_vec(), ..parse_head(head.as_bytes())? })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What it started ends with it.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}
