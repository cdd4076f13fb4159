//! What goes wrong between a server and its targets, drawn by chance.

use anyhow::{Context as _, Result};
use onrush_proxy::{Mode, Proxy};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::random::Random;
use crate::services::Frozen;
use crate::targets::{KINDS, Targets};

/// The pause of a slow line after the bytes that it takes at once.
const SLOW_PAUSE: Duration = Duration::from_millis(50);

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of the target.
    Kill(&'static str),
    /// Cuts after so many bytes to the target.
    CutTo(&'static str, u64),
    /// Cuts after so many bytes from the target.
    CutFrom(&'static str, u64),
    /// Loses answers until everything is mended.
    Swallow(&'static str),
    /// So many bytes in a twentieth of a second.
    Slow(&'static str, usize),
    /// SIGSTOP of the target.
    Freeze(&'static str),
    /// Read-only, out of memory, blocked, too few replicas.
    Refuse(&'static str),
}

impl Fault {
    /// Some fault of some target.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let kind = *random.pick(&KINDS);
        match random.below(9) {
            0 | 1 => Self::Kill(kind),
            2 => Self::CutTo(kind, random.between(1, 60_000)),
            3 => Self::CutTo(kind, random.between(1, 2_000)),
            4 => Self::CutFrom(kind, random.between(1, 600)),
            5 => Self::Swallow(kind),
            6 => Self::Slow(kind, usize::try_from(random.between(50, 4_000)).expect("small")),
            7 => Self::Freeze(kind),
            _ => Self::Refuse(kind),
        }
    }

    /// Of which target.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill(kind)
            | Self::CutTo(kind, _)
            | Self::CutFrom(kind, _)
            | Self::Swallow(kind)
            | Self::Slow(kind, _)
            | Self::Freeze(kind)
            | Self::Refuse(kind) => kind,
        }
    }
}

/// A proxy before each target, and what is wrong now.
pub(crate) struct Breaker {
    proxies: BTreeMap<&'static str, Proxy>,
    frozen: Vec<Frozen>,
    killed: Vec<&'static str>,
    refusing: Vec<&'static str>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "killed {:?}, refusing {:?}", self.killed, self.refusing)
    }
}

impl Breaker {
    /// Puts a proxy between every sink and its target.
    pub(crate) fn new(targets: &mut Targets) -> Result<Self> {
        let services = targets.services.clone();
        let mut proxies = BTreeMap::new();
        let postgres = Proxy::start(targets.postgres.address)?;
        targets.postgres.address = postgres.address();
        let redis = Proxy::start(targets.redis.address)?;
        targets.redis.address = redis.address();
        let rabbitmq = Proxy::start(targets.rabbitmq.address)?;
        targets.rabbitmq.address = rabbitmq.address();
        // Kafka tells its clients where it is, and has one listener that names an address for a proxy.
        let advertised = services.address("KAFKA_PROXIED_BROKERS")?;
        let kafka = Proxy::start_on(advertised, services.address("KAFKA_PROXY_TARGET")?)?;
        targets.kafka.brokers = advertised;
        proxies.extend([("postgres", postgres), ("redis", redis), ("rabbitmq", rabbitmq), ("kafka", kafka)]);
        Ok(Self { proxies, frozen: Vec::new(), killed: Vec::new(), refusing: Vec::new() })
    }

    /// Breaks something.
    pub(crate) fn begin(&mut self, fault: Fault, targets: &Targets) -> Result<()> {
        match fault {
            Fault::Kill(kind) => {
                self.killed.push(kind);
                targets.services.kill(kind)?;
            }
            Fault::CutTo(kind, bytes) => self.proxies[kind].set(Mode::CutTo(bytes)),
            Fault::CutFrom(kind, bytes) => self.proxies[kind].set(Mode::CutFrom(bytes)),
            Fault::Swallow(kind) => self.proxies[kind].set(Mode::LoseAnswers),
            Fault::Slow(kind, bytes) => self.proxies[kind].set(Mode::Slow { bytes, pause: SLOW_PAUSE }),
            Fault::Freeze(kind) => {
                self.frozen.push(targets.services.freeze(kind)?);
            }
            Fault::Refuse(kind) => {
                self.refusing.push(kind);
                refuse(kind, true, targets)?;
            }
        }
        Ok(())
    }

    /// Mends everything.
    pub(crate) fn heal(&mut self, targets: &Targets) -> Result<()> {
        self.frozen.clear();
        for proxy in self.proxies.values() {
            proxy.set(Mode::Pass);
            proxy.cut();
        }
        for kind in self.killed.drain(..) {
            targets.services.start(kind).with_context(|| format!("start {kind}"))?;
        }
        for kind in self.refusing.drain(..) {
            refuse(kind, false, targets)?;
        }
        Ok(())
    }
}

fn refuse(kind: &str, refused: bool, targets: &Targets) -> Result<()> {
    match kind {
        "postgres" => targets.postgres.refuse(refused),
        "redis" => targets.redis.refuse(refused),
        "rabbitmq" => targets.rabbitmq.refuse(refused),
        _ => targets.kafka.refuse(refused),
    }
    .with_context(|| format!("make {kind} refuse: {refused}"))
}
