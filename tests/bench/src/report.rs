//! The table for people, and the JSON that pages are made from.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cells::{Better, Cell, Compared};
use crate::interleave::Taken;
use crate::machine::Machine;
use crate::measure::Sample;
use crate::peers::{self, Beside};
use crate::statistics::Summary;

/// Every cell of a run.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Machine,
    /// For people, as it is in the page.
    table: String,
    cells: Vec<Measured>,
    /// Other frameworks in the same cells, where they were measured too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    peers: Vec<Beside>,
}

/// One cell: what was measured, and what it has to be.
#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    cell: &'static Cell,
    ours: Option<Summary>,
    twin_of: Option<Summary>,
    /// Ours to the twin's, sample by sample, as the cell is compared.
    ratio: Option<Summary>,
    meets_must: bool,
    meets_reach: bool,
    /// How much of what it reaches for it is: 1 and more is all.
    of_reach: Option<f64>,
    samples: Vec<Sample>,
    twin_samples: Vec<Sample>,
}

impl Report {
    pub(crate) fn new(mut taken: Vec<Taken>) -> Self {
        let peers = taken.iter_mut().flat_map(|taken| taken.peers.drain(..));
        let mut report = Self {
            machine: Machine::this(),
            table: String::new(),
            peers: peers.collect(),
            cells: taken.into_iter().map(Measured::new).collect(),
        };
        report.table = report.draw();
        report
    }

    /// A table in Markdown, so that it may be shown as it is.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// The peers, as a table of their own beneath it; nothing, if there were none.
    pub(crate) fn beside(&self) -> String {
        peers::table(&self.peers)
    }

    fn draw(&self) -> String {
        let mut table = format!("{}\n\n", self.machine.line());
        table += "| cell | ours | twin | ratio | CPU µs each, ours / twin | allocations each | must | reach for | of that | durability |\n";
        table += "|---|---|---|---|---|---|---|---|---|---|\n";
        for measured in &self.cells {
            measured.row(&mut table);
        }
        table
    }
}

impl Measured {
    fn new(taken: Taken) -> Self {
        let Taken { cell, ours, twin, .. } = taken;
        let values = |samples: &[Sample]| Summary::of(samples.iter().map(|sample| sample.value));
        let ratio =
            Summary::of(
                ours.iter()
                    .zip(&twin)
                    .map(|(ours, twin)| match (cell.compared, cell.better) {
                        (Compared::Added, _) => ours.value - twin.value,
                        (Compared::Ratio, Better::Higher) => ours.value / twin.value,
                        (Compared::Ratio, Better::Lower) => twin.value / ours.value,
                    }),
            );
        let result = ratio.or_else(|| values(&ours)).map(|summary| summary.median);
        let meets = |wanted: f64| {
            result.is_some_and(|result| match (cell.compared, cell.better) {
                (Compared::Added, _) => result <= wanted,
                (Compared::Ratio, Better::Lower) if ratio.is_none() => result <= wanted,
                (Compared::Ratio, _) => result >= wanted,
            })
        };
        let of_reach = result.map(|result| match (cell.compared, cell.better) {
            (Compared::Added, _) => cell.reach / result.max(cell.reach),
            (Compared::Ratio, Better::Lower) if ratio.is_none() => cell.reach / result,
            (Compared::Ratio, _) => result / cell.reach,
        });
        Self {
            of_reach,
            ours: values(&ours),
            twin_of: values(&twin),
            ratio,
            meets_must: meets(cell.must),
            meets_reach: meets(cell.reach),
            cell,
            samples: ours,
            twin_samples: twin,
        }
    }

    fn row(&self, table: &mut String) {
        let Cell {
            name,
            unit,
            must,
            reach,
            durability,
            ..
        } = self.cell;
        let ours = self.ours.map_or_else(String::new, |it| ranged(it, unit));
        let twin = match (self.cell.twin.as_ref(), self.twin_of) {
            (Some(twin), Some(summary)) => format!("{}: {}", twin.name, ranged(summary, unit)),
            _ => "–".to_owned(),
        };
        let unit = match self.cell.compared {
            Compared::Ratio => "",
            Compared::Added => unit,
        };
        let ratio = self.ratio.map_or_else(|| "–".to_owned(), |it| ranged(it, unit));
        let cpu = |samples: &[Sample]| {
            Summary::of(samples.iter().map(|sample| sample.cpu_micros))
                .map_or_else(|| "–".to_owned(), |it| number(it.median))
        };
        let allocations = Summary::of(self.samples.iter().filter_map(|sample| sample.allocations))
            .map_or_else(|| "–".to_owned(), |it| number(it.median));
        let of_reach =
            (self.of_reach).map_or_else(|| "–".to_owned(), |part| format!("{:.0} %", part * 100.0));
        let mark = |met| if met { "✓" } else { "✗" };
        let _ = writeln!(
            table,
            "| {name} | {ours} | {twin} | {ratio} | {} / {} | {allocations} | {} {} | {} {} | {of_reach} | {durability} |",
            cpu(&self.samples),
            cpu(&self.twin_samples),
            number(*must),
            mark(self.meets_must),
            number(*reach),
            mark(self.meets_reach),
        );
    }
}

/// The median, with the range beside it.
pub(crate) fn ranged(summary: Summary, unit: &str) -> String {
    let Summary { median, least, most } = summary;
    let text = format!("{} {unit}", number(median));
    format!("{} ({}–{})", text.trim_end(), number(least), number(most))
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    if value < 0.0 {
        return format!("-{}", number(-value));
    }
    if value >= 1000.0 {
        // In thousands, parted by a comma: 312,400.
        let whole = (value / 100.0).round() * 100.0;
        let text = format!("{whole:.0}");
        let (front, back) = text.split_at(text.len() - 3);
        if front.len() > 3 {
            let (millions, thousands) = front.split_at(front.len() - 3);
            return format!("{millions},{thousands},{back}");
        }
        format!("{front},{back}")
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (value, text) in [
            (0.0, "0.00"),
            (9.876, "9.88"),
            (45.67, "45.7"),
            (431.7, "432"),
            (1_234.0, "1,200"),
            (312_449.0, "312,400"),
            (1_234_567.0, "1,234,600"),
            (-12.34, "-12.3"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
