//! Medians with their range, the only statistics that the tables print.

use serde::Serialize;

/// The median of some rounds, and the lowest and highest of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` when there is no finite value to summarise.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }

    /// The ratio of each pair of rounds, then its spread: a noisy round hits both sides of its own ratio.
    pub(crate) fn of_ratios(subject: &[f64], peer: &[f64]) -> Option<Self> {
        Self::of(subject.iter().zip(peer).map(|(subject, peer)| subject / peer))
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[track_caller]
    fn check(values: &[f64], expected: Option<(f64, f64, f64)>) {
        let expected = expected.map(|(median, min, max)| Spread { median, min, max });
        assert_eq!(Spread::of(values.iter().copied()), expected);
    }

    #[test]
    fn medians() {
        check(&[], None);
        check(&[f64::NAN], None);
        check(&[3.0], Some((3.0, 3.0, 3.0)));
        check(&[9.0, 1.0, 5.0], Some((5.0, 1.0, 9.0)));
        check(&[4.0, 1.0, 2.0, 9.0], Some((3.0, 1.0, 9.0)));
        check(&[f64::INFINITY, 2.0], Some((2.0, 2.0, 2.0)));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratio = Spread::of_ratios(&[10.0, 30.0, 20.0], &[20.0, 30.0, 80.0]).unwrap();
        assert_eq!(ratio, Spread { median: 0.5, min: 0.25, max: 1.0 });
    }
}
