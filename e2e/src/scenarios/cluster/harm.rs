//! What goes wrong in a cycle.

use anyhow::Result;
use std::time::Duration;

use super::nodes::Node;
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
}

/// What has to be undone.
#[derive(Default)]
pub(super) struct Done {
    frozen: Option<Frozen>,
}

impl Harm {
    /// One for nodes of which `leader` leads.
    pub(super) fn draw(random: &mut Random, leader: usize, node_count: usize, is_long: bool) -> Self {
        let broker = usize::try_from(random.below(BROKERS.len() as u64)).expect("a small number");
        let other = usize::try_from(random.between(1, node_count as u64 - 1)).expect("a small number");
        let follower = (leader + other) % node_count;
        let mut seconds = || {
            Duration::from_secs(match random.below(if is_long { 20 } else { 10 }) {
                0..4 => 1,
                19 => 60,
                _ => 5,
            })
        };
        let frozen_for = seconds();
        match random.below(12) {
            0..3 => Self::KillNode(leader),
            3 => Self::KillNode(follower),
            4 => Self::StopNode(leader),
            5..7 => Self::FreezeNode(leader, frozen_for),
            7 => Self::CutNode(leader, None, random.chance(50)),
            8 => Self::CutNode(leader, Some(broker), random.chance(50)),
            9 => Self::KillBroker(broker),
            10 => Self::FreezeBroker(broker, frozen_for),
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
            | Self::KillBoth(node, _) => Some(node),
            Self::KillBroker(_) | Self::FreezeBroker(..) => None,
        }
    }

    /// What it is called in figures, if this node leads.
    pub(super) fn name(self, leader: usize) -> &'static str {
        match self {
            Self::KillNode(node) if node == leader => "leader killed",
            Self::KillNode(_) => "follower killed",
            Self::StopNode(_) => "leader stopped",
            Self::FreezeNode(..) if self.deposes() => "leader frozen",
            Self::FreezeNode(..) => "leader frozen for a second",
            Self::CutNode(_, None, _) => "leader cut off",
            Self::CutNode(_, Some(_), _) => "leader cut off from a broker",
            Self::KillBroker(_) => "broker killed",
            Self::FreezeBroker(..) => "broker frozen",
            Self::KillBoth(..) => "leader and broker killed",
        }
    }

    /// Whether nobody can lead any more but another node, if this happens to the one that leads.
    pub(super) fn deposes(self) -> bool {
        match self {
            Self::KillNode(_) | Self::StopNode(_) | Self::KillBoth(..) | Self::CutNode(_, None, _) => true,
            Self::FreezeNode(_, span) => span > Duration::from_secs(2),
            Self::CutNode(_, Some(_), _) | Self::KillBroker(_) | Self::FreezeBroker(..) => false,
        }
    }

    /// How long it lasts at least.
    pub(super) fn span(self) -> Duration {
        match self {
            Self::FreezeNode(_, span) | Self::FreezeBroker(_, span) => span,
            _ => Duration::ZERO,
        }
    }

    /// Does it.
    pub(super) fn begin(self, nodes: &mut [Node], services: &Services) -> Result<Done> {
        match self {
            Self::KillNode(node) => nodes[node].kill()?,
            Self::StopNode(node) => nodes[node].stop()?,
            Self::FreezeNode(node, _) => nodes[node].freeze()?,
            Self::CutNode(node, broker, is_silent) => nodes[node].cut(broker, is_silent),
            Self::KillBroker(broker) => services.kill(BROKERS[broker])?,
            Self::FreezeBroker(broker, _) => {
                return Ok(Done { frozen: Some(services.freeze(BROKERS[broker])?) });
            }
            Self::KillBoth(node, broker) => {
                nodes[node].kill()?;
                services.kill(BROKERS[broker])?;
            }
        }
        Ok(Done::default())
    }
}

impl Done {
    /// Undoes it: every broker and every node runs and reaches the others.
    pub(super) fn heal(self, nodes: &mut [Node], services: &Services) -> Result<()> {
        drop(self.frozen);
        for broker in BROKERS {
            services.start(broker)?;
        }
        for node in nodes {
            node.mend();
            node.thaw()?;
            node.start()?;
        }
        Ok(())
    }
}
