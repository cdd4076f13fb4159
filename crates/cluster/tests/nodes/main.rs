//! Several nodes over one shared log in memory, with their real threads and files: one leads, the others take over, and nobody is
//! told what does not last.

mod cluster;
mod snapshots;
mod world;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use onrush_cluster::{ClusterLog, NodeSettings};
use onrush_log::Format;
use onrush_log::shared::{Acked, Acks, LogId, NodeId, RecordKind, RecordNo, SharedError, SharedRecord};
use onrush_node::{Call, Failure, MachineClock, Name, Readiness, Retention, Stopwatch};

use cluster::{Cluster, PATIENCE, SEGMENT_BYTES};

#[test]
fn one_leads_and_the_next_goes_on_where_it_ended() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    for expected in 1..=100 {
        assert_eq!(cluster.add(leader).unwrap(), expected);
    }
    assert_eq!(cluster.read(leader).unwrap(), 100);
    let other = 1 - leader;
    assert!(matches!(cluster.add(other), Err(Failure::NotLeader)));
    assert_eq!(cluster.node(other).partition.readiness(), Readiness::Following);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other);
    let place = cluster.node(other).log.status();
    assert_eq!(place.dropped.iter().map(|(_, count)| count).sum::<u64>(), 0, "nobody claimed in vain");
    assert_eq!(cluster.read(other).unwrap(), 100);
    assert_eq!(cluster.add(other).unwrap(), 101);
    // Who comes back follows, from its own copy.
    cluster.start(leader);
    cluster.stop(other);
    assert_eq!(cluster.leader_but(&[]), leader);
    assert_eq!(cluster.add(leader).unwrap(), 102);
}

/// Each would have founded another log. The one whose claim came second follows the other.
#[test]
fn of_two_nodes_that_found_a_log_together_one_leads() {
    struct Nobody;
    impl Acks for Nobody {
        fn ack(&self, _: u64, _: Result<Acked, SharedError>) {}
    }
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    let late = SharedRecord {
        kind: RecordKind::Claim,
        format: Format::V1,
        log_id: LogId(1),
        partition: 0,
        node: NodeId(3),
        epoch: None,
        sequence: 1,
        base_offset: 0,
        time_ms: 0,
        told_ms: 0,
        event_count: 0,
        payload: b"",
    };
    let mut bytes = Vec::new();
    late.encode(&mut bytes);
    let mut claims = cluster.world.seen_by(9).appender(0, Arc::new(Nobody)).unwrap();
    claims.append(1, RecordNo(0), &bytes).unwrap();
    let since = Stopwatch::start();
    while since.elapsed() < Duration::from_millis(200) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(cluster.add(leader).unwrap(), 2);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), 1 - leader);
    assert_eq!(cluster.add(1 - leader).unwrap(), 3);
}

#[test]
fn who_is_cut_off_says_nothing_that_is_over() {
    let cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    cluster.world.cut(leader);
    let (done, late) = sync_channel(1);
    let call = Call::ReadCounter { counter: Name::from("c") };
    cluster.node(leader).partition.call(call, move |reply| done.send(reply).unwrap());
    // It is there, so it is given the longer time.
    let next = cluster.leader_but(&[leader]);
    assert_eq!(cluster.add(next).unwrap(), 2);
    assert!(late.try_recv().is_err(), "what was read rests on nothing that is in force");
    cluster.world.mend();
    let reply = late.recv_timeout(PATIENCE).expect("it is answered when it is known that another leads");
    assert!(matches!(reply, Err(Failure::LogUnavailable)), "{reply:?}");
    assert_eq!(cluster.add(next).unwrap(), 3);
    assert!(matches!(cluster.read(leader), Err(Failure::NotLeader)));
}

#[test]
fn who_has_the_wrong_time_lets_another_lead() {
    let cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    cluster.world.ahead.lock().unwrap().push(leader);
    let next = cluster.leader_but(&[leader]);
    assert_eq!(cluster.add(next).unwrap(), 2);
    // With all clocks wrong somebody leads all the same.
    cluster.world.ahead.lock().unwrap().push(next);
    let since = Stopwatch::start();
    while since.elapsed() < Duration::from_secs(1) {
        let leader = cluster.leader_but(&[]);
        if let Ok(value) = cluster.add(leader) {
            assert!(value > 2);
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Holds would run out by its clock before anybody knows.
#[test]
fn who_has_the_wrong_time_from_the_beginning_decides_nothing() {
    let cluster = Cluster::of(3);
    let leader = cluster.leader_but(&[]);
    assert_eq!(cluster.add(leader).unwrap(), 1);
    // The one that claims first of the others.
    let wrong = u32::from(leader == 0);
    let right = 3 - leader - wrong;
    cluster.world.ahead.lock().unwrap().push(wrong);
    cluster.world.cut(leader);
    assert_eq!(cluster.leader_but(&[leader]), right);
    assert_eq!(cluster.add(right).unwrap(), 2);
    assert_eq!(cluster.node(wrong).log.status().term_count, 0);
}

#[test]
fn of_two_with_one_number_the_second_does_not_lead() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    let other = 1 - leader;
    cluster.stop(other);
    cluster.start_as(other, leader + 1);
    let since = Stopwatch::start();
    // The twin has to have read the log to its end before the other one leads anew.
    while cluster.node(other).log.status().epoch.is_none() && since.elapsed() < PATIENCE {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    std::thread::park_timeout(Duration::from_millis(500));
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other, "alone it leads");
    cluster.start(leader);
    std::thread::park_timeout(Duration::from_secs(1));
    cluster.world.cut(other);
    assert_eq!(cluster.leader_but(&[other]), leader);
    cluster.world.mend();
    let since = Stopwatch::start();
    while cluster.node(other).log.status().problem.is_none() {
        assert!(since.elapsed() < PATIENCE, "it has read the claim of the other");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let problem = cluster.node(other).log.status().problem.unwrap();
    assert!(problem.contains("cluster.node"), "{problem}");
    assert_eq!(cluster.add(leader).unwrap(), 1);
}

#[test]
fn copies_agree_and_one_that_lacks_something_is_made_anew() {
    let mut cluster = Cluster::of(2);
    let leader = cluster.leader_but(&[]);
    let other = 1 - leader;
    for _ in 0..50 {
        cluster.add(leader).unwrap();
    }
    cluster.stop(other);
    cluster.add(leader).unwrap();
    let copy = cluster.directory(other).join("copy");
    for file in std::fs::read_dir(&copy).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    cluster.start(other);
    cluster.stop(leader);
    assert_eq!(cluster.leader_but(&[]), other);
    assert_eq!(cluster.read(other).unwrap(), 51);
}

#[test]
fn a_directory_of_a_single_server_is_refused() {
    let mut cluster = Cluster::of(1);
    cluster.leader_but(&[]);
    cluster.stop(0);
    let copy = cluster.directory(0).join("copy");
    for file in std::fs::read_dir(&copy).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, cluster.directory(0).join(path.file_name().unwrap())).unwrap();
    }
    let settings = NodeSettings {
        node: NodeId(1),
        url: String::new(),
        silence: Duration::from_secs(1),
        silence_of_living: Duration::from_secs(1),
        may_lead_unsafely: false,
        directory: cluster.directory(0),
        ping: Arc::new(|_| false),
        snapshot_bytes: u64::MAX,
        snapshot_interval: Duration::from_secs(1),
        retention: Retention::default(),
    };
    let started =
        ClusterLog::start(cluster.world.logs_seen_by(0), 0, settings, SEGMENT_BYTES, Arc::new(MachineClock));
    let problem = started.err().expect("it is refused").to_string();
    assert!(problem.contains("single server"), "{problem}");
}
