//! `docs/lab/performance.md`, made of `docs/lab/performance.json` and of the notes beside them, which are written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::peers::{self, Beside};

/// What the page takes from the JSON: all else there is for programs.
#[derive(Deserialize)]
struct Run {
    table: String,
    cells: Vec<Cell>,
    /// None in a run without peers.
    #[serde(default)]
    peers: Vec<Beside>,
}

#[derive(Deserialize)]
struct Cell {
    name: String,
    summary: String,
    meets_must: bool,
    meets_reach: bool,
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/lab")
        .join(name)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(docs(name)).with_context(|| format!("could not read docs/lab/{name}"))
}

/// Writes the page.
pub(crate) fn write() -> Result<()> {
    let page = page(&read("performance.json")?, &read("performance-notes.md")?)?;
    fs::write(docs("performance.md"), page).context("could not write docs/lab/performance.md")
}

fn page(json: &str, notes: &str) -> Result<String> {
    let run: Run = serde_json::from_str(json).context("docs/lab/performance.json is no run")?;
    let count = |meets: fn(&Cell) -> bool| run.cells.iter().filter(|cell| meets(cell)).count();
    let (must, reach, all) = (
        count(|cell| cell.meets_must),
        count(|cell| cell.meets_reach),
        run.cells.len(),
    );
    let what: String = run
        .cells
        .iter()
        .map(|cell| format!("- `{}`: {}\n", cell.name, cell.summary))
        .collect();
    let table = &run.table;
    let beside = beside(&run.peers);
    Ok(format!(
        "# How fast brighter is\n\n\
         Made by `cargo xtask bench --json docs/lab/performance.json` and `cargo xtask bench --page`; only the notes at \
         the end are written by hand.\n\n\
         {must} of {all} cells are as good as they must be, {reach} as good as they are to become. A cell with a twin \
         is the same work with a raw client, taken in turns with ours; its ratio is above 1 where ours is better. \
         Medians, with the range beside them; how much a cell is of what it reaches for stands before its durability.\n\n\
         {table}\n{beside}## What the cells are\n\n{what}\n{notes}"
    ))
}

/// What other frameworks gave in the same run; nothing, if there were none.
fn beside(peers: &[Beside]) -> String {
    if peers.is_empty() {
        return String::new();
    }
    format!(
        "## Beside others\n\n\
         The same cells with other frameworks, one sample of each after each pair of ours in the same run. Each has \
         the flags that it sets itself, so look at what they promise before you compare the figures; the note is \
         what its source says of where a message is lost. Medians, with the range beside them.\n\n{}\n",
        peers::table(peers)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_run_says() {
        // Before the first run there is neither.
        let json = fs::read_to_string(docs("performance.json")).ok();
        let written = fs::read_to_string(docs("performance.md")).ok();
        let made = json.map(|json| page(&json, &read("performance-notes.md").unwrap()).unwrap());
        assert!(made == written, "run `cargo xtask bench --page`");
    }

    #[test]
    fn a_run_becomes_a_page() {
        let json = r#"{"table": "| a |", "cells": [
            {"name": "send", "summary": "in process", "meets_must": true, "meets_reach": false}]}"#;
        let page = page(json, "## Notes").unwrap();
        for part in [
            "1 of 1 cells",
            "0 as good",
            "| a |",
            "- `send`: in process",
            "## Notes",
        ] {
            assert!(page.contains(part), "{page}");
        }
        assert!(!page.contains("Beside others"), "{page}");
    }

    #[test]
    fn peers_have_a_section_of_their_own() {
        let json = r#"{"table": "| a |", "cells": [], "peers": [{"peer": "other", "cell": "consume",
            "values": [1000.0], "cpu": [5.0], "durability": "acked", "note": "loses one"}]}"#;
        let page = page(json, "## Notes").unwrap();
        for part in [
            "## Beside others",
            "| consume | other | 1,000 (1,000–1,000) | 5.00 (5.00–5.00) | acked | loses one |",
        ] {
            assert!(page.contains(part), "{page}");
        }
    }
}
