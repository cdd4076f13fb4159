//! What operators do while others buy: one raises and lowers the quantity of a sale, another puts customers on the denylist and
//! takes them off.

use anyhow::Result;
use serde_json::json;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::answers::outcome;
use crate::api::SaleSettings;
use crate::http::{Connection, request, request_json};
use crate::ledger::Record;
use crate::random::Random;
use crate::run_clock::Clock;
use crate::shop::{DENIED_CUSTOMER_COUNT, RESIZED_SALE, cooled_customer};

/// What an operator writes of each denial.
pub(crate) const DENIAL_REASON: &str = "tried it too often";

/// Raises and lowers the quantity of one sale until `stopped`.
pub(crate) fn resize(
    clock: Clock,
    operator: SocketAddr,
    random: &mut Random,
    stopped: impl Fn() -> bool,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    while !stopped() {
        let Ok(mut connection) = Connection::open(operator) else { break };
        let quantity_total = random.between(0, 2_000);
        let sale = SaleSettings {
            sale: RESIZED_SALE,
            stocks: &[("unit", quantity_total)],
            per_customer_max: None,
            hold_ttl_ms: 0,
            cooldown_ms: 0,
        };
        let (times, answer) = clock.time(|| connection.call(&sale.put_request()));
        let outcome = outcome(answer, &[200], |_| Ok(()))?;
        let lost = outcome.is_unknown();
        records.push(Record::Resize { sale: RESIZED_SALE.into(), quantity_total, times, outcome });
        if lost {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(records)
}

/// Puts customers on the denylist and takes them off until `stopped`.
pub(crate) fn deny(
    clock: Clock,
    operator: SocketAddr,
    random: &mut Random,
    stopped: impl Fn() -> bool,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let Ok(mut connection) = Connection::open(operator) else { return Ok(records) };
    while !stopped() {
        let customer = cooled_customer(random.below(DENIED_CUSTOMER_COUNT));
        let denied = random.chance(50);
        let target = format!("/v1/denylist/customer/{customer}");
        let body = json!({"reason": DENIAL_REASON}).to_string();
        let bytes =
            if denied { request_json("PUT", &target, &[], &body) } else { request("DELETE", &target) };
        let (times, answer) = clock.time(|| connection.call(&bytes));
        let outcome = outcome(answer, &[200, 201, 204], |_| Ok(()))?;
        let lost = outcome.is_unknown();
        records.push(Record::Deny { customer, denied, times, outcome });
        if lost {
            break;
        }
        thread::sleep(Duration::from_millis(3));
    }
    Ok(records)
}
