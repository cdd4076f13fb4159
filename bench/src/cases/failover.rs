//! How long buyers wait when the leading node ends: three nodes over a topic of three brokers, buyers who ask all the time, and one
//! leader after the other that is killed, or stopped in good order.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::http::exchange;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::servers::Cluster;
use crate::services::Services;
use crate::setting::{Bench, progress};

const NODE_COUNT: usize = 3;
/// Who ask one after the other, each on a connection of its own.
const BUYER_COUNT: usize = 4;
/// Between two requests of a buyer.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest wait for another node.
const TIMEOUT: Duration = Duration::from_mins(1);
const COUNTER: &str = "/v1/counters/failover";

/// How the leading node ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Kill,
    Stop,
}

/// What buyers share.
struct Market {
    addresses: Vec<SocketAddr>,
    /// The node that answered last.
    leader: AtomicUsize,
    is_over: AtomicBool,
    end: Mutex<Option<Ended>>,
}

/// The node that ended last, and what came of it.
struct Ended {
    node: usize,
    at: Instant,
    /// Until the first success of another node that was asked for afterwards.
    recovered_after: Option<Duration>,
}

/// From the end of the leading node to the first count of another.
pub(crate) fn failover(bench: &Bench) -> Result<Findings> {
    let services = Services::read(&bench.settings.services)?;
    let mut cluster = Cluster::start(bench, &services, "failover", NODE_COUNT)?;
    let mut findings = Findings::default();
    for (end, name, target_ms, aim_ms) in
        [(End::Kill, "killed", 4_000.0, 3_500.0), (End::Stop, "stopped in good order", 100.0, 50.0)]
    {
        let mut times = times(bench, &mut cluster, end, name)?;
        times.sort_unstable();
        let row = |part: &str, time: Duration| {
            let figure = Figure::new("onrush", "ms", vec![time.as_secs_f64() * 1e3]);
            Row::new(format!("leader {name}, {part} until another node counts"), figure, None, Better::Lower)
        };
        let p99 = row("p99", percentile(&times, 99))
            .targets(Target::ValueAtMost(target_ms), Target::ValueAtMost(aim_ms))
            .note(format!(
                "{} times; {BUYER_COUNT} buyers ask all the time; silence and brokers as they are by default, but \
                 broker.session.timeout.ms 3000",
                times.len()
            ));
        findings.rows.extend([row("p50", percentile(&times, 50)), p99, row("most", percentile(&times, 100))]);
        let times_ms = times.iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>();
        findings.raw.push(json!({"leader": name, "times_ms": times_ms}));
    }
    Ok(findings)
}

/// Ends one leader after the other while buyers ask.
fn times(bench: &Bench, cluster: &mut Cluster, end: End, name: &str) -> Result<Vec<Duration>> {
    let market = Market {
        addresses: cluster.addresses(),
        leader: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        end: Mutex::default(),
    };
    let market = &market;
    thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYER_COUNT).map(|_| scope.spawn(|| market.buy())).collect();
        let mut times = Vec::new();
        let ended = (0..bench.settings.kill_count).try_for_each(|round| {
            let leader = cluster.wait_until_level()?;
            let time = end_once(market, cluster, end, leader)
                .with_context(|| format!("round {round}, node {} {name}", leader + 1))?;
            progress(&format!("  {round}: node {} {name}, {:.0} ms", leader + 1, time.as_secs_f64() * 1e3));
            times.push(time);
            cluster.restart(leader)
        });
        market.is_over.store(true, Ordering::Relaxed);
        let mut values = BTreeSet::new();
        for buyer in buyers {
            for value in buyer.join().map_err(|_| anyhow!("a buyer panicked"))? {
                ensure!(values.insert(value), "{value} was told twice");
            }
        }
        ended.map(|()| times)
    })
}

fn end_once(market: &Market, cluster: &mut Cluster, end: End, leader: usize) -> Result<Duration> {
    let at = Instant::now();
    *market.ended() = Some(Ended { node: leader, at, recovered_after: None });
    match end {
        End::Kill => cluster.kill(leader)?,
        End::Stop => cluster.stop(leader)?,
    }
    loop {
        if let Some(time) = market.ended().as_ref().and_then(|ended| ended.recovered_after) {
            return Ok(time);
        }
        ensure!(at.elapsed() < TIMEOUT, "no other node counted anything for {TIMEOUT:?}");
        thread::sleep(PAUSE);
    }
}

impl Market {
    fn ended(&self) -> std::sync::MutexGuard<'_, Option<Ended>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until all is over: the values that were told.
    fn buy(&self) -> Vec<u64> {
        let mut values = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let node = self.leader.load(Ordering::Relaxed);
            let asked = Instant::now();
            let value = exchange(self.addresses[node], "POST", COUNTER, None).ok().and_then(|answer| {
                let body: Option<Value> = serde_json::from_str(&answer.body).ok();
                body.filter(|_| answer.status == 200)?["value"].as_u64()
            });
            if let Some(value) = value {
                values.push(value);
                if let Some(ended) =
                    self.ended().as_mut().filter(|ended| ended.node != node && ended.at <= asked)
                {
                    ended.recovered_after.get_or_insert_with(|| ended.at.elapsed());
                }
            } else {
                // Whoever finds the leader tells the others.
                let next = (node + 1) % self.addresses.len();
                let leader = &self.leader;
                let _ = leader.compare_exchange(node, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            thread::sleep(PAUSE);
        }
        values
    }
}

/// Of sorted times: what so many of a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_times() {
        let times = [1, 2, 3].map(Duration::from_millis);
        assert_eq!([50, 99, 100].map(|percent| percentile(&times, percent).as_millis()), [2, 3, 3]);
        assert_eq!(percentile(&times[..1], 50).as_millis(), 1);
    }
}
