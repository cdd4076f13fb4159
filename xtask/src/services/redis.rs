//! Redis with an append-only file that is synced before every answer, a password, and a second port that speaks TLS.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::certificates;
use super::chance::{Ports, password};
use super::home::{Home, make_private_directory, write_private};
use super::lines::Lines;
use super::process::{Process, detached, spawn};
use super::server::Server;
use super::waiting::connect;
use crate::machine::program;

/// See the module.
pub(crate) struct Redis;

impl Server for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["redis-server", "openssl"]
    }

    fn choose(&self, _: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        settings.insert("PORT", ports.draw()?);
        settings.insert("TLS_PORT", ports.draw()?);
        settings.insert("PASSWORD", password()?);
        Ok(settings)
    }

    fn prepare(&self, home: &Home, _: &Lines) -> Result<()> {
        make_private_directory(&home.path("data"))?;
        certificates::make(home)
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        let configuration = home.path("redis.conf");
        write_configuration(&configuration, home, settings)?;
        // Given as a file, the configuration could be rewritten; read from standard input it cannot.
        let configuration = File::open(configuration).context("open redis.conf")?;
        let mut command = detached(&program("redis-server")?, None);
        Ok(vec![spawn(command.arg("-").stdin(configuration), &home.log())?])
    }

    fn probe(&self, _: &Home, settings: &Lines) -> Result<()> {
        let mut stream = connect(settings.get("PORT")?)?;
        let password = settings.get("PASSWORD")?;
        let request =
            format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{password}\r\n*1\r\n$4\r\nPING\r\n", password.len());
        stream.write_all(request.as_bytes()).context("ask Redis")?;
        let mut answer = [0; b"+OK\r\n+PONG\r\n".len()];
        stream.read_exact(&mut answer).context("read the answer of Redis")?;
        ensure!(&answer == b"+OK\r\n+PONG\r\n", "Redis answers {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    fn variables(
        &self,
        home: &Home,
        settings: &Lines,
        process: Process,
    ) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("REDIS_ADDRESS", format!("127.0.0.1:{}", settings.get("PORT")?)),
            ("REDIS_TLS_ADDRESS", format!("127.0.0.1:{}", settings.get("TLS_PORT")?)),
            ("REDIS_CA", home.path("ca.pem").display().to_string()),
            ("REDIS_PASSWORD", settings.get("PASSWORD")?.to_owned()),
            ("REDIS_PID", process.pid.to_string()),
        ])
    }
}

fn write_configuration(path: &Path, home: &Home, settings: &Lines) -> Result<()> {
    let quoted = |file: &str| format!("\"{}\"", home.path(file).display());
    let lines = [
        "bind 127.0.0.1".to_owned(),
        format!("port {}", settings.get("PORT")?),
        format!("requirepass {}", settings.get("PASSWORD")?),
        format!("dir {}", quoted("data")),
        format!("tls-port {}", settings.get("TLS_PORT")?),
        format!("tls-cert-file {}", quoted("server.crt")),
        format!("tls-key-file {}", quoted("server.key")),
        format!("tls-ca-cert-file {}", quoted("ca.pem")),
        "tls-auth-clients no".to_owned(),
        "appendonly yes".to_owned(),
        "appendfsync always".to_owned(),
        "save \"\"".to_owned(),
        "daemonize no".to_owned(),
    ];
    write_private(path, &(lines.join("\n") + "\n"))
}
