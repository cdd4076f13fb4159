//! Sinks under faults: a server with all four targets under mixed load, and in every cycle something goes wrong with it, with
//! a target, or with the connection between them. Afterwards every target has every event.

pub(crate) mod arrived;
mod faults;
mod passing;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::Bench;
use crate::audit::History;
use crate::load::{ARGUMENTS, Traffic};
use crate::operator::{AGREES, await_caught_up, reconcile};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::scenarios::kill9::{check_answered, set_up};
use crate::server::{Launch, Server};
use crate::targets::{KINDS, Targets, with_targets};
use arrived::Arrived;
use faults::{Breaker, Fault};
use passing::Passing;

/// Connections of the traffic, each with a pause after every action: targets, not the server, are what is tried here.
const CONNECTION_COUNT: u64 = 12;
const PAUSE: Duration = Duration::from_millis(2);

/// Cycles between two comparisons of everything.
const CYCLES_BETWEEN_CHECKS: u64 = 3;

/// Longer than a sink waits for any answer.
const LONG_FREEZE: Duration = Duration::from_secs(33);

const SETTINGS: &[(&str, &str)] =
    &[("ONRUSH_LOG__SEGMENT_BYTES", "1048576"), ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576")];

/// What happens to the server at the end of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Kill,
    Stop,
    GoOn,
}

/// What a run carries from cycle to cycle.
struct Run {
    launch: Launch,
    clock: Clock,
    traffic: Traffic,
    history: History,
    passing: Passing,
    breaker: Breaker,
    arrived: Arrived,
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let mut random = bench.random.fork(1);
    with_targets(&mut bench.random.fork(2), |targets| {
        let mut launch = bench.launch()?.with(SETTINGS).arguments(ARGUMENTS);
        let breaker = Breaker::new(targets)?;
        targets.kafka.create()?;
        launch.environment.extend(targets.settings_of(&KINDS)?);
        let clock = Clock::start();
        let mut run = Run {
            launch,
            clock,
            traffic: Traffic::new(clock).paced(PAUSE),
            history: History::new(clock),
            passing: Passing::default(),
            breaker,
            arrived: Arrived::default(),
        };
        run.cycles(bench.cycles(6, 100), targets, &mut random)
    })
}

impl Run {
    fn cycles(&mut self, cycles: u64, targets: &mut Targets, random: &mut Random) -> Result<String> {
        let mut server = self.launch.start()?;
        set_up(server.operator(), true)?;
        for cycle in 0..cycles {
            let ending =
                *random.pick(&[Ending::Kill, Ending::Kill, Ending::Stop, Ending::GoOn, Ending::GoOn]);
            let faults = draw_faults(random, ending);
            let place = || format!("cycle {cycle} of {cycles}, {faults:?}, then {ending:?}");
            server = self.cycle(server, &faults, ending, targets, random).with_context(place)?;
            self.history.audit(&server, random).with_context(place)?;
            set_up(server.operator(), false).with_context(place)?;
            let last = cycle + 1 == cycles;
            if last || cycle % CYCLES_BETWEEN_CHECKS == CYCLES_BETWEEN_CHECKS - 1 {
                self.check(&server, targets, last).with_context(place)?;
            }
            if cycle % 10 == 9 {
                println!("    cycle {cycle} of {cycles}: {}; {}", self.history.tally, self.arrived);
            }
        }
        self.history.audit_all(&server)?;
        server.stop(Signal::TERM)?;
        targets.check_secrets(&self.launch)?;
        let (sales, reservations) = self.passing.counts();
        Ok(format!(
            "{cycles} cycles, {}; {}; {reservations} reservations of {sales} passing sales",
            self.history.tally, self.arrived
        ))
    }

    /// Load, faults, an ending, and everything healed again.
    fn cycle(
        &mut self,
        server: Server,
        faults: &[Fault],
        ending: Ending,
        targets: &Targets,
        random: &mut Random,
    ) -> Result<Server> {
        let (public, operator) = (server.public(), server.operator());
        let (clock, mut ended_ns) = (self.clock, u64::MAX);
        let mut server = Some(server);
        let (traffic_random, passing_random, mut pauses) = (random.fork(1), random.fork(2), random.fork(3));
        // The next cycle draws other numbers.
        random.next();
        let stop = AtomicBool::new(false);
        let (breaker, passing) = (&mut self.breaker, &mut self.passing);
        let records = thread::scope(|scope| {
            let selling = scope.spawn(|| passing.run((public, operator), passing_random, &stop));
            let records = self.traffic.drive(public, operator, CONNECTION_COUNT, &traffic_random, || {
                thread::sleep(pauses.span_ms(20, 200));
                for fault in faults {
                    breaker.begin(*fault, targets)?;
                    let long = matches!(fault, Fault::Freeze(_) | Fault::Swallow(_)) && pauses.chance(3);
                    thread::sleep(if long { LONG_FREEZE } else { pauses.span_ms(20, 800) });
                }
                if ending == Ending::GoOn {
                    return Ok(());
                }
                ended_ns = clock.now_ns();
                let server = server.take().context("the server is there")?;
                if ending == Ending::Kill { server.kill() } else { server.stop(Signal::TERM) }
            });
            stop.store(true, Ordering::Relaxed);
            selling.join().map_err(|_| anyhow!("the operator panicked"))??;
            records
        })?;
        check_answered(&records, ended_ns)?;
        self.history.absorb(records)?;
        self.mend(server, targets, random)
    }

    /// Server and targets come back in either order.
    fn mend(&mut self, server: Option<Server>, targets: &Targets, random: &mut Random) -> Result<Server> {
        let targets_first = random.chance(50);
        if targets_first {
            self.breaker.heal(targets)?;
        }
        let server = if let Some(server) = server {
            server
        } else {
            self.launch.verify_log()?;
            self.launch.start()?
        };
        if !targets_first {
            self.breaker.heal(targets)?;
        }
        Ok(server)
    }

    /// Waits until the sinks have caught up and compares everything with everything.
    fn check(&mut self, server: &Server, targets: &mut Targets, whole: bool) -> Result<()> {
        await_caught_up(server.operator(), &KINDS)?;
        self.arrived.check(targets, whole)?;
        self.history.audit_stored(server, &targets.postgres).context("tables")?;
        self.passing.check(&targets.postgres)?;
        for kind in KINDS {
            reconcile(&self.launch, kind, AGREES)?;
        }
        Ok(())
    }
}

/// One or two faults, of two targets; none now and then when the server itself is ended.
fn draw_faults(random: &mut Random, ending: Ending) -> Vec<Fault> {
    let first = Fault::draw(random);
    let second = Fault::draw(random);
    match random.below(5) {
        0 if ending != Ending::GoOn => Vec::new(),
        0..3 => vec![first],
        _ if first.kind() == second.kind() => vec![first],
        _ => vec![first, second],
    }
}
