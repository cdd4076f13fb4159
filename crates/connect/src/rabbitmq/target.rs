//! The target: batches of messages, published without waiting and confirmed by the broker.
//!
//! Two batches are under way at most: while the broker confirms one, the next is written. A message that no queue takes comes
//! back before its confirm, but the client hands it out with whichever confirm it works off next, perhaps one of the
//! batch behind. So a batch counts as durable when it is confirmed, and all of the batch behind it too.

use std::pin::Pin;
use std::task::Poll;

use futures_util::FutureExt as _;
use futures_util::future::poll_fn;
use lapin::options::BasicPublishOptions;
use lapin::{Confirmation, PublisherConfirm};
use onrush_sinks::{SinkEvent, Source, Target, TargetError};

use super::Settings;
use super::errors::unpublishable;
use super::link::Link;
use super::message::Publication;

/// Events of a batch. The client looks through everything unconfirmed for many a confirm, so more of them are slower.
const BATCH_EVENTS: usize = 2_048;
/// Messages handed to the client at once.
const RUN_MESSAGES: usize = 256;
/// Bytes of messages after which a push publishes them, so that a batch of great events does not gather in memory.
const BYTES_MAX: usize = 8 << 20;
const PUBLISHING: &str = "publish";
const CONFIRMING: &str = "wait for confirms";

/// An exchange of RabbitMQ as a sink's target.
pub struct RabbitMq {
    settings: Settings,
    session: Option<Session>,
    made: Option<MadeQueue>,
}

/// The queue was made by this value: its first event, once there is one. A broker that is killed soon after can lose a queue that
/// it has declared, with messages that it has confirmed.
#[derive(Clone, Copy)]
struct MadeQueue {
    first_offset: Option<u64>,
}

/// What lives from one open to the next error.
struct Session {
    link: Link,
    source: Source,
    gathered: Vec<Publication>,
    gathered_bytes: usize,
    /// The newest batch.
    unconfirmed: Unconfirmed,
    /// Everything below is confirmed, or in the newest batch.
    confirmed_offset: u64,
    sent_offset: u64,
    durable_offset: u64,
}

/// Confirms that are still to come, with the offsets of their messages; at most as many as a batch has events.
type Unconfirmed = Vec<(u64, PublisherConfirm)>;

impl RabbitMq {
    /// Does not connect.
    pub fn new(settings: Settings) -> Self {
        Self { settings, session: None, made: None }
    }

    /// Runs `work` on the session, which does not outlive an error.
    fn within<T>(
        &mut self,
        work: impl FnOnce(&mut Session, &Settings) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let session = self.session.as_mut();
        let session = session.ok_or_else(|| TargetError::Unavailable("the channel is not open".into()))?;
        let done = work(session, &self.settings);
        if done.is_err() {
            self.session = None;
        }
        done
    }
}

impl Target for RabbitMq {
    fn kind(&self) -> &'static str {
        "rabbitmq"
    }

    fn keeps_offset(&self) -> bool {
        false
    }

    fn open(&mut self, source: &Source) -> Result<Option<u64>, TargetError> {
        self.session = None;
        let mut link = Link::connect(&self.settings, &format!("onrush sink {}", source.sink))?;
        link.lock(source)?;
        let makes_queue = link.declare(&self.settings)?;
        link.confirm()?;
        let lost = if makes_queue { self.made.and_then(|made| made.first_offset) } else { None };
        if makes_queue {
            self.made = Some(MadeQueue { first_offset: lost });
        }
        if let Some(offset) = lost {
            let queue = &self.settings.queue;
            tracing::warn!(
                sink = source.sink,
                queue,
                offset,
                "the queue is gone; everything since it was made is sent again"
            );
        }
        self.session = Some(Session {
            link,
            source: source.clone(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            unconfirmed: Unconfirmed::new(),
            confirmed_offset: 0,
            sent_offset: 0,
            durable_offset: lost.unwrap_or(0),
        });
        Ok(lost)
    }

    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        if let Some(made) = &mut self.made {
            made.first_offset.get_or_insert(event.offset);
        }
        self.within(|session, settings| {
            if let Some(publication) = Publication::of(event, settings, &session.source) {
                session.gathered_bytes += publication.payload.len();
                session.gathered.push(publication);
            }
            if session.gathered_bytes < BYTES_MAX {
                return Ok(());
            }
            let is_alone = session.unconfirmed.is_empty();
            session.publish(settings, is_alone)
        })
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        self.within(|session, settings| {
            if session.gathered.is_empty() && session.unconfirmed.is_empty() {
                session.sent_offset = offset;
                return session.wait_until_durable();
            }
            let before = std::mem::take(&mut session.unconfirmed);
            session.publish(settings, before.is_empty())?;
            session.confirm(before)?;
            session.durable_offset = session.confirmed_offset;
            session.confirmed_offset = session.sent_offset;
            session.sent_offset = offset;
            Ok(session.durable_offset)
        })
    }

    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        self.within(|session, _| session.wait_until_durable())
    }

    fn batch_events_max(&self) -> usize {
        BATCH_EVENTS
    }
}

impl Session {
    /// Hands everything gathered to the broker, in order, and waits until it is written. `is_alone` says that nothing else
    /// could be what the broker complains of.
    fn publish(&mut self, settings: &Settings, is_alone: bool) -> Result<(), TargetError> {
        let Self { link, gathered, unconfirmed, .. } = self;
        let only = if is_alone && gathered.len() == 1 { Some(gathered[0].offset) } else { None };
        for run in gathered.chunks_mut(RUN_MESSAGES) {
            let run = publish_run(&link.channel, settings, run, unconfirmed);
            let written = link.runtime().block_on(link.wait_unless_blocked(PUBLISHING, run));
            written?.map_err(|error| unpublishable(PUBLISHING, &error, only))?;
        }
        gathered.clear();
        self.gathered_bytes = 0;
        Ok(())
    }

    /// Waits until everything sent is confirmed; returns its offset. A connection that broke is an error even if nothing is
    /// left to confirm: a broker that was killed may have lost a new queue, and a sink without events would never look.
    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        let left = std::mem::take(&mut self.unconfirmed);
        self.confirm(left)?;
        self.link.check_connected()?;
        self.confirmed_offset = self.sent_offset;
        self.durable_offset = self.sent_offset;
        Ok(self.durable_offset)
    }

    /// Waits until these are confirmed.
    fn confirm(&self, confirms: Unconfirmed) -> Result<(), TargetError> {
        let is_alone = self.unconfirmed.is_empty() && confirms.len() == 1;
        let only = if is_alone { Some(confirms[0].0) } else { None };
        self.link.runtime().block_on(async {
            for (_, mut confirm) in confirms {
                // Most are there already; a timer for each would cost more than the message.
                let answer = match (&mut confirm).now_or_never() {
                    Some(answer) => answer,
                    None => self.link.wait_unless_blocked(CONFIRMING, confirm).await?,
                };
                taken(&answer.map_err(|error| unpublishable(CONFIRMING, &error, only))?)?;
            }
            Ok(())
        })
    }
}

/// Publishes a run and waits until it is written to the socket. All messages are handed over before the first is waited
/// for: one at a time would cost a switch of threads for each.
async fn publish_run(
    channel: &lapin::Channel,
    settings: &Settings,
    run: &mut [Publication],
    unconfirmed: &mut Unconfirmed,
) -> lapin::Result<()> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let mut writes = Vec::with_capacity(run.len());
    for publication in run {
        let Publication { offset, routing_key, payload, properties } = publication;
        let (routing_key, properties) = (std::mem::take(routing_key), std::mem::take(properties));
        let exchange = settings.exchange.as_str().into();
        let mut write = Box::pin(channel.basic_publish(exchange, routing_key, options, payload, properties));
        let begun = poll_fn(|context| Poll::Ready(Pin::new(&mut write).poll(context))).await;
        match begun {
            Poll::Ready(confirm) => unconfirmed.push((*offset, confirm?)),
            Poll::Pending => writes.push((*offset, write)),
        }
    }
    for (offset, write) in writes {
        unconfirmed.push((offset, write.await?));
    }
    Ok(())
}

/// Whether the broker has the message.
fn taken(confirmation: &Confirmation) -> Result<(), TargetError> {
    let reason = match confirmation {
        Confirmation::Ack(None) => return Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            format!("no queue takes messages like `{}`: {}", returned.routing_key, returned.reply_text)
        }
        Confirmation::Nack(None) => "the broker refused a message: the queue is full, or was lost".into(),
        Confirmation::NotRequested => "the broker does not confirm".into(),
    };
    Err(TargetError::Unavailable(format!("{PUBLISHING}: {reason}")))
}
