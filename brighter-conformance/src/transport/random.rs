//! [`Random`]: reproducible random data.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Generates numbers by SplitMix64, from the seed in `BRIGHTER_SEED` or a new one.
pub(super) struct Random {
    state: u64,
    seed: u64,
}

impl Random {
    pub(super) fn seeded() -> Self {
        let told = std::env::var("BRIGHTER_SEED").ok();
        let seed = told.and_then(|seed| seed.parse().ok());
        // The standard library seeds its hashers randomly.
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() % 1_000_000);
        Self { state: seed, seed }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Returns a text of about `least` to `most` bytes, in several scripts, without control characters.
    pub(super) fn text(&mut self, least: usize, most: usize) -> String {
        let bytes = least + self.below(most + 1 - least);
        let mut text = String::new();
        while text.len() < bytes {
            let letter = match self.below(4) {
                0 => char::from_u32(0x4e00 + self.below(20_000) as u32),
                1 => char::from_u32(0xa1 + self.below(600) as u32),
                2 => char::from_u32(0x1f300 + self.below(300) as u32),
                _ => char::from_u32(0x21 + self.below(0x5e) as u32),
            };
            text.extend(letter.filter(|letter| !letter.is_control()));
        }
        text
    }
}
