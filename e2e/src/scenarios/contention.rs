//! Everyone at once: far more connections than units, and one customer on many connections. Successes are counted by
//! answer, by the sale's figures, by the customers' lists, and again after the log has been replayed.

use anyhow::{Context as _, Result, anyhow, ensure};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;

use crate::Bench;
use crate::answers::{read_reserved, reserve_request};
use crate::api::{ReservationList, Sale, SaleSettings};
use crate::http::{Connection, request};
use crate::ledger::Ask;
use crate::server::Server;

/// Connections, each with one request in flight.
const CONNECTION_COUNT: usize = 2_000;

/// Units for sale.
const QUANTITY: u64 = 1_000;

/// Connections of the one customer.
const SAME_CUSTOMER_COUNT: usize = 100;

/// Threads that share the connections out among themselves.
const THREAD_COUNT: usize = 16;

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?;
    let server = launch.start()?;
    let rounds = if bench.short { 2 } else { 10 };
    let mut refusals = 0;
    for round in 0..rounds {
        refusals += crowd(&server, &format!("crowd-{round}"), 0).context("a crowd")?;
        refusals +=
            crowd(&server, &format!("crowd-held-{round}"), 86_400_000).context("a crowd that holds")?;
        same_customer(&server, &format!("one-{round}")).context("one customer")?;
    }
    server.kill()?;
    let server = launch.start()?;
    let mut connection = Connection::open(server.public())?;
    for round in 0..rounds {
        for sale in [format!("crowd-{round}"), format!("crowd-held-{round}")] {
            check_sold(&Sale::read(&mut connection, &sale)?, QUANTITY, QUANTITY).context("after replay")?;
        }
        check_sold(&Sale::read(&mut connection, &format!("one-{round}"))?, 1, QUANTITY)
            .context("after replay")?;
    }
    Ok(format!("{rounds} rounds, {} successes and {refusals} refusals", rounds * (2 * QUANTITY + 1)))
}

/// A customer per connection; returns how many were refused.
fn crowd(server: &Server, sale: &str, hold_ttl_ms: u64) -> Result<usize> {
    let stocks = [("unit", QUANTITY)];
    SaleSettings { sale, stocks: &stocks, per_customer_max: Some(1), hold_ttl_ms, cooldown_ms: 0 }
        .put(server.operator())?;
    let asks = (0..CONNECTION_COUNT).map(|number| ask(sale, &format!("c{number}"))).collect::<Vec<_>>();
    let winners = storm(server.public(), &asks, "insufficient_stock")?;
    ensure!(winners.len() as u64 == QUANTITY, "{} of {QUANTITY} units were acknowledged", winners.len());
    let mut connection = Connection::open(server.public())?;
    let shown = Sale::read(&mut connection, sale)?;
    ensure!(shown.status == "sold_out", "with nothing left the sale is {}", shown.status);
    check_sold(&shown, QUANTITY, QUANTITY)?;
    let listed = asks.iter().try_fold(BTreeSet::new(), |mut listed, ask| {
        let target = format!("/v1/sales/{sale}/customers/{}/reservations", ask.customer);
        let list: ReservationList = connection.call(&request("GET", &target))?.expect(200)?;
        ensure!(
            list.reservations.len() <= 1,
            "{} has {} reservations",
            ask.customer,
            list.reservations.len()
        );
        listed.extend(list.reservations.into_iter().map(|reservation| reservation.reservation));
        Ok(listed)
    })?;
    ensure!(listed == winners, "the customers' lists are not what was acknowledged");
    Ok(asks.len() - winners.len())
}

fn same_customer(server: &Server, sale: &str) -> Result<()> {
    let stocks = [("unit", QUANTITY)];
    SaleSettings { sale, stocks: &stocks, per_customer_max: Some(1), hold_ttl_ms: 0, cooldown_ms: 0 }
        .put(server.operator())?;
    let asks = (0..SAME_CUSTOMER_COUNT).map(|_| ask(sale, "one")).collect::<Vec<_>>();
    let winners = storm(server.public(), &asks, "customer_limit_reached")?;
    ensure!(winners.len() == 1, "one customer was acknowledged {} times", winners.len());
    check_sold(&Sale::read(&mut Connection::open(server.public())?, sale)?, 1, QUANTITY)
}

fn ask(sale: &str, customer: &str) -> Ask {
    let lines = vec![("unit".to_owned(), 1)];
    Ask { sale: sale.to_owned(), customer: customer.to_owned(), lines, details: None, key: None }
}

/// Sends all requests at once, each on a connection of its own, and returns the ids that were given; everyone else must be
/// refused with `code`.
fn storm(public: SocketAddr, asks: &[Ask], code: &str) -> Result<BTreeSet<String>> {
    let shares = asks.chunks(asks.len().div_ceil(THREAD_COUNT)).collect::<Vec<_>>();
    let barrier = Barrier::new(shares.len());
    thread::scope(|scope| {
        let threads = shares
            .into_iter()
            .map(|share| scope.spawn(|| storm_share(public, share, code, &barrier)))
            .collect::<Vec<_>>();
        let mut winners = BTreeSet::new();
        for thread in threads {
            for id in thread.join().map_err(|_| anyhow!("a client panicked"))?? {
                ensure!(winners.insert(id.clone()), "{id} was given twice");
            }
        }
        Ok(winners)
    })
}

fn storm_share(public: SocketAddr, asks: &[Ask], code: &str, barrier: &Barrier) -> Result<Vec<String>> {
    let connections = asks.iter().map(|_| Connection::open(public)).collect::<Result<Vec<_>, _>>();
    barrier.wait();
    let mut connections = connections.context("connect")?;
    for (connection, ask) in connections.iter_mut().zip(asks) {
        connection.send(&reserve_request(ask))?;
    }
    let mut winners = Vec::new();
    for connection in &mut connections {
        let answer = connection.receive(false)?;
        if answer.status == 201 {
            winners.push(read_reserved(&answer)?.reservation.reservation);
        } else {
            ensure!(
                answer.status == 409 && answer.text().contains(code),
                "instead of {code}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    Ok(winners)
}

fn check_sold(sale: &Sale, sold: u64, total: u64) -> Result<()> {
    let stock = sale.stock("unit")?;
    ensure!(
        stock.quantity_held + stock.quantity_confirmed == sold
            && stock.quantity_total == total
            && stock.quantity_available == total - sold,
        "{stock:?} is not {sold} of {total} sold"
    );
    Ok(())
}
