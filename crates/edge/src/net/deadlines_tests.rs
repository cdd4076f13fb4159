//! Deadlines on a clock that is stepped.

use super::*;
use crate::catalog::CatalogSettings;
use crate::settings::{GateSettings, Scenarios};
use std::net::SocketAddr;

const SETTINGS: fn() -> Settings = || Settings {
    listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    operator_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    operator_key: None,
    threads: 1,
    connections_max: 10,
    header_timeout: Duration::from_secs(1),
    body_timeout: Duration::from_secs(2),
    idle_timeout: Duration::from_secs(3),
    write_timeout: Duration::from_secs(4),
    unsent_bytes_max: 1_000_000,
    drain_timeout: Duration::from_secs(5),
    scenarios: Scenarios::default(),
    gate: GateSettings::default(),
    catalog: CatalogSettings::default(),
};

/// Connections whose tasks do nothing until they are cut off.
struct Rig {
    deadlines: Rc<Deadlines>,
    counters: Arc<EdgeCounters>,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    fn new() -> Self {
        let counters = Arc::new(EdgeCounters::default());
        let deadlines = Deadlines::new(Arc::new(SETTINGS()), Arc::clone(&counters));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { deadlines, counters, runtime }
    }

    fn connect(&self) -> (Deadline, AbortHandle) {
        let task = self.runtime.spawn(std::future::pending::<()>()).abort_handle();
        (self.deadlines.watch(task.clone()), task)
    }

    /// The clock shows `now_ms`; which of the tasks have ended.
    fn step<const N: usize>(&self, now_ms: u64, tasks: [&AbortHandle; N]) -> [bool; N] {
        self.deadlines.tick(now_ms, false);
        self.ended(tasks)
    }

    fn ended<const N: usize>(&self, tasks: [&AbortHandle; N]) -> [bool; N] {
        self.runtime.block_on(tokio::task::yield_now());
        tasks.map(AbortHandle::is_finished)
    }

    fn count(&self, reason: CutOff) -> u64 {
        self.counters.cut_off(reason).read()
    }
}

#[test]
fn each_activity_has_its_time() {
    for (activity, limit_ms, reason) in [
        (Activity::New, 1_000, CutOff::Headers),
        (Activity::Head, 1_000, CutOff::Headers),
        (Activity::Body, 2_000, CutOff::Body),
        (Activity::Idle, 3_000, CutOff::Request),
        (Activity::IdleHttp2, 3_000, CutOff::Request),
    ] {
        let rig = Rig::new();
        rig.step(10_000, []);
        let (deadline, task) = rig.connect();
        deadline.enter(activity);
        assert_eq!(rig.step(10_000 + limit_ms - 1, [&task]), [false], "{activity:?}");
        deadline.stay_or_enter(activity);
        assert_eq!(rig.step(10_000 + limit_ms, [&task]), [true], "{activity:?}");
        assert_eq!(rig.count(reason), 1, "{activity:?}");
    }
    let rig = Rig::new();
    let (deadline, task) = rig.connect();
    deadline.enter(Activity::Busy);
    assert_eq!(rig.step(1_000_000, [&task]), [false], "who waits for us has time");
}

#[test]
fn answers_that_are_not_taken_end_a_connection_whatever_it_does() {
    for activity in [Activity::Busy, Activity::IdleHttp2] {
        let rig = Rig::new();
        rig.step(1_000, []);
        let (deadline, task) = rig.connect();
        let unsent = deadline.hold(100_000);
        deadline.enter(activity);
        rig.step(2_000, [&task]);
        unsent.take(TAKEN_BYTES_MIN - 1);
        deadline.enter(activity);
        assert_eq!(rig.step(4_900, [&task]), [false], "{activity:?}");
        deadline.enter(activity);
        assert_eq!(rig.step(5_000, [&task]), [true], "{activity:?}: a byte now and then is too little");
        assert_eq!(rig.count(CutOff::Write), 1);
    }
}

#[test]
fn whoever_takes_enough_may_go_on() {
    let rig = Rig::new();
    let (deadline, task) = rig.connect();
    deadline.enter(Activity::Busy);
    let unsent = deadline.hold(1_000_000);
    for second in 1..60 {
        unsent.take(TAKEN_BYTES_MIN / 2);
        assert_eq!(rig.step(second * 1_000, [&task]), [false]);
    }
    assert_eq!(rig.counters.unsent_bytes(), 1_000_000, "the memory is there until all of it is taken");
    drop(unsent);
    assert_eq!(rig.counters.unsent_bytes(), 0);
    assert_eq!(rig.step(1_000_000, [&task]), [false]);
}

#[test]
fn the_slowest_make_room() {
    let rig = Rig::new();
    let (first, first_task) = rig.connect();
    let (second, second_task) = rig.connect();
    let (third, third_task) = rig.connect();
    let tasks = [&first_task, &second_task, &third_task];
    for deadline in [&first, &second, &third] {
        deadline.enter(Activity::Busy);
    }
    let _first = first.hold(300_000);
    rig.step(500, tasks);
    let _second = second.hold(400_000);
    assert!(rig.deadlines.make_room(300_000), "it fits");
    assert!(!rig.deadlines.make_room(300_001), "nobody has been slow for long enough");
    rig.step(1_200, tasks);
    assert!(rig.deadlines.make_room(300_001));
    assert_eq!(rig.ended(tasks), [true, false, false], "the slowest one alone");
    rig.step(3_000, tasks);
    let _third = third.hold(100);
    assert!(!rig.deadlines.make_room(1_000_001), "more than there is at all");
    assert_eq!(rig.ended(tasks), [true, true, false], "who has just begun stays");
    assert_eq!(rig.count(CutOff::Room), 2);
}

#[test]
fn a_stop_ends_idle_connections_at_once() {
    let rig = Rig::new();
    let (idle, idle_task) = rig.connect();
    let (busy, busy_task) = rig.connect();
    idle.enter(Activity::Idle);
    busy.enter(Activity::Busy);
    rig.deadlines.tick(250, true);
    assert_eq!(rig.ended([&idle_task, &busy_task]), [true, false]);
}
