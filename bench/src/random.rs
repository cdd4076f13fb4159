//! Random numbers from a seed, so that every run of a benchmark draws the same.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
#[derive(Debug)]
pub(crate) struct Random(u64);

/// The Zipf distribution: of `count` ranks, rank r, counted from 0, is drawn with a probability proportional to
/// 1 / (r + 1)^exponent.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// The weights of each rank and of all before it, in sum.
    sums: Vec<f64>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // The generator never leaves 0, so it starts from an odd number.
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number above 0 and at most 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        (bits as f64 + 1.0) / (1_u64 << 53) as f64
    }
}

impl Zipf {
    pub(crate) fn new(count: u32, exponent: f64) -> Self {
        let weights = (1..=count).map(|place| f64::from(place).powf(-exponent));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// A rank below the count.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.uniform() * self.sums.last().copied().unwrap_or_default();
        self.sums.partition_point(|sum| *sum < drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, Zipf};

    #[test]
    fn ranks_come_as_often_as_the_distribution_says() {
        const DRAW_COUNT: u32 = 200_000;
        let zipf = Zipf::new(1_000, 1.0);
        let mut random = Random::new(7);
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..DRAW_COUNT {
            counts[zipf.draw(&mut random)] += 1;
        }
        let sum: f64 = (1..=1_000).map(|place| 1.0 / f64::from(place)).sum();
        let share = |counts: &[u32]| f64::from(counts.iter().sum::<u32>()) / f64::from(DRAW_COUNT);
        let first = share(&counts[..1]);
        assert!((first * sum - 1.0).abs() < 0.03, "{first}");
        let first_ten = share(&counts[..10]);
        assert!((first_ten * sum / 2.929 - 1.0).abs() < 0.03, "{first_ten}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let zipf = Zipf::new(50, 1.0);
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| zipf.draw(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
