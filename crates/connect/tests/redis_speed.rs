//! How fast events get into Redis, beside `redis-benchmark` with the same bytes. Run it with
//! `cargo test -p onrush-connect --release --test redis_speed -- --ignored --nocapture`.
#![expect(clippy::disallowed_methods, clippy::cast_precision_loss, reason = "it measures time, roughly")]

use std::process::Command;
use std::time::Instant;

use onrush_connect::Secret;
use onrush_connect::redis::{Redis, Settings};
use onrush_core::{ReservationNo, SaleNo, StockNo};
use onrush_node::sinks::{Change, Claim, ReservationSubject, SinkEvent, SinkLine, Source, Target as _};

const EVENTS: u64 = 400_000;
const ROUNDS: usize = 3;

#[test]
#[ignore = "it measures"]
fn events_per_second() {
    let (Ok(address), Ok(password)) =
        (std::env::var("ONRUSH_SERVICES_REDIS_ADDRESS"), std::env::var("ONRUSH_SERVICES_REDIS_PASSWORD"))
    else {
        println!("skipped: no Redis (cargo xtask services up)");
        return;
    };
    for round in 1..=ROUNDS {
        for batch_events in [512, 4_096, 16_384] {
            let stream = format!("speed-{}-{round}-{batch_events}", std::process::id());
            let rate = write(&address, &password, &stream, batch_events);
            println!("round {round}: onrush, batches of {batch_events}: {rate:.0} events/s");
            delete(&address, &password, &[&stream, &format!("{stream}:onrush")]);
        }
        println!("round {round}: redis-benchmark: {}", benchmark(&address, &password));
        delete(&address, &password, &["speed-benchmark"]);
    }
}

fn write(address: &str, password: &str, stream: &str, batch_events: u64) -> f64 {
    let url = format!("redis://{address}/0");
    let settings =
        Settings { url, password: Some(Secret::new(password)), stream: stream.to_owned(), length_max: 0 };
    let mut target = Redis::new(settings);
    let source = Source { log_id: "0".repeat(26), partition: 0, sink: "speed".into() };
    target.open(&source).expect("the server is there");
    let begun = Instant::now();
    for offset in 1..=EVENTS {
        push(&mut target, offset);
        if offset.is_multiple_of(batch_events) {
            target.send(offset + 1).expect("the server takes it");
        }
    }
    target.send(EVENTS + 1).expect("the server takes it");
    assert_eq!(target.settle().expect("the server takes it"), EVENTS + 1);
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

fn push(target: &mut Redis, offset: u64) {
    let seq = u32::try_from(offset).expect("fewer events");
    let reservation_no = ReservationNo { sale: SaleNo(0), seq };
    let subject = ReservationSubject { reservation_no, reservation: [b'a'; 26], sale: "flash" };
    let customer = format!("customer-{}", offset % 10_000);
    let lines = [SinkLine { stock_no: StockNo(0), stock: "phone", quantity: 1 }];
    let claim = Claim { customer: &customer, lines: &lines, details: b"", idempotency_key: "" };
    let change = Change::Reserved { subject, claim, expires_at: None };
    target.push(&SinkEvent { offset, at: 1_767_225_600_000 + offset, change }).expect("pushing encodes");
}

fn redis(program: &str, address: &str, password: &str) -> Command {
    let (host, port) = address.split_once(':').expect("host and port");
    let mut command = Command::new(program);
    command.args(["-h", host, "-p", port, "-a", password]);
    command
}

fn benchmark(address: &str, password: &str) -> String {
    let body = r#"{"sale":"flash","reservation":"aaaaaaaaaaaaaaaaaaaaaaaaaa","status":"confirmed","customer":"customer-1234","lines":[{"stock":"phone","quantity":1}],"expires_at":null}"#;
    let mut command = redis("redis-benchmark", address, password);
    command.args(["-c", "1", "-P", "512", "-q", "-n"]).arg(EVENTS.to_string());
    command.args([
        "XADD",
        "speed-benchmark",
        "*",
        "id",
        "0-1234567",
        "type",
        "dev.onrush.reservation.reserved",
    ]);
    command.args(["time", "2026-01-01T00:00:00.000Z", "key", "flash", "data", body]);
    let output = command.output().expect("redis-benchmark is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.rsplit('\r')
        .find(|line| line.contains("requests per second"))
        .unwrap_or("no answer")
        .trim()
        .to_owned()
}

fn delete(address: &str, password: &str, keys: &[&str]) {
    let done = redis("redis-cli", address, password).arg("DEL").args(keys).output();
    assert!(done.expect("redis-cli is installed").status.success());
}
