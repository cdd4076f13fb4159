//! The target: batches are encoded here while the one before is on its way in a thread of the connection's own.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use onrush_core::Incarnation;
use onrush_sinks::{Confirmed, Expected, Opened, SinkEvent, Skipped, Source, Target, TargetError};

use super::batch::Batch;
use super::io_thread::{IoThread, died};
use super::opening::Opening;
use super::ownership::runner_name;
use super::session::Session;
use super::settings::Settings;
use super::transaction::{Advance, write};

/// A sink's schema in a PostgreSQL database. Exactly once: rows and the sink's offset are written in one transaction, which
/// also checks that this runner is the newest and goes on where the last transaction ended.
pub struct Postgres {
    settings: Settings,
    runner: String,
    /// The fence that it held when its connection broke.
    held: Option<u64>,
    expected: Expected,
    batch_events_max: usize,
    link: Option<Link>,
}

/// Events of a batch while the server is quick; figures are in `docs/sinks/postgres.md`. Large events reach the bound on bytes
/// first.
const BATCH_EVENTS_MAX: usize = 32_768;
/// Events of a batch at least; a server that needs [`onrush_sinks::EXCHANGE_TIMEOUT`] for these is as good as away.
const BATCH_EVENTS_MIN: usize = 64;

/// An open target. At most one batch is under way.
struct Link {
    io: IoThread,
    session: Arc<Session>,
    open: Batch,
    spare: Option<Batch>,
    under_way: Option<UnderWay>,
    /// Offset that the last batch handed over leads to.
    reached: Option<u64>,
    durable: Option<u64>,
    /// What the database told when it was opened.
    opened: Opened,
    /// In which what is pushed next was decided.
    incarnation: Incarnation,
}

struct UnderWay {
    to: u64,
    answer: Receiver<(Batch, Result<(), TargetError>)>,
}

impl Postgres {
    /// A target that is not connected yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            runner: runner_name(),
            held: None,
            expected: Expected::default(),
            batch_events_max: BATCH_EVENTS_MAX,
            link: None,
        }
    }

    fn link(&mut self) -> Result<&mut Link, TargetError> {
        self.link.as_mut().ok_or_else(|| TargetError::Unavailable("the database is not connected".to_owned()))
    }

    /// Gives the connection up after an error. One that may pass shrinks the batches, so that a slow server gets ahead.
    fn noting<T>(&mut self, result: Result<T, TargetError>) -> Result<T, TargetError> {
        let held = self.link.as_ref().map(|link| link.session.fence.cast_unsigned());
        match &result {
            Ok(_) => return result,
            Err(TargetError::Unavailable(_)) => {
                self.held = held.or(self.held);
                self.batch_events_max = (self.batch_events_max / 2).max(BATCH_EVENTS_MIN);
            }
            Err(TargetError::Rejected { .. }) => self.held = held.or(self.held),
            Err(TargetError::Refused(_) | TargetError::LeftBehind(_)) => self.held = None,
        }
        self.link = None;
        result
    }
}

impl Target for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn set_expected(&mut self, expected: Expected) {
        self.expected = expected;
    }

    fn open(&mut self, source: &Source) -> Result<Option<u64>, TargetError> {
        self.link = None;
        let opened = Link::open(Opening {
            settings: self.settings.clone(),
            source: source.clone(),
            runner: self.runner.clone(),
            held: self.held,
            expected: self.expected.clone(),
        });
        if let Err(TargetError::Refused(_) | TargetError::LeftBehind(_)) = &opened {
            // Opened once more, it is by an operator's word.
            self.held = None;
        }
        let link = self.link.insert(opened?);
        self.held = None;
        Ok(link.reached)
    }

    fn let_go(&mut self) {
        (self.link, self.held) = (None, None);
    }

    fn opened(&self) -> Opened {
        self.link.as_ref().map(|link| link.opened.clone()).unwrap_or_default()
    }

    fn enter_incarnation(&mut self, incarnation: Incarnation) {
        if let Some(link) = &mut self.link {
            link.incarnation = incarnation;
        }
    }

    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        let link = self.link()?;
        link.open.push(event);
        if link.open.is_full() {
            let handed_over = link.hand_over(event.offset + 1);
            return self.noting(handed_over);
        }
        Ok(())
    }

    fn push_skipped(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        self.link()?.open.push_skipped(skipped);
        Ok(())
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        let sent = self.link()?.send(offset);
        let durable = self.noting(sent)?;
        self.batch_events_max = (self.batch_events_max * 2).min(BATCH_EVENTS_MAX);
        Ok(durable)
    }

    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        let link = self.link()?;
        let durable = link.finish().map(|()| link.durable.unwrap_or(0));
        self.noting(durable)
    }

    fn batch_events_max(&self) -> usize {
        self.batch_events_max
    }
}

impl Link {
    fn open(opening: Opening) -> Result<Self, TargetError> {
        let io = IoThread::start("postgres-sink").map_err(TargetError::Unavailable)?;
        let rows = opening.settings.rows;
        let (session, fence, server) = io.wait(opening.open())?;
        let mut open = Batch::new(rows);
        open.next_row_id = fence.next_row_id.cast_unsigned();
        let reached = fence.next_offset.map(i64::cast_unsigned);
        let confirmed =
            Confirmed { server, offset: reached.unwrap_or(0), fence: fence.number.cast_unsigned() };
        Ok(Self {
            io,
            session: Arc::new(session),
            open,
            spare: Some(Batch::new(rows)),
            under_way: None,
            reached,
            durable: reached,
            opened: Opened { incarnation: fence.incarnation, confirmed: Some(confirmed) },
            incarnation: Incarnation::FIRST,
        })
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        if self.reached != Some(offset) {
            self.hand_over(offset)?;
        }
        if self.durable.is_none() {
            // There is no offset to tell before the first batch is durable.
            self.finish()?;
        }
        Ok(self.durable.expect("a first batch is finished"))
    }

    /// Gives the open batch to the connection, when the one before is through.
    fn hand_over(&mut self, to: u64) -> Result<(), TargetError> {
        self.finish()?;
        let mut next = self.spare.take().expect("no batch is under way");
        next.next_row_id = self.open.next_row_id;
        let mut batch = std::mem::replace(&mut self.open, next);
        let advance = Advance { from: self.reached, to, incarnation: self.incarnation };
        let session = self.session.clone();
        let answer = self.io.begin(async move {
            batch.close();
            let written = write(&session, &mut batch, advance).await;
            batch.clear();
            (batch, written)
        });
        self.under_way = Some(UnderWay { to, answer });
        self.reached = Some(to);
        Ok(())
    }

    /// Waits for the batch under way. Each of its exchanges has a limit.
    fn finish(&mut self) -> Result<(), TargetError> {
        let Some(UnderWay { to, answer }) = self.under_way.take() else { return Ok(()) };
        let (batch, written) = answer.recv().map_err(|_| died())?;
        self.spare = Some(batch);
        written?;
        self.durable = Some(to);
        Ok(())
    }
}
