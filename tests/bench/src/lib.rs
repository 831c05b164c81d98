//! How fast brighter is, and how far from its twin: the same work done with a raw client. `cargo xtask bench` builds
//! this in release and starts the servers that it needs.
//!
//! Each sample is taken in a process of its own, so that no cell finds the memory that another left.
//!
//! There are two programs: one that measures time and memory with the allocator that everybody has, and a small one that
//! counts how often something allocates, as counting costs time and touches memory that nobody uses.

mod cells;
mod interleave;
mod machine;
mod measure;
mod page;
mod peers;
mod report;
mod statistics;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use cells::{CELLS, Cell, Side};

/// A median of fewer says nothing on a machine that others use as well.
const FEWEST_PAIRS: usize = 5;

pub use measure::Counter;

/// What the program that measures does.
#[must_use]
pub fn main() -> ExitCode {
    told(run(&std::env::args().skip(1).collect::<Vec<_>>()))
}

/// What the program that counts does: prints how often a cell allocates each time.
#[must_use]
pub fn count(counter: Counter) -> ExitCode {
    let cell = std::env::args().nth(1).context("which cell?");
    told(cell.and_then(|cell| {
        println!("{}", cells::allocations(&cell, counter)?);
        Ok(())
    }))
}

fn told(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => print!("{}", list()),
        ["--page"] => page::write()?,
        [cells::STARTED, exchange, queue] => cells::handle_first(exchange, queue)?,
        ["--sample", cell, side] => {
            let sample = find(cell)?.sample(Side::parse(side)?)?;
            println!("{}", serde_json::to_string(&sample)?);
        }
        _ => measure_all(&Wanted::parse(args)?)?,
    }
    Ok(())
}

/// What the command line asks for.
struct Wanted {
    cells: Vec<&'static Cell>,
    json: Option<PathBuf>,
    pairs: usize,
    /// The program that takes samples of other frameworks.
    peers: Option<PathBuf>,
}

impl Wanted {
    fn parse(args: &[String]) -> Result<Self> {
        let mut wanted = Self {
            cells: Vec::new(),
            json: None,
            pairs: FEWEST_PAIRS,
            peers: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--json" => wanted.json = Some(args.next().context("--json wants a file")?.into()),
                "--pairs" => {
                    let pairs = args.next().context("--pairs wants a number")?;
                    wanted.pairs = pairs.parse().with_context(|| format!("--pairs {pairs}"))?;
                }
                "--peers" => wanted.peers = Some(args.next().context("--peers wants a program")?.into()),
                option if option.starts_with('-') => bail!("no option `{option}`"),
                name => {
                    let cell = find(name)?;
                    if wanted.cells.iter().all(|wanted| wanted.name != cell.name) {
                        wanted.cells.push(cell);
                    }
                }
            }
        }
        if wanted.pairs < FEWEST_PAIRS {
            bail!("{FEWEST_PAIRS} pairs are the fewest that say anything");
        }
        if wanted.cells.is_empty() {
            wanted.cells = CELLS.iter().collect();
        }
        Ok(wanted)
    }
}

fn measure_all(wanted: &Wanted) -> Result<()> {
    let peers = wanted.peers.as_deref().map(peers::Peers::of).transpose()?;
    let mut results = Vec::new();
    for cell in &wanted.cells {
        eprintln!("bench: {} ({})", cell.name, cell.summary);
        let taken = interleave::run(cell, wanted.pairs, peers.as_ref())?;
        results.extend(cell.also.iter().map(|also| taken.seen_as(also)));
        results.push(taken);
    }
    let report = report::Report::new(results);
    print!("{}", report.table());
    let beside = report.beside();
    if !beside.is_empty() {
        print!("\n{beside}");
    }
    if let Some(file) = &wanted.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(file, json).with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

/// The cell of this name, or what such a figure comes with.
fn find(name: &str) -> Result<&'static Cell> {
    CELLS
        .iter()
        .find(|cell| cell.name == name || cell.also.iter().any(|also| also.name == name))
        .with_context(|| format!("no cell `{name}`; there are:\n{}", list()))
}

/// One line a cell: its name, the servers that it needs, what it measures.
fn list() -> String {
    CELLS
        .iter()
        .flat_map(|cell| std::iter::once(cell).chain(cell.also))
        .map(|cell| {
            let needs: Vec<_> = cell.needs.iter().map(|service| service.as_str()).collect();
            let needs = if needs.is_empty() {
                "-".to_owned()
            } else {
                needs.join(",")
            };
            format!("{}\t{needs}\t{}\n", cell.name, cell.summary)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_names_are_cells_and_groups_are_measured_once() {
        let list = list();
        let names = list
            .lines()
            .map(|line| line.split('\t').next().unwrap_or_default());
        let names: Vec<_> = names.map(ToOwned::to_owned).collect();
        assert!(names.len() > CELLS.len(), "{list}");
        assert_eq!(Wanted::parse(&names).unwrap().cells.len(), CELLS.len());
    }
}
