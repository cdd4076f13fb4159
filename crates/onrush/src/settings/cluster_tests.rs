//! Scripts of what is typed of a shared log, and what it then means or what is wrong with it.

use super::super::tests::check;

#[cfg(feature = "kafka")]
const KAFKA: &str = "file [log]\nfile kind = \"kafka\"\nfile brokers = \"127.0.0.1:9092\"\nfile [cluster]\nfile node = 3\nfile url = \"http://10.0.0.7:8080\"\n";

#[test]
fn a_log_is_in_files_unless_somebody_says_otherwise() {
    check(
        "shows kind = \"file\"
         shows topic = \"onrush.log\"
         shows # brokers is not set
         shows unsafe_topic = false
         shows [cluster]
         shows node = 0
         shows # url is not set
         shows silence_ms = 2500",
    );
    check("file [log]\nfile kind = \"redis\"\nrefuses must be one of \"file\", \"kafka\"");
}

#[test]
fn what_is_for_a_shared_log_needs_one() {
    for (section, key, value) in [
        ("log", "brokers", "\"kafka-1:9092\""),
        ("log", "topic", "\"other\""),
        ("log", "username", "\"ann\""),
        ("log", "password_file", "\"/nowhere\""),
        ("log", "tls", "\"verify\""),
        ("log", "tls_ca_file", "\"/nowhere\""),
        ("log", "properties_file", "\"/nowhere\""),
        ("log", "unsafe_topic", "true"),
        ("cluster", "node", "3"),
        ("cluster", "url", "\"http://10.0.0.7:8080\""),
        ("cluster", "silence_ms", "900"),
    ] {
        check(&format!(
            "file [{section}]\nfile {key} = {value}\nrefuses {section}.{key} = {value} (from /\nrefuses : is for log.kind = \"kafka\" alone"
        ));
    }
    check(
        "env ONRUSH_LOG__PASSWORD=hunter2\nrefuses ONRUSH_LOG__PASSWORD in the environment: is for\nhides hunter2",
    );
    check("env ONRUSH_LOG__PASSWORD=\nshows kind = \"file\"");
    check("env ONRUSH_LOG__BROKERS=\nshows kind = \"file\"");
}

#[test]
fn a_password_does_not_belong_into_a_settings_file() {
    check(
        "file [log]
         file password = \"hunter2\"
         refuses log.password (from /
         refuses name that as log.password_file, or set ONRUSH_LOG__PASSWORD
         hides hunter2",
    );
}

#[cfg(not(feature = "kafka"))]
#[test]
fn kafka_has_to_be_built_in() {
    check(
        "env ONRUSH_LOG__KIND=kafka
         refuses log.kind = \"kafka\" (from ONRUSH_LOG__KIND): this onrush was built without Kafka: cargo build --release --features kafka",
    );
}

#[cfg(feature = "kafka")]
mod kafka {
    use std::time::Duration;

    use onrush_connect::{Secret, Tls};
    use onrush_log::shared::NodeId;

    use super::{KAFKA, check};
    use crate::settings::{Cluster, Flags, load};

    fn loaded(typed: &[(&str, &str)]) -> Cluster {
        let named = |name: &str| format!("ONRUSH_{name}");
        let environment = typed.iter().map(|(name, value)| (named(name), (*value).to_owned()));
        let settings = load(&Flags::default(), environment).expect("the settings are valid");
        settings.cluster.expect("there is a shared log")
    }

    #[test]
    fn what_was_typed_reaches_the_log() {
        let mut properties = tempfile::NamedTempFile::new().expect("make a file");
        std::io::Write::write_all(&mut properties, b"security.protocol=sasl_plaintext\n").expect("write");
        let path = properties.path().to_str().expect("a temporary path is text");
        let cluster = loaded(&[
            ("LOG__KIND", "kafka"),
            ("LOG__BROKERS", "kafka-1:9092,kafka-2:9092"),
            ("LOG__TOPIC", "shop.log"),
            ("LOG__USERNAME", "ann"),
            ("LOG__PASSWORD", "hunter2"),
            ("LOG__TLS", "off"),
            ("LOG__PROPERTIES_FILE", path),
            ("LOG__UNSAFE_TOPIC", "true"),
            ("CLUSTER__NODE", "4294967294"),
            ("CLUSTER__URL", "http://[::1]:8080"),
            ("CLUSTER__SILENCE_MS", "1500"),
        ]);
        assert_eq!((cluster.node, cluster.url.as_str()), (NodeId(4_294_967_294), "http://[::1]:8080"));
        assert_eq!((cluster.silence, cluster.unsafe_topic), (Duration::from_millis(1_500), true));
        let log = cluster.log;
        assert_eq!((log.topic.as_str(), log.partition_count), ("shop.log", 1));
        assert_eq!(log.cluster.brokers, "kafka-1:9092,kafka-2:9092");
        assert_eq!(log.cluster.username.as_deref(), Some("ann"));
        assert_eq!(log.cluster.password.as_ref().map(Secret::reveal), Some(Ok("hunter2".into())));
        assert_eq!(log.cluster.tls.mode, Tls::Off);
        assert_eq!(log.cluster.properties_file.as_deref(), Some(properties.path()));
    }

    #[test]
    fn a_shared_log_needs_brokers_and_a_node() {
        check(&format!("{KAFKA}shows brokers = \"127.0.0.1:9092\"  # /\nshows node = 3  # /"));
        check(
            "env ONRUSH_LOG__KIND=kafka
             refuses log.brokers = nothing: log.kind = \"kafka\" needs it
             refuses cluster.node = 0: a shared log needs the number of this node, another for each
             refuses cluster.url = nothing: must be where other nodes reach the public listener of this one",
        );
        for (name, value, rule) in [
            ("LOG__BROKERS", "kafka-1", "log: brokers must be addresses"),
            ("LOG__TOPIC", "a b", "log: topic must be letters"),
            ("LOG__TLS", "perhaps", "log.tls = \"perhaps\" (from ONRUSH_LOG__TLS): must be one of \"auto\""),
            ("LOG__USERNAME", "ann", "log: username and password must be set together"),
            ("LOG__PASSWORD_FILE", "/nowhere/kafka", "log.password_file = \"/nowhere/kafka\""),
            ("LOG__PROPERTIES_FILE", "/nowhere/kafka", "log: read properties_file /nowhere/kafka"),
            ("CLUSTER__NODE", "-1", "cluster.node = -1 (from ONRUSH_CLUSTER__NODE): must be 1 to 4294967294"),
            ("CLUSTER__NODE", "4294967295", "must be 1 to 4294967294"),
            ("CLUSTER__SILENCE_MS", "1499", "must be 1500 to 60000"),
            ("CLUSTER__SILENCE_MS", "60001", "must be 1500 to 60000"),
        ] {
            check(&format!("{KAFKA}env ONRUSH_{name}={value}\nrefuses {rule}"));
        }
    }

    #[test]
    fn a_node_is_reached_by_a_plain_url() {
        for url in
            ["http://node-1:8080", "http://10.0.0.7:1", "http://[2001:db8::1]:8080", "http://a.b_c:65535"]
        {
            check(&format!("{KAFKA}env ONRUSH_CLUSTER__URL={url}\nshows url = \"{url}\""));
        }
        let long = format!("http://{}:80", "a".repeat(250));
        for url in [
            "10.0.0.7:8080",
            "https://10.0.0.7:8080",
            "http://10.0.0.7",
            "http://10.0.0.7:0",
            "http://10.0.0.7:65536",
            "http://10.0.0.7:+80",
            "http://10.0.0.7:8080/",
            "http://ann:hunter2@10.0.0.7:8080",
            "http://:8080",
            "http://[::1:8080",
            "http://[node]:8080",
            &long,
        ] {
            check(&format!("{KAFKA}env ONRUSH_CLUSTER__URL={url}\nrefuses cluster.url = \"{url}\""));
        }
    }

    #[test]
    fn the_password_of_a_log_is_in_a_file_or_in_the_environment() {
        let user = format!("{KAFKA}env ONRUSH_LOG__USERNAME=ann\nenv ONRUSH_LOG__TLS=off\n");
        check(&format!(
            "{user}env ONRUSH_LOG__PASSWORD=hunter2\nshows # password: from ONRUSH_LOG__PASSWORD\nhides hunter2"
        ));
        check(&format!(
            "{user}password hunter2\\n\nenv ONRUSH_LOG__PASSWORD_FILE={{password}}\nshows password_file = \"/\nhides hunter2"
        ));
        check(&format!(
            "{user}password hunter2\nenv ONRUSH_LOG__PASSWORD_FILE={{password}}\nenv ONRUSH_LOG__PASSWORD=hunter3
             refuses ONRUSH_LOG__PASSWORD in the environment says the password as well; keep one of them
             hides hunter"
        ));
    }
}
