//! In which incarnation each reservation of a sale was made.

use crate::Incarnation;

/// The ordinals from which on a sale's reservations are of another incarnation than those before, each with that; rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incarnations(Vec<(u32, Incarnation)>);

impl Incarnations {
    /// From the reservation of this ordinal on they are of this incarnation; whether it is another than before.
    pub fn begin(&mut self, seq: u32, incarnation: Incarnation) -> bool {
        let before = self.0.last().map_or(Incarnation::FIRST, |(_, before)| *before);
        let is_other = incarnation != before;
        if is_other {
            self.0.push((seq, incarnation));
        }
        is_other
    }

    /// That of the reservation of this ordinal.
    pub fn of(&self, seq: u32) -> Incarnation {
        let begun_count = self.0.partition_point(|(first, _)| *first <= seq);
        begun_count.checked_sub(1).map_or(Incarnation::FIRST, |at| self.0[at].1)
    }

    /// Each with the ordinal that it begins at.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Incarnation)> {
        self.0.iter().copied()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u32, Incarnation)>()
    }
}
