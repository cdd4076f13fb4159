//! The end of a server: what is in flight is answered, and nobody else is waited for.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TryRecvError;
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_log::memory::MemoryLog;

use crate::support::{ANSWER_TIMEOUT, Http1, Rig, Settings, settings};

const COUNT: &[u8] = b"POST /v1/counters/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Somebody elsewhere who brings batches of a log into force, unless a test holds them.
struct Elsewhere {
    log: MemoryLog,
    holds: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Elsewhere {
    fn start() -> Self {
        let log = MemoryLog::with_outstanding(0, 4);
        let (holds, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (of_log, held, ended) = (log.clone(), Arc::clone(&holds), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                if !held.load(Ordering::Acquire) && of_log.outstanding_count() > 0 {
                    of_log.bring_into_force(usize::MAX);
                }
                std::thread::yield_now();
            }
        });
        Self { log, holds, ends, thread: Some(thread) }
    }

    /// A client of which a request waits, and is not in force for as long as it is held.
    fn in_flight(&self, rig: &Rig) -> (Http1, Held) {
        self.holds.store(true, Ordering::Release);
        let held = Held(Arc::clone(&self.holds));
        let mut client = Http1::connect(rig.public());
        client.send(COUNT);
        // The first batch may be that of the partition itself.
        rig.wait_until("the request waits", |rig| rig.waiting_count() > 0);
        (client, held)
    }
}

/// Batches come into force again when it is dropped.
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("a thread without errors"));
    }
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn what_is_in_flight_is_answered_while_the_operator_can_watch() {
    let elsewhere = Elsewhere::start();
    let mut rig = Rig::start_on(elsewhere.log.clone(), settings());
    let (public, operator) = (rig.public(), rig.operator());
    let mut idle = Http1::connect(public);
    assert!(idle.call(LIVE).is_some());
    let mut watching = Http1::connect(operator);
    assert_eq!(watching.call(READY).expect("an answer").status, 200);
    let (mut client, held) = elsewhere.in_flight(&rig);
    let stopped = rig.begin_to_stop();
    rig.wait_until("nobody listens to the public", |_| is_refused(public));
    assert!(idle.is_closed(), "nobody waits for an idle connection");
    for watching in [&mut watching, &mut Http1::connect(operator)] {
        let answer = watching.call(READY).expect("an answer");
        assert!(answer.status == 503 && answer.body.contains("draining"), "{answer:?}");
        assert_eq!(watching.call(LIVE).expect("an answer").status, 200);
    }
    assert_eq!(stopped.try_recv(), Err(TryRecvError::Empty), "a request is in flight");
    drop(held);
    let answer = client.receive(false).expect("an answer");
    assert!(answer.body.contains("\"value\":1"), "{answer:?}");
    assert!(client.is_closed(), "its connection ends with the answer");
    stopped.recv_timeout(ANSWER_TIMEOUT).expect("a server that stops");
    assert!(watching.is_closed() && is_refused(operator));
}

#[test]
fn what_is_not_answered_by_the_drain_timeout_is_cut_off() {
    let elsewhere = Elsewhere::start();
    let settings = Settings { drain_timeout: Duration::ZERO, ..settings() };
    let mut rig = Rig::start_on(elsewhere.log.clone(), settings);
    let (mut client, held) = elsewhere.in_flight(&rig);
    rig.begin_to_stop().recv_timeout(ANSWER_TIMEOUT).expect("a server that stops");
    assert!(client.is_closed(), "nothing was promised");
    drop(held);
}

#[test]
fn a_stop_waits_for_no_idle_connection() {
    let rig = Rig::start(settings());
    let mut idle = Http1::connect(rig.public());
    idle.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(idle.receive(false).is_some());
    let new = Http1::connect(rig.public());
    // Greets in HTTP/2 and answers nothing from then on, no ping and no farewell.
    let mut silent = Http1::connect(rig.public());
    silent.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    rig.wait_until("HTTP/2 is spoken", |rig| rig.metric("onrush_connections_http2_total") == 1);
    rig.stop();
    silent.wait_for_close();
    drop((idle, new));
}
