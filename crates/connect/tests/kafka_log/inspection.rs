//! What is said of a topic before anybody leads by it.

use onrush_connect::kafka::ClusterSettings;
use onrush_connect::kafka_log::{KafkaLog, create_topic};
use onrush_log::conformance::shared::SharedHarness as _;
use onrush_log::shared::{SharedError, SharedLog as _};

use crate::place::{Place, unique};
use crate::topic::{Topic, Writer, settings};

#[test]
fn a_badly_made_topic_is_told_each_fault() {
    let Some(place) = Place::named(&unique("badly-made")) else { return };
    let bad = [
        ("cleanup.policy", "compact"),
        ("retention.ms", "1000000"),
        ("retention.bytes", "1000000000"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "true"),
        ("message.timestamp.type", "CreateTime"),
        ("max.message.bytes", "500000"),
    ];
    place.create(&place.topic, &bad);
    let log = KafkaLog::open(settings(place.cluster(), &place.topic)).unwrap();
    assert_eq!(log.bounds().record_bytes_max, 500_000 - 4_096);
    let findings = log.inspect().unwrap();
    let mut named: Vec<_> =
        findings.iter().map(|finding| (&*finding.setting, finding.found.as_str())).collect();
    named.sort_unstable();
    let mut expected = bad.to_vec();
    expected.extend([("partitions", "3"), ("replication factor", "1")]);
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert!(findings.iter().all(|finding| !finding.cure.is_empty() && !finding.wanted.is_empty()));
}

#[test]
fn a_topic_that_was_made_for_it_lacks_copies_alone() {
    let Some(topic) = Topic::make() else { return };
    let findings = topic.log().inspect().unwrap();
    let named: Vec<_> = findings.iter().map(|finding| &*finding.setting).collect();
    assert_eq!(named, ["replication factor", "min.insync.replicas"]);
    assert_eq!(topic.log().bounds().record_bytes_max, 1 << 20);
    assert_eq!(create_topic(&settings(topic.place.cluster(), &topic.place.topic), 1), Ok(false));
}

#[test]
fn a_topic_that_needs_more_brokers_than_there_are_is_not_made() {
    let Some(place) = Place::named(&unique("too-many")) else { return };
    let Err(SharedError::Unreachable(text)) = create_topic(&settings(place.cluster(), &place.topic), 3)
    else {
        panic!("there is one broker")
    };
    assert!(text.contains("with 3 replicas is refused"), "{text}");
    assert!(text.ends_with("are there so many brokers?"), "{text}");
}

#[test]
fn a_topic_that_is_not_there_comes_with_the_remedy() {
    let Some(place) = Place::named(&unique("absent")) else { return };
    let Err(SharedError::Absent(text)) = KafkaLog::open(settings(place.cluster(), &place.topic)) else {
        panic!("there is none")
    };
    assert!(text.contains(&place.topic) && text.ends_with("run `onrush cluster prepare`"), "{text}");
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let tls = onrush_connect::TlsSettings::default();
    let cluster = ClusterSettings {
        brokers: brokers.clone(),
        username: None,
        password: None,
        tls,
        properties_file: None,
    };
    let Err(SharedError::Unreachable(text)) = KafkaLog::open(settings(cluster, "onrush.log")) else {
        panic!("there is nobody")
    };
    assert!(text.starts_with(&format!("{brokers} does not answer: ")), "{text}");
}

#[test]
fn the_broker_tells_when_a_record_came() {
    let Some(topic) = Topic::make() else { return };
    let mut writer = Writer::new(&*topic.log());
    let ticket = writer.hand_over();
    let acked = writer.told.wait(ticket)[&ticket].clone().unwrap();
    // Some day after this was written.
    assert!(acked.appended_at_ms.is_some_and(|ms| ms > 1_760_000_000_000), "{acked:?}");
}
