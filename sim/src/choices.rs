//! Who says what happens next: chance with a seed, or one path after the other through all that can happen.

use fastrand::Rng;

/// Chooses what happens next.
pub(crate) enum Choices {
    /// By chance.
    Random(Rng),
    /// As the path says, and the smooth way behind it.
    Path(Path),
}

impl Choices {
    /// One of the options, each with a weight that is not 0. The first is the smooth way.
    pub(crate) fn pick(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        match self {
            Self::Random(random) => {
                let mut left = random.u32(0..weights.clone().sum());
                let is_here = |weight: u32| {
                    let here = left < weight;
                    left = left.wrapping_sub(weight);
                    here
                };
                weights.map(is_here).position(|here| here).expect("the weights add up")
            }
            Self::Path(path) => path.pick(weights.count()),
        }
    }
}

/// A path through all choices, and then the next one, until there is none: all that depart from the smooth way so many times at
/// most, within the first so many choices (after Emmi, Qadeer and Rakamarić, "Delay-bounded scheduling", 2011).
pub(crate) struct Path {
    steps: Vec<PathStep>,
    at: usize,
    departures_max: usize,
    length_max: usize,
}

struct PathStep {
    chosen: usize,
    count: usize,
}

impl Path {
    /// The smooth way.
    pub(crate) fn new(departures_max: usize, length_max: usize) -> Self {
        Self { steps: Vec::new(), at: 0, departures_max, length_max }
    }

    fn pick(&mut self, count: usize) -> usize {
        if self.at == self.length_max {
            return 0;
        }
        if self.at == self.steps.len() {
            self.steps.push(PathStep { chosen: 0, count });
        }
        let step = &self.steps[self.at];
        assert_eq!(step.count, count, "the same choices lead to the same place");
        self.at += 1;
        step.chosen
    }

    /// Goes on to the next path; false if this was the last.
    pub(crate) fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some(mut step) = self.steps.pop() {
            let departures = self.steps.iter().filter(|step| step.chosen > 0).count();
            if departures < self.departures_max && step.chosen + 1 < step.count {
                step.chosen += 1;
                self.steps.push(step);
                return true;
            }
        }
        false
    }

    /// Begins anew on the same path.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_with_so_many_departures_is_taken_once() {
        let mut path = Path::new(2, 4);
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let taken: Vec<usize> = (0..6).map(|_| path.pick(3)).collect();
            assert!(taken.iter().filter(|chosen| **chosen > 0).count() <= 2, "{taken:?}");
            assert!(seen.insert(taken));
            if !path.advance() {
                break;
            }
        }
        // None, one of 4 places with 2 ways, two of them with 4.
        assert_eq!(seen.len(), 1 + 4 * 2 + 6 * 4);
    }

    #[test]
    fn chance_follows_the_weights() {
        let mut choices = Choices::Random(Rng::with_seed(1));
        let mut counts = [0; 3];
        for _ in 0..6_000 {
            counts[choices.pick([1, 2, 3].into_iter())] += 1;
        }
        assert!((800..1_200).contains(&counts[0]) && (2_700..3_300).contains(&counts[2]), "{counts:?}");
    }
}
