//! A broker of the test's own that is killed and started again.

use std::path::Path;
use std::process::Command;

use onrush_connect::TlsSettings;
use onrush_connect::kafka::ClusterSettings;
use onrush_connect::kafka_log::{KafkaLog, create_topic};
use onrush_log::shared::{RecordNo, SharedLog as _};

use crate::services::variable;
use crate::topic::{Writer, read_on, settings};

/// Services of the test's own, gone in the end.
struct Services {
    xtask: String,
    directory: tempfile::TempDir,
}

impl Services {
    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.xtask);
        command.arg("services").args(arguments).arg("--directory").arg(self.directory.path());
        // It knows the other ones by these.
        std::env::vars().filter(|(name, _)| name.starts_with("ONRUSH_")).for_each(|(name, _)| {
            command.env_remove(name);
        });
        let output = command.output().expect("run xtask");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn brokers(&self) -> String {
        let lines = std::fs::read_to_string(self.directory.path().join("services.env")).unwrap();
        let line = lines.lines().find_map(|line| line.strip_prefix("ONRUSH_SERVICES_KAFKA_BROKERS="));
        line.expect("it says where the broker is").trim_matches('\'').to_owned()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.run(&["down", "--purge"]);
    }
}

#[test]
fn a_broker_that_is_killed_loses_nothing_that_was_acknowledged() {
    let Some(xtask) = variable("ONRUSH_SERVICES_XTASK").filter(|xtask| Path::new(xtask).exists()) else {
        return;
    };
    let services = Services { xtask, directory: tempfile::tempdir().unwrap() };
    services.run(&["up", "kafka"]);
    let cluster = ClusterSettings {
        brokers: services.brokers(),
        username: None,
        password: None,
        tls: TlsSettings::default(),
        properties_file: None,
    };
    let settings = settings(cluster, "onrush.log");
    create_topic(&settings, 1).unwrap();
    let log = KafkaLog::open(settings).unwrap();
    let mut writer = Writer::new(&log);
    let mut reader = log.reader(0, RecordNo(0)).unwrap();
    writer.append(20);
    let mut read = read_on(&mut *reader).unwrap();
    // Some are on their way when it dies, and some are handed over while it is away.
    let before: Vec<_> = (0..3).map(|_| writer.hand_over()).collect();
    services.run(&["kill", "kafka"]);
    let meanwhile: Vec<_> = (0..2).map(|_| writer.hand_over()).collect();
    services.run(&["start", "kafka"]);
    let told = writer.told.wait(*meanwhile.last().unwrap());
    read.extend(read_on(&mut *reader).expect("a broker that is away is no error"));
    for ticket in 1..=20 {
        assert!(read.contains(&ticket), "record {ticket} was acknowledged: {read:?}");
    }
    for ticket in before.iter().chain(&meanwhile) {
        if told[ticket].is_ok() {
            assert!(read.contains(ticket), "record {ticket} was acknowledged: {read:?}");
        }
    }
    let mut after = Writer::new(&log);
    after.append(1);
    assert_eq!(read_on(&mut *reader), Ok(vec![1]), "and it goes on");
}
