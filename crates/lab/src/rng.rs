//! Seeded chance of our own, so that the same seed gives the same load in every
//! version: SplitMix64, whose every draw is a few arithmetic steps.

use std::time::Duration;

/// A generator; each client and the arrivals have their own, so that a draw of one moves no other.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator of `seed` for the purpose numbered `stream`.
    pub fn new(seed: u64, stream: u64) -> Rng {
        let mut rng = Rng(seed ^ stream.wrapping_mul(0xA24B_AED4_963E_E407));
        rng.0 = rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        // The high bits of a 128-bit product: no bias that a lab could see.
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A gap between Poisson arrivals at `rate` a second.
    pub fn gap(&mut self, rate: f64) -> Duration {
        // 53 bits in (0, 1], so that the logarithm is finite.
        let unit = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        Duration::try_from_secs_f64(-unit.ln() / rate).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, stream| {
            let mut rng = Rng::new(seed, stream);
            (0..8).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn gaps_have_the_mean_of_their_rate() {
        let mut rng = Rng::new(1, 0);
        let total: f64 = (0..20_000).map(|_| rng.gap(4.0).as_secs_f64()).sum();
        assert!((total / 20_000.0 - 0.25).abs() < 0.01, "{}", total / 20_000.0);
    }

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut rng = Rng::new(3, 0);
        let mut seen = [0u32; 3];
        (0..3000).for_each(|_| seen[rng.below(3)] += 1);
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }
}
