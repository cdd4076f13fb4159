//! A MariaDB, by its own client.

use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::services::Services;
use crate::tool::MARIADB;

/// What the client prints when all before it is done. No row of the check looks like that.
const DONE: &str = "all of it is done";

/// One connection to the database. A statement that fails ends it.
#[derive(Debug)]
pub(super) struct Client {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// Connects to this database.
    pub(super) fn open(services: &Services, database: &str) -> Result<Self> {
        let (host, port, user) = (
            services.value("MARIADB_HOST")?,
            services.value("MARIADB_PORT")?,
            services.value("MARIADB_USER")?,
        );
        let mut process = Command::new(MARIADB.program)
            .args(["--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names", "--unbuffered"])
            .args(["--host", &host, "--port", &port, "--user", &user, "--database", database])
            .env("MYSQL_PWD", services.value("MARIADB_PASSWORD")?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start mariadb")?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        Ok(Self { process, input, output })
    }

    /// Executes statements, and returns the rows that they give, one on each line.
    pub(super) fn execute(&mut self, statements: &str) -> Result<String> {
        self.send(statements)?;
        self.done()
    }

    /// Sends statements, and does not wait for them.
    pub(super) fn send(&mut self, statements: &str) -> Result<()> {
        writeln!(self.input, "{statements};\nSELECT '{DONE}';").context("tell mariadb")
    }

    /// Waits until what was sent is done, and returns the rows that it gave.
    pub(super) fn done(&mut self) -> Result<String> {
        let mut rows = String::new();
        loop {
            let before = rows.len();
            let count = self.output.read_line(&mut rows).context("hear of mariadb")?;
            ensure!(count > 0, "mariadb ended before it had done all: it has said why");
            if rows[before..].trim_end() == DONE {
                rows.truncate(before);
                return Ok(rows);
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
