//! `cargo xtask bench`: builds the benchmark in release, starts what its cells need, and runs it.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, bail};
use brighter_test_servers::Servers;

use crate::shell;
use crate::stop::Stop;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The cells to measure; all if there are none.
    #[arg(value_name = "CELL")]
    cells: Vec<String>,
    /// Writes the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// How often each cell is measured.
    #[arg(long, value_name = "N")]
    pairs: Option<u32>,
    /// Measures other frameworks too.
    #[arg(long)]
    peers: bool,
    /// Names the cells, and measures nothing.
    #[arg(long, exclusive = true)]
    list: bool,
    /// Makes docs/lab/performance.md of docs/lab/performance.json, and measures nothing.
    #[arg(long, exclusive = true)]
    page: bool,
}

/// Runs the cells that are named, or all of them.
pub(crate) fn run(args: &Args, stop: &Stop) -> Result<()> {
    shell::run(
        &mut shell::locked(&["build", "--release", "--package", "brighter-bench"]),
        stop,
    )?;
    let mut bench = Command::new(shell::released(&shell::target(), "brighter-bench"));
    if args.list || args.page {
        return shell::run(bench.arg(if args.list { "--list" } else { "--page" }), stop);
    }
    let listed = shell::read(Command::new(bench.get_program()).arg("--list"))?;
    let needed: Vec<_> = needed(&listed, &args.cells)?.into_iter().collect();

    bench.args(&args.cells);
    bench.args(args.json.iter().flat_map(|file| ["--json", file]));
    bench.args(
        args.pairs
            .iter()
            .flat_map(|pairs| ["--pairs".to_owned(), pairs.to_string()]),
    );
    if args.peers {
        // In a workspace of their own, with the versions that were measured before.
        let target = shell::target().join("peers");
        let mut build = shell::cargo(&["build", "--release", "--locked"]);
        build.args(["--manifest-path", "tests/bench/peers/Cargo.toml", "--target-dir"]);
        shell::run(build.arg(&target), stop)?;
        bench
            .arg("--peers")
            .arg(shell::released(&target, "brighter-bench-peers"));
    }
    if needed.is_empty() {
        return shell::run(&mut bench, stop);
    }
    let servers = Servers::start(&needed)?;
    servers.report()?;
    shell::run(servers.apply(&mut bench), stop)
}

/// Returns the servers that these cells need, or all cells if there are none. A name that is unknown is told before a
/// server is started for it.
fn needed<'l>(listed: &'l str, chosen: &[String]) -> Result<BTreeSet<&'l str>> {
    let mut cells = Vec::new();
    for line in listed.lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            [name, needs, ..] => cells.push((name, needs.split(',').filter(|server| *server != "-"))),
            _ => bail!("the benchmark lists `{line}`"),
        }
    }
    if let Some(unknown) = chosen
        .iter()
        .find(|chosen| cells.iter().all(|(name, _)| name != chosen))
    {
        let names: Vec<_> = cells.iter().map(|(name, _)| *name).collect();
        bail!("`bench` has no cell `{unknown}`; it has: {}", names.join(", "));
    }
    cells.retain(|(name, _)| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name));
    Ok(cells.into_iter().flat_map(|(_, needs)| needs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(cells: &[&str]) -> Result<Vec<&'static str>> {
        const LIST: &str =
            "in-memory\t-\tof memory\nconsume\trabbitmq\tof a broker\nrelay\trabbitmq,mysql\tof two\n";
        let cells: Vec<_> = cells.iter().map(|cell| (*cell).to_owned()).collect();
        Ok(needed(LIST, &cells)?.into_iter().collect())
    }

    #[test]
    fn servers_start_only_for_cells_that_need_them() {
        assert!(needs(&["in-memory"]).unwrap().is_empty());
        assert_eq!(needs(&["in-memory", "consume"]).unwrap(), ["rabbitmq"]);
        assert_eq!(needs(&["relay", "consume"]).unwrap(), ["mysql", "rabbitmq"]);
        assert_eq!(needs(&[]).unwrap(), ["mysql", "rabbitmq"], "of all");
    }

    #[test]
    fn an_unknown_cell_is_told_with_those_there_are() {
        let error = needs(&["consumer"]).unwrap_err().to_string();
        assert!(error.contains("in-memory, consume, relay"), "{error}");
    }
}
