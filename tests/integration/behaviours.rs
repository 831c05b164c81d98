//! `docs/lab/behaviours.md` names a test for every behaviour, and every test that it names is there.

use std::fs;
use std::path::{Path, PathBuf};

/// The file of a test by the path of its module.
fn file(modules: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut path = match modules.first() {
        Some(&"faults") => here.join("faults/catalogue"),
        Some(&"telemetry") => here.join("telemetry"),
        _ => here.join("integration"),
    };
    path.extend(
        modules
            .iter()
            .filter(|module| !matches!(**module, "faults" | "telemetry")),
    );
    if path.is_dir() {
        path.push("mod");
    }
    path.with_extension("rs")
}

fn is_there(test: &str) -> bool {
    let parts: Vec<_> = test.split("::").collect();
    let Some((name, modules)) = parts.split_last() else {
        return false;
    };
    let text = fs::read_to_string(file(modules)).unwrap_or_default();
    // A function, or a line of a macro that makes one.
    let begins = [
        format!("async fn {name}("),
        format!("fn {name}("),
        format!("{name}: ["),
    ];
    text.lines()
        .any(|line| begins.iter().any(|begin| line.trim_start().starts_with(begin)))
}

#[test]
fn every_behaviour_has_its_test() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lab/behaviours.md");
    let table = fs::read_to_string(table).unwrap();
    let mut numbers = Vec::new();
    let mut missing = Vec::new();
    for line in table.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, number, _, tests, _] = cells[..] else {
            continue;
        };
        let Ok(number) = number.parse::<u32>() else {
            continue;
        };
        numbers.push(number);
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{number} names no test");
        missing.extend(named.into_iter().filter(|test| !is_there(test)));
    }
    assert!(missing.is_empty(), "these are not there: {missing:#?}");
    // Not yet: transforms; and workflows, which have no numbers.
    let expected = (1..=12).chain(34..=105);
    assert_eq!(numbers, expected.collect::<Vec<_>>());
    assert!(!is_there("processing::no_such_test"));
}
