//! The suite that every log passes, for the log in files and the log in memory.

mod files {
    use std::sync::Arc;

    use onrush_log::conformance::Harness;
    use onrush_log::file::faulty::{Fault, FaultyStorage};
    use onrush_log::file::{FileLog, LogDirectory, LogSettings, StoredFileLog};
    use onrush_log::{Log, StoredLog};

    /// What happens how many operations from now on: an append is a write, then a sync.
    const FAULTS: [(u64, Fault); 5] = [
        (0, Fault::Error),
        (0, Fault::ErrorInCache),
        (1, Fault::Error),
        (1, Fault::ErrorInCache),
        (1, Fault::ErrorWhenDurable),
    ];

    /// The file log on a disk that fails on demand; a restart loses what was not synced.
    struct Files {
        disk: FaultyStorage,
        log: Arc<dyn Log>,
    }

    impl Files {
        fn new() -> Self {
            Self::on(FaultyStorage::new())
        }

        fn on(disk: FaultyStorage) -> Self {
            let directory = LogDirectory::lock(Arc::new(disk.clone()), 7).expect("nobody else has it");
            Self { disk, log: Arc::new(FileLog::new(directory, LogSettings::for_tests(16 << 10))) }
        }
    }

    impl Harness for Files {
        fn log(&self) -> Arc<dyn Log> {
            Arc::clone(&self.log)
        }

        fn stored(&self) -> Box<dyn StoredLog> {
            Box::new(StoredFileLog::new(Arc::new(self.disk.clone())))
        }

        fn restart(&mut self) {
            *self = Self::on(self.disk.after_power_cut(|| false));
        }

        fn append_fault_count(&self) -> usize {
            FAULTS.len()
        }

        fn fail_next_append(&mut self, fault: usize) {
            let (operation, fault) = FAULTS[fault];
            self.disk.fail_at(self.disk.operation_count() + operation, fault);
        }

        fn set_full(&mut self, is_full: bool) {
            self.disk.set_room(is_full.then_some(0));
        }

        fn set_away(&mut self, is_away: bool) {
            self.disk.set_away(is_away);
        }

        fn bring_into_force(&self) {}
    }

    onrush_log::conformance_tests!(Files::new());
}

mod memory {
    use std::sync::Arc;

    use onrush_log::conformance::Harness;
    use onrush_log::memory::{AppendFault, MemoryLog};
    use onrush_log::{Log, StoredLog};

    const FAULTS: [AppendFault; 2] = [AppendFault::Lost, AppendFault::Kept];

    struct Memory(MemoryLog);

    impl Memory {
        fn new() -> Self {
            Self(MemoryLog::new(7).with_part_bytes(16 << 10))
        }
    }

    impl Harness for Memory {
        fn log(&self) -> Arc<dyn Log> {
            Arc::new(self.0.clone())
        }

        fn stored(&self) -> Box<dyn StoredLog> {
            Box::new(self.0.clone())
        }

        /// What is outstanding is void when the log is opened again.
        fn restart(&mut self) {}

        fn append_fault_count(&self) -> usize {
            FAULTS.len()
        }

        fn fail_next_append(&mut self, fault: usize) {
            self.0.fail_next_append(FAULTS[fault]);
        }

        fn set_full(&mut self, is_full: bool) {
            self.0.set_room(is_full.then_some(0));
        }

        fn set_away(&mut self, is_away: bool) {
            self.0.set_away(is_away);
        }

        fn bring_into_force(&self) {
            self.0.bring_into_force(usize::MAX);
        }
    }

    mod that_waits {
        onrush_log::conformance_tests!(super::Memory::new());
    }

    /// As a log that is elsewhere: four batches are on their way at once.
    mod that_does_not_wait {
        use onrush_log::memory::MemoryLog;

        onrush_log::conformance_tests!(super::Memory(
            MemoryLog::with_outstanding(7, 4).with_part_bytes(16 << 10)
        ));
    }
}
