//! How something stood after each number of events.

/// Values, each from so many events on. What is there at first is the default.
#[derive(Debug, Clone, Default)]
pub(super) struct Timeline<T> {
    changes: Vec<(u64, T)>,
}

impl<T: Clone + Default> Timeline<T> {
    /// From `offset` events on the value is this. Offsets do not fall.
    pub(super) fn set(&mut self, offset: u64, value: T) {
        self.changes.push((offset, value));
    }

    /// The value after `offset` events.
    pub(super) fn at(&self, offset: u64) -> T {
        let count = self.changes.partition_point(|(from, _)| *from <= offset);
        count.checked_sub(1).map_or_else(T::default, |newest| self.changes[newest].1.clone())
    }

    pub(super) fn newest(&self) -> T {
        self.changes.last().map_or_else(T::default, |(_, value)| value.clone())
    }

    /// Where the value changes behind `lower`, up to `upper`.
    pub(super) fn changes(&self, lower: u64, upper: u64) -> impl Iterator<Item = u64> + '_ {
        let first = self.changes.partition_point(|(from, _)| *from <= lower);
        self.changes[first..].iter().map(|(from, _)| *from).take_while(move |from| *from <= upper)
    }
}

impl Timeline<u64> {
    /// Of a value that only grows: the first change that reaches `value`, with what was there before and from then on.
    pub(super) fn reaching(&self, value: u64) -> Option<(u64, u64, u64)> {
        let at = self.changes.partition_point(|(_, reached)| *reached < value);
        let (from, reached) = *self.changes.get(at)?;
        let before = at.checked_sub(1).map_or(0, |before| self.changes[before].1);
        Some((from, before, reached))
    }
}

/// The first place from `lower` to `upper` at which something is true that changes only at these places.
pub(super) fn first_true(
    (lower, upper): (u64, u64),
    changes: impl IntoIterator<Item = u64>,
    is_true: impl Fn(u64) -> bool,
) -> Option<u64> {
    let mut places: Vec<u64> = changes.into_iter().chain([lower]).filter(|place| *place <= upper).collect();
    places.sort_unstable();
    places.into_iter().find(|place| is_true(*place))
}
