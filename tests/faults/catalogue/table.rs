//! `docs/lab/faults.md` names every test of the catalogue, and none that is not there, and has the figures of the last
//! full run as `docs/lab/faults.json` has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Whether this is the name of a test of a fault: `a01_`, and so on.
fn is_fault(name: &str) -> bool {
    let [group, tens, ones, b'_', ..] = name.as_bytes() else {
        return false;
    };
    (b'a'..=b'g').contains(group) && tens.is_ascii_digit() && ones.is_ascii_digit()
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
    let table = fs::read_to_string(docs("faults.md")).unwrap();
    let named: BTreeSet<_> = table
        .split('`')
        .filter(|name| is_fault(name))
        .map(str::to_owned)
        .collect();
    assert!(!tests.is_empty());
    assert_eq!(named, tests);
}

const BEGIN: &str = "<!-- figures: written by `cargo xtask faults --page` -->\n";
const END: &str = "<!-- end of figures -->\n";

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/lab")
        .join(name)
}

/// The figures as the page has them: a row for each line that a test reported.
fn figures(json: &Value) -> String {
    let row = |figure: &Value| {
        let text = |name: &str| figure[name].as_str().expect("a text").replace('|', "\\|");
        format!("| {} | {} |\n", text("fault"), text("figures"))
    };
    let rows: String = json.as_array().expect("a list").iter().map(row).collect();
    if rows.is_empty() {
        return "\nNo full run has been noted here yet.\n\n".into();
    }
    format!("\n| fault | figures |\n|---|---|\n{rows}\n")
}

/// What the tests of a run reported, sorted by the names of the faults.
fn reported(lines: &str) -> Value {
    let mut figures: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a figure"))
        .collect();
    figures.sort_by_key(|figure| figure["fault"].to_string());
    Value::Array(figures)
}

#[test]
fn the_page_has_the_figures_of_the_last_run() {
    // Told so by xtask, it writes both, and then looks whether they agree.
    if let Some(run) = std::env::var_os("BRIGHTER_FAULTS_PAGE") {
        let json = reported(&fs::read_to_string(run).unwrap());
        fs::write(docs("faults.json"), format!("{json:#}\n")).unwrap();
        let page = fs::read_to_string(docs("faults.md")).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        fs::write(
            docs("faults.md"),
            format!("{before}{BEGIN}{}{END}{after}", figures(&json)),
        )
        .unwrap();
    }
    let json = serde_json::from_str(&fs::read_to_string(docs("faults.json")).unwrap()).unwrap();
    let page = fs::read_to_string(docs("faults.md")).unwrap();
    let wanted = format!("{BEGIN}{}{END}", figures(&json));
    assert!(page.contains(&wanted), "run `cargo xtask faults --page`");
}

#[test]
fn figures_are_sorted_and_written_as_a_table() {
    let json =
        reported("{\"fault\":\"B1\",\"figures\":\"a|b\"}\n{\"fault\":\"A1\",\"figures\":\"0 lost\"}\n");
    assert!(figures(&json).ends_with("| A1 | 0 lost |\n| B1 | a\\|b |\n\n"));
    assert!(figures(&reported("")).contains("No full run"));
}
