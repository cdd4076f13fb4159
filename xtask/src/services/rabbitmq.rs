//! RabbitMQ as one node under a name, a port mapper and a home of its own, so that it meets no other node of the machine. A
//! second port speaks TLS.

use std::io::{Read as _, Write as _};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::certificates;
use super::chance::{Ports, password};
use super::home::{Home, make_private_directory, write_private};
use super::lines::Lines;
use super::process::{Process, detached, spawn};
use super::server::Server;
use super::waiting::connect;
use crate::machine::program;

/// What a client of AMQP 0-9-1 sends first (section 4.2.2 of its specification).
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\0\0\x09\x01";
/// The type of the frame in which a server sends `connection.start` (section 4.2.3).
const METHOD_FRAME: u8 = 1;

/// See the module.
pub(crate) struct RabbitMq;

impl Server for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["rabbitmq-server", "epmd", "openssl"]
    }

    fn choose(&self, _: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        for key in ["PORT", "TLS_PORT", "NODES_PORT", "MAPPER_PORT"] {
            settings.insert(key, ports.draw()?);
        }
        settings.insert("PASSWORD", password()?);
        Ok(settings)
    }

    fn prepare(&self, home: &Home, _: &Lines) -> Result<()> {
        make_private_directory(&home.path("data"))?;
        certificates::make(home)
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        // A node that finds no port mapper starts one itself, which then belongs to nobody.
        let mut mapper = detached(&program("epmd")?, None);
        mapper.args(["-address", "127.0.0.1", "-port", settings.get("MAPPER_PORT")?]);
        let mapper = spawn(&mut mapper, &home.log())?;
        write_configuration(home, settings)?;
        let mut server = detached(&program("rabbitmq-server")?, None);
        set_variables(&mut server, home, settings)?;
        Ok(vec![spawn(&mut server, &home.log())?, mapper])
    }

    fn probe(&self, _: &Home, settings: &Lines) -> Result<()> {
        let mut stream = connect(settings.get("PORT")?)?;
        stream.write_all(PROTOCOL_HEADER).context("greet RabbitMQ")?;
        let mut answer = [0; 1];
        stream.read_exact(&mut answer).context("read the answer of RabbitMQ")?;
        ensure!(answer[0] == METHOD_FRAME, "RabbitMQ answers with a frame of type {}", answer[0]);
        Ok(())
    }

    fn variables(
        &self,
        home: &Home,
        settings: &Lines,
        process: Process,
    ) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("RABBITMQ_URL", format!("amqp://onrush@127.0.0.1:{}/onrush", settings.get("PORT")?)),
            ("RABBITMQ_TLS_URL", format!("amqps://onrush@127.0.0.1:{}/onrush", settings.get("TLS_PORT")?)),
            ("RABBITMQ_CA", home.path("ca.pem").display().to_string()),
            ("RABBITMQ_PASSWORD", settings.get("PASSWORD")?.to_owned()),
            ("RABBITMQ_PID", process.pid.to_string()),
        ])
    }
}

fn write_configuration(home: &Home, settings: &Lines) -> Result<()> {
    let lines = [
        format!("listeners.tcp.local = 127.0.0.1:{}", settings.get("PORT")?),
        format!("listeners.ssl.local = 127.0.0.1:{}", settings.get("TLS_PORT")?),
        format!("ssl_options.cacertfile = {}", home.path("ca.pem").display()),
        format!("ssl_options.certfile = {}", home.path("server.crt").display()),
        format!("ssl_options.keyfile = {}", home.path("server.key").display()),
        "ssl_options.verify = verify_none".to_owned(),
        "ssl_options.fail_if_no_peer_cert = false".to_owned(),
        "default_user = onrush".to_owned(),
        format!("default_pass = {}", settings.get("PASSWORD")?),
        "default_vhost = onrush".to_owned(),
        "log.console = true".to_owned(),
        "log.file = false".to_owned(),
    ];
    write_private(&home.path("rabbitmq.conf"), &(lines.join("\n") + "\n"))?;
    write_private(&home.path("advanced.config"), "[].\n")?;
    write_private(&home.path("enabled_plugins"), "[].\n")
}

/// Everything that the server would otherwise look for below `/etc/rabbitmq`, `/var` or the home of the user.
fn set_variables(server: &mut Command, home: &Home, settings: &Lines) -> Result<()> {
    for (variable, file) in [
        ("HOME", ""),
        ("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_CONFIG_FILES", "conf.d"),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "data"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "data"),
        ("RABBITMQ_PID_FILE", "data/server.pid"),
        ("ERL_CRASH_DUMP", "erl_crash.dump"),
    ] {
        server.env(variable, home.path(file));
    }
    server
        .env("RABBITMQ_NODENAME", "onrush@localhost")
        .env("RABBITMQ_DIST_PORT", settings.get("NODES_PORT")?)
        .env("ERL_EPMD_PORT", settings.get("MAPPER_PORT")?)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
        // Told so, the script becomes the server instead of waiting for it.
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env_remove("NOTIFY_SOCKET");
    Ok(())
}
