//! What goes wrong in a cycle.

use anyhow::Result;
use std::time::Duration;

use super::nodes::{CLOCK_IS_WRONG, Node};
use super::topic::Topic;
use crate::random::Random;
use crate::services::{Frozen, Services};

/// The brokers.
pub(crate) const BROKERS: [&str; 3] = ["kafka-1", "kafka-2", "kafka-3"];

/// What happens to a node or to a broker. Numbers count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    KillNode(usize),
    /// In good order.
    StopNode(usize),
    FreezeNode(usize, Duration),
    /// From all brokers, or from one; nobody is told, or connections are refused.
    CutNode(usize, Option<usize>, bool),
    KillBroker(usize),
    FreezeBroker(usize, Duration),
    /// A node, and with it a broker.
    KillBoth(usize, usize),
    /// Its clock steps by so many seconds.
    StepClock(usize, i64),
    /// The first steps its clock, and then the second, which leads, is killed.
    StepClockAndKill(usize, i64, usize),
    /// The topic gets a setting by which it can lose records, for so long.
    UnsafeTopic(&'static str, &'static str, Duration),
}

/// The nodes as harm is chosen for them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    pub(super) leader: usize,
    pub(super) node_count: usize,
    pub(super) is_long: bool,
    /// By the number of nodes behind the leader: each has a clock that can be set, and says so if that is wrong.
    pub(super) can_be_judged: [bool; 3],
}

/// What has to be undone.
#[derive(Default)]
pub(super) struct Done {
    frozen: Option<Frozen>,
    is_topic_unsafe: bool,
}

impl Harm {
    /// The one of a cycle. Some come for certain, and first.
    pub(super) fn of_cycle(cycle: u64, random: &mut Random, situation: Situation) -> Self {
        let drawn = Self::draw(random, situation);
        let (leader, five_seconds) = (situation.leader, Duration::from_secs(5));
        match cycle {
            0 if situation.can_be_judged[0] => Self::StepClock(leader, 5),
            1 => Self::FreezeNode((leader + 1) % situation.node_count, five_seconds),
            2 => Self::FreezeNode(leader, five_seconds),
            3 => Self::FreezeBroker(0, five_seconds),
            _ => drawn,
        }
    }

    fn draw(random: &mut Random, situation: Situation) -> Self {
        let Situation { leader, node_count, is_long, can_be_judged } = situation;
        let broker = usize::try_from(random.below(BROKERS.len() as u64)).expect("a small number");
        let other = usize::try_from(random.between(1, node_count as u64 - 1)).expect("a small number");
        let follower = (leader + other) % node_count;
        let frozen_for = Duration::from_secs(match random.below(if is_long { 20 } else { 10 }) {
            0..4 => 1,
            19 => 60,
            _ => 5,
        });
        let step = *random.pick(&[2, 5, 30, 3_600, -2, -5, -30, -3_600]);
        let unsafe_for = Duration::from_secs(random.between(1, 70));
        let (setting, value) = *random.pick(&[("min.insync.replicas", "1"), ("retention.ms", "604800000")]);
        match random.below(if is_long { 32 } else { 30 }) {
            0..6 => Self::KillNode(leader),
            6..8 => Self::KillNode(follower),
            8..10 => Self::StopNode(leader),
            10..13 => Self::FreezeNode(leader, frozen_for),
            13..15 => Self::FreezeNode(follower, frozen_for),
            15..17 => Self::CutNode(leader, None, random.chance(50)),
            17..19 => Self::CutNode(leader, Some(broker), random.chance(50)),
            19..21 => Self::KillBroker(broker),
            21..24 => Self::FreezeBroker(broker, frozen_for),
            24..27 if can_be_judged[0] => Self::StepClock(leader, step),
            27..28 if can_be_judged[other] => Self::StepClockAndKill(follower, step, leader),
            30.. if random.chance(50) => Self::UnsafeTopic(setting, value, unsafe_for),
            _ => Self::KillBoth(leader, broker),
        }
    }

    /// The node that it happens to.
    pub(super) fn node(self) -> Option<usize> {
        match self {
            Self::KillNode(node)
            | Self::StopNode(node)
            | Self::FreezeNode(node, _)
            | Self::CutNode(node, ..)
            | Self::StepClock(node, _)
            | Self::StepClockAndKill(_, _, node)
            | Self::KillBoth(node, _) => Some(node),
            Self::KillBroker(_) | Self::FreezeBroker(..) | Self::UnsafeTopic(..) => None,
        }
    }

    /// What it is called in figures, if this node leads.
    pub(super) fn name(self, leader: usize) -> &'static str {
        match self {
            Self::KillNode(node) if node == leader => "leader killed",
            Self::KillNode(_) => "follower killed",
            Self::StopNode(_) => "leader stopped",
            Self::FreezeNode(node, _) if node != leader => "follower frozen",
            Self::FreezeNode(..) if self.deposes() => "leader frozen",
            Self::FreezeNode(..) => "leader frozen for a second",
            Self::CutNode(_, None, _) => "leader cut off",
            Self::CutNode(_, Some(_), _) => "leader cut off from a broker",
            Self::KillBroker(_) => "broker killed",
            Self::FreezeBroker(..) => "broker frozen",
            Self::KillBoth(..) => "leader and broker killed",
            Self::StepClock(..) => "clock of the leader wrong",
            Self::StepClockAndKill(..) => "leader killed, clock of another wrong",
            Self::UnsafeTopic(..) => "topic unsafe",
        }
    }

    /// Whether nobody can lead any more but another node, if this happens to the one that leads.
    pub(super) fn deposes(self) -> bool {
        match self {
            Self::KillNode(_)
            | Self::StopNode(_)
            | Self::KillBoth(..)
            | Self::StepClock(..)
            | Self::StepClockAndKill(..)
            | Self::CutNode(_, None, _) => true,
            Self::FreezeNode(_, span) => span > Duration::from_secs(2),
            Self::CutNode(_, Some(_), _)
            | Self::KillBroker(_)
            | Self::FreezeBroker(..)
            | Self::UnsafeTopic(..) => false,
        }
    }

    /// Whether nodes need not notice at once that it is over.
    pub(super) fn is_forgotten_late(self) -> bool {
        matches!(self, Self::UnsafeTopic(..))
    }

    /// How long it lasts at least.
    pub(super) fn span(self) -> Duration {
        match self {
            Self::FreezeNode(_, span) | Self::FreezeBroker(_, span) | Self::UnsafeTopic(_, _, span) => span,
            _ => Duration::ZERO,
        }
    }

    /// Does it.
    pub(super) fn begin(self, nodes: &mut [Node], services: &Services, topic: &Topic) -> Result<Done> {
        match self {
            Self::KillNode(node) => nodes[node].kill()?,
            Self::StopNode(node) => nodes[node].stop()?,
            Self::FreezeNode(node, _) => nodes[node].freeze()?,
            Self::CutNode(node, broker, is_silent) => nodes[node].cut(broker, is_silent),
            Self::KillBroker(broker) => services.kill(BROKERS[broker])?,
            Self::FreezeBroker(broker, _) => {
                let frozen = Some(services.freeze(BROKERS[broker])?);
                return Ok(Done { frozen, ..Done::default() });
            }
            Self::KillBoth(node, broker) => {
                nodes[node].kill()?;
                services.kill(BROKERS[broker])?;
            }
            Self::StepClock(node, seconds) => {
                let before = nodes[node].output()?.len();
                nodes[node].set_clock(seconds)?;
                nodes[node].await_said(before, CLOCK_IS_WRONG)?;
            }
            Self::StepClockAndKill(other, seconds, node) => {
                nodes[other].set_clock(seconds)?;
                nodes[node].kill()?;
            }
            Self::UnsafeTopic(name, value, _) => {
                topic.set(&[(name, value)])?;
                return Ok(Done { is_topic_unsafe: true, ..Done::default() });
            }
        }
        Ok(Done::default())
    }
}

impl Done {
    /// Undoes it: every broker and every node runs and reaches the others.
    pub(super) fn heal(self, nodes: &mut [Node], services: &Services, topic: &Topic) -> Result<()> {
        drop(self.frozen);
        for broker in BROKERS {
            services.start(broker)?;
        }
        if self.is_topic_unsafe {
            topic.set(&[])?;
        }
        for node in nodes {
            node.mend();
            node.thaw()?;
            node.set_clock(0)?;
            node.start()?;
        }
        Ok(())
    }
}
