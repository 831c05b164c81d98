//! Decision records have one form, and the index has each of them.

use std::fs;

use brighter_book::{Page, root};

/// The parts of a record. The third may be missing.
const PARTS: [&str; 4] = ["Context", "Decision", "Alternatives", "Consequences"];

#[test]
fn each_decision_has_the_form_and_an_index_row() {
    let index = Page::read("docs/adr/README.md").unwrap().text;
    let mut numbers = Vec::new();
    let mut faults = Vec::new();
    for entry in fs::read_dir(root().join("docs/adr")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if file == "README.md" {
            continue;
        }
        let record = Page::read(format!("docs/adr/{file}")).unwrap();
        let number: usize = file[..4].parse().unwrap();
        let title = record.title().unwrap_or_default();
        let row = title
            .strip_prefix(&format!("{number}. "))
            .map(|title| format!("| {number} | [{title}]({file}) |"));
        if !row.is_some_and(|row| index.contains(&row)) {
            faults.push(format!("{file}: `{title}` has no row in the index"));
        }
        let parts: Vec<&str> = record
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        let shorter = [PARTS[0], PARTS[1], PARTS[3]];
        if parts != PARTS && parts != shorter {
            faults.push(format!("{file}: its parts are {parts:?}"));
        }
        numbers.push(number);
    }
    numbers.sort_unstable();
    let gaps = index.rsplit_once("## Numbers without a record").unwrap().1;
    let explained: Vec<usize> = gaps
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    for number in 1..=*numbers.last().unwrap() {
        if numbers.contains(&number) == explained.contains(&number) {
            faults.push(format!("{number} must be a record, or a gap that is explained"));
        }
    }
    for pair in numbers.windows(2).filter(|pair| pair[0] == pair[1]) {
        faults.push(format!("two records have the number {}", pair[0]));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    println!("decisions: {} records", numbers.len());
}
