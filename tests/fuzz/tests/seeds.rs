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
use brighter_test_inputs::for_each_change;

/// What a worker of tokio has.
const STACK: usize = 2 * 1024 * 1024;
/// Of each target.
const INPUTS: usize = 3_000;

fn takes_its_seeds(target: Target) {
    let seeds = (target.seeds)();
    for seed in &seeds {
        told(target, &seed.name, &seed.bytes);
    }
    let inputs: Vec<_> = seeds.iter().map(|seed| seed.bytes.as_slice()).collect();
    for_each_change(&inputs, INPUTS, |seed, bytes| {
        told(target, &seeds[seed].name, bytes)
    });
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
