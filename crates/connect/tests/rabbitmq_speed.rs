//! How fast events get into RabbitMQ, beside the bare client with the same bytes and confirms. Run it with
//! `cargo test -p onrush-connect --release --test rabbitmq_speed -- --ignored --nocapture`.
#![expect(clippy::disallowed_methods, clippy::cast_precision_loss, reason = "it measures time, roughly")]

use std::time::Instant;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use onrush_connect::rabbitmq::{QueueType, RabbitMq, Settings};
use onrush_connect::{Form, Secret};
use onrush_core::{ReservationNo, SaleNo, StockNo};
use onrush_node::sinks::{Change, Claim, ReservationSubject, SinkEvent, SinkLine, Source, Target as _};

const EVENTS: u64 = 100_000;
const ROUNDS: usize = 3;
const UNCONFIRMED_MAX: usize = 4_096;
const BODY: &str = r#"{"sale":"flash","reservation":"aaaaaaaaaaaaaaaaaaaaaaaaaa","status":"confirmed","customer":"customer-1234","lines":[{"stock":"phone","quantity":1}],"expires_at":null}"#;

#[test]
#[ignore = "it measures"]
fn events_per_second() {
    let (Ok(url), Ok(password)) =
        (std::env::var("ONRUSH_SERVICES_RABBITMQ_URL"), std::env::var("ONRUSH_SERVICES_RABBITMQ_PASSWORD"))
    else {
        println!("skipped: no RabbitMQ (cargo xtask services up)");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("an event loop starts");
    let mut login: url::Url = url.parse().expect("a url");
    login.set_password(Some(&password)).expect("it can have a password");
    let channel = runtime.block_on(async {
        let connected = Connection::connect(login.as_str(), ConnectionProperties::default()).await;
        Box::leak(Box::new(connected.expect("the server is there"))).create_channel().await
    });
    let channel = channel.expect("the server is there");
    for round in 1..=ROUNDS {
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            let name = format!("speed-{}-{round}-{}", std::process::id(), queue_type.name());
            let settings = Settings {
                url: url.clone(),
                password: Some(Secret::new(password.as_str())),
                exchange: String::new(),
                queue: name.clone(),
                queue_type,
                form: Form::Events,
            };
            println!("round {round}: onrush, {}: {:.0} events/s", queue_type.name(), write(settings));
            runtime.block_on(delete(&channel, &name));
            let rate = runtime.block_on(bare(&channel, &name, queue_type));
            println!("round {round}: bare lapin, {}: {rate:.0} messages/s", queue_type.name());
            runtime.block_on(delete(&channel, &name));
        }
    }
}

fn write(settings: Settings) -> f64 {
    let mut target = RabbitMq::new(settings);
    let source = Source { log_id: "0".repeat(26), partition: 0, sink: "speed".into() };
    target.open(&source).expect("the server is there");
    let batch_events = target.batch_events_max() as u64;
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

fn push(target: &mut RabbitMq, offset: u64) {
    let seq = u32::try_from(offset).expect("fewer events");
    let reservation_no = ReservationNo { sale: SaleNo(0), seq };
    let subject = ReservationSubject { reservation_no, reservation: [b'a'; 26], sale: "flash" };
    let customer = format!("customer-{}", offset % 10_000);
    let lines = [SinkLine { stock_no: StockNo(0), stock: "phone", quantity: 1 }];
    let claim = Claim { customer: &customer, lines: &lines, details: b"", idempotency_key: "" };
    let change = Change::Reserved { subject, claim, expires_at: None };
    target.push(&SinkEvent { offset, at: 1_767_225_600_000 + offset, change }).expect("pushing encodes");
}

async fn bare(channel: &Channel, queue: &str, queue_type: QueueType) -> f64 {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(queue_type.name().into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, arguments).await.expect("the server answers");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the server answers");
    let begun = Instant::now();
    let mut unconfirmed = std::collections::VecDeque::new();
    for offset in 1..=EVENTS {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_message_id(format!("0-{offset}").into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel.basic_publish("".into(), queue.into(), options, BODY.as_bytes(), properties);
        unconfirmed.push_back(confirm.await.expect("the server takes it"));
        if unconfirmed.len() == UNCONFIRMED_MAX {
            assert!(unconfirmed.pop_front().expect("just counted").await.expect("an answer").is_ack());
        }
    }
    for confirm in unconfirmed {
        assert!(confirm.await.expect("an answer").is_ack());
    }
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

async fn delete(channel: &Channel, queue: &str) {
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("the server answers");
}
