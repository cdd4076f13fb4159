//! `onrush cluster prepare` and `found` of the real binary, against the real broker of `cargo xtask services up`.

#[cfg(feature = "kafka")]
#[path = "../../connect/tests/conformance/services.rs"]
mod services;

use std::process::{Command, Stdio};

/// Runs it with these variables; its exit code, standard output and standard error.
fn prepare(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    run(variables, &[&["cluster", "prepare"], arguments].concat())
}

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onrush"));
    command.env_clear().stdin(Stdio::null()).args(arguments);
    command.envs(variables.iter().copied());
    let output = command.output().expect("start the binary");
    let text = |bytes| String::from_utf8(bytes).expect("it says text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The settings of a node over a topic.
#[cfg(feature = "kafka")]
fn node_over<'a>(brokers: &'a str, topic: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("ONRUSH_LOG__KIND", "kafka"),
        ("ONRUSH_LOG__BROKERS", brokers),
        ("ONRUSH_LOG__TOPIC", topic),
        ("ONRUSH_CLUSTER__NODE", "1"),
        ("ONRUSH_CLUSTER__URL", "http://127.0.0.1:8080"),
    ]
}

#[test]
fn a_log_in_files_has_no_topic() {
    let (code, _, errors) = prepare(&[], &[]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("with log.kind = \"kafka\" alone"), "{errors}");
    let (code, _, errors) = prepare(&[("ONRUSH_LOG__KIND", "kafka")], &[]);
    assert_eq!(code, Some(2), "{errors}");
}

#[test]
fn no_server_goes_on_from_a_log_that_was_moved() {
    let directory = tempfile::tempdir().expect("a directory");
    let marker = directory.path().join("moved-to-cluster");
    std::fs::write(&marker, "topic shop of kafka-1:9092\n").expect("write a file");
    let data = directory.path().to_str().expect("its name is text");
    let listen = ["--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"];
    let (code, _, errors) = run(&[], &[&["serve", "--data", data], &listen[..]].concat());
    assert_eq!(code, Some(1), "{errors}");
    for part in ["moved into a cluster (topic shop of kafka-1:9092)", "remove", "moved-to-cluster"] {
        assert!(errors.contains(part), "{errors}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy");
    std::fs::create_dir(&copy).expect("make a directory");
    std::fs::write(directory.path().join("place"), "").expect("write a file");
    for of_node in [directory.path(), &copy] {
        let data = of_node.to_str().expect("its name is text");
        let (code, _, errors) = run(&[], &[&["serve", "--data", data], &listen[..]].concat());
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("is of a node of a cluster"), "{errors}");
    }
    let (code, _, errors) = run(&[], &["cluster", "found", "--from", data]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("with log.kind = \"kafka\" alone"), "{errors}");
}

#[cfg(feature = "kafka")]
#[test]
fn what_cannot_be_moved_is_left_as_it_is() {
    let Some(brokers) = services::variable("ONRUSH_SERVICES_KAFKA_BROKERS") else { return };
    let topic = format!("founded-{}", std::process::id());
    let variables = node_over(&brokers, &topic);
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().to_str().expect("its name is text");
    let with_log = tempfile::tempdir().expect("a directory");
    std::fs::write(with_log.path().join("0.seg"), "").expect("write a file");
    let found = || {
        run(&variables, &["cluster", "found", "--from", with_log.path().to_str().expect("its name is text")])
    };
    let (code, _, errors) = found();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("cluster prepare"), "there is no topic: {errors}");
    prepare(&variables, &["--replicas", "1"]);
    let (code, _, errors) = found();
    assert_eq!(code, Some(7), "the topic can lose records: {errors}");
    let is_accepted = [&variables[..], &[("ONRUSH_LOG__UNSAFE_TOPIC", "true")]].concat();
    let found = |from: &str| run(&is_accepted, &["cluster", "found", "--from", from]);
    let nowhere = directory.path().join("nowhere");
    let (code, _, errors) = found(nowhere.to_str().expect("its name is text"));
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("read "), "{errors}");
    let file_count = std::fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(file_count, 0, "nothing was made");
    let (code, _, errors) = found(data);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("has no log"), "{errors}");
    std::fs::create_dir(directory.path().join("copy")).expect("make a directory");
    let (code, _, errors) = found(data);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("its log is in"), "{errors}");
}

#[cfg(feature = "kafka")]
#[test]
fn a_topic_is_made_and_what_is_wrong_with_it_is_named() {
    let Some(brokers) = services::variable("ONRUSH_SERVICES_KAFKA_BROKERS") else { return };
    let topic = format!("prepared-{}", std::process::id());
    let variables = node_over(&brokers, &topic);
    let (code, output, errors) = prepare(&variables, &[]);
    assert_eq!((code, output.as_str()), (Some(1), ""), "there is one broker: {errors}");
    assert!(errors.contains("with 3 replicas is refused"), "{errors}");

    for done in ["was made", "is there already"] {
        let (code, output, errors) = prepare(&variables, &["--replicas", "1"]);
        assert_eq!(code, Some(7), "{errors}");
        assert!(output.starts_with(&format!("topic {topic} {done}\n")), "{output}");
        assert!(output.contains("replication factor is 1, and has to be at least 3\n  raise it"), "{output}");
        assert!(output.contains("min.insync.replicas is 1, and has to be at least 2\n  run: "), "{output}");
        assert!(output.contains(&format!("topic {topic}.snapshots {done}\n")), "{output}");
        let said = format!("2 of topic {topic}, 2 of topic {topic}.snapshots");
        assert!(errors.contains(&said), "{errors}");
    }

    let is_accepted = [&variables[..], &[("ONRUSH_LOG__UNSAFE_TOPIC", "true")]].concat();
    let (code, output, errors) = prepare(&is_accepted, &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("replication factor is 1"), "{output}");
    assert!(errors.contains("log.unsafe_topic lets a server lead all the same"), "{errors}");
}
