//! The server's own messages cannot stop, slow or end it: standard error is full, has a reader that died, or one that does
//! not read.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_onrush");

const LOST: &str = "onrush_log_lines_lost_total ";

/// Longer than any step takes, also on a busy machine. Whoever waits longer hangs.
const HANG_TIMEOUT: Duration = Duration::from_mins(1);

/// A server that says nothing by standard error; it is ready.
struct Server {
    child: Child,
    public: String,
    operator: String,
    _directory: TempDir,
}

impl Server {
    fn start(stderr: impl Into<Stdio>) -> Self {
        let directory = tempfile::tempdir().expect("make a directory");
        let notify = directory.path().join("notify");
        let socket = UnixDatagram::bind(&notify).expect("open a socket");
        socket.set_read_timeout(Some(HANG_TIMEOUT)).expect("set a timeout");
        let child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("data"))
            .env_clear()
            .env("NOTIFY_SOCKET", &notify)
            .env("ONRUSH_LOG__SEGMENT_BYTES", "16777216")
            .env("ONRUSH_LOGGING__LEVEL", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("start the binary");
        let mut server =
            Self { child, public: String::new(), operator: String::new(), _directory: directory };
        let mut told = [0; 200];
        let received = match socket.recv(&mut told) {
            Ok(received) => received,
            Err(error) => panic!("not ready: {error}; its state: {:?}", server.child.try_wait()),
        };
        let told = std::str::from_utf8(&told[..received]).expect("a notification is text");
        let addresses = told.trim_end().strip_prefix("READY=1\nSTATUS=public ");
        let (public, operator) = addresses
            .and_then(|addresses| addresses.split_once(", operator "))
            .unwrap_or_else(|| panic!("no addresses in {told:?}"));
        public.clone_into(&mut server.public);
        operator.clone_into(&mut server.operator);
        server
    }

    /// Waits until a line is lost.
    fn loses_a_line(&self) {
        wait_until("a line is lost", || (self.lost() > 0).then_some(()));
    }

    /// The figure of lost lines.
    fn lost(&self) -> u64 {
        let page = get(&self.operator, "/metrics");
        let figure = page.lines().find_map(|line| line.strip_prefix(LOST));
        figure.and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("no figure in {page}"))
    }

    /// Counts, is drained by SIGTERM and ends well.
    fn serves_and_drains(mut self) {
        for expected in 1..=3 {
            let answer = ask(&self.public, "POST", "/v1/counters/visits");
            assert!(answer.contains(&format!("\"value\":{expected}")), "{answer}");
        }
        let id = i32::try_from(self.child.id()).expect("a process id fits");
        kill_process(Pid::from_raw(id).expect("a process id is positive"), Signal::TERM).expect("signal");
        let status = wait_until("the server ends", || self.child.try_wait().expect("look at the server"));
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Server {
    /// Nothing stays behind a test that failed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
#[allow(clippy::disallowed_methods, reason = "the server is another process, which can only be asked again")]
fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let pause = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(waited < HANG_TIMEOUT, "waited {waited:?} until {what}");
        std::thread::sleep(pause);
        waited += pause;
    }
}

fn get(address: &str, path: &str) -> String {
    ask(address, "GET", path)
}

fn ask(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(HANG_TIMEOUT)).expect("set a timeout");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read an answer");
    answer
}

/// A pipe that takes nothing until somebody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("make a pipe");
    let flags = fcntl_getfl(&writer).expect("read the flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("set the flags");
    let refusal = loop {
        if let Err(error) = writer.write(&[b'\n'; 4_096]) {
            break error;
        }
    };
    assert_eq!(refusal.kind(), ErrorKind::WouldBlock);
    fcntl_setfl(&writer, flags).expect("set the flags");
    (reader, writer)
}

#[test]
fn a_full_disk_below_standard_error_costs_only_messages() {
    let full = File::options().write(true).open("/dev/full").expect("open /dev/full");
    let server = Server::start(full);
    server.loses_a_line();
    server.serves_and_drains();
}

#[test]
fn a_reader_that_died_costs_only_messages() {
    let (reader, writer) = std::io::pipe().expect("make a pipe");
    drop(reader);
    let server = Server::start(writer);
    server.loses_a_line();
    server.serves_and_drains();
}

#[test]
fn a_reader_that_does_not_read_costs_nothing() {
    let (reader, writer) = full_pipe();
    Server::start(writer).serves_and_drains();
    drop(reader);
}

#[test]
fn a_reader_that_reads_late_gets_what_was_kept() {
    let (mut reader, writer) = full_pipe();
    let server = Server::start(writer);
    let mut read = Vec::new();
    let mut bytes = [0; 4_096];
    while !String::from_utf8_lossy(&read).contains("\"message\":\"ready\"") {
        let count = reader.read(&mut bytes).expect("read the pipe");
        assert!(count > 0, "the server ended");
        read.extend_from_slice(&bytes[..count]);
    }
    assert_eq!(server.lost(), 0);
    let drained = std::thread::spawn(move || server.serves_and_drains());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("read the rest");
    drained.join().expect("the server drains");
    assert!(rest.contains("\"message\":\"stopped\""), "{rest}");
}

#[test]
fn a_failure_that_nobody_can_read_has_its_exit_code() {
    for stderr in [Stdio::from(File::options().write(true).open("/dev/full").expect("open /dev/full")), {
        let (reader, writer) = std::io::pipe().expect("make a pipe");
        drop(reader);
        writer.into()
    }] {
        let outcome = Command::new(BINARY)
            .args(["serve", "--listen", "nowhere"])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(stderr)
            .status()
            .expect("start the binary");
        assert_eq!(outcome.code(), Some(2));
    }
}
