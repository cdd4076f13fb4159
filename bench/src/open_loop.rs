//! An open-loop load generator: arrivals come at random moments of a fixed mean rate whether or not the server keeps up,
//! and every latency counts from the moment at which the request was meant to be sent. A closed loop would slow down
//! with the server and hide the very delays that are asked for (coordinated omission).

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;

use crate::connections::Connections;
use crate::http::parse_head;
use crate::random::Random;

/// Arrivals that may wait for a free connection before the server counts as overrun.
const WAITING_COUNT_MAX: usize = 100_000;
/// How long answers are waited for after the last arrival.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// What to send, and how often.
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    /// Each carries one request at a time.
    pub(crate) connection_count: usize,
    pub(crate) seed: u64,
    pub(crate) request: &'a dyn Fn(u64) -> Vec<u8>,
}

/// Latencies in nanoseconds.
#[derive(Debug)]
pub(crate) struct OpenLoopRun {
    /// From the intended start to the whole answer.
    pub(crate) latency: Histogram<u64>,
    /// From the intended start to the write of the request: how late the generator and its connections were.
    pub(crate) lateness: Histogram<u64>,
    /// From the write of the request to the whole answer: the server, and how late the generator read.
    pub(crate) answer_time: Histogram<u64>,
    pub(crate) success_count: u64,
    pub(crate) other_count: u64,
    pub(crate) seconds: f64,
}

/// Runs the plan to its end on this thread.
pub(crate) fn run(plan: &Plan<'_>) -> Result<OpenLoopRun> {
    // The default slack of 50 µs would delay most arrivals by as much. Where it cannot be set, lateness shows it.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
    let mut generator = Generator::connect(plan)?;
    let mut arrivals = Arrivals::new(plan.rate, plan.seed);
    let end_ns = nanoseconds(plan.duration);
    let started = Instant::now();
    let mut next_ns = arrivals.next_after(0);
    loop {
        let now_ns = nanoseconds(started.elapsed());
        while next_ns <= now_ns && next_ns < end_ns {
            generator.waiting.push_back(next_ns);
            next_ns = arrivals.next_after(next_ns);
        }
        generator.send_waiting(plan, &started)?;
        let arriving = next_ns < end_ns;
        if !arriving && generator.is_idle() {
            break;
        }
        if now_ns > end_ns + nanoseconds(DRAIN_TIME_MAX) {
            bail!("{} requests without an answer", generator.waiting.len() + generator.busy_count());
        }
        let timeout_ns =
            if arriving { next_ns.saturating_sub(nanoseconds(started.elapsed())) } else { 100_000_000 };
        generator.receive(Duration::from_nanos(timeout_ns), &started)?;
    }
    generator.run.seconds = started.elapsed().as_secs_f64();
    Ok(generator.run)
}

struct Generator {
    connections: Connections,
    /// Of each connection, when its request was meant to be sent.
    intended_ns: Vec<u64>,
    /// And when it was sent.
    sent_ns: Vec<u64>,
    idle: Vec<usize>,
    ready: Vec<usize>,
    /// Intended starts of requests that found no idle connection yet.
    waiting: VecDeque<u64>,
    sent_count: u64,
    run: OpenLoopRun,
}

impl Generator {
    fn connect(plan: &Plan<'_>) -> Result<Self> {
        let connections = Connections::open(plan.address, plan.connection_count)?;
        let histogram = || Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).context("make a histogram");
        let run = OpenLoopRun {
            latency: histogram()?,
            lateness: histogram()?,
            answer_time: histogram()?,
            success_count: 0,
            other_count: 0,
            seconds: 0.0,
        };
        let idle = (0..plan.connection_count).rev().collect();
        let (intended_ns, sent_ns) = (vec![0; plan.connection_count], vec![0; plan.connection_count]);
        let (ready, waiting) = (Vec::new(), VecDeque::new());
        Ok(Self { connections, intended_ns, sent_ns, idle, ready, waiting, sent_count: 0, run })
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.busy_count() == 0
    }

    fn busy_count(&self) -> usize {
        self.intended_ns.len() - self.idle.len()
    }

    fn send_waiting(&mut self, plan: &Plan<'_>, started: &Instant) -> Result<()> {
        if self.waiting.len() > WAITING_COUNT_MAX {
            bail!("the server does not keep up with {:.0} requests/s", plan.rate);
        }
        while let (Some(intended_ns), Some(index)) =
            (self.waiting.front().copied(), self.idle.last().copied())
        {
            self.waiting.pop_front();
            self.idle.pop();
            self.intended_ns[index] = intended_ns;
            self.connections.send(index, &(plan.request)(self.sent_count))?;
            self.sent_count += 1;
            let sent_ns = nanoseconds(started.elapsed());
            self.sent_ns[index] = sent_ns;
            self.run.lateness.saturating_record(sent_ns.saturating_sub(intended_ns));
        }
        Ok(())
    }

    fn receive(&mut self, timeout: Duration, started: &Instant) -> Result<()> {
        self.connections.wait(timeout, &mut self.ready)?;
        for index in self.ready.drain(..) {
            let Some(status) = self.connections.receive(index, whole_status)? else { continue };
            match status {
                200..300 => self.run.success_count += 1,
                _ => self.run.other_count += 1,
            }
            let now_ns = nanoseconds(started.elapsed());
            self.run.latency.saturating_record(now_ns.saturating_sub(self.intended_ns[index]));
            self.run.answer_time.saturating_record(now_ns.saturating_sub(self.sent_ns[index]));
            self.idle.push(index);
        }
        Ok(())
    }
}

/// The status once the whole answer is here, and how many bytes that is.
fn whole_status(answer: &[u8]) -> Result<Option<(u16, usize)>> {
    let head = parse_head(answer)?;
    let whole = head.filter(|head| answer.len() >= head.bytes + head.body_bytes);
    Ok(whole.map(|head| (head.status, answer.len())))
}

/// A Poisson process: independent customers, exponentially distributed gaps.
struct Arrivals {
    mean_gap_ns: f64,
    random: Random,
}

impl Arrivals {
    fn new(rate: f64, seed: u64) -> Self {
        Self { mean_gap_ns: 1e9 / rate, random: Random::new(seed) }
    }

    fn next_after(&mut self, time_ns: u64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a gap is positive and small"
        )]
        let gap_ns = (-self.random.uniform().ln() * self.mean_gap_ns) as u64;
        time_ns + gap_ns
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_mean_rate() {
        let mut arrivals = Arrivals::new(10_000.0, 7);
        let last_ns = (0..100_000).fold(0, |time_ns, _| arrivals.next_after(time_ns));
        let rate = 100_000.0 / (last_ns as f64 / 1e9);
        assert!((9_800.0..10_200.0).contains(&rate), "{rate}");
    }
}
