//! How much of a fault is done, and which: quick sizes in every test run, the full ones of the catalogue with
//! `BRIGHTER_FAULTS=full`, and every random choice from `BRIGHTER_SEED`.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;

/// Whether the full sizes of the catalogue are asked for.
#[must_use]
pub fn full() -> bool {
    std::env::var("BRIGHTER_FAULTS").is_ok_and(|scale| scale == "full")
}

/// One of two sizes.
#[must_use]
pub fn size<T>(quick: T, all: T) -> T {
    if full() { all } else { quick }
}

/// Random choices that come again with the same seed. The seed is printed, so that a failing run can be
/// repeated.
#[derive(Debug)]
pub struct Choices {
    state: Cell<u64>,
    seed: u64,
}

impl Choices {
    /// By the seed of `BRIGHTER_SEED`, or a new one.
    #[must_use]
    pub fn seeded(of: &str) -> Self {
        let seed = std::env::var("BRIGHTER_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(new_seed);
        println!("{of}: BRIGHTER_SEED={seed}");
        Self {
            state: Cell::new(seed),
            seed,
        }
    }

    /// What to set `BRIGHTER_SEED` to for the same choices.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below this one.
    #[must_use]
    pub fn below(&self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True once in so many times.
    #[must_use]
    pub fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// SplitMix64: a counter, well stirred.
    fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The standard library seeds its hashers at random.
fn new_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() % 1_000_000
}

/// One line of figures for a fault, as `cargo xtask faults` shows it; and for the page, in the file of
/// `BRIGHTER_FAULTS_FIGURES`, if there is to be one.
///
/// # Panics
/// That file cannot be written.
pub fn report(id: &str, figures: impl std::fmt::Display) {
    println!("fault {id}: {figures}");
    if let Some(path) = std::env::var_os("BRIGHTER_FAULTS_FIGURES") {
        let line = serde_json::json!({ "fault": id, "figures": figures.to_string() });
        let file = OpenOptions::new().create(true).append(true).open(path);
        // One call, so that the lines of several tests do not mix.
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .expect("the figures can be written");
    }
}
