//! What can happen next in a world, and how likely each of it is.

use onrush_log::shared::memory::AckForm;

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
    /// The log answers no reader, or does again.
    SetLogFrozen { is_frozen: bool },
    /// A node's process ends and another starts, with all of its copy, half of it or nothing.
    Restart { node: usize, kept_halves: usize },
    /// A node's clock is set.
    SetClock { node: usize, offset_ms: i64 },
    /// A leader hands over to another node.
    Resign { node: usize, to: usize },
    /// A leader tells all nodes something.
    Note { node: usize },
    /// Somebody else writes into the log.
    Junk,
    /// Leaders answer no ping, or do again.
    SetDeaf { is_deaf: bool },
}

/// Which troubles there are in a run. A run with few of them goes deeper into those (after Groce and others, "Swarm testing",
/// 2012).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each trouble is there or not")]
pub(crate) struct Troubles {
    pub(crate) reorder: bool,
    pub(crate) lose: bool,
    pub(crate) repeat: bool,
    pub(crate) time_out: bool,
    pub(crate) acks: bool,
    pub(crate) lag: bool,
    pub(crate) freeze: bool,
    pub(crate) restart: bool,
    pub(crate) clocks: bool,
    pub(crate) resign: bool,
    pub(crate) junk: bool,
}

impl Troubles {
    /// All of them.
    pub(crate) const ALL: Self = Self {
        reorder: true,
        lose: true,
        repeat: true,
        time_out: true,
        acks: true,
        lag: true,
        freeze: true,
        restart: true,
        clocks: true,
        resign: true,
        junk: true,
    };

    /// Each of them or not.
    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        let bits = random.u32(..);
        let mut at = 0;
        let mut next = || {
            at += 1;
            bits >> at & 1 == 1
        };
        Self {
            reorder: next(),
            lose: next(),
            repeat: next(),
            time_out: next(),
            acks: next(),
            lag: next(),
            freeze: next(),
            restart: next(),
            clocks: next(),
            resign: next(),
            junk: next(),
        }
    }
}
