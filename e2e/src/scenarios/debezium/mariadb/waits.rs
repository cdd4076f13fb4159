//! Statements that wait for a row while a quicker one changes another row of theirs. They begin before it, in another second, and are committed after
//! it. MariaDB tells when they began.

use anyhow::Result;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::client::Client;
use crate::followed::{KEY_COUNT, Key, Traffic, Written};
use crate::random::Random;

/// The rows, in pairs. They are always there.
pub(super) const WAITED_FOR: Range<Key> = KEY_COUNT - 8..KEY_COUNT;

/// Lets statements wait, one after the other.
#[derive(Debug)]
pub(super) struct Waits {
    random: Random,
    count: u64,
    /// Whoever has the lock, who waits for it, and who is quicker.
    clients: [Client; 3],
}

impl Waits {
    pub(super) fn new(random: Random, clients: [Client; 3]) -> Self {
        Self { random, count: 0, clients }
    }

    /// Lets statements wait until it is told to end, and counts those that have ended.
    pub(super) fn run(&mut self, traffic: &Traffic<'_>, ended_count: &AtomicU64) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        while !traffic.has_ended() {
            written.extend(self.wait(traffic)?);
            ended_count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(written)
    }

    fn wait(&mut self, traffic: &Traffic<'_>) -> Result<[Written; 3]> {
        let pair = 2 * Key::try_from(self.random.below(WAITED_FOR.len() as u64 / 2))?;
        let (held, contested) = (WAITED_FOR.start + pair, WAITED_FOR.start + pair + 1);
        let [quick, slow] = [self.count + 1, self.count + 2];
        self.count += 2;
        let [holder, waiting, other] = &mut self.clients;
        holder.execute(&format!("BEGIN; SELECT changes FROM items WHERE id = {held} FOR UPDATE"))?;
        let slow_begun_ns = traffic.clock.now_ns();
        // It comes to the lower key first.
        waiting.send(&format!("UPDATE items SET changes = {slow} WHERE id IN ({held}, {contested})"))?;
        thread::sleep(self.random.span_ms(1_050, 1_200));
        let quick_begun_ns = traffic.clock.now_ns();
        other.execute(&format!("UPDATE items SET changes = {quick} WHERE id = {contested}"))?;
        let quick_done_ns = traffic.clock.now_ns();
        thread::sleep(self.random.span_ms(50, 300));
        holder.execute("COMMIT")?;
        waiting.done()?;
        let slow_done_ns = traffic.clock.now_ns();
        Ok([
            written(contested, quick, quick_begun_ns, quick_done_ns),
            written(contested, slow, slow_begun_ns, slow_done_ns),
            written(held, slow, slow_begun_ns, slow_done_ns),
        ])
    }
}

fn written(key: Key, count: u64, begun_ns: u64, done_ns: u64) -> Written {
    Written { key, count, is_deletion: false, begun_ns, done_ns: Some(done_ns) }
}
