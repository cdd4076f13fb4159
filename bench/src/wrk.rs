//! wrk as the closed-loop load generator: the scripts it runs and what it reports. Scripts only build requests; nothing
//! looks at answers one by one, which would halve wrk's speed and so measure wrk.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process::search_path;

/// Threads of wrk that send [`Traffic::Buyers`]; all else comes from one, which leaves the server the rest of the machine.
const BUYER_THREADS: u32 = 2;

/// What wrk sends.
#[derive(Debug, Clone)]
pub(crate) enum Traffic {
    /// The same request each time, without a body.
    Same { method: &'static str, path: &'static str },
    /// A reservation of one unit of the stock `units` for a customer never seen before. Sales are named `sale_prefix`,
    /// or, when `sale_count` is above 1, `sale_prefix` and a number below it, taken at random.
    NewCustomers { sale_prefix: String, sale_count: u32 },
    /// The same request each time, with this cookie.
    WithCookie { path: &'static str, cookie: String },
    /// The same reservation as [`Traffic::NewCustomers`] in the sale `drop`, each with the cookie of its customer: the next line
    /// of this file.
    Members { cookies: PathBuf },
    /// Buying at a path, with the cookies of this file in turn: each of [`BUYER_THREADS`] has its share of them.
    Buyers { path: &'static str, cookies: PathBuf },
}

/// One run of wrk.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct WrkRun {
    #[serde(rename = "requests")]
    pub(crate) answer_count: u64,
    pub(crate) seconds: f64,
    /// Answers other than 2xx and 3xx.
    #[serde(rename = "status")]
    pub(crate) refusal_count: u64,
    #[serde(rename = "socket")]
    pub(crate) socket_error_count: u64,
    #[serde(rename = "timeout")]
    pub(crate) timeout_count: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

/// wrk as it is set up.
#[derive(Debug)]
pub(crate) struct Wrk<'a> {
    /// Where the scripts go.
    pub(crate) directory: &'a Path,
    pub(crate) connection_count: u32,
    pub(crate) seconds: u64,
}

impl Wrk<'_> {
    /// `run_name` must be different for every run against the same server: it makes the customers new.
    pub(crate) fn run(&self, address: SocketAddr, traffic: &Traffic, run_name: &str) -> Result<WrkRun> {
        let thread_count = if matches!(traffic, Traffic::Buyers { .. }) { BUYER_THREADS } else { 1 };
        let script = self.directory.join("wrk.lua");
        fs::write(&script, script_text(traffic, run_name)).context("write the wrk script")?;
        let path = match traffic {
            Traffic::Same { path, .. } | Traffic::WithCookie { path, .. } => path,
            _ => "/",
        };
        let output = Command::new("wrk")
            .env("PATH", search_path())
            .args(["--threads", &thread_count.to_string(), "--timeout", "10s"])
            .args(["--connections", &self.connection_count.to_string()])
            .args(["--duration", &format!("{}s", self.seconds), "--script"])
            .arg(&script)
            .arg(format!("http://{address}{path}"))
            .output()
            .context("run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        parse_run(&text).with_context(|| format!("wrk printed {text:?} and {errors:?}"))
    }
}

fn parse_run(output: &str) -> Option<WrkRun> {
    let line = output.lines().find_map(|line| line.strip_prefix("onrush-bench "))?;
    serde_json::from_str(line).ok()
}

/// Customers of a run are numbered behind this.
pub(crate) const FIRST_CUSTOMER: u64 = 1_000_000_000;

fn script_text(traffic: &Traffic, run_name: &str) -> String {
    let request = match traffic {
        Traffic::Same { method, .. } => format!("wrk.method = \"{method}\"\n"),
        Traffic::NewCustomers { sale_prefix, sale_count } => {
            new_customer_script(sale_prefix, *sale_count, run_name)
        }
        Traffic::WithCookie { cookie, .. } => format!("wrk.headers[\"Cookie\"] = \"{cookie}\"\n"),
        Traffic::Members { cookies } => member_script(cookies, run_name),
        Traffic::Buyers { path, cookies } => buyer_script(path, cookies),
    };
    format!("{request}{REPORT_SCRIPT}")
}

/// Ten digits for every customer keep the length of the body, and so the head of the request, the same.
fn new_customer_script(sale_prefix: &str, sale_count: u32, run_name: &str) -> String {
    let tail = "\",\"lines\":[{\"stock\":\"units\",\"quantity\":1}]}";
    let body_bytes = "{\"customer\":\"".len() + run_name.len() + 10 + tail.len();
    let head = format!(
        "/reservations HTTP/1.1\\r\\nHost: onrush\\r\\nContent-Type: application/json\\r\\nContent-Length: {body_bytes}\
         \\r\\n\\r\\n{{\\\"customer\\\":\\\"{run_name}"
    );
    let start = format!("POST /v1/sales/{sale_prefix}");
    let build = if sale_count > 1 {
        format!("\"{start}\" .. random(0, {}) .. head .. customer .. tail", sale_count - 1)
    } else {
        format!("\"{start}{head}\" .. customer .. tail")
    };
    format!(
        "local random = math.random
local customer = {FIRST_CUSTOMER}
local head = \"{head}\"
local tail = [[{tail}]]
request = function()
  customer = customer + 1
  return {build}
end
"
    )
}

/// Behind the last cookie there is none, and the answer is a refusal that shows in the table.
fn member_script(cookies: &Path, run_name: &str) -> String {
    let start = format!("{{\"customer\":\"{run_name}");
    let tail = "\",\"lines\":[{\"stock\":\"units\",\"quantity\":1}]}";
    let (body_bytes, cookies) = (start.len() + 10 + tail.len(), cookies.display());
    format!(
        r#"local cookies = {{}}
for cookie in io.lines("{cookies}") do cookies[#cookies + 1] = cookie end
local head = "POST /v1/sales/drop/reservations HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\nContent-Length: {body_bytes}\r\nCookie: "
local middle = "\r\n\r\n" .. [[{start}]]
local tail = [[{tail}]]
local number = 0
request = function()
  number = number + 1
  return head .. (cookies[number] or "none=") .. middle .. ({FIRST_CUSTOMER} + number) .. tail
end
"#
    )
}

/// Every thread builds its requests before the first is sent.
fn buyer_script(path: &str, cookies: &Path) -> String {
    let cookies = cookies.display();
    format!(
        r#"local thread_count = 0
setup = function(thread)
  thread:set("share", thread_count)
  thread_count = thread_count + 1
end
local requests = {{}}
local at = 0
init = function()
  local line = 0
  for cookie in io.lines("{cookies}") do
    if line % {BUYER_THREADS} == share then
      requests[#requests + 1] = "GET {path} HTTP/1.1\r\nHost: onrush\r\nCookie: " .. cookie .. "\r\n\r\n"
    end
    line = line + 1
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"#
    )
}

/// Prints the summary as one line of JSON; wrk counts in microseconds.
const REPORT_SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'onrush-bench {"requests":%d,"seconds":%.6f,"status":%d,"socket":%d,"timeout":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write,
    errors.timeout, latency:percentile(50), latency:percentile(99), latency.max))
end
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read() {
        let line = r#"onrush-bench {"requests":10,"seconds":2.0,"status":1,"socket":0,"timeout":0,"p50_us":1.0,"p99_us":2.0,"max_us":3.0}"#;
        let run = parse_run(&format!("Running 1s test\n{line}\n")).unwrap();
        assert_eq!((run.answer_count, run.refusal_count), (10, 1));
        assert!(parse_run("unable to connect").is_none());
    }

    #[test]
    fn the_stated_length_is_the_length_of_the_body() {
        let text = new_customer_script("drop", 1, "r1-");
        let body = "{\"customer\":\"r1-1000000001\",\"lines\":[{\"stock\":\"units\",\"quantity\":1}]}";
        assert!(text.contains(&format!("Content-Length: {}\\r", body.len())), "{text}");
        let text = member_script(Path::new("cookies"), "r1-");
        assert!(text.contains(&format!("Content-Length: {}\\r", body.len())), "{text}");
    }
}
