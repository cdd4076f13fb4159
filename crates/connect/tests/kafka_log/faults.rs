//! Topics that do not stay as they are, and connections that break.

use std::time::Duration;

use onrush_connect::kafka::ClusterSettings;
use onrush_connect::kafka_log::KafkaLog;
use onrush_log::conformance::shared::SharedHarness as _;
use onrush_log::shared::{RecordNo, SharedError, SharedLog as _};
use onrush_proxy::{Mode, Proxy};
use rdkafka::admin::AdminOptions;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::place::block_on;
use crate::services::variable;
use crate::topic::{TIMEOUT, Topic, Writer, error_of, read_on, settings};

#[test]
fn records_that_are_deleted_under_a_reader_are_missing_by_number() {
    let Some(topic) = Topic::make() else { return };
    Writer::new(&*topic.log()).append(10);
    let mut below = TopicPartitionList::new();
    below.add_partition_offset(&topic.place.topic, 0, Offset::Offset(6)).unwrap();
    let deleted = block_on(topic.place.admin().delete_records(&below, &AdminOptions::new()));
    deleted.unwrap().elements()[0].error().unwrap();
    let missing = SharedError::Missing { next: RecordNo(3), found: RecordNo(6) };
    assert_eq!(error_of(&mut *topic.reader(3)), missing);
    assert_eq!(read_on(&mut *topic.reader(6)), Ok(vec![7, 8, 9, 10]));
}

#[test]
fn a_topic_that_is_deleted_under_a_reader_is_absent() {
    let Some(topic) = Topic::make() else { return };
    Writer::new(&*topic.log()).append(3);
    let mut reader = topic.reader(0);
    assert_eq!(read_on(&mut *reader), Ok(vec![1, 2, 3]));
    let deleted = block_on(topic.place.admin().delete_topics(&[&topic.place.topic], &AdminOptions::new()));
    deleted.unwrap().into_iter().for_each(|deleted| drop(deleted.unwrap()));
    let error = error_of(&mut *reader);
    assert!(matches!(&error, SharedError::Absent(text) if text.contains(&topic.place.topic)), "{error:?}");
    assert!(matches!(topic.log().inspect(), Err(SharedError::Absent(_))));
}

#[test]
fn a_topic_that_is_made_anew_under_a_reader_was_truncated() {
    let Some(topic) = Topic::make() else { return };
    Writer::new(&*topic.log()).append(5);
    let mut reader = topic.reader(0);
    assert_eq!(read_on(&mut *reader), Ok(vec![1, 2, 3, 4, 5]));
    let deleted = block_on(topic.place.admin().delete_topics(&[&topic.place.topic], &AdminOptions::new()));
    deleted.unwrap().into_iter().for_each(|deleted| drop(deleted.unwrap()));
    let again = settings(topic.place.cluster(), &topic.place.topic);
    let made = (0..50).any(|_| onrush_connect::kafka_log::create_topic(&again, 1) == Ok(true));
    assert!(made, "it is made anew");
    Writer::new(&*topic.log()).append(2);
    let truncated = SharedError::Truncated { next: RecordNo(5), end: RecordNo(2) };
    assert_eq!(error_of(&mut *reader), truncated);
}

#[test]
fn a_number_that_a_transaction_takes_is_missing() {
    let Some(topic) = Topic::make() else { return };
    Writer::new(&*topic.log()).append(2);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &topic.place.brokers).set("transactional.id", &topic.place.topic);
    let stranger: BaseProducer = config.create().unwrap();
    stranger.init_transactions(TIMEOUT).unwrap();
    stranger.begin_transaction().unwrap();
    let record = 77_u64.to_le_bytes();
    let message: BaseRecord<'_, (), [u8; 8]> =
        BaseRecord::to(&topic.place.topic).payload(&record).partition(0);
    assert!(stranger.send(message).is_ok());
    stranger.commit_transaction(TIMEOUT).unwrap();
    let mut reader = topic.reader(0);
    let mut read = Vec::new();
    for _ in 0..20 {
        let progress = reader.read(Duration::from_millis(50), &mut |_, record| {
            read.push(u64::from_le_bytes(record.try_into().unwrap()));
            std::ops::ControlFlow::Continue(())
        });
        assert!(read.len() < 3 || !progress.unwrap().is_level, "there is a number without a record");
    }
    assert_eq!(read, [1, 2, 77], "who wrote them does not matter");
    Writer::new(&*topic.log()).append(1);
    assert_eq!(error_of(&mut *reader), SharedError::Missing { next: RecordNo(3), found: RecordNo(4) });
}

#[test]
fn connections_that_break_lose_nothing_and_are_no_error() {
    let Some(topic) = Topic::make() else { return };
    let address = |name: &str| variable(name).expect("the services are up").parse().expect("an address");
    let (proxied, target) =
        (address("ONRUSH_SERVICES_KAFKA_PROXIED_BROKERS"), address("ONRUSH_SERVICES_KAFKA_PROXY_TARGET"));
    let proxy = Proxy::start_on(proxied, target).expect("start a proxy");
    let cluster = ClusterSettings { brokers: proxied.to_string(), ..topic.place.cluster() };
    let log = KafkaLog::open(settings(cluster, &topic.place.topic)).unwrap();
    let mut writer = Writer::new(&log);
    let mut reader = log.reader(0, RecordNo(0)).unwrap();
    let mut read = Vec::new();
    for round in 1..=5 {
        writer.append(1);
        proxy.set(Mode::CutFrom(50 * round));
        let tickets: Vec<_> = (0..3).map(|_| writer.hand_over()).collect();
        let progress = reader.read(Duration::from_millis(200), &mut |_, record| {
            read.push(u64::from_le_bytes(record.try_into().unwrap()));
            std::ops::ControlFlow::Continue(())
        });
        progress.expect("it is no error");
        proxy.set(Mode::Pass);
        let told = writer.told.wait(*tickets.last().unwrap());
        assert!(tickets.iter().all(|ticket| told[ticket].is_ok()), "{told:?}");
    }
    read.extend(read_on(&mut *reader).unwrap());
    assert_eq!(read, (1..=20).collect::<Vec<_>>());
    proxy.set(Mode::Silent);
    for _ in 0..3 {
        let progress = reader.read(Duration::from_millis(200), &mut |_, _| panic!("there is nothing"));
        assert!(!progress.expect("it is no error").is_level, "nobody has said so");
    }
    proxy.cut();
    proxy.set(Mode::Pass);
    assert_eq!(read_on(&mut *reader), Ok(Vec::new()));
}
