//! Why following a source comes to an end.

use onrush_sinks::TargetError;

/// Why following ended.
pub(super) enum Interruption {
    /// What is known stays true, and following goes on where it ended.
    Broken(String),
    /// Not all changes are known: the rows have to be loaded.
    Lost(String),
    /// The same, and the replication slot would tell the same again.
    Unreadable(String),
}

impl From<TargetError> for Interruption {
    fn from(error: TargetError) -> Self {
        Self::Broken(error.to_string())
    }
}
