//! Why bytes that passed their checksum still make no sense: another, usually newer, version wrote them, or there is a
//! bug; a disk never does that.

/// What is wrong with the bytes of a record or a fact, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("undecodable record at byte {position} of its payload: {reason}")]
pub struct DecodeError {
    /// Byte in the payload.
    pub position: usize,
    /// What is wrong with it.
    pub reason: DecodeReason,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeReason {
    /// They are not what any version writes.
    #[error("{0}")]
    Malformed(&'static str),
    /// A record or fact of a kind that has to be understood.
    #[error("{of} {kind} is not known to this version of onrush, and must be: a newer version wrote it")]
    UnknownKind {
        /// `record kind` or `fact kind`.
        of: &'static str,
        /// Its number.
        kind: u8,
    },
    /// A field that has to be understood.
    #[error(
        "field {field} of `{of}` is not known to this version of onrush, and must be: a newer version wrote it"
    )]
    UnknownField {
        /// The record, fact or part that has the field.
        of: &'static str,
        /// Its number.
        field: u64,
    },
}

impl From<&'static str> for DecodeReason {
    fn from(problem: &'static str) -> Self {
        Self::Malformed(problem)
    }
}
