//! The suite of every shared log, for the one in memory.

use std::sync::Arc;

use onrush_log::conformance::shared::SharedHarness;
use onrush_log::shared::memory::{AckForm, MemorySharedLog};
use onrush_log::shared::{SharedBounds, SharedLog};

const BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 1 << 20, outstanding_max: 5, numbers_are_dense: true };

struct Memory(MemorySharedLog);

impl Memory {
    fn new() -> Self {
        Self(MemorySharedLog::new(BOUNDS, false))
    }
}

impl SharedHarness for Memory {
    fn log(&self) -> Arc<dyn SharedLog> {
        Arc::new(self.0.clone())
    }

    fn settle(&self) {
        while self.0.counts().on_the_way > 0 {
            self.0.store(0, false);
        }
        while self.0.counts().due_acks > 0 {
            self.0.acknowledge(0, AckForm::Whole);
        }
        self.0.show(usize::MAX);
    }
}

onrush_log::shared_conformance_tests!(Some(Memory::new()));
