//! A shared log in memory, for tests. Nothing in it happens by itself: whoever tests says which record on its way gets its number,
//! comes twice, is lost or is given up, what becomes of each acknowledgement, and how much readers are shown. So it keeps the
//! contract and no more than that.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::shared::contract::{
    Acked, Acks, Extent, Finding, Progress, SharedAppender, SharedBounds, SharedError, SharedLog,
    SharedReader, VisitRecord,
};
use crate::shared::record::RecordNo;

const LOST: SharedError = SharedError::Unknown(Cow::Borrowed("the record is lost"));
const TIMED_OUT: SharedError = SharedError::Unknown(Cow::Borrowed("it took too long"));

/// The log of one partition; clones are the same log.
#[derive(Clone)]
pub struct MemorySharedLog {
    contents: Arc<Mutex<Contents>>,
}

struct Contents {
    bounds: SharedBounds,
    /// Gives each record the number that its writer expected, or none.
    refuses_misplaced: bool,
    /// All records that were ever handed over, one behind the other.
    bytes: Vec<u8>,
    /// Where each record with a number stands there. The index is the number.
    records: Vec<Range<usize>>,
    /// So many of them were dropped.
    trimmed_count: usize,
    /// So many of them are shown to readers.
    shown_count: usize,
    is_frozen: bool,
    acks: Vec<Arc<dyn Acks>>,
    on_the_way: Vec<OnTheWay>,
    due: Vec<DueAck>,
    forgotten: Vec<DueAck>,
}

/// A record that was handed over and may get a number.
#[derive(Debug, Clone)]
struct OnTheWay {
    appender: usize,
    ticket: u64,
    expected: RecordNo,
    bytes: Range<usize>,
    /// Its writer will hear nothing more.
    is_told: bool,
}

/// An acknowledgement on its way back.
#[derive(Debug, Clone)]
struct DueAck {
    appender: usize,
    ticket: u64,
    acked: Result<Acked, SharedError>,
}

/// How much there is in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryCounts {
    /// Records that were handed over, or come again, and have no number yet.
    pub on_the_way: usize,
    /// Acknowledgements on their way back.
    pub due_acks: usize,
    /// Records that have a number. The next one gets this.
    pub records: usize,
    /// Those of them that readers are not shown yet.
    pub hidden: usize,
}

/// How an acknowledgement reaches its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckForm {
    /// As it is.
    Whole,
    /// Without the number.
    WithoutNumber,
    /// Not: its writer is told that nobody knows.
    TimedOut,
}

impl MemorySharedLog {
    /// An empty log. `refuses_misplaced` says whether it gives each record the number that its writer expected, or none.
    pub fn new(bounds: SharedBounds, refuses_misplaced: bool) -> Self {
        let contents = Contents {
            bounds,
            refuses_misplaced,
            bytes: Vec::new(),
            records: Vec::new(),
            trimmed_count: 0,
            shown_count: 0,
            is_frozen: false,
            acks: Vec::new(),
            on_the_way: Vec::new(),
            due: Vec::new(),
            forgotten: Vec::new(),
        };
        Self { contents: Arc::new(Mutex::new(contents)) }
    }

    /// How much there is of everything.
    pub fn counts(&self) -> MemoryCounts {
        let contents = self.contents();
        MemoryCounts {
            on_the_way: contents.on_the_way.len(),
            due_acks: contents.due.len(),
            records: contents.records.len(),
            hidden: contents.records.len() - contents.shown_count,
        }
    }

    /// Looks at the record with this number, shown or not.
    ///
    /// # Panics
    /// There is none.
    pub fn with_record<T>(&self, no: RecordNo, look: impl FnOnce(&[u8]) -> T) -> T {
        let contents = self.contents();
        let range = contents.records[usize::try_from(no.0).expect("as many as are in memory")].clone();
        look(&contents.bytes[range])
    }

    /// Gives a record on its way its number; if it `repeats`, it comes again later. Returns the number, or nothing if the log
    /// refuses it.
    pub fn store(&self, index: usize, repeats: bool) -> Option<RecordNo> {
        let mut contents = self.contents();
        let record = contents.on_the_way[index].clone();
        let next = RecordNo(contents.records.len() as u64);
        let is_refused = contents.refuses_misplaced && record.expected != next;
        if is_refused || !repeats {
            contents.on_the_way.remove(index);
        } else {
            contents.on_the_way[index].is_told = true;
        }
        let acked = if is_refused {
            Err(SharedError::Misplaced { expected: record.expected, next })
        } else {
            contents.records.push(record.bytes.clone());
            Ok(Acked { no: Some(next), appended_at_ms: None })
        };
        if !record.is_told {
            contents.due.push(DueAck { appender: record.appender, ticket: record.ticket, acked });
        }
        (!is_refused).then_some(next)
    }

    /// Puts bytes into the log that nobody handed over.
    pub fn store_junk(&self, junk: &[u8]) -> RecordNo {
        let mut contents = self.contents();
        let start = contents.bytes.len();
        contents.bytes.extend_from_slice(junk);
        let end = contents.bytes.len();
        contents.records.push(start..end);
        RecordNo(contents.records.len() as u64 - 1)
    }

    /// Loses a record on its way.
    pub fn lose(&self, index: usize) {
        let mut contents = self.contents();
        let OnTheWay { appender, ticket, is_told, .. } = contents.on_the_way.remove(index);
        if !is_told {
            contents.due.push(DueAck { appender, ticket, acked: Err(LOST) });
        }
    }

    /// Tells the writer of a record on its way that nobody knows; the record stays on its way.
    pub fn time_out(&self, index: usize) {
        let mut contents = self.contents();
        let OnTheWay { appender, ticket, is_told, .. } = contents.on_the_way[index];
        if !is_told {
            contents.on_the_way[index].is_told = true;
            contents.due.push(DueAck { appender, ticket, acked: Err(TIMED_OUT) });
        }
    }

    /// Lets an acknowledgement reach its writer.
    pub fn acknowledge(&self, index: usize, form: AckForm) {
        let due = self.contents().due.remove(index);
        let acked = match (form, due.acked) {
            (AckForm::Whole, acked) | (_, acked @ Err(_)) => acked,
            (AckForm::WithoutNumber, Ok(_)) => Ok(Acked { no: None, appended_at_ms: None }),
            (AckForm::TimedOut, Ok(_)) => Err(TIMED_OUT),
        };
        self.tell(due.appender, due.ticket, acked);
    }

    /// Loses an acknowledgement. Its writer hears only of [`MemorySharedLog::remember`].
    pub fn forget_ack(&self, index: usize) {
        let mut contents = self.contents();
        let due = contents.due.remove(index);
        contents.forgotten.push(due);
    }

    /// Tells the writers of records whose acknowledgements were lost that nobody knows.
    pub fn remember(&self) {
        loop {
            let Some(due) = self.contents().forgotten.pop() else { return };
            self.tell(due.appender, due.ticket, Err(TIMED_OUT));
        }
    }

    /// Shows readers so many more records.
    pub fn show(&self, count: usize) {
        let mut contents = self.contents();
        contents.shown_count = contents.shown_count.saturating_add(count).min(contents.records.len());
    }

    /// Lets readers read nothing more, or goes on.
    pub fn set_frozen(&self, is_frozen: bool) {
        self.contents().is_frozen = is_frozen;
    }

    /// What is on its way, for people.
    pub fn describe(&self, index: usize) -> String {
        let contents = self.contents();
        let OnTheWay { appender, ticket, .. } = contents.on_the_way[index];
        format!("record {ticket} of appender {appender}")
    }

    /// What is on its way back, for people.
    pub fn describe_ack(&self, index: usize) -> String {
        let contents = self.contents();
        let DueAck { appender, ticket, acked } = &contents.due[index];
        match acked {
            Ok(Acked { no: Some(no), .. }) => {
                format!("record {ticket} of appender {appender} has number {}", no.0)
            }
            Ok(Acked { no: None, .. }) => format!("record {ticket} of appender {appender} is in the log"),
            Err(error) => format!("record {ticket} of appender {appender}: {error}"),
        }
    }

    fn tell(&self, appender: usize, ticket: u64, acked: Result<Acked, SharedError>) {
        let acks = Arc::clone(&self.contents().acks[appender]);
        acks.ack(ticket, acked);
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A visitor that panics leaves it as it was.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedLog for MemorySharedLog {
    fn bounds(&self) -> SharedBounds {
        self.contents().bounds
    }

    fn inspect(&self) -> Result<Vec<Finding>, SharedError> {
        Ok(Vec::new())
    }

    fn appender(&self, _partition: u32, acks: Arc<dyn Acks>) -> Result<Box<dyn SharedAppender>, SharedError> {
        let mut contents = self.contents();
        contents.acks.push(acks);
        let appender = contents.acks.len() - 1;
        drop(contents);
        Ok(Box::new(MemoryAppender { log: self.clone(), appender }))
    }

    fn reader(&self, _partition: u32, from: RecordNo) -> Result<Box<dyn SharedReader>, SharedError> {
        Ok(Box::new(MemoryReader { log: self.clone(), next: from }))
    }

    fn extent(&self, _partition: u32) -> Result<Extent, SharedError> {
        let contents = self.contents();
        let number = |count: usize| RecordNo(count as u64);
        Ok(Extent { oldest: number(contents.trimmed_count), end: number(contents.records.len()) })
    }

    fn trim(&self, _partition: u32, before: RecordNo) -> Result<(), SharedError> {
        let mut contents = self.contents();
        let before = usize::try_from(before.0).unwrap_or(usize::MAX).min(contents.shown_count);
        contents.trimmed_count = contents.trimmed_count.max(before);
        Ok(())
    }
}

struct MemoryAppender {
    log: MemorySharedLog,
    appender: usize,
}

impl SharedAppender for MemoryAppender {
    fn append(&mut self, ticket: u64, expected: RecordNo, record: &[u8]) -> Result<(), SharedError> {
        let mut contents = self.log.contents();
        let bytes_max = contents.bounds.record_bytes_max;
        if record.len() > bytes_max {
            return Err(SharedError::TooLarge { bytes: record.len(), bytes_max });
        }
        let start = contents.bytes.len();
        contents.bytes.extend_from_slice(record);
        let bytes = start..contents.bytes.len();
        let appender = self.appender;
        contents.on_the_way.push(OnTheWay { appender, ticket, expected, bytes, is_told: false });
        Ok(())
    }
}

/// Reads what is shown, and never waits: nothing would come meanwhile. Its visitor must not use the log.
struct MemoryReader {
    log: MemorySharedLog,
    next: RecordNo,
}

impl SharedReader for MemoryReader {
    fn read(&mut self, _patience: Duration, visit: &mut VisitRecord<'_>) -> Result<Progress, SharedError> {
        let contents = self.log.contents();
        if contents.is_frozen {
            return Ok(Progress { next: self.next, is_level: false });
        }
        let end = RecordNo(contents.records.len() as u64);
        if self.next > end {
            return Err(SharedError::Truncated { next: self.next, end });
        }
        let from = usize::try_from(self.next.0).expect("as many as are in memory");
        if from < contents.trimmed_count {
            return Err(SharedError::Missing {
                next: self.next,
                found: RecordNo(contents.trimmed_count as u64),
            });
        }
        let shown = contents.records.get(from..contents.shown_count).unwrap_or_default();
        let mut is_level = true;
        for range in shown {
            let no = self.next;
            self.next = RecordNo(no.0 + 1);
            if visit(no, &contents.bytes[range.clone()]).is_break() {
                is_level = self.next.0 >= contents.shown_count as u64;
                break;
            }
        }
        Ok(Progress { next: self.next, is_level })
    }
}
