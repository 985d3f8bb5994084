//! Chance, from a seed (splitmix64): the same numbers for the same seed, on every machine and for ever.

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A source of chance.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The seed itself would do for one seed; but the next one's numbers would be these, shifted by one.
        Self(mix(mix(seed).wrapping_add(STEP)))
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From `low` up to and without `high`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low);
        low + self.roll() % if width == 0 { 1 } else { width }
    }

    /// So often of a hundred.
    pub const fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }

    /// One of them, the likelier the heavier it is; `None` where nothing has a weight.
    pub fn weighted<'a, T>(&mut self, all: &'a [T], weight: impl Fn(&T) -> u64) -> Option<&'a T> {
        let total = all.iter().map(&weight).sum();
        let mut left = self.between(0, total);
        all.iter().find(|one| {
            let own = weight(one);
            let chosen = left < own;
            left = left.saturating_sub(own);
            chosen
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;
    use std::collections::BTreeSet;

    #[test]
    fn neighbouring_seeds_have_no_numbers_in_common() {
        let mut seen = BTreeSet::new();
        for seed in 0..500 {
            let mut dice = Dice::new(seed);
            assert!((0..40).all(|_| seen.insert(dice.roll())), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_brings_the_same_numbers_and_weights_are_kept() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| dice.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
        assert!(rolls(7).iter().all(|roll| (3..9).contains(roll)));
        let mut dice = Dice::new(1);
        assert!((0..100).all(|_| dice.weighted(&[0, 5, 0], |weight| *weight) == Some(&5)));
        assert_eq!(dice.weighted(&[0, 0], |weight| *weight), None);
    }
}
