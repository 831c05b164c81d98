//! What the cells `consume` and `publish` of brighter's benchmark give with other frameworks, so that they can be
//! measured in the same run. `--list` names them, `--sample CELL PEER` takes one sample.

mod apalis;
mod celery;
mod hexeract;
mod queue;
mod ruststream;
mod sample;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use sample::Sample;

/// One cell as one peer does it.
struct Cell {
    peer: &'static str,
    name: &'static str,
    /// What is promised of a message.
    durability: &'static str,
    /// Where it loses a message all the same, as its source says.
    note: &'static str,
    /// Nothing, where it does not work today: the note says why.
    run: Option<fn() -> Result<Sample>>,
}

fn cells() -> impl Iterator<Item = &'static Cell> {
    let peers: [&[Cell]; 4] = [
        &apalis::CELLS,
        &ruststream::CELLS,
        &hexeract::CELLS,
        &celery::CELLS,
    ];
    peers.into_iter().flatten()
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => {
            for cell in cells() {
                let durability = if cell.run.is_some() { cell.durability } else { "-" };
                println!("{}\t{}\t{durability}\t{}", cell.peer, cell.name, cell.note);
            }
            Ok(())
        }
        ["--sample", name, peer] => {
            let cell = cells()
                .find(|cell| cell.name == name && cell.peer == peer)
                .with_context(|| format!("no cell `{name}` of `{peer}`; --list names them"))?;
            let run = cell.run.with_context(|| cell.note)?;
            println!("{}", serde_json::to_string(&run()?)?);
            Ok(())
        }
        _ => bail!("wants --list or --sample CELL PEER"),
    }
}
