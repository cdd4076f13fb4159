//! The product inventory over a PostgreSQL database whose tables are those of the service that the scenario stands for: what is wrong in
//! that service is right here. docs/catalog/product-inventory.md lists the faults with the checks.

mod changes;
mod faults;
mod readers;
mod shop;

use anyhow::{Context as _, Result, ensure};
use postgres::Client;
use rustix::process::Signal;
use std::path::PathBuf;

use crate::Bench;
use crate::python;
use crate::server::{Launch, Server};
use crate::services::Services;
use shop::{Kept, Shop};

/// Whether a fault of the service is absent.
type Check = fn(&mut Run<'_>) -> Result<()>;

macro_rules! checks {
    ($($module:ident::$check:ident,)*) => { &[$((stringify!($check), $module::$check)),*] };
}

const CHECKS: &[(&str, Check)] = checks![
    changes::a_change_reaches_a_product_that_was_read_before,
    changes::several_warehouses_keep_their_codes_and_units,
    changes::a_warehouse_that_was_seen_before_is_found_again,
    changes::none_of_thousands_of_changes_is_lost,
    changes::changes_while_the_server_starts_are_told,
    changes::everything_that_a_product_is_made_of_is_followed,
    readers::a_read_that_a_change_overtook_is_not_kept,
    readers::many_readers_with_every_message_logged_end_nothing,
    readers::a_thousand_misses_of_one_product_are_one_query,
    readers::an_unknown_product_is_asked_for_once,
    faults::a_database_that_is_not_there_at_the_start_is_waited_for,
    faults::what_goes_wrong_is_a_status_with_a_code,
    faults::reads_are_counted_under_their_names,
    faults::readiness_says_whether_the_rows_are_known,
    faults::one_connection_too_many_is_refused,
    faults::the_database_is_reached_with_a_password_over_tls,
];

/// Of servers that are asked more than a small machine can do at once: none of the checks is about how soon it is done.
const LAG: &str = "lag_ms_max = 60000\n";

/// What the checks share.
struct Run<'a> {
    bench: &'a mut Bench,
    services: Services,
    shop: Shop,
    client: Client,
    /// A server with all rows, which logs everything.
    all: Server,
    /// A server with rows that were asked for.
    asked: Server,
    /// Python's environment with grpcio, if it can be had.
    grpc: Option<PathBuf>,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(services) = Services::find()? else {
        return Ok("left out: there is no PostgreSQL (cargo xtask services up)".to_owned());
    };
    let shop = Shop::make(&services, &bench.directory).context("make the database")?;
    let client = shop.client()?;
    let grpc = python::environment(&bench.directory, "grpc")?;
    let start = |bench: &mut Bench, name: &str, kept| -> Result<Server> {
        let logs_all = [("ONRUSH_LOGGING__LEVEL", "trace"), ("ONRUSH_CATALOG__READY_WHEN_COHERENT", "true")];
        let launch = bench.launch()?.with(&logs_all);
        let launch = shop.launch(launch, name, kept, shop.address().port(), LAG)?;
        shop.prepare(&launch, name)?;
        launch.start()
    };
    let all = start(bench, "all", Kept::All)?;
    let asked = start(bench, "asked", Kept::Asked)?;
    let mut run = Run { bench, services, shop, client, all, asked, grpc };
    for (name, check) in CHECKS {
        check(&mut run).with_context(|| name.replace('_', " "))?;
    }
    let Run { all, asked, mut client, .. } = run;
    all.stop(Signal::TERM)?;
    asked.stop(Signal::TERM)?;
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    let left: i64 = client.query_one(slots, &[])?.get(0);
    ensure!(left == 0, "servers that were stopped left {left} replication slots");
    Ok(format!("{} checks", CHECKS.len()))
}

/// A server that follows the database, which has this product among others; nothing without a database.
pub(super) fn followed(bench: &mut Bench, product: i64) -> Result<Option<Server>> {
    let Some(services) = Services::find()? else { return Ok(None) };
    let shop = Shop::make(&services, &bench.directory).context("make the database")?;
    shop.client()?.batch_execute(&format!(
        "INSERT INTO product VALUES ({product}, 'SKU-{product}', 'Lamp {product}'); \
         INSERT INTO tala_warehouse_stock_item VALUES ({product}, 1, 2), ({product}, 2, 15)"
    ))?;
    let launch = bench.launch()?.with(&[("ONRUSH_CATALOG__READY_WHEN_COHERENT", "true")]);
    let launch = shop.launch(launch, "followed", Kept::All, shop.address().port(), "")?;
    shop.prepare(&launch, "followed")?;
    launch.start().map(Some)
}

impl Run<'_> {
    /// A launch of a further server.
    fn launch(&mut self, name: &str, kept: Kept, port: u16, more: &str) -> Result<Launch> {
        self.shop.launch(self.bench.launch()?, name, kept, port, more)
    }
}
