//! Every target takes every seed, and some thousands of changes of it, the same every time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says by a panic what is wrong"
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::thread;

use brighter_fuzz_targets::{TARGETS, Target};

/// What a worker of tokio has.
const STACK: usize = 2 * 1024 * 1024;
/// Of each target.
const INPUTS: usize = 3_000;

/// Marsaglia's xorshift: chance that comes again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn change(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len());
    let byte = u8::try_from(chance.below(256)).unwrap();
    match chance.below(5) {
        _ if bytes.is_empty() => bytes.push(byte),
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => {
            bytes.remove(at);
        }
        _ => bytes.truncate(at),
    }
}

fn takes_its_seeds(target: Target) {
    let mut chance = Chance(0x5eed);
    let seeds = (target.seeds)();
    for seed in &seeds {
        told(target, &seed.name, &seed.bytes);
    }
    for _ in 0..INPUTS {
        let seed = &seeds[chance.below(seeds.len())];
        let mut bytes = seed.bytes.clone();
        // Changes of what is large are many, and take their time: libFuzzer makes those.
        bytes.truncate(4_096);
        for _ in 0..=chance.below(6) {
            change(&mut bytes, &mut chance);
        }
        told(target, &seed.name, &bytes);
    }
}

/// Runs it, and tells what it was that it cannot take.
fn told(target: Target, seed: &str, bytes: &[u8]) {
    let result = catch_unwind(|| (target.run)(bytes));
    if let Err(panic) = result {
        let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        eprintln!(
            "`{}` cannot take this, of the seed `{seed}`: {begins:?}",
            target.name
        );
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_target_takes_its_seeds_and_changes_of_them() {
    let running = TARGETS.iter().map(|target| {
        let thread = thread::Builder::new()
            .name(target.name.to_owned())
            .stack_size(STACK);
        (target.name, thread.spawn(|| takes_its_seeds(*target)).unwrap())
    });
    let running: Vec<_> = running.collect();
    let failed = running
        .into_iter()
        .filter_map(|(name, thread)| thread.join().err().map(|_| name));
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{failed:?} panicked; see above");
}

#[test]
fn every_target_has_a_program_and_seeds_that_are_large() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut programs: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    programs.sort();
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(programs, names);
    for target in TARGETS {
        let largest = (target.seeds)().iter().map(|seed| seed.bytes.len()).max();
        // Its own recipes stand for what is large.
        let is_by_recipe = target.name == "nesting" || target.name == "json_out";
        assert!(
            is_by_recipe || largest > Some(90_000),
            "{}: {largest:?}",
            target.name
        );
    }
}
