//! A `redis-server` of a test's own, which may be broken and killed.
#![expect(clippy::disallowed_methods, reason = "a server that starts is asked again and again")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use onrush_connect::Secret;
use onrush_connect::redis::Settings;

const PASSWORD: &str = "a password of a test";

/// It ends with its value, and its files with it.
pub struct Server {
    address: SocketAddr,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts one, if it is installed.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let is_installed =
            Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
        let is_required = std::env::var("ONRUSH_SERVICES").is_ok_and(|required| required == "1");
        assert!(is_installed || !is_required, "redis-server is not installed");
        if !is_installed {
            println!("skipped: redis-server is not installed");
            return None;
        }
        let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = address.expect("loopback has free ports");
        let directory = tempfile::tempdir().expect("a directory can be made");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = spawn(address, &directory, &arguments);
        let server = Self { address, directory, arguments, child };
        server.wait();
        Some(server)
    }

    /// Kills it and starts it again on what it saved.
    pub fn restart(&mut self) {
        self.end();
        self.child = spawn(self.address, &self.directory, &self.arguments);
        self.wait();
    }

    /// Settings for the stream `s`.
    pub fn settings(&self) -> Settings {
        Settings {
            url: format!("redis://{}/0", self.address),
            password: Some(Secret::new(PASSWORD)),
            tls: onrush_connect::TlsSettings::default(),
            stream: "s".into(),
            length_max: 0,
        }
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its answer to a command.
    pub fn ask<T: redis::FromRedisValue>(&self, arguments: &[&str]) -> T {
        self.try_ask(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    fn try_ask<T: redis::FromRedisValue>(&self, arguments: &[&str]) -> redis::RedisResult<T> {
        let login = PASSWORD.replace(' ', "%20");
        let client = redis::Client::open(format!("redis://:{login}@{}/0", self.address))?;
        let mut connection = client.get_connection()?;
        let mut command = redis::cmd(arguments[0]);
        for argument in &arguments[1..] {
            command.arg(argument);
        }
        command.query(&mut connection)
    }

    fn wait(&self) {
        for _ in 0..600 {
            if self.try_ask::<String>(&["PING"]).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("redis-server does not answer");
    }

    fn end(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(address: SocketAddr, directory: &tempfile::TempDir, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--requirepass", PASSWORD]);
    command.args(["--dbfilename", "kept.rdb", "--dir"]).arg(directory.path()).args(arguments);
    command.stdout(Stdio::null()).spawn().expect("redis-server starts")
}
