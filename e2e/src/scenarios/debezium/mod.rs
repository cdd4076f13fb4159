//! Collections whose rows come through Kafka, as Debezium tells them: of PostgreSQL, while each part of the way is killed and cut, and
//! of MariaDB, whose records have schemas.

mod connector;
mod mariadb;
mod postgres;

use anyhow::{Context as _, Result};

use crate::Bench;
use crate::services::Services;
use connector::Connector;

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let services = Services::find()?;
    let missing = |services: &Services| {
        ["postgres", "mariadb", "kafka", "connect"].into_iter().find(|name| !services.has(name))
    };
    let Some(services) = services else {
        return Ok("left out: there is no Debezium (cargo xtask services up)".to_owned());
    };
    if let Some(name) = missing(&services) {
        return Ok(format!("left out: there is no {name} (cargo xtask services up {name})"));
    }
    connector::remove_left(&services).context("remove connectors of earlier runs")?;
    let of_postgres = postgres::run(bench, &services).context("PostgreSQL")?;
    let of_mariadb = mariadb::run(bench, &services).context("MariaDB")?;
    Ok(format!("PostgreSQL: {of_postgres}; MariaDB: {of_mariadb}"))
}

/// The settings of a server with a collection that follows the table of its name in this schema, and whose answers may be so far behind.
fn settings(collection: &str, brokers: &str, connector: &Connector, schema: &str, lag_ms_max: u64) -> String {
    let (topic, name) = (connector.topic(&format!("{schema}.{collection}")), connector.name());
    format!(
        "[catalog]\nready_when_coherent = true\nwait_ms_max = 4000\n\
         [catalog.{collection}]\nsource = \"debezium\"\nbrokers = \"{brokers}\"\ntopic = \"{topic}\"\n\
         connector = \"{name}\"\nkey = \"id\"\nlag_ms_max = {lag_ms_max}\n"
    )
}
