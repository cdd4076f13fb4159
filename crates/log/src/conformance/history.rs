//! Long histories: whatever happens in whatever order, what was in force stays so.

use super::Harness;
use super::open_log::{KnownBatch, OpenLog};

/// Numbers that look random and repeat: splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % limit
    }
}

/// Appends, marks, failures, openings and restarts, 600 of them.
pub fn any_history_is_kept(harness: &mut dyn Harness) {
    let mut chance = Chance(1);
    let mut open = OpenLog::open(harness);
    for step in 0..600 {
        match chance.below(12) {
            0 => {
                let known = open.batches.clone();
                drop(open);
                harness.restart();
                open = OpenLog::open(harness);
                assert_eq!(open.batches, known, "step {step}");
            }
            1 => {
                let known = open.batches.clone();
                open = OpenLog::open(harness);
                assert_eq!(open.batches, known, "step {step}");
            }
            2 => {
                let fault = usize::try_from(chance.below(harness.append_fault_count() as u64)).expect("few");
                open = fail(harness, open, fault);
            }
            3 => open.mark(harness, 5_000 + step),
            _ => {
                let payload_bytes = usize::try_from(chance.below(4_000)).expect("few");
                open.append(harness, payload_bytes);
            }
        }
    }
    open.check();
}

/// An append fails, and the log is opened again: all that was known to be in force is there.
fn fail(harness: &mut dyn Harness, mut open: OpenLog, fault: usize) -> OpenLog {
    let (known, durable_offset) = (open.batches.clone(), open.next_offset);
    harness.fail_next_append(fault);
    open.hand_over(100).expect_err("it was to fail");
    drop(open);
    let again = OpenLog::try_open(harness, 0, Some(durable_offset)).expect("it opens again");
    assert!(again.batches.starts_with(&known));
    assert!(again.batches.len() <= known.len() + 1);
    assert!(again.batches.windows(2).all(|pair: &[KnownBatch]| pair[0].next_offset() == pair[1].base_offset));
    again
}
