//! Holds what PostgreSQL's tables say against the same history: every acknowledged reservation is a row in a state that it
//! may have, nothing else is, and every counter, window and stock has the figures that the server shows.

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

use super::History;
use crate::api::Sale;
use crate::http::Connection;
use crate::server::Server;
use crate::shop::SALES;
use crate::targets::postgres::Database;

/// What a window counted since it was last put.
const WINDOWS: &str =
    "WITH put AS (SELECT key, max(event_offset) AS last FROM events WHERE kind = 'window.put' GROUP BY key)
    SELECT e.key, sum((body->>'by')::bigint)::bigint FROM events e LEFT JOIN put USING (key)
    WHERE kind = 'window.hit' AND event_offset > coalesce(last, 0) GROUP BY e.key";

/// Units by sale, stock and state, for `quantity_total`, `quantity_held` or `quantity_confirmed`.
const STOCKS: &str = "SELECT s.sale || '/' || t.stock, t.QUANTITY FROM stocks t JOIN sales s USING (sale_no)
    WHERE NOT t.removed AND s.archived_at IS NULL";

impl History {
    /// Checks the tables of a sink that has caught up, after an audit of the server, which nobody else is using.
    pub(crate) fn audit_stored(&mut self, server: &Server, database: &Database) -> Result<()> {
        self.check_stored_reservations(database).context("reservations")?;
        self.check_stored_numbers(database).context("counters and windows")?;
        check_stored_stocks(server, database).context("stocks")
    }

    fn check_stored_reservations(&mut self, database: &Database) -> Result<()> {
        let stored = database.reservations(false)?;
        let ours = |sale: &str| SALES.iter().any(|known| known.sale == sale);
        let now_ms = Timestamp::now().as_millisecond();
        let mut ids = BTreeSet::new();
        for reservation in stored.iter().filter(|reservation| ours(&reservation.sale)) {
            ensure!(ids.insert(reservation.reservation.as_str()), "two rows of {reservation:?}");
            self.ledger.observed(reservation, now_ms)?;
        }
        for (sale, id) in &self.reservations {
            ensure!(ids.contains(id.as_str()), "reservation {id} of {sale} is no row");
        }
        ensure!(
            ids.len() == self.ledger.reservation_count(),
            "{} rows, but {} reservations are known",
            ids.len(),
            self.ledger.reservation_count()
        );
        Ok(())
    }

    fn check_stored_numbers(&self, database: &Database) -> Result<()> {
        let counters = database.numbers("SELECT counter, value FROM counters")?;
        let windows = database.numbers(WINDOWS)?;
        let prefixed = |prefix: &str, numbers: Vec<(String, u64)>| {
            numbers.into_iter().map(|(name, value)| (format!("{prefix}/{name}"), value)).collect::<Vec<_>>()
        };
        let stored = [prefixed("counters", counters), prefixed("windows", windows)].concat();
        let stored = stored.into_iter().collect::<BTreeMap<_, _>>();
        for (name, number) in &self.numbers {
            let value = stored.get(name).copied().unwrap_or_default();
            ensure!(value == number.value, "{name} stands at {}, its rows say {value}", number.value);
        }
        Ok(())
    }
}

fn check_stored_stocks(server: &Server, database: &Database) -> Result<()> {
    let quantities = ["quantity_total", "quantity_held", "quantity_confirmed"]
        .map(|quantity| database.numbers(&STOCKS.replace("QUANTITY", quantity)));
    let [total, held, confirmed] = quantities;
    let [total, held, confirmed] =
        [total?, held?, confirmed?].map(|numbers| numbers.into_iter().collect::<BTreeMap<_, _>>());
    let mut connection = Connection::open(server.public()).context("connect")?;
    for sale in SALES {
        for stock in Sale::read(&mut connection, sale.sale)?.stocks {
            let name = format!("{}/{}", sale.sale, stock.stock);
            let stored = [&total, &held, &confirmed].map(|numbers| numbers.get(&name).copied());
            let shown = [stock.quantity_total, stock.quantity_held, stock.quantity_confirmed].map(Some);
            ensure!(stored == shown, "{name} has {shown:?} in total, held and confirmed, its row {stored:?}");
            ensure!(
                stock.quantity_held + stock.quantity_confirmed <= stock.quantity_total,
                "{name} is oversold: {stock:?}"
            );
        }
    }
    Ok(())
}
