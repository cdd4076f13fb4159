//! Messages as existing systems read them: each slot booking once on a topic as its seven fields, each order of a flash sale
//! once on a durable queue, although RabbitMQ is killed in the middle and at the end.

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::api::{Reservation, SaleSettings};
use crate::http::{Connection, Lost, Response, request_json};
use crate::operator::{AGREES, await_caught_up, reconcile};
use crate::server::Server;
use crate::targets::received::Received;
use crate::targets::{Targets, with_targets};

/// The sinks of this scenario.
const SINKS: [&str; 2] = ["kafka", "rabbitmq"];

/// Connections of the buyers.
const CONNECTION_COUNT: u64 = 16;

/// Days of the station; the first is 16 May 2021.
const DAY_COUNT: u64 = 30;

/// How long the queue may take to give what it has.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(2);

/// How long RabbitMQ may keep what it knows of its queues in memory: the log of its own database is written every 2 s, so a
/// queue that was declared just before a kill is gone, with the messages that it confirmed.
const QUEUE_WRITE_DELAY: Duration = Duration::from_secs(4);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let (units, buyers, people) = if bench.short { (1_000, 1_300, 600) } else { (10_000, 12_000, 6_000) };
    with_targets(&mut bench.random.fork(2), |targets| {
        targets.kafka.message_format = "booking";
        targets.kafka.topic = format!("booking-slot-{}", targets.kafka.topic);
        targets.rabbitmq.message_format = "order";
        targets.rabbitmq.exchange = String::new();
        targets.rabbitmq.queue = format!("rabbitmqProduct-{}", targets.rabbitmq.queue);
        targets.rabbitmq.queue_type = "classic";
        let mut launch = bench.launch()?.arguments(&["--demo"]);
        launch.environment.extend(targets.settings_of(&SINKS)?);
        launch.environment.push(("ONRUSH_SINKS__RABBITMQ__SALES".into(), "flash".into()));
        launch.environment.push(("ONRUSH_SINKS__RABBITMQ__EVENTS".into(), "reservation".into()));
        let server = launch.start()?;
        let stocks = [("7001", units)];
        SaleSettings {
            sale: "flash",
            stocks: &stocks,
            per_customer_max: Some(1),
            hold_ttl_ms: 0,
            cooldown_ms: 0,
        }
        .put(server.operator())?;
        let (orders, bookings) = thread::scope(|scope| {
            let public = server.public();
            let buying = scope.spawn(move || drive(buyers, public, order));
            let booking = scope.spawn(move || drive(people, public, book));
            thread::sleep(Duration::from_millis(300));
            targets.services.kill("rabbitmq")?;
            targets.services.start("rabbitmq")?;
            let join = |done: thread::Result<Result<_>>| done.map_err(|_| anyhow!("a client panicked"))?;
            anyhow::Ok((join(buying.join())?, join(booking.join())?))
        })?;
        ensure!(orders.len() as u64 == units, "{} orders of {units} units", orders.len());
        await_caught_up(server.operator(), &SINKS)?;
        reconcile(&launch, "kafka", AGREES)?;
        await_orders(targets, orders.len())?;
        thread::sleep(QUEUE_WRITE_DELAY);
        targets.services.kill("rabbitmq")?;
        targets.services.start("rabbitmq")?;
        let order_repeats = check_orders(&server, targets, &orders).context("orders")?;
        let booking_repeats = check_bookings(targets, &bookings).context("bookings")?;
        Ok(format!(
            "{} orders ({order_repeats} repeated) and {} bookings ({booking_repeats} repeated)",
            orders.len(),
            bookings.len()
        ))
    })
}

/// Lets people `0..count` act on several connections; returns what each who succeeded was told, by person.
fn drive(
    count: u64,
    public: SocketAddr,
    act: fn(u64, &mut Connection) -> Result<Response, Lost>,
) -> Result<BTreeMap<u64, Response>> {
    thread::scope(|scope| {
        let clients = (0..CONNECTION_COUNT)
            .map(|client| {
                scope.spawn(move || -> Result<Vec<(u64, Response)>> {
                    let mut connection = Connection::open(public)?;
                    let mut told = Vec::new();
                    for person in (client..count).step_by(usize::try_from(CONNECTION_COUNT)?) {
                        let answer = act(person, &mut connection)?;
                        match answer.status {
                            200 | 201 => told.push((person, answer)),
                            400 | 409 => {}
                            status => anyhow::bail!("{person} was answered {status}: {}", answer.text()),
                        }
                    }
                    Ok(told)
                })
            })
            .collect::<Vec<_>>();
        let mut told = BTreeMap::new();
        for client in clients {
            told.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(told)
    })
}

/// Each order has a booking in its details, which must not become one.
fn order(person: u64, connection: &mut Connection) -> Result<Response, Lost> {
    let lines = json!([{"stock": "7001", "quantity": 1}]);
    let body = json!({"customer": person.to_string(), "lines": lines, "details": booking_of(person)});
    connection.call(&request_json("POST", "/v1/sales/flash/reservations", &[], &body.to_string()))
}

/// Every third person asks for a second booking, which is refused.
fn book(person: u64, connection: &mut Connection) -> Result<Response, Lost> {
    let bytes = request_json("POST", "/booking", &[], &booking_of(person).to_string());
    let answer = connection.call(&bytes)?;
    if person.is_multiple_of(3) {
        let second = connection.call(&bytes)?;
        if second.status != 400 {
            return Ok(second);
        }
    }
    Ok(answer)
}

fn booking_of(person: u64) -> Value {
    let day = person % DAY_COUNT;
    let date = if day < 16 { format!("202105{}", 16 + day) } else { format!("202106{:02}", day - 15) };
    json!({
        "mysejahteraId": format!("9001{person:08}"),
        "firstName": "Zoë \"Q\"",
        "lastName": format!("Yaacob {person}"),
        "address": "Kuala\nLumpur",
        "location": "PWTC",
        "phoneNumber": "0123456789",
        "date": date,
    })
}

/// Waits until the queue has so many messages. The first kill may take the queue away when every order is confirmed: the sink,
/// which has nothing more to send, has to notice, and to fill it again.
fn await_orders(targets: &Targets, count: usize) -> Result<()> {
    let started = Instant::now();
    loop {
        let message_count = targets.rabbitmq.message_count()?;
        if message_count as usize >= count {
            return Ok(());
        }
        ensure!(
            started.elapsed() < DELIVERY_TIMEOUT,
            "only {message_count} of {count} orders are in the queue"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// The queue has a message for each order; some may have come twice, under the same id.
fn check_orders(server: &Server, targets: &mut Targets, orders: &BTreeMap<u64, Response>) -> Result<usize> {
    let started = Instant::now();
    let mut messages = Vec::new();
    while distinct(&messages) < orders.len() {
        ensure!(started.elapsed() < DELIVERY_TIMEOUT, "only {} different orders came", distinct(&messages));
        messages.extend(targets.rabbitmq.read(Duration::from_secs(2))?);
    }
    messages.extend(targets.rabbitmq.read(Duration::from_secs(2))?);
    ensure!(targets.rabbitmq.message_count()? == 0, "there are more messages than a reader gets");
    ensure!(distinct(&messages) == orders.len(), "{} different ids came", distinct(&messages));
    let mut users = BTreeMap::new();
    for message in &messages {
        ensure!(
            message.is_persistent == Some(true),
            "a message that does not outlive a restart: {message:?}"
        );
        let order: Value = serde_json::from_slice(&message.payload).context("read an order")?;
        let user = order["UserID"].as_u64().with_context(|| format!("no UserID: {order}"))?;
        ensure!(order["ProductID"] == 7001 && order["Quantity"] == 1, "the order is {order}");
        let told: Reservation = orders.get(&user).context("nobody was told so")?.json()?;
        ensure!(order["Reservation"] == told.reservation, "{order} is not {told:?}");
        let id = users.entry(user).or_insert(&message.id);
        ensure!(**id == message.id, "user {user} has two orders, {id} and {}", message.id);
    }
    ensure!(server.memory_bytes()? > 0, "the server is gone");
    Ok(messages.len() - orders.len())
}

fn distinct(messages: &[Received]) -> usize {
    messages.iter().map(|message| &message.id).collect::<BTreeSet<_>>().len()
}

fn check_bookings(targets: &mut Targets, bookings: &BTreeMap<u64, Response>) -> Result<usize> {
    let messages = targets.kafka.read()?;
    let mut by_id = BTreeMap::new();
    for message in &messages {
        let payload: Value = serde_json::from_slice(&message.payload).context("read a booking")?;
        let first = by_id.entry(&message.id).or_insert_with(|| payload.clone());
        ensure!(*first == payload, "another content came under {}", message.id);
    }
    ensure!(by_id.len() == bookings.len(), "{} different ids for {} bookings", by_id.len(), bookings.len());
    let sent = by_id.values().map(Value::to_string).collect::<BTreeSet<_>>();
    for person in bookings.keys() {
        let booking = booking_of(*person).to_string();
        ensure!(sent.contains(&booking), "no message for {booking}");
    }
    Ok(messages.len() - by_id.len())
}
