//! The formats of what a log and its snapshots hold. One number for the frame or snapshot and for its content, which
//! alone changed between them: programs of version 1 refuse what they could not decode by its number.

/// Which format a frame or a snapshot, its content included, is written in. The numbers are part of the format and never
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Format {
    /// Records and facts without lengths: an unknown kind or field is an error.
    V1 = 1,
    /// Records and facts with lengths, to which fields can be added.
    V2 = 2,
}

impl Format {
    /// What is written now.
    pub const NEWEST: Self = Self::V2;

    /// The format with this number, if this program reads it.
    pub fn of_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The number as it stands in frames and snapshots.
    pub fn number(self) -> u8 {
        self as u8
    }
}
