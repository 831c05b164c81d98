//! `docs/faults.md` names every test of the catalogue, and none that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Whether this is the name of a test of a fault: `a01_`, and so on.
fn is_fault(name: &str) -> bool {
    let [group, tens, ones, b'_', ..] = name.as_bytes() else {
        return false;
    };
    (b'a'..=b'e').contains(group) && tens.is_ascii_digit() && ones.is_ascii_digit()
}

#[test]
fn the_table_of_faults_names_every_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for file in fs::read_dir(here.join("catalogue")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let names = text.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("async fn ")?.split_once('(')?;
            is_fault(name).then(|| name.to_owned())
        });
        tests.extend(names);
    }
    let table = fs::read_to_string(here.join("../../docs/faults.md")).unwrap();
    let named: BTreeSet<_> = table
        .split('`')
        .filter(|name| is_fault(name))
        .map(str::to_owned)
        .collect();
    assert!(!tests.is_empty());
    assert_eq!(named, tests);
}
