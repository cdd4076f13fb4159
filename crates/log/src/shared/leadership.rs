//! Who leads a partition, as one node sees it: a machine that is stepped. It is told the time, what its reader has passed and what
//! became of what it asked for, and says what to do next. It has no clock, thread or chance, and knows no log.
//!
//! ```text
//!                silence, or a resignation        own claim in force
//!   following ────────────────────────▶ claiming ───────────────────▶ leading
//!     ▲  ▲                                 │                            │  another claim in force,
//!     │  └──────── void, or no answer ─────┘                            │  or a record failed
//!     └───────────────────────────── vacated ◀───────────────────── deposed
//! ```
//!
//! Clocks and pings say only when to try. What counts is the claim in the log: whoever reads its own claim in force leads, and nobody
//! else.

use std::time::Duration;

use crate::shared::fence::{Place, Verdict};
use crate::shared::record::{NodeId, RecordKind, RecordNo, SharedRecord};

/// When a node tries to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimTimes {
    /// After so much time without a record in force, if the node that leads does not answer. Different for each node, so that one
    /// of them is first.
    pub silence: Duration,
    /// After so much time even if it answers: then it does not reach the log.
    pub silence_of_living: Duration,
}

/// What a node is to its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It applies what is in force.
    Following,
    /// Its claim is on its way, and was neither read nor given up.
    Claiming,
    /// It decides. Its records are of this epoch.
    Leading {
        /// The number of its claim.
        epoch: RecordNo,
    },
    /// It has led, and must not say anything more from that time.
    Deposed,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimStep {
    /// Nothing but reading, until this time at the latest; no end if absent.
    Wait {
        /// By the clock that the machine is told.
        until: Option<Duration>,
    },
    /// Read to the end, and say by [`Leadership::looked`] whether that was possible.
    Look,
    /// Ask this node whether it is there, and say by [`Leadership::pinged`].
    Ping {
        /// Who leads as far as the log says.
        leader: NodeId,
    },
    /// Append a claim with [`Leadership::tag`] that has seen this epoch. What the log says of it matters only if it failed:
    /// [`Leadership::claim_failed`].
    Claim {
        /// The newest epoch that was read; `None` in an empty log.
        seen: Option<RecordNo>,
    },
    /// Give up the state that was decided on and answer nothing from it; then [`Leadership::vacated`].
    Vacate,
}

/// One node's part in who leads one partition.
#[derive(Debug)]
pub struct Leadership {
    node: NodeId,
    tag: u64,
    times: ClaimTimes,
    role: Role,
    /// As of everything that was read.
    epoch: Option<RecordNo>,
    leader: Option<NodeId>,
    /// When a record in force was read, or something was tried, for the last time.
    heard_at: Duration,
    /// The silence need not be waited for: this node was named, or led before.
    is_called: bool,
    /// The end of the log was seen since.
    is_level: bool,
    /// Whether the leader has answered since; absent if it was not asked.
    has_answered: Option<bool>,
}

impl Leadership {
    /// Follows from this place on. `tag` is a random number that no other process and no earlier life of this one has: by it the
    /// node knows its claims again.
    pub fn new(node: NodeId, tag: u64, times: ClaimTimes, place: &Place, now: Duration) -> Self {
        Self {
            node,
            tag,
            times,
            role: Role::Following,
            epoch: place.epoch,
            leader: place.leader,
            heard_at: now,
            is_called: false,
            is_level: false,
            has_answered: None,
        }
    }

    /// What the node is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What stands in its claims.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// What to do at `now`.
    pub fn next_step(&mut self, now: Duration) -> ClaimStep {
        match self.role {
            Role::Deposed => ClaimStep::Vacate,
            Role::Leading { .. } => ClaimStep::Wait { until: None },
            Role::Claiming => {
                let until = self.heard_at + self.times.silence;
                if now < until {
                    return ClaimStep::Wait { until: Some(until) };
                }
                // Should it come after all, it counts.
                self.begin_to_follow(now);
                self.next_step(now)
            }
            Role::Following => self.step_of_follower(now),
        }
    }

    fn step_of_follower(&mut self, now: Duration) -> ClaimStep {
        let due = self.heard_at + self.times.silence;
        if now < due && !self.is_called {
            return ClaimStep::Wait { until: Some(due) };
        }
        let late = self.heard_at + self.times.silence_of_living;
        let other = self.leader.filter(|leader| *leader != self.node);
        if let Some(leader) = other.filter(|_| now < late && !self.is_called) {
            match self.has_answered {
                None => return ClaimStep::Ping { leader },
                Some(true) => return ClaimStep::Wait { until: Some(late) },
                Some(false) => {}
            }
        }
        // Last of all, so that nothing is claimed by what was seen before.
        if !self.is_level {
            return ClaimStep::Look;
        }
        self.begin_to_follow(now);
        self.role = Role::Claiming;
        ClaimStep::Claim { seen: self.epoch }
    }

    /// The reader has passed a record, with this verdict. What it says has to be applied before the next step is taken.
    pub fn read(&mut self, no: RecordNo, record: &SharedRecord<'_>, verdict: Verdict, now: Duration) {
        if verdict != Verdict::InForce {
            return;
        }
        self.heard(now);
        match record.kind {
            RecordKind::Claim => {
                (self.epoch, self.leader, self.is_called) = (Some(no), Some(record.node), false);
                let is_own = record.node == self.node && record.sequence == self.tag;
                self.role = match self.role {
                    Role::Leading { .. } | Role::Deposed => Role::Deposed,
                    Role::Following | Role::Claiming if is_own => Role::Leading { epoch: no },
                    Role::Following | Role::Claiming => Role::Following,
                };
            }
            RecordKind::Resignation => {
                (self.epoch, self.leader) = (Some(no), None);
                self.is_called = record.node == self.node || record.node == NodeId::ANY;
                self.role = match self.role {
                    Role::Leading { .. } | Role::Deposed => Role::Deposed,
                    // A claim on its way has not seen this epoch, so it is void.
                    Role::Following | Role::Claiming => Role::Following,
                };
            }
            RecordKind::Batch | RecordKind::Mark | RecordKind::Note => {}
        }
    }

    /// Whether the log could be read to its end.
    pub fn looked(&mut self, is_level: bool) {
        self.is_level = is_level;
        if !is_level {
            self.has_answered = None;
        }
    }

    /// Whether the leader that was asked has answered that it leads.
    pub fn pinged(&mut self, has_answered: bool) {
        self.has_answered = Some(has_answered);
    }

    /// Nobody knows what became of the claim, or it is not in the log. Should it come after all, it counts.
    pub fn claim_failed(&mut self, now: Duration) {
        if self.role == Role::Claiming {
            self.begin_to_follow(now);
        }
    }

    /// The node gives up its epoch, because a record of it failed, and claims another at once: that makes void what is still on
    /// its way.
    pub fn give_up(&mut self) {
        if matches!(self.role, Role::Leading { .. }) {
            self.role = Role::Deposed;
            self.is_called = true;
        }
    }

    /// The state that was decided on is given up, and that of the log is there as far as it was read.
    pub fn vacated(&mut self) {
        assert_eq!(self.role, Role::Deposed, "only who was deposed vacates");
        self.role = Role::Following;
    }

    fn begin_to_follow(&mut self, now: Duration) {
        self.role = Role::Following;
        self.is_called = false;
        self.heard(now);
    }

    fn heard(&mut self, now: Duration) {
        self.heard_at = now;
        (self.is_level, self.has_answered) = (false, None);
    }
}

#[cfg(test)]
#[path = "leadership_tests.rs"]
mod tests;
