//! A partition from the outside, with its threads and its files: what it answers, and what survives. What it does when its log
//! does not is stepped in `src/partition/stepped`.

#![allow(clippy::disallowed_methods, reason = "a test waits for real threads")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use onrush_core::{Ceiling, Limits, Precondition, Refusal};
use onrush_log::file::faulty::FaultyStorage;
use onrush_log::file::{FileLog, LogDirectory, LogSettings};
use onrush_node::{
    Call, Clock, ClockReading, Failure, Name, Outcome, Partition, Readiness, Retention, Settings,
};
use support::{Rig, START_MS, code, reserve, settings};

#[test]
fn a_success_survives_the_loss_of_everything_that_was_not_synced() {
    let rig = Rig::new();
    rig.put_sale("s", 3, 0);
    for customer in ["c1", "c2"] {
        assert_eq!(code(&rig.reserve("s", customer)), "done");
    }
    assert_eq!(rig.add("home").unwrap(), 1);
    let disk = rig.disk.after_power_cut(|| false);
    let again = Rig::on(disk, settings());
    assert_eq!(again.figures("s"), (0, 2));
    assert_eq!(again.counter("home").unwrap(), 1);
    assert_eq!(code(&again.reserve("s", "c1")), "customer_limit_reached");
}

#[test]
fn the_digest_of_the_live_state_is_that_of_a_replay() {
    let rig = Rig::new();
    rig.put_sale("s", 50, 1_000);
    for n in 0..200 {
        rig.clock.pass_until(START_MS + n * 37);
        let _ = rig.reserve("s", &format!("c{n}"));
        rig.add(if n % 3 == 0 { "x" } else { "y" }).unwrap();
        rig.call(Call::HitWindow { window: Name::from("w") }).unwrap();
    }
    let (disk, digest) = rig.close();
    let (_, replayed) = Rig::at(disk, START_MS + 199 * 37).close();
    assert_eq!(digest, replayed);
}

/// Shows a later time at every look.
struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn read(&self) -> ClockReading {
        let shown = Duration::from_millis(self.0.fetch_add(1, Ordering::SeqCst));
        ClockReading { wall: shown, steady: shown }
    }
}

#[test]
fn a_batch_that_closes_later_than_its_hits_replays_to_the_same_digest() {
    let open = |disk: &FaultyStorage, start_ms| {
        let directory = LogDirectory::lock(Arc::new(disk.clone()), 0).unwrap();
        let clock = Arc::new(TickingClock(AtomicU64::new(start_ms)));
        let log = Arc::new(FileLog::new(directory, LogSettings::for_tests(64 << 10)));
        Partition::open(log, settings(), clock, Retention::default()).unwrap().0
    };
    let disk = FaultyStorage::new();
    let partition = open(&disk, START_MS);
    for _ in 0..200 {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        partition.call(Call::AddToCounter { counter: Name::from("c"), by: 1 }, move |reply| {
            sender.send(reply).unwrap();
        });
        receiver.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    }
    let live = partition.close();
    drop(partition);
    assert_eq!(open(&disk, 0).close(), live);
}

#[test]
fn holds_of_a_whole_sale_expire_at_once() {
    let rig = Rig::new();
    rig.put_sale("s", 20_000, 60_000);
    for n in 0..10_000 {
        rig.partition
            .call(Call::Reserve(reserve("s", &format!("c{n}"), None)), |reply| assert!(reply.is_ok()));
    }
    rig.await_decided();
    assert_eq!(rig.figures("s"), (10_000, 0));
    rig.clock.pass_until(START_MS + 60_000);
    assert_eq!(rig.figures("s"), (0, 0), "nobody sees a hold that is over");
}

#[test]
fn holds_of_a_closed_sale_end_some_with_each_call_before_it_is_archived() {
    let rig = Rig::new();
    rig.put_sale_between("s", 20_000, 60_000, None, Some(START_MS + 1_000));
    for n in 0..1_300 {
        rig.partition
            .call(Call::Reserve(reserve("s", &format!("c{n}"), None)), |reply| assert!(reply.is_ok()));
    }
    rig.await_decided();
    let end = |from| {
        rig.call(Call::EndHolds { sale: Name::from("s"), only_if: Precondition::None, from }).map(|outcome| {
            let Outcome::HoldsEnded { next } = outcome else { panic!("{outcome:?}") };
            next
        })
    };
    let archive =
        || code(&rig.call(Call::ArchiveSale { sale: Name::from("s"), only_if: Precondition::None }));
    assert_eq!(
        code(&rig.call(Call::EndHolds { sale: Name::from("s"), only_if: Precondition::None, from: 0 })),
        "sale_open"
    );
    rig.clock.pass_until(START_MS + 1_000);
    assert_eq!(archive(), "holds_pending");
    let (mut next, mut call_count) = (Some(0), 0);
    while let Some(from) = next {
        next = end(from).unwrap();
        call_count += 1;
    }
    assert!(call_count > 1, "one call ended 1,300 holds");
    assert_eq!(rig.figures("s"), (0, 0));
    assert_eq!(archive(), "done");
    let (disk, digest) = rig.close();
    assert_eq!(Rig::at(disk, START_MS + 1_000).close().1, digest);
}

#[test]
fn holds_expire_before_anything_is_decided_at_their_time() {
    let rig = Rig::new();
    rig.put_sale("s", 1, 60_000);
    assert_eq!(code(&rig.reserve("s", "c1")), "done");
    assert_eq!(code(&rig.reserve("s", "c2")), "insufficient_stock");
    rig.clock.pass_until(START_MS + 59_999);
    assert_eq!(code(&rig.reserve("s", "c2")), "insufficient_stock");
    rig.clock.pass_until(START_MS + 60_000);
    assert_eq!(code(&rig.reserve("s", "c2")), "done");
    assert_eq!(rig.figures("s"), (1, 0));
}

#[test]
fn a_key_finds_its_reservation_after_a_crash() {
    let rig = Rig::new();
    rig.put_sale("s", 5, 0);
    let first = rig.call(Call::Reserve(reserve("s", "c1", Some("k"))));
    let Ok(Outcome::Reserved { reservation, replayed: false, .. }) = first else { panic!("{first:?}") };
    let again = Rig::on(rig.disk.after_power_cut(|| false), settings());
    let second = again.call(Call::Reserve(reserve("s", "c1", Some("k"))));
    assert!(
        matches!(second, Ok(Outcome::Reserved { reservation: r, replayed: true, .. }) if r == reservation),
        "{second:?}"
    );
    let mut other = reserve("s", "c1", Some("k"));
    other.key.as_mut().unwrap().fingerprint = 8;
    assert_eq!(code(&again.call(Call::Reserve(other))), "idempotency_key_reused");
    assert_eq!(again.figures("s"), (0, 1));
}

#[test]
fn beyond_what_may_wait_calls_are_refused() {
    let rig = Rig::on(FaultyStorage::new(), Settings { waiting_max: 10, ..settings() });
    let port = rig.partition.port(|| {});
    let calls =
        (0..11).map(|token| (token, Call::AddToCounter { counter: Name::from("c"), by: 1 })).collect();
    let replies = port.submit(calls);
    assert_eq!(replies.len(), 11);
    assert!(replies.iter().all(|(_, reply)| matches!(reply, Err(Failure::Overloaded))));
    assert_eq!(rig.add("c").unwrap(), 1, "what was refused was not done");
    assert_eq!(rig.partition.metrics().overloaded_count, 11);
}

#[test]
fn after_closing_calls_are_refused() {
    let rig = Rig::new();
    rig.add("c").unwrap();
    rig.partition.close();
    assert_eq!(code(&rig.call(Call::ReadCounter { counter: Name::from("c") })), "draining");
    assert_eq!(rig.partition.readiness(), Readiness::Draining);
}

#[test]
fn the_same_customer_from_many_threads_gets_one() {
    let rig = Arc::new(Rig::new());
    rig.put_sale("s", 1_000, 0);
    let done_count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    if rig.reserve("s", "c").is_ok() {
                        done_count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(done_count.load(Ordering::Relaxed), 1);
    assert_eq!(rig.figures("s"), (0, 1));
}

#[test]
fn no_unit_is_sold_twice_by_many_ports() {
    const STOCK: u32 = 500;
    let rig = Rig::new();
    rig.put_sale("s", STOCK, 0);
    let done_count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let (rig, done_count) = (&rig, &done_count);
            scope.spawn(move || {
                let (wake, woken) = std::sync::mpsc::sync_channel(1);
                let port = rig.partition.port(move || {
                    // One wake-up that was not seen yet is as good as two.
                    let _ = wake.try_send(());
                });
                for round in 0..25_u32 {
                    let calls: Vec<_> = (0..8_u32)
                        .map(|n| (n, Call::Reserve(reserve("s", &format!("{thread}-{round}-{n}"), None))))
                        .collect();
                    let mut replies = port.submit(calls);
                    while replies.len() < 8 {
                        woken.recv_timeout(Duration::from_secs(20)).expect("every call is answered");
                        replies.extend(port.take());
                    }
                    let mut tokens: Vec<_> = replies.iter().map(|(token, _)| *token).collect();
                    tokens.sort_unstable();
                    assert_eq!(tokens, [0, 1, 2, 3, 4, 5, 6, 7], "each call once");
                    done_count
                        .fetch_add(replies.iter().filter(|(_, r)| r.is_ok()).count(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done_count.load(Ordering::Relaxed), STOCK as usize);
    let again = Rig::on(rig.disk.after_power_cut(|| false), settings());
    assert_eq!(again.figures("s"), (0, STOCK));
}

#[test]
fn the_bytes_of_the_state_are_known_however_much_it_holds() {
    let limits = Limits { state_bytes_max: 400_000, ..Limits::default() };
    let rig = Rig::on(FaultyStorage::new(), Settings { limits, ..settings() });
    let empty = rig.partition.metrics().state_bytes;
    for number in 0..20_000 {
        let counter = Name::from(format!("c-{number}").as_str());
        rig.partition.call(Call::AddToCounter { counter, by: 1 }, |_| ());
    }
    assert!(matches!(
        rig.add("one-more"),
        Err(Failure::Refused { refusal: Refusal::CeilingReached(Ceiling::StateBytes), .. })
    ));
    let full = rig.partition.metrics();
    assert!(full.counter_count > 5_000 && full.state_bytes > empty, "{full:?}");
    assert_eq!(full.state_bytes_max, 400_000);
    let (disk, _) = rig.close();
    let again = Rig::on(disk, settings());
    let restored = again.partition.metrics();
    assert_eq!(restored.counter_count, full.counter_count);
    assert!(restored.state_bytes > empty, "{restored:?}");
}
