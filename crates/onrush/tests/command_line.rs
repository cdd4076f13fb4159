//! The command line of the real binary: what it prints, where, and with which exit code.

use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_onrush");

/// What one run of the binary must do.
struct Expectation {
    /// Words of the command line; `NAME=VALUE` words before the first other word go into the environment.
    typed: &'static str,
    code: i32,
    /// Parts of standard output and of standard error.
    output: &'static [&'static str],
    errors: &'static [&'static str],
}

fn run(typed: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.env_clear().stdin(Stdio::null());
    let mut arguments_begun = false;
    for word in typed.split_whitespace() {
        match word.split_once('=') {
            Some((name, value)) if !arguments_begun => {
                command.env(name, value);
            }
            _ => {
                arguments_begun = true;
                command.arg(word);
            }
        }
    }
    command.output().expect("start the binary")
}

#[track_caller]
fn check(expectation: &Expectation) {
    let Expectation { typed, code, output, errors } = expectation;
    let outcome = run(typed);
    let stdout = String::from_utf8(outcome.stdout).expect("standard output is text");
    let stderr = String::from_utf8(outcome.stderr).expect("standard error is text");
    let seen =
        format!("onrush {typed}\nstatus {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", outcome.status);
    assert_eq!(outcome.status.code(), Some(*code), "{seen}");
    for part in *output {
        assert!(stdout.contains(part), "no {part:?} on standard output of {seen}");
    }
    for part in *errors {
        assert!(stderr.contains(part), "no {part:?} on standard error of {seen}");
    }
    if *code == 0 {
        assert!(stderr.is_empty(), "something on standard error of {seen}");
    }
}

#[test]
fn help_and_version() {
    for typed in ["--help", "-h", "help"] {
        check(&Expectation {
            typed,
            code: 0,
            output: &[
                "serve",
                "config",
                "log",
                "sinks",
                "reconcile",
                "completions",
                "Exit codes:",
                "3    another process has the data",
                "5    `reconcile` found that a target differs",
                "6    `reconcile` found that a target agrees so far",
            ],
            errors: &[],
        });
    }
    check(&Expectation {
        typed: "serve --help",
        code: 0,
        output: &[
            "--listen <ADDR>",
            "--operator-listen <ADDR>",
            "--data <DIR>",
            "--config <FILE>",
            "--demo",
            "--persistence-timeframe <DURATION>",
            "--precision <DURATION>",
            "[default: 127.0.0.1:8080]",
            "[default: ./onrush-data]",
            "onrush serve --demo",
            "Exit codes:",
        ],
        errors: &[],
    });
    check(&Expectation {
        typed: "--version",
        code: 0,
        output: &[concat!("onrush ", env!("CARGO_PKG_VERSION"), "\n")],
        errors: &[],
    });
}

#[test]
fn wrong_usage_is_2() {
    for (typed, part) in [
        ("", "Usage: onrush <COMMAND>"),
        ("sreve", "similar subcommand exists: 'serve'"),
        ("serve --lisen 127.0.0.1:1", "similar argument exists: '--listen'"),
        ("serve surplus", "unexpected argument 'surplus'"),
        ("config", "Usage: onrush config <COMMAND>"),
        ("log verify", "<DIR>"),
        ("completions tcsh", "possible values: bash"),
        ("sinks skip", "<NAME>"),
        ("sinks skip shop", "<OFFSET>"),
        ("sinks skip shop x", "invalid value 'x'"),
        ("sinks retry a/b", "a sink's name must be 1 to 32 of a-z 0-9 _ -"),
        ("reconcile", "<NAME>"),
    ] {
        let errors = &[part];
        let outcome = run(typed);
        assert_eq!(outcome.status.code(), Some(2), "onrush {typed}");
        assert!(String::from_utf8_lossy(&outcome.stderr).contains(part), "onrush {typed}: no {errors:?}");
    }
}

#[test]
fn wrong_settings_are_2_for_serve_and_for_config() {
    for action in ["serve", "config check", "config print"] {
        for (typed, part) in [
            (
                format!("{action} --listen nowhere"),
                "server.listen = \"nowhere\" (from --listen): must be IP:PORT",
            ),
            (format!("ONRUSH_SERVER__THREADS=2000 {action}"), "must be 0 to 1024"),
            (format!("ONRUSH_SEVER__THREADS=2 {action}"), "unknown setting ONRUSH_SEVER__THREADS"),
            (format!("{action} --config /nowhere.toml"), "read the settings file /nowhere.toml"),
            (format!("{action} --operator-listen 0.0.0.0:1"), "needs operator.key_file"),
        ] {
            let outcome = run(&typed);
            let stderr = String::from_utf8_lossy(&outcome.stderr);
            assert_eq!(outcome.status.code(), Some(2), "onrush {typed}: {stderr}");
            assert!(
                stderr.starts_with("onrush: wrong settings\n") && stderr.contains(part),
                "onrush {typed}: {stderr}"
            );
            assert!(outcome.stdout.is_empty(), "onrush {typed}");
        }
    }
}

#[test]
fn config_checks_and_prints() {
    check(&Expectation {
        typed: "config check",
        code: 0,
        output: &["the settings are valid\n"],
        errors: &[],
    });
    check(&Expectation {
        typed: "ONRUSH_LOG__SYNC=direct config print --listen 127.0.0.1:9",
        code: 0,
        output: &[
            "[server]\n",
            "listen = \"127.0.0.1:9\"  # --listen\n",
            "sync = \"direct\"  # ONRUSH_LOG__SYNC\n",
            "precision = \"100ms\"\n",
        ],
        errors: &[],
    });
}

/// A server without a peer: nothing listens on a port that was free a moment ago.
fn unused_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    listener.local_addr().expect("a listener has an address").to_string()
}

#[test]
fn sinks_are_settings_too() {
    const SINK: &str = "ONRUSH_SINKS__S__KIND=redis ONRUSH_SINKS__S__URL=redis://127.0.0.1 ONRUSH_SINKS__S__PASSWORD=hunter2";
    let outcome = run(&format!("{SINK} config print"));
    let printed = String::from_utf8_lossy(&outcome.stdout);
    assert!(printed.contains("\n[sinks.s]\nkind = \"redis\"  # ONRUSH_SINKS__S__KIND\n"), "{printed}");
    assert!(printed.contains("\n# password: from ONRUSH_SINKS__S__PASSWORD\n"), "{printed}");
    assert!(outcome.status.success() && !printed.contains("hunter2"), "{printed}");
    for (typed, part) in [
        (format!("{SINK} ONRUSH_SINKS__S__SCHEMA=x serve"), "a sink of kind redis has no such key"),
        (
            "ONRUSH_SINKS__S__URL=redis://:hunter2@127.0.0.1 ONRUSH_SINKS__S__KIND=redis serve".into(),
            "a password must not be in a URL",
        ),
        (format!("{SINK} reconcile other"), "the settings have no sink other (there are s)"),
        ("reconcile shop".into(), "the settings have no sink shop (there are none)"),
    ] {
        let outcome = run(&typed);
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(outcome.status.code(), Some(2), "onrush {typed}: {stderr}");
        assert!(stderr.contains(part) && !stderr.contains("hunter2"), "onrush {typed}: {stderr}");
    }
}

/// The settings that `compose/` mounts, with other paths for its secrets.
#[cfg(feature = "kafka")]
#[test]
fn the_settings_of_compose_are_valid() {
    let secrets = tempfile::tempdir().expect("make a directory");
    for name in ["operator-key", "postgres-password", "rabbitmq-password", "redis-password"] {
        std::fs::write(secrets.path().join(name), "0123456789abcdef0123456789abcdef\n")
            .expect("write a secret");
        // In a container they are on a mount that is read-only, and belong to nobody else there.
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(secrets.path().join(name), owner_only).expect("close the secret");
    }
    let compose = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/onrush.toml");
    let settings = std::fs::read_to_string(compose).expect("read the settings");
    std::fs::write(secrets.path().join("postgres-ca.pem"), include_str!("ca.pem"))
        .expect("write a certificate");
    let there = settings.replace("/run/secrets", &secrets.path().display().to_string());
    assert_ne!(there, settings);
    let file = secrets.path().join("onrush.toml");
    std::fs::write(&file, there).expect("write the settings");
    let outcome = run(&format!("config check --config {}", file.display()));
    assert_eq!(String::from_utf8_lossy(&outcome.stderr), "");
    assert_eq!(String::from_utf8_lossy(&outcome.stdout), "the settings are valid\n");
}

#[test]
fn without_a_server_there_is_nobody_to_ask() {
    let address = unused_address();
    for words in ["sinks", "sinks --json", "sinks retry shop", "sinks skip shop 7"] {
        let typed = format!("{words} --operator-listen {address}");
        let outcome = run(&typed);
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(outcome.status.code(), Some(1), "onrush {typed}: {stderr}");
        assert!(stderr.contains(&format!("nothing listens on {address}")), "onrush {typed}: {stderr}");
    }
    let outcome = run("sinks --operator-listen 127.0.0.1:0");
    assert_eq!(outcome.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("name it with --operator-listen"));
}

#[test]
fn without_a_log_there_is_nothing_to_reconcile() {
    let outcome = run(
        "ONRUSH_SINKS__S__KIND=redis ONRUSH_SINKS__S__URL=redis://127.0.0.1 reconcile s --data /nowhere/onrush",
    );
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(1), "{stderr}");
    let part = "read the log (--data names its directory): open the directory /nowhere/onrush: No such file";
    assert!(stderr.contains(part), "{stderr}");
}

#[test]
fn completions_of_every_shell() {
    for (shell, part) in [
        ("bash", "_onrush()"),
        ("zsh", "#compdef onrush"),
        ("fish", "complete -c onrush"),
        ("elvish", "edit:completion:arg-completer[onrush]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let outcome = run(&format!("completions {shell}"));
        let script = String::from_utf8_lossy(&outcome.stdout);
        assert!(outcome.status.success() && script.contains(part), "{shell}: {script}");
        assert!(script.contains("persistence-timeframe"), "{shell} completes the flags of serve");
    }
}

#[test]
fn a_reader_that_leaves_early_is_not_a_failure() {
    let (reader, writer) = std::io::pipe().expect("open a pipe");
    drop(reader);
    let outcome = Command::new(BINARY)
        .args(["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("start the binary");
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}
