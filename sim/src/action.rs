//! What can happen next in a world, and how likely each of it is.

use std::fmt;

use onrush_log::shared::memory::AckForm;

/// As a count: all that there is.
pub(crate) const ALL: usize = usize::MAX;

/// One step of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A client asks this node.
    Ask { node: usize },
    /// A node looks at its acknowledgements, answers, leads or tries to, and writes.
    Turn { node: usize },
    /// A node reads so many records at most.
    Read { node: usize, count: usize },
    /// The log gives a record on its way its number; it may come again.
    Store { index: usize, repeats: bool },
    /// A record on its way is lost.
    Lose { index: usize },
    /// The client gives a record up, which stays on its way.
    TimeOut { index: usize },
    /// An acknowledgement arrives.
    Ack { index: usize, form: AckForm },
    /// An acknowledgement is lost.
    ForgetAck { index: usize },
    /// The client gives up whatever it has heard nothing of.
    Remember,
    /// Readers are shown more.
    Show { count: usize },
    /// Time passes.
    Pass { ms: u64 },
    /// A node stops, as a machine that is paused, or goes on.
    SetFrozen { node: usize, is_frozen: bool },
    /// A node can read nothing, though what it writes arrives, or can again.
    SetBlind { node: usize, is_blind: bool },
    /// The log answers no reader, or does again.
    SetLogFrozen { is_frozen: bool },
    /// A node's process ends and another starts, with all of its copy, half of it or nothing.
    Restart { node: usize, kept_halves: usize },
    /// A node's clock is set.
    SetClock { node: usize, offset_ms: i64 },
    /// A node has waited long enough, whatever happened.
    Hurry { node: usize },
    /// A leader hands over to another node.
    Resign { node: usize, to: Option<usize> },
    /// A leader tells all nodes something.
    Note { node: usize },
    /// Somebody else writes into the log.
    Junk,
    /// Leaders answer no ping, or do again.
    SetDeaf { is_deaf: bool },
}

impl fmt::Display for Action {
    /// For people. What is on its way, or on its way back, is named by its place among the others.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ask { node } => write!(formatter, "a client asks node {node}"),
            Self::Turn { node } => write!(formatter, "node {node} has a turn"),
            Self::Read { node, count: ALL } => write!(formatter, "node {node} reads"),
            Self::Read { node, count } => write!(formatter, "node {node} reads {count}"),
            Self::Store { index, repeats: false } => write!(formatter, "the log stores {index} on its way"),
            Self::Store { index, repeats: true } => {
                write!(formatter, "the log stores {index} on its way, which comes again")
            }
            Self::Lose { index } => write!(formatter, "{index} on its way is lost"),
            Self::TimeOut { index } => write!(formatter, "{index} on its way is given up and goes on"),
            Self::Ack { index, form: AckForm::Whole } => write!(formatter, "acknowledgement {index} arrives"),
            Self::Ack { index, form: AckForm::WithoutNumber } => {
                write!(formatter, "acknowledgement {index} arrives without a number")
            }
            Self::Ack { index, form: AckForm::TimedOut } => {
                write!(formatter, "acknowledgement {index} comes too late")
            }
            Self::ForgetAck { index } => write!(formatter, "acknowledgement {index} is lost"),
            Self::Remember => write!(formatter, "what was never heard of is given up"),
            Self::Show { count: ALL } => write!(formatter, "readers are shown everything"),
            Self::Show { count } => write!(formatter, "readers are shown {count} more"),
            Self::Pass { ms } => write!(formatter, "{ms} ms pass"),
            Self::SetFrozen { node, is_frozen: true } => write!(formatter, "node {node} stops"),
            Self::SetFrozen { node, is_frozen: false } => write!(formatter, "node {node} goes on"),
            Self::SetBlind { node, is_blind: true } => write!(formatter, "node {node} can read nothing"),
            Self::SetBlind { node, is_blind: false } => write!(formatter, "node {node} can read again"),
            Self::SetLogFrozen { is_frozen: true } => write!(formatter, "the log answers no reader"),
            Self::SetLogFrozen { is_frozen: false } => write!(formatter, "the log answers readers"),
            Self::Restart { node, kept_halves } => {
                write!(formatter, "node {node} starts again with {kept_halves} halves of its copy")
            }
            Self::SetClock { node, offset_ms } => {
                write!(formatter, "the clock of node {node} is set to {offset_ms} ms from the right time")
            }
            Self::Hurry { node } => write!(formatter, "node {node} has waited long enough"),
            Self::Resign { node, to: Some(to) } => write!(formatter, "node {node} is to resign to node {to}"),
            Self::Resign { node, to: None } => write!(formatter, "node {node} is to resign to any other"),
            Self::Note { node } => write!(formatter, "node {node} is to write a note"),
            Self::Junk => write!(formatter, "somebody else writes into the log"),
            Self::SetDeaf { is_deaf: true } => write!(formatter, "leaders answer no ping"),
            Self::SetDeaf { is_deaf: false } => write!(formatter, "leaders answer pings"),
        }
    }
}

/// How likely each trouble is in a run; 0 if it does not happen. A run with few of them goes deeper into those (after Groce and others,
/// "Swarm testing", 2012).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Troubles {
    pub(crate) reorder: u32,
    pub(crate) lose: u32,
    pub(crate) repeat: u32,
    pub(crate) time_out: u32,
    pub(crate) acks: u32,
    pub(crate) lag: u32,
    pub(crate) blind: u32,
    pub(crate) freeze: u32,
    pub(crate) restart: u32,
    pub(crate) clocks: u32,
    pub(crate) haste: u32,
    pub(crate) resign: u32,
    pub(crate) junk: u32,
}

impl Troubles {
    /// All of them alike.
    pub(crate) const ALL: Self = Self {
        reorder: 1,
        lose: 1,
        repeat: 1,
        time_out: 1,
        acks: 1,
        lag: 1,
        blind: 1,
        freeze: 1,
        restart: 1,
        clocks: 1,
        haste: 1,
        resign: 1,
        junk: 1,
    };

    /// Each of them not at all, or more or less often.
    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        let mut next = || [0, 0, 1, 5][random.usize(0..4)];
        Self {
            reorder: next(),
            lose: next(),
            repeat: next(),
            time_out: next(),
            acks: next(),
            lag: next(),
            blind: next(),
            freeze: next(),
            restart: next(),
            clocks: next(),
            haste: next(),
            resign: next(),
            junk: next(),
        }
    }
}
