//! Sales that come and go while targets fail: put, reserved from, closed and archived, after which only PostgreSQL knows what
//! was sold.

use anyhow::{Result, ensure};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::api::{Reservation, Status};
use crate::http::{Connection, Lost, request, request_json};
use crate::random::Random;
use crate::targets::postgres::Database;

/// A time at which everything is closed.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// A hold that outlasts the run: nothing may happen while targets are compared.
const HOLD_TTL_MS: u64 = 86_400_000;

/// What was acknowledged about the reservations of such sales.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    sale_count: u64,
    reservations: BTreeMap<String, Known>,
    archived: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    status: Status,
    /// A step without an answer may have changed the status.
    open: bool,
}

impl Passing {
    /// Puts, sells and archives one sale after another until `stop`, or until an answer is lost.
    pub(crate) fn run(
        &mut self,
        (public, operator): (SocketAddr, SocketAddr),
        mut random: Random,
        stop: &AtomicBool,
    ) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            self.sale_count += 1;
            let sale = format!("passing-{}", self.sale_count);
            let Ok(mut public) = Connection::open(public) else { return Ok(()) };
            let Ok(mut operator) = Connection::open(operator) else { return Ok(()) };
            if self.pass(&sale, &mut public, &mut operator, &mut random)?.is_err() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The life of one sale; `Err` inside when an answer was lost.
    fn pass(
        &mut self,
        sale: &str,
        public: &mut Connection,
        operator: &mut Connection,
        random: &mut Random,
    ) -> Result<Result<(), Lost>> {
        let put = |closes_at: Option<&str>, hold_ttl_ms: u64| {
            let stocks = json!([{"stock": "a", "quantity_total": 9}, {"stock": "b", "quantity_total": 9}]);
            let body = json!({"stocks": stocks, "closes_at": closes_at, "hold_ttl_ms": hold_ttl_ms});
            request_json("PUT", &format!("/v1/sales/{sale}"), &[], &body.to_string())
        };
        let hold_ttl_ms = *random.pick(&[0, HOLD_TTL_MS]);
        let answer = match operator.call(&put(None, hold_ttl_ms)) {
            Ok(answer) => answer,
            Err(lost) => return Ok(Err(lost)),
        };
        ensure!(answer.status == 201, "putting {sale} was answered {}: {}", answer.status, answer.text());
        let mut ids = Vec::new();
        for customer in 0..random.between(1, 4) {
            let lines = json!([{"stock": "a", "quantity": 1}, {"stock": "b", "quantity": 2}]);
            let body = json!({"customer": format!("c{customer}"), "lines": lines}).to_string();
            let target = format!("/v1/sales/{sale}/reservations");
            let answer = match public.call(&request_json("POST", &target, &[], &body)) {
                Ok(answer) => answer,
                Err(lost) => return Ok(Err(lost)),
            };
            let reservation: Reservation = answer.expect(201)?;
            let known = Known { status: reservation.status, open: false };
            self.reservations.insert(reservation.reservation.clone(), known);
            ids.push(reservation.reservation.clone());
            if let Err(lost) = self.step(sale, &reservation.reservation, public, random)? {
                return Ok(Err(lost));
            }
        }
        let held = self.held_of(&ids);
        let archive = format!("/v1/sales/{sale}");
        // While something is held, nothing is archived without force.
        let first_status = if held.is_empty() { 204 } else { 409 };
        let mut closing =
            vec![(put(Some(LONG_AGO), hold_ttl_ms), 200), (request("DELETE", &archive), first_status)];
        if !held.is_empty() {
            closing.push((request("DELETE", &format!("{archive}?force=true")), 204));
        }
        for (bytes, status) in closing {
            match operator.call(&bytes) {
                Ok(answer) => ensure!(
                    answer.status == status,
                    "closing {sale} was answered {}: {}",
                    answer.status,
                    answer.text()
                ),
                Err(lost) => {
                    self.set(&held, Known { status: Status::Held, open: true });
                    return Ok(Err(lost));
                }
            }
        }
        self.set(&held, Known { status: Status::Released, open: false });
        self.archived.push(sale.to_owned());
        Ok(Ok(()))
    }

    /// Those of the reservations that are held.
    fn held_of(&self, ids: &[String]) -> Vec<String> {
        let is_held =
            |id: &&String| self.reservations.get(*id).is_some_and(|known| known.status == Status::Held);
        ids.iter().filter(is_held).cloned().collect()
    }

    fn set(&mut self, ids: &[String], known: Known) {
        self.reservations.extend(ids.iter().map(|id| (id.clone(), known)));
    }

    /// Confirms, releases, or leaves a reservation as it is.
    fn step(
        &mut self,
        sale: &str,
        id: &str,
        public: &mut Connection,
        random: &mut Random,
    ) -> Result<Result<(), Lost>> {
        let (verb, status) = match random.below(3) {
            0 => ("confirm", Status::Confirmed),
            1 => ("release", Status::Released),
            _ => return Ok(Ok(())),
        };
        let answer = public.call(&request("POST", &format!("/v1/sales/{sale}/reservations/{id}/{verb}")));
        let known = self.reservations.get_mut(id).expect("it was inserted just now");
        match answer {
            Ok(answer) => {
                let shown: Reservation = answer.expect(200)?;
                ensure!(shown.status == status, "after {verb} {id} is {:?}", shown.status);
                known.status = status;
                Ok(Ok(()))
            }
            Err(lost) => {
                known.open = true;
                Ok(Err(lost))
            }
        }
    }

    /// Checks the rows of archived sales, and of those that a kill left open.
    pub(crate) fn check(&self, database: &Database) -> Result<()> {
        let rows = [database.reservations(true)?, database.reservations(false)?].concat();
        let rows = rows.iter().map(|row| (row.reservation.as_str(), row)).collect::<BTreeMap<_, _>>();
        for (id, known) in &self.reservations {
            let Some(row) = rows.get(id.as_str()) else {
                anyhow::bail!("reservation {id} of a passing sale is no row");
            };
            let fits = known.open || row.status == known.status;
            ensure!(fits, "{id} of {} is {:?}, its row {:?}", row.sale, known.status, row.status);
        }
        let archived = database.numbers("SELECT sale, sale_no FROM sales WHERE archived_at IS NOT NULL")?;
        let archived = archived.into_iter().map(|(sale, _)| sale).collect::<Vec<_>>();
        for sale in &self.archived {
            ensure!(archived.contains(sale), "{sale} was archived, its row says nothing of it");
        }
        for row in rows.values().filter(|row| self.archived.contains(&row.sale)) {
            ensure!(
                row.status != Status::Held,
                "{} is held in {}, which is archived",
                row.reservation,
                row.sale
            );
        }
        Ok(())
    }

    /// How many sales came, and how many reservations of them are known.
    pub(crate) fn counts(&self) -> (u64, usize) {
        (self.sale_count, self.reservations.len())
    }
}
