//! A server whose sink has no target: it starts all the same, keeps the events, tells an operator what is wrong, and a
//! comparison ends with its own exit code.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const BINARY: &str = env!("CARGO_BIN_EXE_onrush");

/// The words of the ready message that a test needs, and the process.
struct Server {
    child: Child,
    operator: String,
    ready: String,
}

impl Server {
    /// Starts a server whose sink `away` writes to an address where nothing listens.
    fn start(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env_clear()
            .env("ONRUSH_LOG__SEGMENT_BYTES", "16777216")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the binary");
        let mut messages = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let ready = messages
            .by_ref()
            .map(|line| line.expect("messages are text"))
            .find(|line| line.contains("\"message\":\"ready\""))
            .expect("the server becomes ready");
        // A full pipe would hold the server up.
        std::thread::spawn(move || messages.for_each(drop));
        let operator = ready.split("\"operator\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let operator = operator.expect("the message says where the operator listens").to_owned();
        Self { child, operator, ready }
    }

    fn sinks(&self, words: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new(BINARY)
            .arg("sinks")
            .args(words)
            .args(["--operator-listen", &self.operator])
            .env_clear()
            .envs(environment.iter().copied())
            .output()
            .expect("start the binary")
    }

    fn stop(mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id()).expect("a process id fits");
        kill_process(Pid::from_raw(id).expect("a process id is positive"), Signal::TERM)
            .expect("send a signal");
        self.child.wait().expect("wait for the server").code()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Nothing listens on a port that was free a moment ago.
fn unused_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    format!("redis://{}", listener.local_addr().expect("a listener has an address"))
}

#[test]
fn a_target_that_is_away_keeps_nobody_from_serving() {
    let data = tempfile::tempdir().expect("make a directory");
    let url = unused_url();
    let sink = [
        ("ONRUSH_SINKS__AWAY__KIND", "redis"),
        ("ONRUSH_SINKS__AWAY__URL", url.as_str()),
        ("ONRUSH_SINKS__AWAY__PASSWORD", "hunter2"),
    ];
    let server = Server::start(data.path(), &sink);
    assert!(server.ready.contains("\"sinks\":\"away (redis)\""), "{}", server.ready);

    // The sink says why it does not run, once it has tried.
    let table = loop {
        let outcome = server.sinks(&[], &[]);
        assert_eq!(outcome.status.code(), Some(0), "{}", text(&outcome.stderr));
        let table = text(&outcome.stdout);
        if !table.contains("starting") {
            break table;
        }
    };
    assert!(table.starts_with("SINK  KIND   STATE"), "{table}");
    assert!(
        table.contains("\naway  redis  retrying") && table.contains("\naway failed last at 2"),
        "{table}"
    );
    let json = text(&server.sinks(&["--json"], &[]).stdout);
    assert!(
        json.starts_with("{\"sinks\":[{\"sink\":\"away\",\"kind\":\"redis\",\"state\":\"retrying\","),
        "{json}"
    );

    let outcome = server.sinks(&["retry", "away"], &[]);
    assert!(
        outcome.status.success() && text(&outcome.stdout).contains("\naway  redis"),
        "{}",
        text(&outcome.stderr)
    );
    for (words, part) in [
        (&["skip", "away", "0"][..], "The sink is not stopped at that offset (409)."),
        (&["retry", "other"], "There is no such sink (404)."),
    ] {
        let outcome = server.sinks(words, &[]);
        let stderr = text(&outcome.stderr);
        assert!(outcome.status.code() == Some(1) && stderr.contains(part), "{words:?}: {stderr}");
    }

    let reconcile = || {
        let outcome = Command::new(BINARY)
            .args(["reconcile", "away", "--data"])
            .arg(data.path())
            .env_clear()
            .envs(sink)
            .output()
            .expect("start the binary");
        let stderr = text(&outcome.stderr);
        assert_eq!(outcome.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("compare the target with the log") && !stderr.contains("hunter2"),
            "{stderr}"
        );
    };
    reconcile();
    assert_eq!(server.stop(), Some(0));
    reconcile();
}

#[test]
fn sinks_are_asked_with_the_key() {
    let data = tempfile::tempdir().expect("make a directory");
    let key = data.path().join("key");
    std::fs::write(&key, "0123456789abcdef\n").expect("write the key");
    let key = [("ONRUSH_OPERATOR__KEY_FILE", key.to_str().expect("a temporary path is text"))];
    let log = data.path().join("log");
    let server = Server::start(&log, &key);
    let refused = server.sinks(&[], &[]);
    let stderr = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(1)
            && stderr.contains(&format!("{} asks for a key (401): name the file", server.operator))
            && stderr.contains("--operator-key-file"),
        "{stderr}"
    );
    let old = data.path().join("old");
    std::fs::copy(key[0].1, &old).expect("copy the key");
    let old = old.to_str().expect("a temporary path is text");
    let other = data.path().join("other");
    std::fs::write(&other, "fedcba9876543210\n").expect("write the key");
    let other = other.to_str().expect("a temporary path is text");
    let stderr = text(&server.sinks(&["--operator-key-file", other], &[]).stderr);
    assert!(stderr.contains("has another key (401)"), "{stderr}");
    let asked = server.sinks(&["--operator-key-file", key[0].1], &[]);
    assert!(
        text(&asked.stdout).ends_with(&format!("\nasked {}\n", server.operator)),
        "{}",
        text(&asked.stderr)
    );
    let asked = server.sinks(&[], &key);
    assert!(text(&asked.stdout).starts_with("the server has no sinks"), "{}", text(&asked.stderr));

    let asked_with = |key| server.sinks(&["--operator-key-file", key], &[]);
    let refused = |key| {
        let stderr = text(&asked_with(key).stderr);
        assert!(stderr.contains("(401)"), "{stderr}");
        stderr
    };
    // Another key counts from the next request on.
    std::fs::copy(other, key[0].1).expect("change the key");
    assert!(refused(old).contains("has another key"));
    assert!(asked_with(other).status.success());
    // Without a key in the file nobody is let in, whatever was in it before.
    std::fs::write(key[0].1, "").expect("empty the file");
    assert!(refused(old).contains("cannot read its operator key") && refused(other).contains("cannot read"));
    std::fs::remove_file(key[0].1).expect("remove the file");
    assert!(refused(old).contains("cannot read its operator key") && refused(other).contains("cannot read"));
    std::fs::copy(other, key[0].1).expect("put the key back");
    assert!(asked_with(other).status.success());
    assert_eq!(server.stop(), Some(0));
}
