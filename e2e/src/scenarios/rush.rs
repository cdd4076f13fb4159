//! The rush with everything on: three times as many customers as units, all logged in, each with a challenge, through rate limits, the denylist, the
//! cool-down and the limit of each customer, and every order in PostgreSQL and RabbitMQ exactly once.

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::api::{Sale, Status};
use crate::http::{Connection, Response, once, request_json};
use crate::operator::{AGREES, await_caught_up, reconcile};
use crate::problem::check_problem;
use crate::server::{Launch, Server};
use crate::shop_token::Signer;
use crate::targets::{Targets, with_targets};

/// Units for sale.
const UNITS: u64 = 10_000;

/// Customers who want one.
const CUSTOMER_COUNT: u64 = 30_000;

/// Every so many customers ask twice, the second time when they have an answer.
const ASKS_TWICE: u64 = 10;

/// Customers on the denylist who ask all the same; they come on top.
const DENIED_COUNT: u64 = 100;

/// Customers are numbers behind this: a message of an order has no room for another name.
const FIRST_CUSTOMER: u64 = 700_000_000;

/// The answer of every picture.
const DIGITS: &str = "012345";

/// Threads of clients, and connections of each.
const THREAD_COUNT: usize = 8;
const CONNECTION_COUNT: usize = 40;

/// Log-ins that are sent before their answers are read.
const PIPELINED_COUNT: usize = 32;

/// How long the last row and the last message may take.
const STORED_TIMEOUT: Duration = Duration::from_mins(2);

const SINKS: [&str; 2] = ["postgres", "rabbitmq"];

/// Limits that are asked and refuse nobody.
const LIMITS: [(&str, &str); 3] = [
    ("ONRUSH_GATE__LIMIT_RESERVE_ADDRESS", "1000000/s burst 1000000"),
    ("ONRUSH_GATE__LIMIT_RESERVE_ROUTE", "1000000/s burst 1000000"),
    ("ONRUSH_GATE__LIMIT_RESERVE_CUSTOMER", "5/s burst 10"),
];

/// A customer and the request by which they buy.
struct Buyer {
    customer: u64,
    request: Vec<u8>,
}

/// What became of the rush.
#[derive(Default)]
struct Tally {
    /// Reservations by customer.
    bought: BTreeMap<u64, String>,
    /// How often each code was answered.
    refusals: BTreeMap<String, u64>,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let signer = Signer::new(bench.random.below(u64::MAX));
    let jwt_key = signer.write_key(&bench.directory.join("shop.jwk"))?;
    with_targets(&mut bench.random.fork(3), |targets| {
        targets.rabbitmq.message_format = "order";
        targets.rabbitmq.exchange = String::new();
        targets.rabbitmq.queue_type = "classic";
        let mut launch = bench.launch()?.with(&LIMITS).with(&[("ONRUSH_GATE__JWT_KEY_FILE", &jwt_key)]);
        launch.environment.push(("ONRUSH_GATE__UNSAFE_CHALLENGE_ANSWER".into(), DIGITS.into()));
        launch.environment.extend(targets.settings_of(&SINKS)?);
        launch.environment.push(("ONRUSH_SINKS__RABBITMQ__SALES".into(), "flash".into()));
        launch.environment.push(("ONRUSH_SINKS__RABBITMQ__EVENTS".into(), "reservation".into()));
        let server = launch.start()?;
        put_sale(&server)?;
        let buyers = log_in(server.public(), &signer)?;
        deny(&server)?;
        await_caught_up(server.operator(), &SINKS)?;
        let started = Instant::now();
        let (tally, answered_after, stored_after) = thread::scope(|scope| {
            let storing = scope.spawn(|| await_stored(targets, started));
            let tally = storm(server.public(), &buyers)?;
            let answered_after = started.elapsed();
            let stored_after = storing.join().map_err(|_| anyhow!("a reader panicked"))??;
            anyhow::Ok((tally, answered_after, stored_after))
        })?;
        check_answers(&server, &tally)?;
        check_stored(&launch, targets, &tally)?;
        let [rows_after, messages_after] = stored_after;
        Ok(format!(
            "{} of {UNITS} units to {CUSTOMER_COUNT} customers: answered in {:.2} s, all rows after {:.2} s, all messages after {:.2} s; \
             refused: {:?}",
            tally.bought.len(),
            answered_after.as_secs_f64(),
            rows_after.as_secs_f64(),
            messages_after.as_secs_f64(),
            tally.refusals
        ))
    })
}

fn put_sale(server: &Server) -> Result<()> {
    let body = json!({
        "per_customer_max": 1,
        "gate": {"session": "required", "challenge": "image", "cooldown_ms": 10_000},
        "stocks": [{"stock": "1", "quantity_total": UNITS}],
    });
    let put = request_json("PUT", "/v1/sales/flash", &[], &body.to_string());
    let answer = once(server.operator(), &put)?;
    ensure!(answer.status == 201, "the sale: {} {}", answer.status, answer.text());
    Ok(())
}

/// Begins a session for each customer, who then asks for a challenge, and writes down what they will send.
fn log_in(public: SocketAddr, signer: &Signer) -> Result<Vec<Buyer>> {
    let customers: Vec<u64> = (FIRST_CUSTOMER..FIRST_CUSTOMER + CUSTOMER_COUNT + DENIED_COUNT).collect();
    let log_in_share = |share: &[u64]| -> Result<Vec<Buyer>> {
        let begin = |customer: &u64| {
            let body = json!({"token": signer.token(&customer.to_string())}).to_string();
            request_json("POST", "/v1/session", &[], &body)
        };
        let requests: Vec<_> = share.iter().map(begin).collect();
        let mut connection = Connection::open(public)?;
        let cookie_of = |answer: &Response| {
            ensure!(answer.status == 200, "nobody was logged in: {}", answer.text());
            let cookie = answer.header("set-cookie").context("no cookie")?;
            Ok(format!("Cookie: {}", cookie.split(';').next().unwrap_or_default()))
        };
        let cookies = connection.pipeline(&requests, PIPELINED_COUNT)?;
        let cookies: Vec<String> = cookies.iter().map(cookie_of).collect::<Result<_>>()?;
        let ask = |cookie: &String| {
            request_json("POST", "/v1/sales/flash/challenges", std::slice::from_ref(cookie), "")
        };
        let asked: Vec<_> = cookies.iter().map(ask).collect();
        let challenges = connection.pipeline(&asked, PIPELINED_COUNT)?;
        let buyer = |((customer, cookie), challenge): ((&u64, String), &Response)| {
            ensure!(challenge.status == 201, "{customer} got no challenge: {}", challenge.text());
            let id = challenge.json::<Value>()?["challenge"].as_str().context("no challenge")?.to_owned();
            let lines = json!([{"stock": "1", "quantity": 1}]);
            let body = json!({"lines": lines, "challenge": format!("{id}:{DIGITS}")}).to_string();
            let request = request_json("POST", "/v1/sales/flash/reservations", &[cookie], &body);
            Ok(Buyer { customer: *customer, request })
        };
        share.iter().zip(cookies).zip(&challenges).map(buyer).collect()
    };
    let buyers = on_threads(&customers, log_in_share).context("log in")?;
    Ok(buyers.into_iter().flatten().collect())
}

/// Puts the last customers on the denylist, and others who never ask.
fn deny(server: &Server) -> Result<()> {
    let denied =
        (0..DENIED_COUNT).map(|number| format!("customer/{}", FIRST_CUSTOMER + CUSTOMER_COUNT + number));
    let others = (0..DENIED_COUNT).map(|number| format!("address/10.0.{number}.0%2F24"));
    let requests: Vec<_> = denied
        .chain(others)
        .map(|subject| request_json("PUT", &format!("/v1/denylist/{subject}"), &[], "{}"))
        .collect();
    for answer in Connection::open(server.operator())?.pipeline(&requests, PIPELINED_COUNT)? {
        ensure!(answer.status == 201, "the denylist: {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// Gives each of several threads a share of what is to be done.
fn on_threads<T: Sync, R: Send>(all: &[T], work: impl Fn(&[T]) -> Result<R> + Sync) -> Result<Vec<R>> {
    let work = &work;
    thread::scope(|scope| {
        let shares = all.chunks(all.len().div_ceil(THREAD_COUNT));
        let threads: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
        threads.into_iter().map(|done| done.join().map_err(|_| anyhow!("a client panicked"))?).collect()
    })
}

/// Lets all buyers ask, as many at a time as there are connections.
fn storm(public: SocketAddr, buyers: &[Buyer]) -> Result<Tally> {
    let shares = on_threads(buyers, |share| {
        let connections: Result<Vec<_>, _> =
            (0..CONNECTION_COUNT).map(|_| Connection::open(public)).collect();
        let mut connections = connections.context("connect")?;
        let mut answers = Vec::with_capacity(share.len());
        let mut ask = |buyers: &[&Buyer]| -> Result<()> {
            for (connection, buyer) in connections.iter_mut().zip(buyers) {
                connection.send(&buyer.request)?;
            }
            for (connection, buyer) in connections.iter_mut().zip(buyers) {
                answers.push((buyer.customer, connection.receive(false)?));
            }
            Ok(())
        };
        for group in share.chunks(CONNECTION_COUNT) {
            ask(&group.iter().collect::<Vec<_>>())?;
            let again = group.iter().filter(|buyer| buyer.customer % ASKS_TWICE == 0);
            ask(&again.collect::<Vec<_>>())?;
        }
        Ok(answers)
    })?;
    let mut tally = Tally::default();
    for (customer, answer) in shares.into_iter().flatten() {
        if answer.status == 201 {
            let reservation: crate::api::Reservation = answer.json()?;
            ensure!(reservation.customer == customer.to_string(), "{customer} was told of {reservation:?}");
            let earlier = tally.bought.insert(customer, reservation.reservation);
            ensure!(earlier.is_none(), "{customer} bought twice");
        } else {
            *tally.refusals.entry(check_problem(&answer)?).or_default() += 1;
        }
    }
    Ok(tally)
}

/// Waits until every order is a row, and until every order is a message: how long after `started` that was.
fn await_stored(targets: &Targets, started: Instant) -> Result<[Duration; 2]> {
    let rows = "SELECT 'rows', count(*) FROM reservations WHERE status = 'confirmed'";
    let wait = |count: &dyn Fn() -> Result<u64>| {
        loop {
            let found = count()?;
            if found >= UNITS {
                return Ok(started.elapsed());
            }
            ensure!(started.elapsed() < STORED_TIMEOUT, "only {found} of {UNITS} orders arrived");
            thread::sleep(Duration::from_millis(20));
        }
    };
    let rows_after = wait(&|| Ok(targets.postgres.numbers(rows)?.iter().map(|(_, count)| count).sum()))?;
    let messages_after = wait(&|| Ok(targets.rabbitmq.message_count()?.into()))?;
    Ok([rows_after, messages_after])
}

/// Every unit was sold to a customer who may have it, and everybody else was told why not.
fn check_answers(server: &Server, tally: &Tally) -> Result<()> {
    let bought = &tally.bought;
    ensure!(bought.len() as u64 == UNITS, "{} customers bought one of {UNITS} units", bought.len());
    let denied = FIRST_CUSTOMER + CUSTOMER_COUNT;
    ensure!(bought.keys().all(|customer| *customer < denied), "a customer on the denylist bought");
    let expected = ["challenge_failed", "cooling_down", "denied", "insufficient_stock"];
    ensure!(tally.refusals.keys().eq(expected), "the refusals are {:?}", tally.refusals);
    let again = (FIRST_CUSTOMER + CUSTOMER_COUNT..FIRST_CUSTOMER + CUSTOMER_COUNT + DENIED_COUNT)
        .filter(|customer| customer % ASKS_TWICE == 0)
        .count() as u64;
    ensure!(tally.refusals["denied"] == DENIED_COUNT + again, "the refusals are {:?}", tally.refusals);
    // Whoever asks again has bought, or has used the challenge up.
    let told_twice = tally.refusals["cooling_down"] + tally.refusals["challenge_failed"];
    ensure!(told_twice == CUSTOMER_COUNT / ASKS_TWICE, "the refusals are {:?}", tally.refusals);
    let asked = CUSTOMER_COUNT + CUSTOMER_COUNT / ASKS_TWICE;
    let told: u64 = tally.refusals.values().sum::<u64>() - tally.refusals["denied"];
    ensure!(bought.len() as u64 + told == asked, "{told} refusals of {asked} requests: {:?}", tally.refusals);
    let sale = Sale::read(&mut Connection::open(server.public())?, "flash")?;
    let stock = sale.stock("1")?;
    ensure!(
        (stock.quantity_confirmed, stock.quantity_held, stock.quantity_available) == (UNITS, 0, 0)
            && sale.status == "sold_out",
        "the sale is {sale:?}"
    );
    Ok(())
}

/// Each order is one row and one message, and there are no others.
fn check_stored(launch: &Launch, targets: &mut Targets, tally: &Tally) -> Result<()> {
    await_caught_up(launch.operator, &SINKS)?;
    reconcile(launch, "postgres", AGREES)?;
    let rows = targets.postgres.reservations(false)?;
    ensure!(rows.iter().all(|row| row.status == Status::Confirmed), "a row is not confirmed");
    let mut stored = BTreeMap::new();
    for row in &rows {
        let customer = row.customer.parse::<u64>().context("read a customer")?;
        let earlier = stored.insert(customer, row.reservation.clone());
        ensure!(earlier.is_none(), "{customer} has two rows");
    }
    ensure!(stored == tally.bought, "the rows are not what was acknowledged");
    let mut messages = Vec::new();
    while messages.len() < tally.bought.len() {
        let more = targets.rabbitmq.read(Duration::from_secs(1))?;
        ensure!(!more.is_empty(), "only {} messages came", messages.len());
        messages.extend(more);
    }
    ensure!(targets.rabbitmq.message_count()? == 0, "there are more messages than orders");
    let ids: BTreeSet<_> = messages.iter().map(|message| &message.id).collect();
    ensure!(ids.len() == messages.len(), "{} messages have {} ids", messages.len(), ids.len());
    let mut published = BTreeMap::new();
    for message in &messages {
        let order: Value = serde_json::from_slice(&message.payload).context("read an order")?;
        let customer = order["UserID"].as_u64().with_context(|| format!("no UserID: {order}"))?;
        let reservation =
            order["Reservation"].as_str().with_context(|| format!("no Reservation: {order}"))?;
        let earlier = published.insert(customer, reservation.to_owned());
        ensure!(earlier.is_none(), "{customer} has two messages");
    }
    ensure!(published == tally.bought, "the messages are not what was acknowledged");
    Ok(())
}
