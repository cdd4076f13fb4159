//! Scripts of what is typed where, and what it then means or what is wrong with it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use clap::Parser;
use onrush_log::file::{LogSettings, SyncMethod};

use super::{Flags, LoggingFormat, Settings, load, print};
use crate::cli::{Action, CommandLine, ConfigAction};

/// Runs one script. `file LINE` adds a line to the settings file, `key TEXT` writes the operator's key file and names it,
/// `password TEXT` writes a file whose path is `{password}` in the lines behind it (`\n` ends a line), `env NAME=VALUE` and
/// `flags …` type the rest; `shows LINE` expects a line of the printed settings, `refuses TEXT` a part of the problems, and
/// `hides TEXT` that neither says it. A script that refuses nothing must be valid.
#[track_caller]
pub(super) fn check(script: &str) {
    let directory = tempfile::tempdir().expect("make a directory");
    let file_path = directory.path().join("onrush.toml");
    let key_path = directory.path().join("key");
    let (mut file, mut environment, mut arguments) = (String::new(), Vec::new(), Vec::new());
    let (mut shown, mut refused, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
    let password_path = directory.path().join("password");
    let password_path_text = password_path.to_str().expect("a temporary path is text");
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "file" => file.extend([&rest.replace("{password}", password_path_text), "\n"]),
            "password" => {
                std::fs::write(&password_path, rest.replace("\\n", "\n")).expect("write the password");
            }
            "key" => {
                std::fs::write(&key_path, rest).expect("write the key");
                let path = key_path.to_str().expect("a temporary path is text");
                environment.push(("ONRUSH_OPERATOR__KEY_FILE".to_owned(), path.to_owned()));
            }
            "env" => {
                let (name, value) = rest.split_once('=').expect("env NAME=VALUE");
                environment.push((name.to_owned(), value.replace("{password}", password_path_text)));
            }
            "flags" => arguments.extend(rest.split(' ').map(str::to_owned)),
            "shows" => shown.push(rest),
            "refuses" => refused.push(rest),
            "hides" => hidden.push(rest),
            _ => panic!("not a line of a script: {line}"),
        }
    }
    let mut flags = flags(&arguments);
    if !file.is_empty() {
        std::fs::write(&file_path, file).expect("write the file");
        flags.config = Some(file_path);
    }
    let loaded = load(&flags, environment.clone().into_iter());
    let printed = print(&flags, environment.into_iter());
    let said = printed.as_ref().map_or_else(ToString::to_string, Clone::clone);
    for text in hidden {
        assert!(!said.contains(text), "{script}\nsays {text}:\n{said}");
    }
    match printed {
        Ok(text) => {
            assert!(loaded.is_ok() && refused.is_empty(), "{script}\nwas accepted:\n{text}");
            for line in shown {
                assert!(
                    text.lines().any(|one| one.starts_with(line)),
                    "{script}\nno line {line} in:\n{text}"
                );
            }
        }
        Err(error) => {
            assert!(loaded.is_err() && !refused.is_empty(), "{script}\nwas refused:\n{error}");
            for text in refused {
                assert!(error.to_string().contains(text), "{script}\nno {text} in:\n{error}");
            }
        }
    }
}

fn flags(arguments: &[String]) -> Flags {
    let typed = ["onrush", "config", "check"].into_iter().map(str::to_owned).chain(arguments.iter().cloned());
    match CommandLine::try_parse_from(typed).expect("the flags are known").action {
        Action::Config(ConfigAction::Check(typed)) => typed.into(),
        other => panic!("config check was taken for {other:?}"),
    }
}

#[test]
fn later_layers_win() {
    check(r#"shows listen = "127.0.0.1:8080""#);
    check(
        r#"file [server]
           file listen = "127.0.0.1:1"
           file threads = 3
           shows listen = "127.0.0.1:1"  # /
           shows threads = 3  # /"#,
    );
    check(
        r#"file [server]
           file listen = "127.0.0.1:1"
           env ONRUSH_SERVER__LISTEN=127.0.0.1:2
           shows listen = "127.0.0.1:2"  # ONRUSH_SERVER__LISTEN"#,
    );
    check(
        r#"file [server]
           file listen = "127.0.0.1:1"
           env ONRUSH_SERVER__LISTEN=127.0.0.1:2
           flags --listen 127.0.0.1:3
           shows listen = "127.0.0.1:3"  # --listen"#,
    );
    check(
        r#"env ONRUSH_OPERATOR__LISTEN=127.0.0.1:2
           flags --operator-listen [::1]:4 --data /tmp/x --persistence-timeframe 1m30s --precision 1s
           shows listen = "[::1]:4"  # --operator-listen
           shows directory = "/tmp/x"  # --data
           shows persistence_timeframe = "1m30s"  # --persistence-timeframe
           shows precision = "1s"  # --precision"#,
    );
    check(
        "file [scenarios]
         file slot_booking = false
         flags --demo
         shows slot_booking = true  # --demo
         shows visitor_counter = true  # --demo
         shows flash_sale = true  # --demo
         shows accounts = true  # --demo
         shows request_window = true  # --demo",
    );
}

#[test]
fn the_environment_is_read_by_the_kind_of_the_setting() {
    check(
        r#"env ONRUSH_LOG__DIRECTORY=7
           env ONRUSH_SERVER__THREADS=7
           env ONRUSH_SCENARIOS__VISITOR_COUNTER=true
           env UNRELATED=1
           shows directory = "7"
           shows threads = 7
           shows visitor_counter = true"#,
    );
    check(
        "env onrush_server__threads=7
         shows threads = 0",
    );
    check(
        "env ONRUSH_SERVER__THREADS=many
         refuses server.threads (from ONRUSH_SERVER__THREADS) must be a whole number, not string \"many\"",
    );
    check(
        "env ONRUSH_SCENARIOS__VISITOR_COUNTER=yes
         refuses scenarios.visitor_counter (from ONRUSH_SCENARIOS__VISITOR_COUNTER) must be true or false",
    );
}

#[test]
fn an_unknown_key_is_named() {
    check("env ONRUSH_SERVER__LISTN=127.0.0.1:1\nrefuses unknown setting ONRUSH_SERVER__LISTN");
    check("env ONRUSH_SERVERS__LISTEN=127.0.0.1:1\nrefuses unknown setting ONRUSH_SERVERS__LISTEN");
    check("env ONRUSH_PORT=8080\nrefuses unknown setting ONRUSH_PORT");
    check("env ONRUSH_SERVER=8080\nrefuses unknown setting ONRUSH_SERVER ");
    check("env ONRUSH_SERVER__LISTEN__X=8080\nrefuses unknown setting ONRUSH_SERVER__LISTEN__X");
    check("env ONRUSH_=8080\nrefuses unknown setting ONRUSH_ ");
    check("file [server]\nfile listn = 1\nrefuses unknown key server.listn (known are body_timeout_ms, ");
    check(
        "file [servers]\nfile listen = 1\nrefuses unknown key servers (the sections are catalog, cluster, gate, limits, log, ",
    );
    check("file listen = 1\nrefuses unknown key listen (the sections are ");
    check("file server = 1\nrefuses server is a section: write [server]");
    check("file [default.server]\nfile listen = 1\nrefuses unknown key default");
    check(
        "file [server]
         file listn = 1
         env ONRUSH_FOO=1
         refuses unknown key server.listn
         refuses unknown setting ONRUSH_FOO",
    );
    check(
        "file [server]
         file listn = 1
         file threads = 1.5
         file connections_max = 0
         file header_timeout_ms = 2001-01-01
         file [log]
         file sync = 7
         file segment_bytes = 1048577
         file [sinks.a]
         file kind = 'redis'
         env ONRUSH_FOO=1
         env ONRUSH_SERVER__IDLE_TIMEOUT_MS=soon
         env ONRUSH_LOGGING__LEVEL=loud
         refuses unknown key server.listn
         refuses server.threads (from /
         refuses server.connections_max = 0
         refuses server.header_timeout_ms (from /
         refuses log.sync (from /
         refuses log.segment_bytes = 1048577
         refuses sinks.a.url
         refuses unknown setting ONRUSH_FOO
         refuses server.idle_timeout_ms (from ONRUSH_SERVER__IDLE_TIMEOUT_MS) must be a whole number
         refuses logging.level = \"loud\"",
    );
    check(
        "flags --config /nowhere/onrush.toml
         env ONRUSH_SERVER__THREADS=many
         refuses read the settings file /nowhere/onrush.toml
         refuses server.threads (from ONRUSH_SERVER__THREADS) must be a whole number",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    check(
        "flags --config /nowhere/onrush.toml\nrefuses read the settings file /nowhere/onrush.toml: No such file",
    );
    check("file [server\nrefuses onrush.toml is not TOML: line 1: ");
    check("file [server]\nfile threads = \"4\"\nrefuses must be a whole number, not string \"4\"");
    check("file [server]\nfile threads = 1.5\nrefuses must be a whole number, not float `1.5`");
    check("file [server]\nfile listen = 8080\nrefuses must be text in quotes, not 8080");
}

#[test]
fn every_number_has_a_range() {
    for (key, least, most) in [
        ("server.threads", 0, 1_024),
        ("server.connections_max", 1, 1_000_000),
        ("server.header_timeout_ms", 1, 3_600_000),
        ("server.body_timeout_ms", 1, 3_600_000),
        ("server.idle_timeout_ms", 1, 3_600_000),
        ("server.write_timeout_ms", 1, 3_600_000),
        ("server.drain_timeout_ms", 0, 3_600_000),
        ("log.segment_bytes", 1 << 20, 4 << 30),
        ("log.snapshot_bytes", 1 << 20, 1 << 40),
        ("limits.counters_max", 0, 2_000_000_000),
        ("limits.windows_max", 0, 2_000_000_000),
        ("limits.sales_max", 0, 2_000_000_000),
        ("limits.stocks_max", 0, 2_000_000_000),
        ("limits.reservations_max", 0, 2_000_000_000),
        ("limits.details_bytes_max", 0, 1 << 40),
        ("limits.denials_max", 0, 2_000_000_000),
        ("limits.accounts_max", 0, 2_000_000_000),
        ("limits.state_bytes_max", 0, 1 << 44),
        ("gate.limit_keys_max", 1, 100_000_000),
    ] {
        let variable = format!("ONRUSH_{}", key.to_uppercase().replace('.', "__"));
        for good in [least, most] {
            let name = key.rsplit('.').next().expect("a key has a last part");
            check(&format!("env {variable}={good}\nshows {name} = {good}"));
        }
        for bad in [least - 1, most + 1, i64::MIN, i64::MAX] {
            check(&format!(
                "env {variable}={bad}\nrefuses {key} = {bad} (from {variable}): must be {least} to {most}"
            ));
        }
    }
}

#[test]
fn every_problem_is_told_at_once() {
    check(
        "env ONRUSH_SERVER__THREADS=-1
         env ONRUSH_SERVER__LISTEN=nowhere
         env ONRUSH_LOG__SYNC=none
         env ONRUSH_LOGGING__LEVEL=
         refuses server.threads = -1 (from ONRUSH_SERVER__THREADS): must be 0 to 1024
         refuses server.listen = \"nowhere\" (from ONRUSH_SERVER__LISTEN): must be IP:PORT
         refuses log.sync = \"none\" (from ONRUSH_LOG__SYNC): must be one of \"fdatasync\", \"direct\", \"unsafe-none\"
         refuses logging.level = \"\" (from ONRUSH_LOGGING__LEVEL): must be error, warn,",
    );
}

#[test]
fn texts_are_checked() {
    check("env ONRUSH_LOG__SYNC=direct\nshows sync = \"direct\"");
    check("env ONRUSH_LOG__SYNC=unsafe-none\nshows sync = \"unsafe-none\"");
    check("env ONRUSH_LOG__DIRECTORY=\nrefuses log.directory = \"\"");
    check("env ONRUSH_LOGGING__FORMAT=json\nshows format = \"json\"");
    check("env ONRUSH_LOGGING__FORMAT=xml\nrefuses logging.format = \"xml\"");
    check("env ONRUSH_LOGGING__LEVEL=info,onrush_node=debug\nshows level = \"info,onrush_node=debug\"");
    check("env ONRUSH_LOGGING__LEVEL=WARN\nshows level = \"WARN\"");
    for wrong in ["warning", "verbose", "info,verbose", "onrush_node", "info,onrush_node"] {
        let rule = "must be error, warn, info, debug, trace or off";
        check(&format!("env ONRUSH_LOGGING__LEVEL={wrong}\nrefuses logging.level = \"{wrong}\""));
        check(&format!("env ONRUSH_LOGGING__LEVEL={wrong}\nrefuses {rule}"));
    }
    check("env ONRUSH_LOG__SEGMENT_BYTES=1048577\nrefuses log.segment_bytes = 1048577");
    check("env ONRUSH_LOG__SEGMENT_BYTES=1048577\nrefuses is not a multiple of 4096");
    check("env ONRUSH_LOGGING__LEVEL=onrush_node=loud\nrefuses logging.level = \"onrush_node=loud\"");
    check("flags --listen localhost:8080\nrefuses server.listen = \"localhost:8080\" (from --listen)");
    check("flags --listen :8080\nrefuses must be IP:PORT");
    check("flags --listen 127.0.0.1:65536\nrefuses must be IP:PORT");
    check("flags --listen 127.0.0.1:0\nshows listen = \"127.0.0.1:0\"");
}

#[test]
fn an_operator_address_beyond_loopback_needs_a_key() {
    const NEEDS_KEY: &str =
        "refuses an operator address that other machines can reach needs operator.key_file";
    for address in ["0.0.0.0:1", "192.168.0.1:1", "[::]:1", "[::ffff:10.0.0.1]:1"] {
        check(&format!("flags --operator-listen {address}\n{NEEDS_KEY}"));
        check(&format!(
            "flags --operator-listen {address}\nkey 0123456789abcdef\nshows listen = \"{address}\""
        ));
    }
    for address in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        check(&format!("flags --operator-listen {address}\nshows listen = \"{address}\""));
    }
    check("key short\nrefuses the key in it must be 16 to 256 printable ASCII characters");
    check("key 0123456789 abcdef\nrefuses the key in it must be 16 to 256 printable ASCII characters");
    check("key 0123456789äbcdefg\nrefuses the key in it must be 16 to 256 printable ASCII characters");
    check(&format!("key {}\nrefuses must be 16 to 256", "k".repeat(257)));
    check("env ONRUSH_OPERATOR__KEY_FILE=/nowhere/key\nrefuses read the key: No such file");
}

#[test]
fn two_listeners_have_two_addresses() {
    for (public, operator) in
        [("127.0.0.1:9", "127.0.0.1:9"), ("0.0.0.0:9", "127.0.0.1:9"), ("[::]:9", "[::1]:9")]
    {
        let flags = format!("flags --listen {public} --operator-listen {operator}");
        check(&format!("{flags}\nrefuses server.listen has this address already"));
    }
    check("flags --listen 127.0.0.1:0 --operator-listen 127.0.0.1:0\nshows listen = \"127.0.0.1:0\"");
    check("flags --listen 127.0.0.2:9 --operator-listen 127.0.0.1:9\nshows listen = \"127.0.0.2:9\"");
}

#[test]
fn a_secret_is_its_owners() {
    let directory = tempfile::tempdir().expect("make a directory");
    let path = directory.path().join("key");
    std::fs::write(&path, "0123456789abcdef\n").expect("write the key");
    let name = path.to_str().expect("a temporary path is text");
    let read = |mode: u32| {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set the mode");
        let environment = [
            ("ONRUSH_OPERATOR__KEY_FILE", name),
            ("ONRUSH_SINKS__A__KIND", "redis"),
            ("ONRUSH_SINKS__A__URL", "redis://127.0.0.1"),
            ("ONRUSH_SINKS__A__PASSWORD_FILE", name),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        load(&Flags::default(), environment.into_iter())
    };
    for mode in [0o600, 0o400] {
        assert!(read(mode).expect("the settings are valid").warnings.is_empty());
    }
    for mode in [0o604, 0o644] {
        let warnings = read(mode).expect("the settings are valid").warnings;
        let keys = ["operator.key_file", "sinks.a.password_file"];
        assert_eq!(
            warnings,
            keys.map(|key| format!("{key} = {name:?}: others can read this file: chmod 600 {name:?}"))
        );
    }
    for mode in [0o620, 0o602, 0o666] {
        let error = read(mode).err().expect("others can say what the key is").to_string();
        assert!(error.contains("operator.key_file") && error.contains("chmod 600"), "{error}");
        assert!(error.contains("sinks.a.password_file"), "{error}");
    }
}

/// The keys that the server made for itself, too: whoever reads them can be any customer.
#[test]
fn session_keys_in_the_data_directory_are_secret_as_well() {
    let directory = tempfile::tempdir().expect("make a directory");
    let keys = directory.path().join("session-keys");
    std::fs::write(&keys, "").expect("write the keys");
    let read = |mode: u32| {
        std::fs::set_permissions(&keys, Permissions::from_mode(mode)).expect("set the mode");
        let directory = directory.path().to_string_lossy().into_owned();
        load(&Flags::default(), [("ONRUSH_LOG__DIRECTORY".to_owned(), directory)].into_iter())
    };
    assert!(read(0o600).expect("the settings are valid").warnings.is_empty());
    let warnings = read(0o644).expect("the settings are valid").warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("session-keys"), "{warnings:?}");
    let error = read(0o666).err().expect("others can say what the keys are").to_string();
    assert!(error.contains("gate.session_key_file") && error.contains("chmod 600"), "{error}");
}

#[test]
fn the_window_has_a_shape() {
    check("flags --persistence-timeframe 24h --precision 8640ms\nshows precision = \"8640ms\"");
    check("flags --persistence-timeframe 1ms --precision 1ms\nshows precision = \"1ms\"");
    check("flags --persistence-timeframe 10s --precision 1ms\nshows precision = \"1ms\"");
    check(
        "flags --persistence-timeframe 10001ms --precision 1ms\nrefuses may be at most 10000 times the precision",
    );
    check("flags --persistence-timeframe 24h1ms\nrefuses request_window.persistence_timeframe = \"24h1ms\"");
    check("flags --persistence-timeframe 0s\nrefuses must be 1ms to 24h");
    check("flags --persistence-timeframe 60\nrefuses is not a duration");
    check("flags --persistence-timeframe 99999h\nrefuses must be 1ms to 24h");
    check(
        "flags --precision 61s\nrefuses request_window.precision = \"61s\" (from --precision): must be 1ms to the",
    );
    check("flags --precision 0s\nrefuses must be 1ms to the timeframe, 60000ms");
    check("flags --precision 1us\nrefuses is not a whole number of milliseconds");
}

#[test]
fn printed_settings_mean_the_same_again() {
    let flags = Flags { data: Some("a \"quoted\\path\"\tß".to_owned()), demo: true, ..Flags::default() };
    let environment = [("ONRUSH_SERVER__THREADS".to_owned(), "5".to_owned())];
    let printed = print(&flags, environment.into_iter()).expect("the settings are valid");
    let directory = tempfile::tempdir().expect("make a directory");
    let path = directory.path().join("onrush.toml");
    std::fs::write(&path, &printed).expect("write the file");
    let again = Flags { config: Some(path), ..Flags::default() };
    let reprinted = print(&again, std::iter::empty()).expect("printed settings are valid");
    let bare = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap_or(line).to_owned()).collect()
    };
    assert_eq!(bare(&printed), bare(&reprinted));
}

#[test]
fn what_was_typed_reaches_the_parts() {
    let directory = tempfile::tempdir().expect("make a directory");
    let path = directory.path().join("key");
    std::fs::write(&path, "0123456789abcdef\n").expect("write the key");
    let environment = [
        ("ONRUSH_OPERATOR__KEY_FILE", path.to_str().expect("a temporary path is text")),
        ("ONRUSH_SERVER__THREADS", "3"),
        ("ONRUSH_SERVER__CONNECTIONS_MAX", "11"),
        ("ONRUSH_SERVER__HEADER_TIMEOUT_MS", "12"),
        ("ONRUSH_SERVER__BODY_TIMEOUT_MS", "13"),
        ("ONRUSH_SERVER__IDLE_TIMEOUT_MS", "14"),
        ("ONRUSH_SERVER__WRITE_TIMEOUT_MS", "15"),
        ("ONRUSH_SERVER__DRAIN_TIMEOUT_MS", "16"),
        ("ONRUSH_LOG__SEGMENT_BYTES", "16777216"),
        ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048577"),
        ("ONRUSH_LOG__SYNC", "direct"),
        ("ONRUSH_LIMITS__COUNTERS_MAX", "21"),
        ("ONRUSH_LIMITS__WINDOWS_MAX", "22"),
        ("ONRUSH_LIMITS__SALES_MAX", "23"),
        ("ONRUSH_LIMITS__STOCKS_MAX", "24"),
        ("ONRUSH_LIMITS__RESERVATIONS_MAX", "25"),
        ("ONRUSH_LIMITS__DETAILS_BYTES_MAX", "26"),
        ("ONRUSH_LIMITS__STATE_BYTES_MAX", "27"),
        ("ONRUSH_SCENARIOS__SLOT_BOOKING", "true"),
    ];
    let flags = Flags {
        listen: Some("0.0.0.0:1".to_owned()),
        operator_listen: Some("[::]:2".to_owned()),
        data: Some("here".to_owned()),
        persistence_timeframe: Some("31ms".to_owned()),
        precision: Some("7ms".to_owned()),
        ..Flags::default()
    };
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let Settings {
        edge,
        log,
        node,
        sinks: _,
        logging,
        demo,
        warnings: _,
        values: _,
        sessions: _,
        sourced: _,
        cluster: _,
    } = load(&flags, environment.into_iter()).expect("the settings are valid");
    assert_eq!(
        (edge.listen.to_string(), edge.operator_listen.to_string()),
        ("0.0.0.0:1".into(), "[::]:2".into())
    );
    assert_eq!(edge.operator_key.and_then(|key| key.read()).as_deref(), Some("0123456789abcdef"));
    assert_eq!((edge.threads, edge.connections_max), (3, 11));
    let timeouts =
        [edge.header_timeout, edge.body_timeout, edge.idle_timeout, edge.write_timeout, edge.drain_timeout];
    assert_eq!(timeouts.map(|timeout| timeout.as_millis()), [12, 13, 14, 15, 16]);
    let scenarios = edge.scenarios;
    assert_eq!(
        (scenarios.visitor_counter, scenarios.request_window, scenarios.slot_booking),
        (false, false, true)
    );
    assert_eq!(log.directory.to_str(), Some("here"));
    assert_eq!((log.segment_bytes, node.snapshot_bytes), (16_777_216, 1_048_577));
    assert_eq!(log.sync_method, SyncMethod::Direct);
    let limits = node.limits;
    assert_eq!((limits.counters_max, limits.windows_max, limits.sales_max), (21, 22, 23));
    assert_eq!((limits.stocks_max, limits.reservations_max), (24, 25));
    assert_eq!((limits.details_bytes_max, limits.state_bytes_max), (26, 27));
    assert_eq!((node.default_shape.span_ms, node.default_shape.precision_ms), (31, 7));
    assert_eq!((logging.format, logging.level.as_str(), demo), (LoggingFormat::Auto, "info", false));
}

#[test]
fn the_defaults_are_those_of_the_parts() {
    let Settings { log, node: settings, .. } =
        load(&Flags::default(), std::iter::empty()).expect("the defaults are valid");
    assert_eq!(log.directory.to_str(), Some("./onrush-data"));
    assert_eq!(log.segment_bytes, LogSettings::default().segment_bytes);
    assert_eq!(log.sync_method, SyncMethod::Fdatasync);
    let defaults = onrush_node::Settings::default();
    assert_eq!(settings.snapshot_bytes, defaults.snapshot_bytes);
    assert_eq!(settings.limits, defaults.limits);
    assert_eq!(settings.default_shape, defaults.default_shape);
}
