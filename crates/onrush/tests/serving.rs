//! The running server as an operator meets it: readiness, signals, exit codes, a data directory in use, a damaged log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_onrush");

/// More messages than one server writes in a test.
const MESSAGES_MAX: usize = 10_000;

/// A server on ports of the system's choice, and what it has said so far.
struct Server {
    child: Child,
    public: String,
    operator: String,
    messages: Receiver<String>,
}

impl Server {
    fn start(data: &Path, environment: &[(&str, &str)]) -> Self {
        Self::launch(&mut serve_command(data, environment))
    }

    fn launch(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("start the binary");
        let messages = follow(child.stderr.take().expect("standard error is piped"));
        let mut seen = String::new();
        let ready = loop {
            let line = messages.recv().unwrap_or_else(|_| panic!("the server did not become ready:\n{seen}"));
            if line.contains("\"message\":\"ready\"") {
                break line;
            }
            seen.push_str(&line);
        };
        let (public, operator) = (field(&ready, "public"), field(&ready, "operator"));
        Self { child, public, operator, messages }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id fits");
        kill_process(Pid::from_raw(id).expect("a process id is positive"), signal).expect("send a signal");
    }

    /// Waits for a message; a panic if the process ends without it.
    fn wait_for(&self, part: &str) {
        while !self.messages.recv().unwrap_or_else(|_| panic!("no message {part:?}")).contains(part) {}
    }

    fn end(mut self) -> Option<i32> {
        self.child.wait().expect("wait for the server").code()
    }
}

fn serve_command(data: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env_clear()
        .env("ONRUSH_LOG__SEGMENT_BYTES", "16777216")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn follow(stderr: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(MESSAGES_MAX);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line + "\n").is_err() {
                break;
            }
        }
    });
    receiver
}

fn field(message: &str, name: &str) -> String {
    let value = message.split(&format!("\"{name}\":\"")).nth(1).and_then(|rest| rest.split('"').next());
    value.unwrap_or_else(|| panic!("no field {name} in {message}")).to_owned()
}

fn request(address: &str, head: &str) -> String {
    request_with(address, head, "")
}

fn request_with(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connect");
    let fields = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
    let length = body.len();
    write!(stream, "{head}\r\n{fields}\r\nContent-Length: {length}\r\n\r\n{body}").expect("send a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read an answer");
    answer
}

fn log_command(action: &str, data: &Path) -> Output {
    Command::new(BINARY).args(["log", action]).arg(data).env_clear().output().expect("start the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Counts a few times and stops; leaves a log of as many batches.
fn leave_a_log(data: &TempDir) {
    let server = Server::start(data.path(), &[]);
    for expected in 1..=5 {
        let answer = request(&server.public, "POST /v1/counters/visits HTTP/1.1");
        assert!(answer.contains(&format!("\"value\":{expected}")), "{answer}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
}

fn new_directory() -> TempDir {
    tempfile::tempdir().expect("make a directory")
}

/// A secret of HS256, and a token under it: of ann until the year 2100.
const JWK: &str = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
const ANN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjQxMDI0NDQ4MDB9.R8YjxZahjtN3OhO1xrP4iuFxJQ1yhYE6vDgnooVdkck";

#[test]
fn a_session_outlives_a_new_key_and_a_restart() {
    let (data, files) = (new_directory(), new_directory());
    let jwk = files.path().join("jwk");
    std::fs::write(&jwk, JWK).expect("write a key");
    let environment = [("ONRUSH_GATE__JWT_KEY_FILE", jwk.to_str().expect("a temporary path is text"))];
    let server = Server::start(data.path(), &environment);
    let begin = |server: &Server| {
        let body = format!(r#"{{"token":"{ANN}"}}"#);
        request_with(&server.public, "POST /v1/session HTTP/1.1", &body)
    };
    let cookie_of = |answer: String| {
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        cookie.split(';').next().expect("a pair").to_owned()
    };
    let earlier = cookie_of(begin(&server));
    let rotated = Command::new(BINARY)
        .args(["gate", "rotate-key", "--data"])
        .arg(data.path())
        .env_clear()
        .envs(environment)
        .output()
        .expect("start the binary");
    assert!(rotated.status.success(), "{rotated:?}");
    server.wait_for("gate.session_key_file");
    let later = cookie_of(begin(&server));
    let is_known = |server: &Server, cookie: &str| {
        let answer = request(&server.public, &format!("GET /v1/session HTTP/1.1\r\nCookie: {cookie}"));
        assert!(answer.contains(r#"{"customer":"ann","#), "{answer}");
    };
    is_known(&server, &earlier);
    is_known(&server, &later);
    // A file that is wrong changes nothing.
    std::fs::write(&jwk, "nonsense").expect("write nonsense");
    server.wait_for("gate.jwt_key_file");
    assert!(begin(&server).starts_with("HTTP/1.1 200"));
    std::fs::write(&jwk, JWK).expect("write a key");
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
    let server = Server::start(data.path(), &environment);
    is_known(&server, &earlier);
    is_known(&server, &later);
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn an_account_outlives_a_kill() {
    let data = new_directory();
    let environment = [("ONRUSH_GATE__ACCOUNTS", "true")];
    let account = |password: &str| format!(r#"{{"customer":"ann","password":"{password}"}}"#);
    let server = Server::start(data.path(), &environment);
    let answer = request_with(&server.public, "POST /v1/customers HTTP/1.1", &account("correct horse"));
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    server.signal(Signal::KILL);
    assert_eq!(server.end(), None);
    let server = Server::start(data.path(), &environment);
    for (password, status) in [("correct horse", "200"), ("correct hors", "401")] {
        let answer = request_with(&server.public, "POST /v1/session HTTP/1.1", &account(password));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn signals_drain_and_exit_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = new_directory();
        let server = Server::start(data.path(), &[]);
        for address in [&server.public, &server.operator] {
            assert!(request(address, "GET /livez HTTP/1.1").starts_with("HTTP/1.1 200 "));
            assert!(request(address, "GET /readyz HTTP/1.1").starts_with("HTTP/1.1 200 "));
        }
        server.signal(signal);
        server.wait_for("\"message\":\"draining\"");
        server.wait_for("\"message\":\"stopped\"");
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn what_was_counted_is_there_again() {
    let data = new_directory();
    leave_a_log(&data);
    let server = Server::start(data.path(), &[]);
    let answer = request(&server.public, "GET /v1/counters/visits HTTP/1.1");
    assert!(answer.contains("\"value\":5"), "{answer}");
    server.signal(Signal::KILL);
    assert_eq!(server.end(), None);
}

#[test]
fn the_demonstration_is_created_once() {
    const DEMO: &str = "ONRUSH_SCENARIOS__SLOT_BOOKING";
    let data = new_directory();
    for (flags, expected) in [(["--demo"].as_slice(), "1000"), (&[], "999"), (&["--demo"], "998")] {
        let server = Server::launch(serve_command(data.path(), &[(DEMO, "true")]).args(flags));
        let stations = request(&server.public, "GET /stations/PWTC HTTP/1.1");
        let first_day = format!("\"date\":\"20210516\",\"availability\":{expected}}}");
        assert!(stations.contains(&first_day) && stations.contains("\"20210614\""), "{stations}");
        let body = format!(
            "{{\"customer\":\"{expected}\",\"lines\":[{{\"stock\":\"2021-05-16\",\"quantity\":1}}]}}"
        );
        let answer = request_with(&server.public, "POST /v1/sales/PWTC/reservations HTTP/1.1", &body);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        server.signal(Signal::TERM);
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn a_hangup_has_the_settings_read_again() {
    let data = new_directory();
    let file = data.path().join("onrush.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("write the settings");
    write("");
    let mut command = serve_command(&data.path().join("log"), &[]);
    let server = Server::launch(command.arg("--config").arg(&file));
    server.signal(Signal::HUP);
    server.wait_for("nothing has changed");
    write("[logging]\nlevel = \"debug\"\n[server]\nthreads = 3\nidle_timeout_ms = 7\n");
    server.signal(Signal::HUP);
    server.wait_for("logging.level is \\\"debug\\\" from now on");
    server.wait_for("server.idle_timeout_ms, server.threads changed, which needs a restart");
    write("[logging]\nlevel = \"loud\"\n");
    server.signal(Signal::HUP);
    server.wait_for("nothing changes: logging.level");
    server.signal(Signal::TERM);
    // A message of level debug.
    server.wait_for("\"message\":\"log closed\"");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn signals_that_mean_nothing_change_nothing() {
    let data = new_directory();
    let server = Server::start(data.path(), &[]);
    for signal in [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::XFSZ] {
        server.signal(signal);
    }
    for expected in 1..=3 {
        assert!(request(&server.public, COUNT).contains(&format!("\"value\":{expected}")));
    }
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_second_signal_ends_the_drain() {
    let data = new_directory();
    let server = Server::start(data.path(), &[]);
    // A request whose body never comes keeps the drain waiting.
    let mut stream = TcpStream::connect(&server.public).expect("connect");
    let head = "POST /v1/sales/x/reservations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: 100\r\n\r\n{{").expect("send half a request");
    // The answer to a later connection shows that the server has seen the earlier one.
    assert!(request(&server.public, "GET /livez HTTP/1.1").starts_with("HTTP/1.1 200 "));
    server.signal(Signal::TERM);
    server.wait_for("\"message\":\"draining\"");
    server.signal(Signal::INT);
    assert_eq!(server.end(), Some(130));
}

#[test]
fn the_service_manager_is_told() {
    let data = new_directory();
    let place = new_directory();
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("open a socket");
    let path = path.to_str().expect("a temporary path is text");
    let server = Server::start(data.path(), &[("NOTIFY_SOCKET", path)]);
    let next = || {
        let mut bytes = [0; 1_000];
        let received = socket.recv(&mut bytes).expect("receive a notification");
        text(&bytes[..received])
    };
    assert!(next().contains("READY=1"));
    server.signal(Signal::TERM);
    assert!(next().contains("STOPPING=1"));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_directory_in_use_is_3() {
    let data = new_directory();
    let server = Server::start(data.path(), &[]);
    let second = serve_command(data.path(), &[]).output().expect("start the binary");
    let stderr = text(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains(data.path().to_str().expect("a temporary path is text")), "{stderr}");
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn an_address_in_use_is_1() {
    let data = new_directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = taken.local_addr().expect("a listener has an address").to_string();
    let outcome = Command::new(BINARY)
        .args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", &address, "--data"])
        .arg(data.path())
        .env_clear()
        .output()
        .expect("start the binary");
    let stderr = text(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address), "{stderr}");
}

/// Asks until the server says that it is ready, or that it is not.
fn wait_until(server: &Server, ready: bool) {
    let status = if ready { "HTTP/1.1 200 " } else { "HTTP/1.1 503 " };
    while !request(&server.operator, "GET /readyz HTTP/1.1").starts_with(status) {}
}

const COUNT: &str = "POST /v1/counters/visits HTTP/1.1";

#[test]
fn a_directory_that_was_moved_is_missed_until_it_is_back() {
    let parent = new_directory();
    let (data, away) = (parent.path().join("data"), parent.path().join("away"));
    let server = Server::start(&data, &[]);
    assert!(request(&server.public, COUNT).contains("\"value\":1"));
    std::fs::rename(&data, &away).expect("move the directory");
    wait_until(&server, false);
    assert!(request(&server.public, COUNT).contains("log_unavailable"));
    // What a person put there in its place is not touched.
    std::fs::create_dir(&data).expect("make a directory");
    server.wait_for("another directory is there");
    assert!(std::fs::read_dir(&data).expect("read the directory").next().is_none());
    std::fs::remove_dir(&data).expect("remove the directory");
    std::fs::rename(&away, &data).expect("move the directory");
    wait_until(&server, true);
    assert!(request(&server.public, COUNT).contains("\"value\":2"));
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
    let server = Server::start(&data, &[]);
    assert!(request(&server.public, COUNT).contains("\"value\":3"));
    server.signal(Signal::TERM);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn what_was_removed_is_missed() {
    let remove: [fn(&Path); 2] = [
        |data| std::fs::remove_dir_all(data).expect("remove the directory"),
        |data| {
            for entry in std::fs::read_dir(data).expect("read the directory") {
                std::fs::remove_file(entry.expect("read an entry").path()).expect("remove a file");
            }
        },
    ];
    for remove in remove {
        let data = new_directory();
        let server = Server::start(data.path(), &[]);
        assert!(request(&server.public, COUNT).contains("\"value\":1"));
        remove(data.path());
        wait_until(&server, false);
        assert!(request(&server.public, COUNT).contains("log_unavailable"));
        server.wait_for("trying again");
        server.signal(Signal::TERM);
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn a_whole_log_is_verified_and_inspected() {
    let data = new_directory();
    leave_a_log(&data);
    for action in ["verify", "inspect"] {
        let outcome = log_command(action, data.path());
        assert_eq!(outcome.status.code(), Some(0), "{action}: {}", text(&outcome.stderr));
        assert!(text(&outcome.stdout).contains(".seg"), "{action}: {}", text(&outcome.stdout));
    }
    let outcome = log_command("verify", &data.path().join("nowhere"));
    assert_eq!(outcome.status.code(), Some(1), "{}", text(&outcome.stderr));
}

#[test]
fn inspecting_shows_no_content() {
    let data = new_directory();
    leave_a_log(&data);
    let shown = text(&log_command("inspect", data.path()).stdout);
    let frames: Vec<_> = shown.lines().filter(|line| line.contains(" payload_bytes ")).collect();
    assert!(frames.len() > 5, "{shown}");
    for frame in frames {
        let shape: Vec<_> = frame.split(' ').filter(|word| word.parse::<u64>().is_err()).collect();
        let [segment, byte, kind @ ("Batch" | "Mark" | "Close"), ..] = shape[..] else { panic!("{frame}") };
        assert_eq!((segment, byte, shape.len()), ("segment", "byte", 8), "{kind}: {frame}");
        assert_eq!(shape[3..], ["offset", "events", "epoch", "time_ms", "payload_bytes"], "{frame}");
    }
    // Nothing is left that could hold the secret of the ids: the other lines tell files and figures.
    for line in shown.lines().filter(|line| !line.contains(" payload_bytes ")) {
        let known = ["segment /", "snapshot /", "whole: 1 segment, offsets 0.."];
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
    }
    assert!(!shown.contains(" 1 segments") && !shown.contains(" 1 batches"), "{shown}");
}

#[test]
fn a_damaged_log_is_4() {
    let data = new_directory();
    leave_a_log(&data);
    let segment = std::fs::read_dir(data.path())
        .expect("read the data directory")
        .map(|entry| entry.expect("read an entry").path())
        .find(|path| {
            path.extension().is_some_and(|extension| extension == "seg") && !path.ends_with("spare.seg")
        })
        .expect("there is a segment");
    let mut bytes = std::fs::read(&segment).expect("read the segment");
    // The first frame lies behind the header block.
    bytes[4_096 + 8] ^= 1;
    std::fs::write(&segment, bytes).expect("write the segment");

    let outcome = serve_command(data.path(), &[]).output().expect("start the binary");
    let (code, stderr) = (outcome.status.code(), text(&outcome.stderr));
    let name = segment.file_name().and_then(|name| name.to_str()).expect("a segment has a name");
    assert!(code == Some(4) && stderr.contains(name) && stderr.contains("4096"), "{code:?} {stderr}");
    let outcome = log_command("verify", data.path());
    let (code, stdout, stderr) = (outcome.status.code(), text(&outcome.stdout), text(&outcome.stderr));
    assert!(code == Some(4) && stdout.contains(name) && stdout.contains("DAMAGED"), "{code:?} {stdout}");
    // What is wrong there is said once; the last line says only where.
    assert!(stderr.ends_with(&format!("{name} is damaged at byte 4096\n")), "{stderr}");
}
