//! A PostgreSQL primary with a password and TLS. PostgreSQL refuses to run as root, so root runs it as the user `postgres`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use super::chance::{Ports, password};
use super::home::{Home, remove_if_there, write_private};
use super::lines::Lines;
use super::process::{Process, attached, detached, run_logged, spawn};
use super::server::Server;
use super::{certificates, data, process, waiting};
use crate::machine::{is_root, program};

/// The account that Debian's package makes.
const USER: &str = "postgres";

/// How long the first process of the machine gets to wait for a server that ended.
const WAIT_TIMEOUT: Duration = Duration::from_secs(3);

/// See the module.
pub(crate) struct Postgres;

impl Server for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["postgres", "initdb", "psql", "openssl"]
    }

    fn choose(&self, home: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        settings.insert("PORT", ports.draw()?);
        settings.insert("PASSWORD", password()?);
        settings.insert("DATA", data::choose(home, server_user())?.display());
        Ok(settings)
    }

    fn prepare(&self, home: &Home, settings: &Lines) -> Result<()> {
        let data = data::make(settings, server_user())?;
        let secret = home.path("password");
        write_private(&secret, settings.get("PASSWORD")?)?;
        let secret_of_server = data.with_extension("password");
        data::give(&secret, &secret_of_server, server_user())?;
        let mut initdb = attached(&program("initdb")?, server_user());
        initdb.args(["--username=onrush", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
        // What a power cut takes is made again.
        initdb.arg("--no-sync");
        initdb.arg(format!("--pwfile={}", secret_of_server.display())).arg("--pgdata").arg(&data);
        let made = run_logged(&mut initdb, "make the files of PostgreSQL", &home.log());
        remove_if_there(&secret).context("remove the file of the password")?;
        remove_if_there(&secret_of_server).context("remove the file of the password")?;
        made?;
        certificates::make(home)?;
        data::give(&home.path("server.crt"), &data.join("server.crt"), server_user())?;
        data::give(&home.path("server.key"), &data.join("server.key"), server_user())
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        start(home, settings)
    }

    fn probe(&self, _: &Home, settings: &Lines) -> Result<()> {
        // The database is made here because that needs a running server.
        if query(settings, "onrush", "select 1").is_err() {
            query(settings, "postgres", "create database onrush")?;
        }
        ensure!(query(settings, "onrush", "select pg_is_in_recovery()")? == "f", "this is no primary");
        Ok(())
    }

    fn stop_signal(&self) -> Signal {
        // The fast way: on SIGTERM it would wait for its clients to leave.
        Signal::INT
    }

    fn variables(
        &self,
        home: &Home,
        settings: &Lines,
        process: Process,
    ) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("POSTGRES_URL", url(settings)?),
            ("POSTGRES_PASSWORD", settings.get("PASSWORD")?.to_owned()),
            ("POSTGRES_CA", home.path("ca.pem").display().to_string()),
            ("POSTGRES_PID", process.pid.to_string()),
        ])
    }
}

/// The user that PostgreSQL must run as; `None` is the one that runs this program.
pub(super) fn server_user() -> Option<&'static str> {
    is_root().then_some(USER)
}

pub(super) fn url(settings: &Lines) -> Result<String> {
    Ok(format!("postgresql://onrush@127.0.0.1:{}/onrush", settings.get("PORT")?))
}

/// Starts a server, primary or replica, on the chosen port and directory.
pub(super) fn start(home: &Home, settings: &Lines) -> Result<Vec<Process>> {
    let data = Path::new(settings.get("DATA")?);
    let owner = std::fs::metadata(data).with_context(|| format!("look at {}", data.display()))?.uid();
    if server_user().is_some() && owner == 0 {
        bail!("{} belongs to root, which PostgreSQL refuses", data.display());
    }
    forget_ended_server(data)?;
    let mut server = detached(&program("postgres")?, server_user());
    server.arg("-D").arg(data);
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={}", settings.get("PORT")?),
        "unix_socket_directories=",
        "ssl=on",
        "wal_keep_size=256MB",
        // Changes of rows can be followed, and a follower that is gone keeps no more of the log than this.
        "wal_level=logical",
        "max_slot_wal_keep_size=1GB",
        "wal_retrieve_retry_interval=500ms",
        "log_line_prefix=%m [%p] %q%a ",
    ] {
        server.args(["-c", setting]);
    }
    Ok(vec![spawn(&mut server, &home.log())?])
}

/// Makes way for a start after a kill. PostgreSQL takes a process that ended, and that nobody has waited for yet, for a
/// server that runs; the first process of a container may never wait.
fn forget_ended_server(data: &Path) -> Result<()> {
    let record = data.join("postmaster.pid");
    let text = std::fs::read_to_string(&record).unwrap_or_default();
    let pid = text.lines().next().and_then(|line| line.parse().ok());
    let is_waited_for = || pid.is_none_or(|pid| !process::is_unwaited(pid)).then_some(());
    if waiting::until(WAIT_TIMEOUT, is_waited_for).is_none() {
        remove_if_there(&record).context("forget a server that has ended")?;
    }
    Ok(())
}

/// The one value that a query returns, as text.
pub(super) fn query(settings: &Lines, database: &str, query: &str) -> Result<String> {
    let mut psql = Command::new("timeout");
    psql.arg("10").arg(program("psql")?);
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--username=onrush"]);
    psql.args(["--host=127.0.0.1", "--port", settings.get("PORT")?, "--dbname", database]);
    psql.args(["--command", query]);
    psql.env("PGPASSWORD", settings.get("PASSWORD")?).env("PGCONNECT_TIMEOUT", "3");
    let output = psql.output().context("start psql")?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
