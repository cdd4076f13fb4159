//! Sending a snapshot: its content in pieces, and behind them the manifest that makes it one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crc32c::crc32c_append;
use onrush_log::shared::{Acked, Acks, LogId, RecordNo, SharedAppender, SharedError, SharedLog};
use onrush_log::{Entry, Format, SnapshotError, SnapshotReader};

use super::content::Item;
use super::manifest::Manifest;
use super::piece::{PIECE_HEADER_BYTES, Piece, PieceKind};
use crate::place_file::Reached;

/// How often whoever waits for an acknowledgement looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Why a snapshot was not sent. Nobody takes what was sent of it for one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// An earlier program wrote it.
    #[error(
        "what is at offset {offset} is written in the way of an earlier version: it can be sent when this version has taken a snapshot behind it"
    )]
    Format { offset: u64 },
    #[error("the node stops")]
    Stopping,
}

/// How a snapshot is sent.
pub(crate) struct Sending<'a> {
    /// The log of snapshots.
    pub(crate) log: &'a dyn SharedLog,
    pub(crate) partition: u32,
    /// The shared log that it is of.
    pub(crate) log_id: LogId,
    /// Which one it is: random.
    pub(crate) snapshot: u64,
    /// Not faster than this, so that whoever answers meanwhile is not held up; as fast as it goes if absent.
    pub(crate) bytes_per_s_max: Option<u64>,
    /// Whether to stop in the middle.
    pub(crate) stops: &'a (dyn Fn() -> bool + Send + Sync),
}

/// A snapshot on its way.
pub(crate) struct Sender<'a> {
    sending: Sending<'a>,
    handing: Handing,
    outstanding_max: u64,
    /// What is not in a piece yet.
    content: Vec<u8>,
    piece_bytes_max: usize,
    record: Vec<u8>,
    manifest: Manifest,
}

impl<'a> Sender<'a> {
    /// Finds the end of the log of snapshots.
    pub(crate) fn begin(sending: Sending<'a>) -> Result<Self, SendError> {
        let end = sending.log.extent(sending.partition)?.end;
        let handing = Handing::begin(sending.log, sending.partition, end)?;
        let bounds = sending.log.bounds();
        let manifest = Manifest {
            log_id: sending.log_id,
            partition: sending.partition,
            snapshot: sending.snapshot,
            piece_count: 0,
            from_no: end,
            bytes: 0,
            checksum: 0,
            state_offset: 0,
            last_checksum: None,
            reached: Reached::default(),
        };
        Ok(Self {
            handing,
            outstanding_max: bounds.outstanding_max as u64,
            content: Vec::new(),
            piece_bytes_max: bounds.record_bytes_max - PIECE_HEADER_BYTES,
            record: Vec::new(),
            manifest,
            sending,
        })
    }

    /// Sends the state as of `offset`, before all entries.
    pub(crate) fn state(&mut self, offset: u64, snapshot: &mut dyn SnapshotReader) -> Result<(), SendError> {
        let format = snapshot.format();
        if format != Format::NEWEST {
            return Err(SendError::Format { offset });
        }
        self.manifest.state_offset = offset;
        self.item(&Item::State { format, offset, time_ms: snapshot.time_ms() })?;
        while let Some(chunk) = snapshot.next_chunk()? {
            self.item(&Item::Chunk(chunk))?;
        }
        let digest = snapshot.digest().expect("a snapshot that was read has one");
        self.item(&Item::StateEnd { digest })
    }

    /// Sends an entry; each behind the one before.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>) -> Result<(), SendError> {
        // The payload of a mark is empty, however it is written.
        if entry.event_count > 0 && entry.format != Format::NEWEST {
            return Err(SendError::Format { offset: entry.base_offset });
        }
        self.item(&Item::Entry(*entry))
    }

    /// Sends what is left, and when all of it is there the manifest. Whoever reads the snapshot goes on where `reached` says, behind a record
    /// with this checksum.
    pub(crate) fn finish(
        mut self,
        reached: Reached,
        last_checksum: Option<u32>,
    ) -> Result<Manifest, SendError> {
        while !self.content.is_empty() {
            self.piece()?;
        }
        self.handing.wait_for(0, self.sending.stops)?;
        (self.manifest.reached, self.manifest.last_checksum) = (reached, last_checksum);
        let mut record = std::mem::take(&mut self.record);
        self.manifest.encode(&mut record);
        self.handing.hand_over(&record)?;
        self.handing.wait_for(0, self.sending.stops)?;
        Ok(self.manifest)
    }

    fn item(&mut self, item: &Item<'_>) -> Result<(), SendError> {
        item.encode(&mut self.content);
        while self.content.len() >= self.piece_bytes_max {
            self.piece()?;
        }
        Ok(())
    }

    /// Sends one piece.
    fn piece(&mut self) -> Result<(), SendError> {
        let payload_bytes = self.content.len().min(self.piece_bytes_max);
        let mut record = std::mem::take(&mut self.record);
        let payload = &self.content[..payload_bytes];
        let piece = Piece {
            kind: PieceKind::Piece,
            log_id: self.manifest.log_id,
            partition: self.manifest.partition,
            snapshot: self.manifest.snapshot,
            number: self.manifest.piece_count,
            payload,
        };
        piece.encode(&mut record);
        self.manifest.piece_count += 1;
        self.manifest.bytes += payload_bytes as u64;
        self.manifest.checksum = crc32c_append(self.manifest.checksum, payload);
        self.content.drain(..payload_bytes);
        self.handing.wait_for(self.outstanding_max - 1, self.sending.stops)?;
        self.handing.hand_over(&record)?;
        self.record = record;
        if let Some(bytes_per_s) = self.sending.bytes_per_s_max {
            let nanos = payload_bytes as u64 * 1_000_000_000 / bytes_per_s;
            std::thread::park_timeout(Duration::from_nanos(nanos));
        }
        if (self.sending.stops)() {
            return Err(SendError::Stopping);
        }
        Ok(())
    }
}

/// Records on their way into a log, each behind the one before.
pub(crate) struct Handing {
    appender: Box<dyn SharedAppender>,
    acks: Arc<SendAcks>,
    handed_count: u64,
    expected: RecordNo,
}

impl Handing {
    /// Begins with the record that gets this number if nobody else appends.
    pub(crate) fn begin(
        log: &dyn SharedLog,
        partition: u32,
        expected: RecordNo,
    ) -> Result<Self, SharedError> {
        let acks = Arc::new(SendAcks::default());
        let appender = log.appender(partition, Arc::clone(&acks) as Arc<dyn Acks>)?;
        Ok(Self { appender, acks, handed_count: 0, expected })
    }

    /// Does not wait.
    pub(crate) fn hand_over(&mut self, record: &[u8]) -> Result<(), SharedError> {
        self.handed_count += 1;
        self.appender.append(self.handed_count, self.expected, record)?;
        self.expected.0 += 1;
        Ok(())
    }

    /// Waits until at most so many records are without acknowledgement.
    pub(crate) fn wait_for(
        &self,
        outstanding_max: u64,
        stops: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), SendError> {
        let mut told = self.acks.told();
        loop {
            if let Some(error) = told.error.take() {
                return Err(error.into());
            }
            if self.handed_count - told.count <= outstanding_max {
                return Ok(());
            }
            if stops() {
                return Err(SendError::Stopping);
            }
            told = self.acks.came.wait_timeout(told, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[derive(Default)]
struct SendAcks {
    told: Mutex<SendTold>,
    came: Condvar,
}

#[derive(Default)]
struct SendTold {
    count: u64,
    error: Option<SharedError>,
}

impl SendAcks {
    fn told(&self) -> MutexGuard<'_, SendTold> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acks for SendAcks {
    fn ack(&self, _ticket: u64, acked: Result<Acked, SharedError>) {
        let mut told = self.told();
        told.count += 1;
        if let Err(error) = acked {
            told.error = Some(error);
        }
        self.came.notify_all();
    }
}
