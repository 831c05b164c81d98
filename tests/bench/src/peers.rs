//! Other frameworks, measured in the same run. They are in a program of a workspace of their own (`peers` beside this
//! one), which names what it can do and takes one sample at a time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::measure::Sample;
use crate::report::ranged;
use crate::statistics::Summary;

/// What a peer does not promise where it takes no sample.
const LEFT_OUT: &str = "-";

/// The program of the peers, and the cells that it has.
pub(crate) struct Peers {
    program: PathBuf,
    cells: Vec<Beside>,
}

/// One cell as a peer does it, with what was measured of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) peer: String,
    pub(crate) cell: String,
    /// Of each sample, in the unit of the cell.
    values: Vec<f64>,
    /// Of each sample, in microseconds an operation.
    cpu: Vec<f64>,
    durability: String,
    /// Where it loses a message, or why there is no sample.
    note: String,
}

impl Peers {
    /// Asks the program what it can do.
    pub(crate) fn of(program: &Path) -> Result<Self> {
        let listed = output(Command::new(program).arg("--list"))?;
        Ok(Self {
            program: program.to_owned(),
            cells: parse(&String::from_utf8(listed)?)?,
        })
    }

    /// Those who have this cell, with nothing measured yet.
    pub(crate) fn beside(&self, cell: &str) -> Vec<Beside> {
        let cells = self.cells.iter();
        cells.filter(|listed| listed.cell == cell).cloned().collect()
    }

    /// Takes one sample of each. A peer that fails is told of, and does not spoil the run: it has one sample less.
    pub(crate) fn sample(&self, beside: &mut [Beside]) {
        for listed in beside.iter_mut().filter(|listed| listed.durability != LEFT_OUT) {
            match self.take(listed) {
                Ok(sample) => {
                    listed.values.push(sample.value);
                    listed.cpu.push(sample.cpu_micros);
                }
                Err(error) => eprintln!("bench: {} of {}: {error:#}", listed.cell, listed.peer),
            }
        }
    }

    fn take(&self, listed: &Beside) -> Result<Sample> {
        let sample = output(Command::new(&self.program).args(["--sample", &listed.cell, &listed.peer]))?;
        serde_json::from_slice(&sample).context("the sample is not what was expected")
    }
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("could not run the program of the peers")?;
    ensure!(
        output.status.success(),
        "the program of the peers failed ({})",
        output.status
    );
    Ok(output.stdout)
}

fn parse(list: &str) -> Result<Vec<Beside>> {
    list.lines()
        .map(|line| {
            let parts: Vec<_> = line.split('\t').collect();
            let &[peer, cell, durability, note] = &parts[..] else {
                anyhow::bail!("the program of the peers lists `{line}`")
            };
            Ok(Beside {
                peer: peer.to_owned(),
                cell: cell.to_owned(),
                values: Vec::new(),
                cpu: Vec::new(),
                durability: durability.to_owned(),
                note: note.to_owned(),
            })
        })
        .collect()
}

/// A table in Markdown; nothing, if there are none.
pub(crate) fn table(peers: &[Beside]) -> String {
    let mut table = String::new();
    if peers.is_empty() {
        return table;
    }
    table +=
        "| cell | peer | messages a second | CPU µs each | durability | note |\n|---|---|---|---|---|---|\n";
    for Beside {
        peer,
        cell,
        values,
        cpu,
        durability,
        note,
    } in peers
    {
        let ranged = |values: &[f64]| {
            let summary = Summary::of(values.iter().copied());
            summary.map_or_else(|| "–".to_owned(), |summary| ranged(summary, ""))
        };
        let _ = writeln!(
            table,
            "| {cell} | {peer} | {} | {} | {durability} | {note} |",
            ranged(values),
            ranged(cpu),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_cells_become_rows() {
        let mut listed = parse("one\tconsume\tdurable\tloses it\ntwo\tconsume\t-\tdoes not build\n").unwrap();
        listed[0].values = vec![3000.0, 1000.0, 2000.0];
        let table = table(&listed);
        for row in [
            "| consume | one | 2,000 (1,000–3,000) | – | durable | loses it |",
            "| consume | two | – | – | - | does not build |",
        ] {
            assert!(table.contains(row), "{table}");
        }
    }

    #[test]
    fn a_line_that_is_too_short_is_an_error() {
        assert!(parse("one\tconsume\tdurable\n").is_err());
    }
}
