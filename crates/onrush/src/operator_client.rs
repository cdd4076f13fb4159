//! Asks the operator listener of a running server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use onrush_edge::problem::OPERATOR_KEY_LOST;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::{Request, Response, header};
use ureq::{Agent, Body};

use crate::failure::Failure;
use crate::settings::Operator;

/// Longest wait for an answer: skipping waits for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read; more is an error. 32 sinks with long reasons are far below it.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The status of an answer to a missing or wrong key.
const UNAUTHORIZED: u16 = 401;

/// How to say the key.
const KEY_WAYS: &str = "name the file that holds the server's key with --operator-key-file, as operator.key_file in the \
                        file of --config, or as ONRUSH_OPERATOR__KEY_FILE in the environment";

/// A server's operator listener.
pub(crate) struct OperatorClient {
    agent: Agent,
    address: SocketAddr,
    key: Option<String>,
}

/// An answer as it came.
pub(crate) struct OperatorResponse(Response<Body>);

/// What a server says when it does not do what was asked (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: String,
}

impl OperatorClient {
    pub(crate) fn new(operator: Operator) -> Result<Self, Failure> {
        let Operator { address, key } = operator;
        if address.port() == 0 {
            Err(anyhow!(
                "operator.listen has port 0, so the system chose one: name it with --operator-listen"
            ))?;
        }
        // The listener is close by: no proxy of the environment is asked for the way.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build()
            .into();
        Ok(Self { agent, address: reachable(address), key })
    }

    pub(crate) fn get(&self, path: &str) -> Result<OperatorResponse, Failure> {
        self.ask("GET", path, String::new())
    }

    pub(crate) fn post(&self, path: &str, json: String) -> Result<OperatorResponse, Failure> {
        self.ask("POST", path, json)
    }

    fn ask(&self, method: &str, path: &str, json: String) -> Result<OperatorResponse, Failure> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let sent = if json.is_empty() {
            self.agent.run(request.body(()).context("ask the server")?)
        } else {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            self.agent.run(request.body(json).context("ask the server")?)
        };
        let mut response = sent.map_err(|error| self.unanswered(&error))?;
        if response.status().is_success() {
            return Ok(OperatorResponse(response));
        }
        let status = response.status().as_u16();
        let problem = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json::<Problem>();
        Err(match problem {
            Ok(Problem { detail, .. }) if status == UNAUTHORIZED && detail != OPERATOR_KEY_LOST => {
                self.wrong_key()
            }
            Ok(Problem { title, detail }) => {
                anyhow!("{} answered: {title} ({status}). {detail}", self.address)
            }
            Err(_) => anyhow!("{} answered {status}, which an operator listener would explain", self.address),
        })?
    }

    fn wrong_key(&self) -> anyhow::Error {
        let address = self.address;
        match self.key {
            None => anyhow!("{address} asks for a key ({UNAUTHORIZED}): {KEY_WAYS}"),
            Some(_) => anyhow!("{address} has another key ({UNAUTHORIZED}): {KEY_WAYS}"),
        }
    }

    /// Where it asks.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn unanswered(&self, error: &ureq::Error) -> Failure {
        let address = self.address;
        Failure::Runtime(match error {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => anyhow!(
                "nothing listens on {address}: start the server with `onrush serve`, or say with --operator-listen where it is"
            ),
            ureq::Error::Timeout(_) => {
                anyhow!("{address} did not answer within {} s", ANSWER_TIMEOUT.as_secs())
            }
            other => anyhow!("ask {address}: {other}"),
        })
    }
}

impl OperatorResponse {
    /// The body as it is.
    pub(crate) fn text(self) -> Result<String, Failure> {
        let mut response = self.0;
        Ok(response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .context("read the answer")?)
    }

    /// The body as a value.
    pub(crate) fn value<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let mut response = self.0;
        Ok(response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_json()
            .context("read the answer")?)
    }
}

/// Where a listener on all addresses can be reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_over_loopback() {
        for (address, expected) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:2", "[::1]:2"),
            ("10.0.0.7:3", "10.0.0.7:3"),
            ("[::1]:4", "[::1]:4"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(reachable(address).to_string(), expected);
        }
    }
}
