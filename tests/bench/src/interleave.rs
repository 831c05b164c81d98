//! Takes the samples of a cell: A B B A, so that a machine that grows slower is unfair to neither side.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cells::{Cell, Figure, Side};
use crate::measure::Sample;
use crate::peers::{Beside, Peers};

/// A cell with all its samples. Those of the same place in both lists were taken one after the other.
pub(crate) struct Taken {
    pub(crate) cell: &'static Cell,
    pub(crate) ours: Vec<Sample>,
    pub(crate) twin: Vec<Sample>,
    /// Other frameworks, each with one sample a pair.
    pub(crate) peers: Vec<Beside>,
}

impl Taken {
    /// The same samples, with another of their figures as the value.
    pub(crate) fn seen_as(&self, cell: &'static Cell) -> Self {
        let seen = |samples: &[Sample]| -> Vec<Sample> {
            let figure = |sample: &Sample| match cell.figure {
                Figure::Value => Some(sample.value),
                Figure::Cpu => Some(sample.cpu_micros),
                Figure::Second => sample.second,
            };
            samples
                .iter()
                .filter_map(|sample| figure(sample).map(|value| (sample, value)))
                .map(|(sample, value)| Sample {
                    value,
                    ..sample.clone()
                })
                .collect()
        };
        Self {
            cell,
            ours: seen(&self.ours),
            twin: seen(&self.twin),
            peers: Vec::new(),
        }
    }
}

/// Takes so many pairs of samples, or single ones where the cell has no twin, and after each pair one of each peer.
pub(crate) fn run(cell: &'static Cell, pairs: usize, peers: Option<&Peers>) -> Result<Taken> {
    let mut taken = Taken {
        cell,
        ours: Vec::new(),
        twin: Vec::new(),
        peers: peers.map_or_else(Vec::new, |peers| peers.beside(cell.name)),
    };
    for pair in 0..pairs {
        for side in order(pair) {
            match side {
                Side::Ours => taken.ours.push(sample(cell, side)?),
                Side::Twin if cell.twin.is_none() => {}
                Side::Twin => taken.twin.push(sample(cell, side)?),
            }
        }
        if let Some(peers) = peers {
            peers.sample(&mut taken.peers);
        }
    }
    Ok(taken)
}

fn order(pair: usize) -> [Side; 2] {
    if pair.is_multiple_of(2) {
        [Side::Ours, Side::Twin]
    } else {
        [Side::Twin, Side::Ours]
    }
}

/// One sample, from a process of its own.
fn sample(cell: &Cell, side: Side) -> Result<Sample> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--sample", cell.name, side.as_str()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not take a sample of {}", cell.name))?;
    if !output.status.success() {
        bail!("a sample of {}, {}, failed", cell.name, side.as_str());
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the sample of {} is not what was expected", cell.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sides_take_turns_in_going_first() {
        let sides: Vec<_> = (0..4).flat_map(order).collect();
        assert_eq!(
            sides,
            [
                Side::Ours,
                Side::Twin,
                Side::Twin,
                Side::Ours,
                Side::Ours,
                Side::Twin,
                Side::Twin,
                Side::Ours
            ]
        );
    }
}
