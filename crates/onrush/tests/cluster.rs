//! `onrush cluster prepare` of the real binary, against the real broker of `cargo xtask services up`.

#[cfg(feature = "kafka")]
#[path = "../../connect/tests/conformance/services.rs"]
mod services;

use std::process::{Command, Stdio};

/// Runs it with these variables; its exit code, standard output and standard error.
fn prepare(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onrush"));
    command.env_clear().stdin(Stdio::null()).args(["cluster", "prepare"]).args(arguments);
    command.envs(variables.iter().copied());
    let output = command.output().expect("start the binary");
    let text = |bytes| String::from_utf8(bytes).expect("it says text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_log_in_files_has_no_topic() {
    let (code, _, errors) = prepare(&[], &[]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("with log.kind = \"kafka\" alone"), "{errors}");
    let (code, _, errors) = prepare(&[("ONRUSH_LOG__KIND", "kafka")], &[]);
    assert_eq!(code, Some(2), "{errors}");
}

#[cfg(feature = "kafka")]
#[test]
fn a_topic_is_made_and_what_is_wrong_with_it_is_named() {
    let Some(brokers) = services::variable("ONRUSH_SERVICES_KAFKA_BROKERS") else { return };
    let topic = format!("prepared-{}", std::process::id());
    let variables = [
        ("ONRUSH_LOG__KIND", "kafka"),
        ("ONRUSH_LOG__BROKERS", brokers.as_str()),
        ("ONRUSH_LOG__TOPIC", topic.as_str()),
        ("ONRUSH_CLUSTER__NODE", "1"),
        ("ONRUSH_CLUSTER__URL", "http://127.0.0.1:8080"),
    ];
    let (code, output, errors) = prepare(&variables, &[]);
    assert_eq!((code, output.as_str()), (Some(1), ""), "there is one broker: {errors}");
    assert!(errors.contains("with 3 replicas is refused"), "{errors}");

    for done in ["was made", "is there already"] {
        let (code, output, errors) = prepare(&variables, &["--replicas", "1"]);
        assert_eq!(code, Some(7), "{errors}");
        assert!(output.starts_with(&format!("topic {topic} {done}\n")), "{output}");
        assert!(output.contains("replication factor is 1, and has to be at least 3\n  raise it"), "{output}");
        assert!(output.contains("min.insync.replicas is 1, and has to be at least 2\n  run: "), "{output}");
        assert!(errors.contains("2 settings of topic"), "{errors}");
    }

    let is_accepted = [&variables[..], &[("ONRUSH_LOG__UNSAFE_TOPIC", "true")]].concat();
    let (code, output, errors) = prepare(&is_accepted, &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("replication factor is 1"), "{output}");
    assert!(errors.contains("log.unsafe_topic lets a server lead all the same"), "{errors}");
}
