//! A MariaDB with a password and a log of all changes of rows. MariaDB refuses to run as root, so root runs it as the user
//! `mysql`.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::chance::{Ports, password};
use super::data;
use super::home::{Home, remove_if_there, write_private};
use super::lines::Lines;
use super::process::{Process, attached, detached, run_logged, spawn};
use super::server::Server;
use crate::machine::{is_root, program};

/// The account that Debian's package makes.
const ACCOUNT: &str = "mysql";
/// The user of the database, and the database.
const USER: &str = "onrush";

/// See the module.
pub(crate) struct MariaDb;

impl Server for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["mariadbd", "mariadb-install-db", "mariadb"]
    }

    fn choose(&self, home: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        settings.insert("PORT", ports.draw()?);
        settings.insert("PASSWORD", password()?);
        settings.insert("DATA", data::choose(home, server_account())?.display());
        Ok(settings)
    }

    fn prepare(&self, home: &Home, settings: &Lines) -> Result<()> {
        let data = data::make(settings, server_account())?;
        let statements = home.path("first.sql");
        write_private(&statements, &first_statements(settings.get("PASSWORD")?))?;
        let statements_of_server = data.with_extension("sql");
        data::give(&statements, &statements_of_server, server_account())?;
        let mut install = attached(&program("mariadb-install-db")?, server_account());
        install.args(["--no-defaults", "--auth-root-authentication-method=socket", "--skip-test-db"]);
        install.arg(format!("--extra-file={}", statements_of_server.display()));
        install.arg(format!("--datadir={}", data.display()));
        let made = run_logged(&mut install, "make the files of MariaDB", &home.log());
        remove_if_there(&statements).context("remove the file of the password")?;
        remove_if_there(&statements_of_server).context("remove the file of the password")?;
        made
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        let mut server = detached(&program("mariadbd")?, server_account());
        // It is obeyed nowhere but in front.
        server.arg("--no-defaults").arg(format!("--datadir={}", settings.get("DATA")?));
        for setting in [
            "bind-address=127.0.0.1",
            &format!("port={}", settings.get("PORT")?),
            // Below the data directory, so that no path is too long for a socket.
            "socket=server.socket",
            "pid-file=server.pid",
            "skip-name-resolve",
            "character-set-server=utf8mb4",
            "innodb-buffer-pool-size=64M",
            // Changes of rows can be followed.
            "server-id=1",
            "log-bin=binlog",
            "binlog-format=ROW",
            "binlog-row-image=FULL",
            "sync-binlog=1",
        ] {
            server.arg(format!("--{setting}"));
        }
        Ok(vec![spawn(&mut server, &home.log())?])
    }

    fn probe(&self, _: &Home, settings: &Lines) -> Result<()> {
        // The database is made here so that it stands in the log: Debezium fails on a log without any transaction.
        if execute(settings, USER, "select 1").is_err() {
            execute(settings, "mysql", &format!("create database {USER} character set utf8mb4"))?;
        }
        Ok(())
    }

    fn variables(&self, _: &Home, settings: &Lines, process: Process) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("MARIADB_HOST", "127.0.0.1".to_owned()),
            ("MARIADB_PORT", settings.get("PORT")?.to_owned()),
            ("MARIADB_USER", USER.to_owned()),
            ("MARIADB_PASSWORD", settings.get("PASSWORD")?.to_owned()),
            ("MARIADB_DATABASE", USER.to_owned()),
            ("MARIADB_PID", process.pid.to_string()),
        ])
    }
}

/// The user that MariaDB must run as; `None` is the one that runs this program.
fn server_account() -> Option<&'static str> {
    is_root().then_some(ACCOUNT)
}

fn execute(settings: &Lines, database: &str, statement: &str) -> Result<()> {
    let mut client = Command::new("timeout");
    client.arg("10").arg(program("mariadb")?);
    client.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", settings.get("PORT")?]);
    client.args(["--connect-timeout=3", "--user", USER, "--database", database, "--execute", statement]);
    let output = client.env("MYSQL_PWD", settings.get("PASSWORD")?).output().context("start mariadb")?;
    ensure!(output.status.success(), "mariadb: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// The user may do everything: write rows, follow their changes, and let others do so.
fn first_statements(password: &str) -> String {
    format!(
        "flush privileges;
create user {USER}@'127.0.0.1' identified by '{password}';
grant all privileges on *.* to {USER}@'127.0.0.1' with grant option;
"
    )
}
