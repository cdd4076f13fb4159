//! What a process draws at random when it opens a partition, so that nothing it makes is taken for what another made.

use onrush_core::Incarnation;

/// Drawn once by each process, however often it opens the log again after a failed write: what it told stays good.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    /// Becomes the secret of a partition that has none.
    pub(crate) id_key: [u8; 16],
    /// What is decided in a partition that another process created is of this incarnation; never the first.
    pub(crate) incarnation: Incarnation,
}
