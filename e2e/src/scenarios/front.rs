//! nginx asks the server about each request before an application gets it, by the lines that the documentation shows.

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::vacant;
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::http::{Response, once, parse_head, request_json};
use crate::tool::{CURL, NGINX};

/// The documented lines, and the addresses in them.
const LINES: &str = include_str!("../../../docs/gate/nginx.conf");
const DOCUMENTED_SERVER: &str = "127.0.0.1:8080";
const DOCUMENTED_APPLICATION: &str = "127.0.0.1:3000";

/// How long nginx may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    if !NGINX.present() {
        return Ok("nothing was checked".to_owned());
    }
    let launch = bench.launch()?.with(&[
        ("ONRUSH_GATE__ACCOUNTS", "true"),
        ("ONRUSH_GATE__TRUSTED_PROXIES", "127.0.0.1"),
        ("ONRUSH_GATE__LIMIT_PAGES_ADDRESS", "1/s burst 20"),
    ]);
    let server = launch.start()?;
    let nginx = Nginx::start(&bench.directory, server.public())?;
    let account = json!({"customer": "ada", "password": "correct horse"}).to_string();
    ensure!(once(server.public(), &request_json("POST", "/v1/customers", &[], &account))?.status == 201);
    let begun = once(server.public(), &request_json("POST", "/v1/session", &[], &account))?;
    let cookie = begun.header("set-cookie").context("no cookie")?;
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap_or_default());

    // nginx tells the address that the client comes from.
    check(&nginx.ask("GET", "127.0.0.2", &[])?, 401, "session_required", None)?;
    check(&nginx.ask("GET", "127.0.0.2", &[&cookie])?, 200, "", Some("ada"))?;
    let pretends = "Onrush-Customer: eve";
    check(&nginx.ask("GET", "127.0.0.2", &[&cookie, pretends])?, 200, "", Some("ada"))?;
    check(&nginx.ask("GET", "127.0.0.2", &[pretends])?, 401, "session_required", None)?;
    let other_site = "Sec-Fetch-Site: cross-site";
    check(&nginx.ask("POST", "127.0.0.2", &[&cookie, other_site])?, 403, "cross_site", None)?;
    check(&nginx.ask("GET", "127.0.0.2", &[&cookie, other_site])?, 200, "", Some("ada"))?;

    let denied = "/v1/denylist/address/127.0.0.3";
    ensure!(once(server.operator(), &request_json("PUT", denied, &[], "{}"))?.status == 201);
    check(&nginx.ask("GET", "127.0.0.3", &[&cookie])?, 403, "denied", None)?;
    // What the client says of itself does not count.
    check(&nginx.ask("GET", "127.0.0.3", &[&cookie, "X-Forwarded-For: 192.0.2.7"])?, 403, "denied", None)?;
    check(&nginx.ask("GET", "127.0.0.2", &[&cookie, "X-Forwarded-For: 127.0.0.3"])?, 200, "", Some("ada"))?;

    let mut limited_count = 0;
    for _ in 0..40 {
        let answer = nginx.ask("GET", "127.0.0.4", &[&cookie])?;
        if answer.status == 403 {
            check(&answer, 403, "rate_limited", None)?;
            limited_count += 1;
        }
    }
    ensure!(limited_count >= 10, "only {limited_count} of 40 requests were too many");
    check(&nginx.ask("GET", "127.0.0.5", &[&cookie])?, 200, "", Some("ada"))?;
    server.stop(Signal::TERM)?;
    let lost = nginx.ask("GET", "127.0.0.2", &[&cookie])?;
    ensure!(lost.status == 500, "without the server nginx answers {}", lost.status);
    Ok(format!("nginx let through and refused as it was told; {limited_count} of 40 requests were too many"))
}

/// The application answers with the customer that it was told.
fn check(answer: &Response, status: u16, refusal: &str, customer: Option<&str>) -> Result<()> {
    let told = answer.header("onrush-refusal").unwrap_or_default();
    ensure!(
        answer.status == status && told == refusal,
        "{} {told:?} in place of {status} {refusal:?}: {}",
        answer.status,
        answer.text()
    );
    if let Some(customer) = customer {
        ensure!(answer.text() == customer, "the application was told {:?}", answer.text());
    }
    Ok(())
}

struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(directory: &Path, server: SocketAddr) -> Result<Self> {
        let directory = directory.join("nginx");
        fs::create_dir_all(&directory)?;
        let (address, application) = (vacant()?, vacant()?);
        let lines = LINES
            .replace(DOCUMENTED_SERVER, &server.to_string())
            .replace(DOCUMENTED_APPLICATION, &application.to_string());
        ensure!(lines.contains(&server.to_string()) && lines.contains(&application.to_string()));
        let path = directory.display();
        let temporary_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .concat();
        let configuration = format!(
            "daemon off; pid {path}/pid; error_log stderr crit; worker_processes 1; events {{}}
             http {{ access_log off; {temporary_paths}
             server {{ listen {address}; {lines} }}
             server {{ listen {application}; location / {{ return 200 $http_onrush_customer; }} }} }}"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, configuration)?;
        let mut command = Command::new(NGINX.program);
        command.args(["-e", "stderr", "-p"]).arg(&directory).arg("-c").arg(&file);
        let output = fs::File::create(directory.join("output"))?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn()?;
        let nginx = Self { process, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(started.elapsed() < START_TIMEOUT, "nginx does not listen: see {path}/output");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }

    /// Asks for a page of the application, from this address.
    fn ask(&self, method: &str, from: &str, fields: &[&str]) -> Result<Response> {
        let mut arguments = vec!["--silent", "--include", "--interface", from, "--request", method];
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

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}
