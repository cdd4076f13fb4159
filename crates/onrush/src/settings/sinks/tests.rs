//! Scripts of what is typed of sinks, and what it then means or what is wrong with it.

use std::collections::BTreeSet;

use onrush_connect::Tls;
use onrush_connect::postgres::Rows;
use onrush_connect::rabbitmq::QueueType;
use onrush_connect::{MessageFormat, Secret};
use onrush_sinks::{AtBacklogMax, EventKind};

use super::super::tests::check;
use super::super::{Flags, load};
use super::{Sink, TargetSettings};

const POSTGRES: &str =
    "file [sinks.shop]\nfile kind = \"postgres\"\nfile url = \"postgresql://onrush@db:5432/shop\"\n";
const REDIS: &str = "file [sinks.s]\nfile kind = \"redis\"\nfile url = \"redis://127.0.0.1:6379/0\"\n";
const RABBITMQ: &str =
    "file [sinks.mq]\nfile kind = \"rabbitmq\"\nfile url = \"amqp://onrush@127.0.0.1:5672/vhost\"\n";

/// The sinks that variables of these names and values make.
fn loaded(variables: &[(&str, &str)]) -> Vec<Sink> {
    let environment =
        variables.iter().map(|(name, value)| (format!("ONRUSH_SINKS__{name}"), (*value).to_owned()));
    load(&Flags::default(), environment).expect("the settings are valid").sinks
}

#[test]
fn every_default_is_printed() {
    check(&format!(
        "{POSTGRES}
         shows [sinks.shop]
         shows kind = \"postgres\"  # /
         shows # events is not set
         shows # sales is not set
         shows backlog_bytes_max = 17179869184
         shows at_backlog_max = \"keep\"
         shows events_per_second_max = 0
         shows # password_file is not set
         shows url = \"postgresql://onrush@db:5432/shop\"  # /
         shows schema = \"onrush\"
         shows rows = \"batch\"
         shows tls = \"auto\"
         shows # tls_ca_file is not set
         shows # replica_url is not set"
    ));
    check(&format!(
        "{RABBITMQ}
         shows exchange = \"onrush\"
         shows queue = \"onrush\"
         shows queue_type = \"quorum\"
         shows message_format = \"events\""
    ));
    check(&format!("{REDIS}shows stream = \"onrush\"\nshows length_max = 0"));
}

#[test]
fn the_environment_lies_over_the_file() {
    check(&format!(
        "{POSTGRES}
         file schema = \"a\"
         env ONRUSH_SINKS__SHOP__SCHEMA=b
         env ONRUSH_SINKS__SHOP__EVENTS=sale, reservation.confirmed,
         env ONRUSH_SINKS__SHOP__BACKLOG_BYTES_MAX=1048576
         shows schema = \"b\"  # ONRUSH_SINKS__SHOP__SCHEMA
         shows events = [\"sale\", \"reservation.confirmed\"]  # ONRUSH_SINKS__SHOP__EVENTS
         shows backlog_bytes_max = 1048576  # ONRUSH_SINKS__SHOP__BACKLOG_BYTES_MAX"
    ));
    check(
        "env ONRUSH_SINKS__MY_SHOP__KIND=redis
         env ONRUSH_SINKS__MY_SHOP__URL=redis://127.0.0.1
         env ONRUSH_SINKS__MY_SHOP__LENGTH_MAX=7
         shows [sinks.my_shop]
         shows length_max = 7  # ONRUSH_SINKS__MY_SHOP__LENGTH_MAX",
    );
}

#[test]
fn a_key_belongs_to_its_kind() {
    check(&format!(
        "{POSTGRES}file strem = 1\nrefuses sinks.shop.strem (from /\nrefuses strem\nrefuses a sink of kind postgres has no such key, nor has any other; it has kind, events, sales, backlog_bytes_max, at_backlog_max, events_per_second_max, password_file, url, schema, rows, tls, tls_ca_file, replica_url"
    ));
    check(&format!(
        "{POSTGRES}file stream = \"x\"\nrefuses a sink of kind postgres has no such key; it has kind, events"
    ));
    check(&format!(
        "{REDIS}file schema = \"x\"\nrefuses a sink of kind redis has no such key; it has kind, events"
    ));
    check(&format!(
        "{RABBITMQ}env ONRUSH_SINKS__MQ__SCHEMA=x\nrefuses sinks.mq.schema (from ONRUSH_SINKS__MQ__SCHEMA): a sink of"
    ));
    for kind in ["postgres", "rabbitmq", "redis"] {
        check(&format!(
            "env ONRUSH_SINKS__S__KIND={kind}\nrefuses sinks.s.url: a sink of kind {kind} needs it"
        ));
    }
    check(
        "env ONRUSH_SINKS__S__KIND=redis\nenv ONRUSH_SINKS__S__URL=\nrefuses sinks.s.url (from ONRUSH_SINKS__S__URL): must not be empty",
    );
    check(
        "env ONRUSH_SINKS__S__KIND=mysql\nrefuses must be one of \"postgres\", \"kafka\", \"rabbitmq\", \"redis\", not \"mysql\"",
    );
    check(
        "env ONRUSH_SINKS__SHPO__PASSWORD=x\nrefuses sinks.shpo.kind: every sink needs one of \"postgres\",\nrefuses (the sink is named by ONRUSH_SINKS__SHPO__PASSWORD)",
    );
    check("file [sinks.shop]\nrefuses sinks.shop.kind: every sink needs one of");
}

#[test]
fn values_are_of_the_right_type() {
    for (line, problem) in [
        ("schema = 5", "must be text in quotes, not a number"),
        ("url = [\"a\"]", "must be text in quotes, not a list"),
        ("rows = true", "must be text in quotes, not true or false"),
        ("rows = \"each\"", "must be one of \"batch\", \"visit\", not \"each\""),
        ("tls = \"on\"", "must be one of \"auto\", \"off\", \"verify\", \"unsafe-no-verify\", not \"on\""),
        ("at_backlog_max = \"drop\"", "must be one of \"keep\", \"let-go\", not \"drop\""),
        (
            "backlog_bytes_max = \"1\"",
            "must be a whole number from 1048576 to 1152921504606846976, not \"1\"",
        ),
        ("backlog_bytes_max = 1.5", "must be a whole number from 1048576"),
        ("backlog_bytes_max = 1048575", "must be a whole number from 1048576"),
        ("backlog_bytes_max = -1", "must be a whole number from 1048576"),
        ("backlog_bytes_max = 1152921504606846977", "must be a whole number from 1048576"),
        ("backlog_bytes_max = []", "must be a whole number from 1048576 to 1152921504606846976, not a list"),
        ("events_per_second_max = -1", "must be a whole number from 0 to 1000000000"),
        ("events = \"sale\"", "must be a list of texts"),
        ("events = [1]", "must be a list of texts"),
        ("events = []", "must name at least one; leave the key out for all"),
        (
            "events = [\"booking\"]",
            "\"booking\" must be one of counter, reservation, sale, window, or one of counter.added,",
        ),
        ("events = [\"reservation.\"]", "\"reservation.\" must be one of"),
        ("sales = [\"a b\"]", "\"a b\" must be 1 to 64 characters"),
        ("sales = []", "must name at least one"),
        ("x = { y = 1 }", "has no such key, nor has any other"),
    ] {
        let url = if line.starts_with("url") { "" } else { "url = \"postgresql://db\"" };
        let key = line.split(' ').next().unwrap_or_default();
        check(&format!(
            "file [sinks.shop]\nfile kind = \"postgres\"\nfile {url}\nfile {line}\nrefuses sinks.shop.{key} (from /\nrefuses {problem}"
        ));
    }
    check(&format!("{POSTGRES}env ONRUSH_SINKS__SHOP__BACKLOG_BYTES_MAX=much\nrefuses not \"much\""));
    check(&format!("{POSTGRES}env ONRUSH_SINKS__SHOP__EVENTS=,\nrefuses must name at least one"));
    check(&format!("{REDIS}file length_max = -1\nrefuses must be a whole number from 0 to 281474976710656"));
    check(&format!(
        "{RABBITMQ}file queue_type = \"lazy\"\nrefuses must be one of \"quorum\", \"classic\", \"stream\""
    ));
    check(&format!(
        "{RABBITMQ}file message_format = \"json\"\nrefuses sinks.mq.message_format (from /\nrefuses must be one of \"events\", \"booking\", \"order\""
    ));
    check(&format!("{POSTGRES}file schema = \"not one\"\nrefuses sinks.shop: "));
}

#[test]
fn a_key_is_read_under_its_older_name() {
    let booking = "shows message_format = \"booking\"";
    check(&format!("{RABBITMQ}file form = \"booking\"\n{booking}  # /"));
    check(&format!("{RABBITMQ}env ONRUSH_SINKS__MQ__FORM=booking\n{booking}  # ONRUSH_SINKS__MQ__FORM"));
    // A variable lies over the file, whichever of the names they use.
    for (in_file, variable) in [("form", "MESSAGE_FORMAT"), ("message_format", "FORM")] {
        check(&format!(
            "{RABBITMQ}file {in_file} = \"order\"\nenv ONRUSH_SINKS__MQ__{variable}=booking\n{booking}"
        ));
    }
    check(&format!(
        "{RABBITMQ}file form = \"json\"\nrefuses sinks.mq.form (from /\nrefuses must be one of \"events\""
    ));
    check(&format!(
        "{REDIS}file form = \"order\"\nrefuses sinks.s.form (from /\nrefuses a sink of kind redis has no such key"
    ));
    check(&format!(
        "{RABBITMQ}file form = \"order\"\nfile message_format = \"order\"\nrefuses sinks.mq.form (from /\nrefuses message_format is there twice"
    ));
    check(&format!(
        "{RABBITMQ}env ONRUSH_SINKS__MQ__FORM=order\nenv ONRUSH_SINKS__MQ__MESSAGE_FORMAT=order\nrefuses message_format is there twice, once under a name of an earlier version"
    ));
}

#[test]
fn sinks_have_names() {
    for name in ["Shop", "7up", "_a", "\"a b\"", "\"\"", "\"a.b\"", "äb", &"a".repeat(33)] {
        check(&format!(
            "file [sinks.\"{}\"]\nrefuses must be 1 to 32 of a-z 0-9 _ - and begin with a letter",
            name.trim_matches('"')
        ));
    }
    for name in ["a", "a-b_7", &"a".repeat(32)] {
        check(&format!("{}\nshows [sinks.{name}]", REDIS.replace("sinks.s]", &format!("sinks.{name}]"))));
    }
    check(
        "env ONRUSH_SINKS__7__KIND=redis\nrefuses ONRUSH_SINKS__7__KIND in the environment: \"7\": a sink's name",
    );
    check("env ONRUSH_SINKS__SHOP=redis\nrefuses unknown setting ONRUSH_SINKS__SHOP ");
    check("env ONRUSH_SINKS=redis\nrefuses unknown setting ONRUSH_SINKS ");
    check("file [sinks]\nfile shop = 1\nrefuses sinks.shop is a section: write [sinks.shop]");
    check("file sinks = 1\nrefuses sinks holds a section for each sink: write [sinks.NAME]");
    check(
        "file [sink.shop]\nrefuses unknown key sink (the sections are catalog, cluster, gate, limits, log,\nrefuses , sinks)",
    );
}

#[test]
fn there_is_a_number_of_sinks() {
    use std::fmt::Write;
    let sinks = |count: usize| {
        (0..count).fold(String::new(), |mut script, at| {
            let section = REDIS.replace("sinks.s]", &format!("sinks.s{at}]"));
            writeln!(script, "{section}file stream = \"s{at}\"").expect("a String takes every write");
            script
        })
    };
    check(&format!("{}shows [sinks.s31]", sinks(32)));
    check(&format!("{}refuses there are 33 sinks; at most 32 are possible", sinks(33)));
}

#[test]
fn a_password_is_in_a_file_or_in_the_environment() {
    check(&format!(
        "{POSTGRES}env ONRUSH_SINKS__SHOP__PASSWORD=hunter2\nshows # password: from ONRUSH_SINKS__SHOP__PASSWORD\nhides hunter2"
    ));
    check(&format!(
        "{POSTGRES}password hunter2\\n\nfile password_file = \"{{password}}\"\nshows password_file = \"/\nhides hunter2"
    ));
    check(&format!(
        "{POSTGRES}password hunter2\nenv ONRUSH_SINKS__SHOP__PASSWORD_FILE={{password}}\nshows password_file = \"/\nhides hunter2"
    ));
    check(&format!("{POSTGRES}env ONRUSH_SINKS__SHOP__PASSWORD=\nshows # password_file is not set"));
    check(&format!(
        "{POSTGRES}password hunter2\nfile password_file = \"{{password}}\"\nenv ONRUSH_SINKS__SHOP__PASSWORD=hunter3
         refuses ONRUSH_SINKS__SHOP__PASSWORD in the environment says the password as well
         hides hunter"
    ));
    check(&format!(
        "{POSTGRES}file password = \"hunter2\"
         refuses sinks.shop.password (from /
         refuses name that as password_file, or set ONRUSH_SINKS__SHOP__PASSWORD in the environment
         hides hunter2"
    ));
    check(&format!(
        "{POSTGRES}file password_file = \"/nowhere/pg\"\nrefuses /nowhere/pg: read the password: No such file"
    ));
    check(&format!(
        "{POSTGRES}password \\n\nfile password_file = \"{{password}}\"\nrefuses there is no password in it"
    ));
    check(&format!(
        "{POSTGRES}password {}\nfile password_file = \"{{password}}\"\nrefuses a password must be at most 4096 bytes\nhides hunter",
        "hunter".repeat(1_000)
    ));
    check("file [sinks.shop]\nfile password = \"hunter2\nrefuses is not TOML: line 2: \nhides hunter2");
}

#[test]
fn a_password_in_a_url_is_refused() {
    for (kind, key, url) in [
        ("postgres", "url", "postgresql://onrush:hunter2@db/shop"),
        ("postgres", "url", "postgresql://onrush:hunter2/x@db/shop"),
        ("postgres", "url", "postgresql://onrush@db/shop?password=hunter2"),
        ("postgres", "url", "host=db user=onrush Password = 'hunter2'"),
        ("postgres", "replica_url", "postgresql://onrush:hunter2@replica/shop"),
        ("rabbitmq", "url", "amqp://onrush:hunter2@127.0.0.1:5672/vhost"),
        ("redis", "url", "redis://:hunter2@127.0.0.1:6379/0"),
        ("redis", "url", "unix:///run/redis?pass=hunter2"),
    ] {
        let good = if key == "url" { "" } else { "file url = \"postgresql://db\"" };
        check(&format!(
            "file [sinks.s]\nfile kind = \"{kind}\"\n{good}\nfile {key} = \"{url}\"
             refuses sinks.s.{key} (from /
             refuses a password must not be in a URL: put it into a file and name that as password_file, or set ONRUSH_SINKS__S__PASSWORD
             hides hunter2"
        ));
    }
}

#[test]
fn sinks_do_not_share_a_place() {
    check(&format!(
        "{POSTGRES}{}refuses sinks.stock.schema: the sink shop has the same; each needs a schema of its own",
        POSTGRES.replace("sinks.shop", "sinks.stock")
    ));
    check(&format!(
        "{POSTGRES}{}file schema = \"b\"\nshows schema = \"b\"",
        POSTGRES.replace("sinks.shop", "sinks.stock")
    ));
    check(&format!("{REDIS}{}refuses each needs a stream of its own", REDIS.replace("sinks.s]", "sinks.t]")));
    check(&format!("{RABBITMQ}{}shows [sinks.nq]", RABBITMQ.replace("sinks.mq", "sinks.nq")));
    let replica = "file replica_url = \"postgresql://replica\"\n";
    check(&format!(
        "{POSTGRES}{replica}{}file schema = \"b\"\n{replica}refuses sinks.stock.replica_url: the sink shop has one already",
        POSTGRES.replace("sinks.shop", "sinks.stock")
    ));
}

#[cfg(not(feature = "kafka"))]
#[test]
fn kafka_has_to_be_built_in() {
    check(
        "env ONRUSH_SINKS__K__KIND=kafka
         env ONRUSH_SINKS__K__BROKERS=127.0.0.1:9092
         refuses sinks.k.kind (from ONRUSH_SINKS__K__KIND): this onrush was built without Kafka: cargo build --release --features kafka",
    );
}

#[cfg(feature = "kafka")]
#[test]
fn what_was_typed_reaches_kafka() {
    let mut properties = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut properties, b"security.protocol=sasl_plaintext\n").unwrap();
    let path = properties.path().to_str().unwrap();
    let typed = [
        ("K__KIND", "kafka"),
        ("K__BROKERS", "127.0.0.1:9092"),
        ("K__TOPIC", "a.{kind}"),
        ("K__FORM", "order"),
        ("K__USERNAME", "ann"),
        ("K__PASSWORD", "hunter2"),
        ("K__PROPERTIES_FILE", path),
    ];
    let [Sink { target: TargetSettings::Kafka(kafka), .. }] = &loaded(&typed)[..] else { panic!("one sink") };
    assert_eq!(
        (kafka.cluster.brokers.as_str(), kafka.topic.as_str(), kafka.message_format),
        ("127.0.0.1:9092", "a.{kind}", MessageFormat::Order)
    );
    assert_eq!(kafka.cluster.username.as_deref(), Some("ann"));
    assert_eq!(kafka.cluster.password.as_ref().map(Secret::reveal), Some(Ok("hunter2".into())));
    assert_eq!(kafka.cluster.properties_file.as_deref(), Some(properties.path()));
    check("env ONRUSH_SINKS__K__KIND=kafka\nrefuses sinks.k.brokers: a sink of kind kafka needs it");
}

#[test]
fn what_was_typed_reaches_every_sink() {
    let sinks = loaded(&[
        ("PG__KIND", "postgres"),
        ("PG__URL", "postgresql://onrush@db/shop"),
        ("PG__PASSWORD", " hunter2"),
        ("PG__SCHEMA", "s"),
        ("PG__ROWS", "visit"),
        ("PG__TLS", "off"),
        ("PG__TLS_CA_FILE", ""),
        ("PG__REPLICA_URL", "postgresql://replica/shop"),
        ("PG__EVENTS", "window,reservation.expired"),
        ("PG__SALES", "flash"),
        ("PG__AT_BACKLOG_MAX", "let-go"),
        ("PG__EVENTS_PER_SECOND_MAX", "500"),
        ("MQ__KIND", "rabbitmq"),
        ("MQ__URL", "amqp://onrush@127.0.0.1"),
        ("MQ__EXCHANGE", ""),
        ("MQ__QUEUE", "q"),
        ("MQ__QUEUE_TYPE", "classic"),
        ("MQ__FORM", "booking"),
        ("RE__KIND", "redis"),
        ("RE__URL", "redis://127.0.0.1"),
        ("RE__STREAM", "r"),
        ("RE__LENGTH_MAX", "9"),
    ]);
    let names: Vec<_> = sinks.iter().map(|sink| sink.node.name.as_str()).collect();
    assert_eq!(names, ["mq", "pg", "re"]);
    let [mq, pg, re] = &sinks[..] else { panic!("three sinks") };

    let (
        TargetSettings::RabbitMq(rabbitmq),
        TargetSettings::Postgres(postgres),
        TargetSettings::Redis(redis),
    ) = (&mq.target, &pg.target, &re.target)
    else {
        panic!("each has its kind")
    };
    assert_eq!((rabbitmq.exchange.as_str(), rabbitmq.queue.as_str()), ("", "q"));
    assert_eq!((rabbitmq.queue_type, rabbitmq.message_format), (QueueType::Classic, MessageFormat::Booking));
    assert_eq!((redis.stream.as_str(), redis.length_max, redis.password.is_none()), ("r", 9, true));
    assert_eq!(postgres.url, "postgresql://onrush@db/shop");
    assert_eq!(postgres.password.as_ref().map(Secret::reveal), Some(Ok(" hunter2".into())));
    assert_eq!((postgres.schema.as_str(), postgres.rows, postgres.tls.mode), ("s", Rows::Visit, Tls::Off));
    assert_eq!(
        (&postgres.tls.ca_file, postgres.replica_url.as_deref()),
        (&None, Some("postgresql://replica/shop"))
    );

    let kinds = [EventKind::WindowPut, EventKind::WindowHit, EventKind::Expired];
    assert_eq!(pg.node.selection.kinds, Some(BTreeSet::from(kinds)));
    assert_eq!(pg.node.selection.sales, Some(BTreeSet::from(["flash".to_owned()])));
    assert_eq!((pg.node.at_backlog_max, pg.node.backlog_bytes_max), (AtBacklogMax::LetGo, 16 << 30));
    assert_eq!(pg.node.events_per_second_max.map(u32::from), Some(500));
    assert_eq!(mq.node.events_per_second_max, None);
    assert_eq!((&mq.node.selection.kinds, mq.node.at_backlog_max), (&None, AtBacklogMax::Keep));
}
