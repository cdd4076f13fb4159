//! A streaming replica of the PostgreSQL primary, made by `pg_basebackup` with a replication slot, open to reading queries.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::chance::Ports;
use super::data;
use super::home::Home;
use super::lines::Lines;
use super::postgres::{Postgres, query, server_user, start, url};
use super::process::{Process, attached, run_logged};
use super::server::Server;
use crate::machine::program;

/// The name of the replication slot on the primary.
const REPLICATION_SLOT: &str = "onrush_replica";

/// See the module.
pub(crate) struct Replica;

impl Server for Replica {
    fn name(&self) -> &'static str {
        "postgres-replica"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["postgres", "pg_basebackup", "psql"]
    }

    fn rests_on(&self) -> Option<&'static str> {
        Some(Postgres.name())
    }

    fn choose(&self, home: &Home, ports: &mut Ports) -> Result<Lines> {
        let mut settings = Lines::default();
        settings.insert("PORT", ports.draw()?);
        settings.insert("PASSWORD", settings_of(&home_of_primary(home))?.get("PASSWORD")?);
        settings.insert("DATA", data::choose(home, server_user())?.display());
        Ok(settings)
    }

    fn prepare(&self, home: &Home, settings: &Lines) -> Result<()> {
        let primary = settings_of(&home_of_primary(home))?;
        let drop_slot = format!(
            "select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots \
             where slot_name = '{REPLICATION_SLOT}'"
        );
        query(&primary, "onrush", &drop_slot).context("drop the slot of an earlier replica")?;
        let data = data::make(settings, server_user())?;
        let mut backup = attached(&program("pg_basebackup")?, server_user());
        backup.args(["--host=127.0.0.1", "--username=onrush", "--port", primary.get("PORT")?]);
        backup.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]);
        backup.args(["--no-sync", "--create-slot", "--slot", REPLICATION_SLOT, "--pgdata"]).arg(data);
        backup.env("PGPASSWORD", settings.get("PASSWORD")?);
        run_logged(&mut backup, "copy the primary", &home.log())
    }

    fn launch(&self, home: &Home, settings: &Lines) -> Result<Vec<Process>> {
        start(home, settings)
    }

    fn probe(&self, home: &Home, settings: &Lines) -> Result<()> {
        ensure!(query(settings, "onrush", "select pg_is_in_recovery()")? == "t", "this is no replica");
        if home_of_primary(home).is_alive()? {
            let streaming = "select count(*) from pg_stat_wal_receiver where status = 'streaming'";
            ensure!(query(settings, "onrush", streaming)? == "1", "the replica does not follow the primary");
        }
        Ok(())
    }

    fn stop_signal(&self) -> Signal {
        Postgres.stop_signal()
    }

    fn variables(&self, _: &Home, settings: &Lines, process: Process) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![("POSTGRES_REPLICA_URL", url(settings)?), ("POSTGRES_REPLICA_PID", process.pid.to_string())])
    }
}

fn home_of_primary(home: &Home) -> Home {
    let services = home.directory.parent().unwrap_or(Path::new("."));
    Home::new(services, Postgres.name())
}

fn settings_of(primary: &Home) -> Result<Lines> {
    primary.settings()?.context("the primary was never started")
}
