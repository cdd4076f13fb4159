//! Connections that are cut again and again while batches are under way: nothing is lost, nothing is out of order.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onrush_sinks::TargetError;

use crate::harness::Harness;
use crate::place::harness;
use crate::{counter, source};

/// Starts a proxy that cuts each of its first `cut_count` connections after it has passed some bytes to the server.
fn cutting_proxy(server: SocketAddr, cut_count: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cuts = Arc::new(AtomicU64::new(0));
    let their_cuts = Arc::clone(&cuts);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(server) else { return };
            let cut_no = their_cuts.load(Ordering::SeqCst);
            let passes = if cut_no < cut_count { 10_000 + 3_001 * cut_no } else { u64::MAX };
            pass(&client, &server, passes, &their_cuts);
            pass(&server, &client, u64::MAX, &their_cuts);
        }
    });
    (address, cuts)
}

fn pass(from: &TcpStream, to: &TcpStream, byte_count: u64, cuts: &Arc<AtomicU64>) {
    let (from, mut to, cuts) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(cuts));
    std::thread::spawn(move || {
        let mut limited = (&from).take(byte_count);
        let mut buffer = [0; 4_096];
        while let Ok(read @ 1..) = limited.read(&mut buffer) {
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        if limited.limit() == 0 {
            cuts.fetch_add(1, Ordering::SeqCst);
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_log_survives_connections_that_are_cut() {
    const EVENT_COUNT: u64 = 20_000;
    const CUT_COUNT: u64 = 12;
    let Some(place) = harness() else { return };
    let (proxy, cuts) = cutting_proxy(place.address(), CUT_COUNT);
    let mut target = place.target(Some(proxy));
    let mut durable = 0;
    for _ in 0..100 {
        if durable == EVENT_COUNT {
            break;
        }
        let mut go_on = || {
            target.open(&source())?;
            for batch in (durable..EVENT_COUNT).step_by(500) {
                let to = EVENT_COUNT.min(batch + 500);
                (batch..to).try_for_each(|offset| target.push(&counter(offset)))?;
                durable = durable.max(target.send(to)?);
            }
            durable = durable.max(target.wait_until_durable()?);
            Ok(())
        };
        match go_on() {
            Ok(()) | Err(TargetError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(durable, EVENT_COUNT);
    assert!(cuts.load(Ordering::SeqCst) >= CUT_COUNT, "only {} cuts", cuts.load(Ordering::SeqCst));

    let mut auditor = place.auditor();
    auditor.open(&source(), 0, EVENT_COUNT).unwrap();
    (0..EVENT_COUNT).for_each(|offset| auditor.expect(&counter(offset)).unwrap());
    let findings = auditor.finish().unwrap();
    assert!(findings.agree(), "{findings:?}");
}
