//! What customers with accounts do while others buy: they register, some of them under the same name, and log in.

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::answers::outcome;
use crate::http::{Connection, Response, request_json};
use crate::ledger::{Outcome, Record};
use crate::random::Random;
use crate::run_clock::Clock;

/// Names in each burst of traffic, so that connections want the same ones.
const NAME_COUNT: u64 = 4;

/// Registers and logs in until `stopped`, as `name` among others of the same burst.
pub(crate) fn register(
    clock: Clock,
    public: SocketAddr,
    random: &mut Random,
    (burst, name): (u64, u64),
    stopped: impl Fn() -> bool,
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let Ok(mut connection) = Connection::open(public) else { return Ok(records) };
    let mut mine = None;
    let mut asked = 0;
    while !stopped() {
        asked += 1;
        let customer = format!("m{burst}-{}", random.below(NAME_COUNT));
        let password = format!("word {asked} of {burst}-{name}");
        let record = match mine.clone().filter(|_| random.chance(30)) {
            Some((customer, password)) if random.chance(70) => {
                log_in(clock, &mut connection, customer, password)?
            }
            Some((customer, _)) => log_in(clock, &mut connection, customer, password)?,
            None => {
                let bytes = account_request("/v1/customers", &customer, &password);
                let (times, answer) = clock.time(|| connection.call(&bytes));
                let outcome = outcome(answer, &[201], |answer| read_customer(answer, &customer))?;
                if matches!(outcome, Outcome::Acknowledged(())) {
                    mine = Some((customer.clone(), password.clone()));
                }
                Record::Register { customer, password, times, outcome }
            }
        };
        let lost = record.lost().is_some();
        records.push(record);
        if lost {
            break;
        }
        thread::sleep(Duration::from_millis(3));
    }
    Ok(records)
}

/// Logs in, and writes down what came of it.
pub(crate) fn log_in(
    clock: Clock,
    connection: &mut Connection,
    customer: String,
    password: String,
) -> Result<Record> {
    let bytes = account_request("/v1/session", &customer, &password);
    let (times, answer) = clock.time(|| connection.call(&bytes));
    let outcome = outcome(answer, &[200], |answer| {
        ensure!(answer.header("set-cookie").is_some(), "a session without a cookie");
        read_customer(answer, &customer)
    })?;
    Ok(Record::LogIn { customer, password, times, outcome })
}

/// The bytes of a request with a name and a password.
pub(crate) fn account_request(target: &str, customer: &str, password: &str) -> Vec<u8> {
    let body = json!({"customer": customer, "password": password}).to_string();
    request_json("POST", target, &[], &body)
}

/// Whether the answer is about this customer.
pub(crate) fn read_customer(answer: &Response, expected: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Customer {
        customer: String,
    }
    let Customer { customer } = answer.json()?;
    ensure!(customer == expected, "asked for {expected}, answered for {customer}");
    Ok(())
}
