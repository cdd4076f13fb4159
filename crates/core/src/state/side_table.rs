//! What only some reservations have: runs of entries by the reservation's ordinal, which only grows.

use super::chunked::{Address, Arena, Chunked};

/// Runs of `T`, at most one per reservation, in chunks of `2^BITS` entries.
pub(crate) struct SideTable<T, const BITS: u32> {
    places: Chunked<Place, 10>,
    runs: Arena<T, BITS>,
}

struct Place {
    seq: u32,
    at: Address,
    len: u16,
}

impl<T: Copy, const BITS: u32> SideTable<T, BITS> {
    pub(crate) const fn new() -> Self {
        Self { places: Chunked::new(), runs: Arena::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        self.places.len()
    }

    /// Adds the run of a reservation later than all that have one.
    pub(crate) fn push(&mut self, seq: u32, run: &[T]) {
        assert!(self.places.last().is_none_or(|last| last.seq < seq), "reservations come in order");
        let len = u16::try_from(run.len()).expect("a run has fewer than 2^16 entries");
        let at = self.runs.push(run);
        self.places.push(Place { seq, at, len });
    }

    /// The run of a reservation, if it has one.
    pub(crate) fn find(&self, seq: u32) -> Option<&[T]> {
        let number = self.places.partition_point(|place| place.seq < seq);
        let place = self.places.get(number).filter(|place| place.seq == seq)?;
        Some(self.run(place))
    }

    /// The run that was added as number `number`, and its reservation.
    pub(crate) fn nth(&self, number: u32) -> (u32, &[T]) {
        let place = &self.places[number];
        (place.seq, self.run(place))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.places.heap_bytes() + self.runs.heap_bytes()
    }

    pub(crate) fn check_bytes(&self) {
        self.places.check_bytes();
        self.runs.check_bytes();
    }

    fn run(&self, place: &Place) -> &[T] {
        &self.runs.tail(place.at)[..usize::from(place.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::SideTable;

    #[test]
    fn finds_only_those_that_have_a_run() {
        let mut table = SideTable::<u8, 6>::new();
        for seq in (0..9_000u32).step_by(3) {
            table.push(seq, &seq.to_le_bytes());
        }
        for seq in 0..9_100u32 {
            let expected = (seq < 9_000 && seq % 3 == 0).then(|| seq.to_le_bytes());
            assert_eq!(table.find(seq), expected.as_ref().map(<[u8; 4]>::as_slice), "{seq}");
        }
        assert_eq!(table.nth(2), (6, 6u32.to_le_bytes().as_slice()));
    }
}
