//! The commands of this repository. `cargo xtask` lists them; a person and CI run the same ones.

mod api;
mod bench;
mod brokers;
mod circles;
mod dependencies;
mod docs;
mod faults;
mod file_size;
mod fuzz;
mod instructions;
mod lint;
mod markdown;
mod mutants;
mod package;
mod protections;
mod shell;
mod stop;
mod test;
mod tools;
mod words;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use brighter_test_servers::Servers;
use clap::Parser;
use stop::{Stop, Stopped};

/// The commands of this repository: CI runs what you run.
#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
enum Command {
    /// Checks formatting, clippy, features, documentation, circles, file sizes, manifests and unused dependencies.
    Lint,
    /// Finds files of a crate that import each other, of the published crates unless some are named.
    Circles {
        crates: Vec<String>,
        /// The checkout to look at, instead of this one.
        #[arg(long, value_name = "DIR", default_value = workspace::ROOT)]
        root: PathBuf,
    },
    /// Finds type names that are used twice, and words that a reader stops at.
    Words {
        /// The beginnings of the paths to look at; all if there are none.
        paths: Vec<String>,
    },
    /// Starts the servers that tests need, runs `cargo test` with ARGS, and takes the servers down.
    Test {
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Runs conformance, integration and faults on RabbitMQ 4.0 and 4.3, and the faults of a cluster.
    Brokers(brokers::Args),
    /// Starts the servers that tests need, prints them as `export` lines, and keeps them until ctrl-c.
    Services,
    /// Measures speed in release, against the raw client where there is one.
    Bench(bench::Args),
    /// Counts the instructions of each hot path, and fails if one takes more than before.
    Instructions {
        /// Writes the counts down anew.
        #[arg(long)]
        write: bool,
    },
    /// Injects faults (A01, B02 …; all of them) at their full sizes.
    Faults(faults::Args),
    /// Takes out what protects from a fault, one after the other, and expects its test to fail.
    Protections {
        /// The beginnings of the names of the patches; all if there are none.
        names: Vec<String>,
        /// Writes the table of the protections into docs/lab/faults.md, and runs nothing.
        #[arg(long)]
        page: bool,
    },
    /// Changes the code where it matters most, in every small way, and expects a test to fail.
    Mutants {
        /// What to change: control, policies, pump, secrets, stores or wire.
        area: String,
        /// The files to change; all of the area if there are none.
        files: Vec<String>,
        /// One part of several.
        #[arg(long, value_name = "K/N")]
        shard: Option<String>,
    },
    /// Gives what strangers write to libFuzzer: the wire, bodies, settings, URLs, commands, names and times.
    Fuzz(fuzz::Args),
    /// Lists what is public in the published crates in docs/api, and compares them with the last tag.
    Api {
        /// The commit or tag to compare with, instead of the last tag.
        #[arg(long, value_name = "REV")]
        baseline: Option<String>,
    },
    /// Packages the published crates as for crates.io, and builds each from its package.
    Package {
        /// Packages changes that are not committed.
        #[arg(long)]
        allow_dirty: bool,
    },
    /// Builds the book of docs/book into target/book/html, and checks its links.
    Docs,
    /// Checks licences, bans and sources of the dependencies by deny.toml, and advisories where their database can be had.
    Deny,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            // As a shell has it.
            ExitCode::from(if error.is::<Stopped>() { 130 } else { 1 })
        }
    }
}

fn run(command: Command) -> Result<()> {
    let stop = &Stop::listen()?;
    // Every command works from the root of the repository, from wherever it was called.
    std::env::set_current_dir(workspace::ROOT).context("could not go to the root of the repository")?;
    match command {
        Command::Lint => lint::run(stop),
        Command::Circles { crates, root } => circles::run(&root, &crates),
        Command::Words { paths } => words::run(&paths),
        Command::Test { args } => test::run(&args, stop),
        Command::Brokers(args) => brokers::run(&args, stop),
        Command::Services => services(stop),
        Command::Bench(args) => bench::run(&args, stop),
        Command::Instructions { write } => instructions::run(write, stop),
        Command::Faults(args) => faults::run(&args, stop),
        Command::Protections { page: true, .. } => protections::write_page(),
        Command::Protections { names, .. } => protections::run(&names, stop),
        Command::Mutants { area, files, shard } => mutants::run(&area, &files, shard.as_deref(), stop),
        Command::Fuzz(args) => fuzz::run(&args, stop),
        Command::Api { baseline } => api::run(baseline, stop),
        Command::Package { allow_dirty } => package::run(allow_dirty, stop),
        Command::Docs => docs::run(stop),
        Command::Deny => dependencies::deny(stop),
    }
}

fn services(stop: &Stop) -> Result<()> {
    let servers = Servers::start(&[])?;
    servers.report()?;
    for (name, value) in servers.variables() {
        match value {
            Some(value) => println!("export {name}='{}'", value.replace('\'', r"'\''")),
            None => println!("unset {name}"),
        }
    }
    eprintln!("servers: up; ctrl-c takes them down");
    while stop.tick().is_ok() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Command::command().debug_assert();
    }
}
