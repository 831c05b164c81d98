//! `cargo xtask api`: what is public in the published crates, and whether a change of it breaks their users.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stop::{Stop, Stopped};
use crate::workspace::{self, Package};
use crate::{shell, tools};

const SEMVER: &str = "cargo-semver-checks@0.51.0";
const LISTING: &str = "cargo-public-api@0.52.0";
/// One list for each crate.
const LISTS: &str = "docs/api";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Writes the lists of docs/api anew.
    #[arg(long)]
    write: bool,
    /// The commit or tag to compare with, instead of the last tag.
    #[arg(long, value_name = "REV")]
    baseline: Option<String>,
}

/// Compares each published library with its list in docs/api and with the baseline.
pub(crate) fn run(args: &Args, stop: &Stop) -> Result<()> {
    let libraries: Vec<_> = workspace::published(Path::new("."))?
        .into_iter()
        .filter(|one| one.is("lib"))
        .collect();
    let (semver, listing) = (tools::install(SEMVER, stop)?, tools::install(LISTING, stop)?);
    let last_tag = || shell::read(Command::new("git").args(["describe", "--tags", "--abbrev=0"])).ok();
    let baseline = args.baseline.clone().or_else(last_tag);
    let mut broken = Vec::new();
    for library in &libraries {
        let listed = compare_list(library, &listing, args.write);
        let checked = match &baseline {
            Some(baseline) => check(library, &semver, baseline, stop),
            None => {
                eprintln!(
                    "{}: no tag yet, and no --baseline, so there is nothing to break",
                    library.name()
                );
                Ok(())
            }
        };
        for result in [listed, checked] {
            match result {
                Err(error) if error.is::<Stopped>() => return Err(error),
                Err(error) => broken.push(format!("{}: {error:#}", library.name())),
                Ok(()) => {}
            }
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n\n"));
    }
    Ok(())
}

/// Has cargo-semver-checks compare a crate with what it was.
fn check(library: &Package, tool: &Path, baseline: &str, stop: &Stop) -> Result<()> {
    let name = library.name();
    let mut show = Command::new("git");
    if shell::read(show.args(["cat-file", "-e", &format!("{baseline}:{name}/Cargo.toml")])).is_err() {
        eprintln!("{name}: not in {baseline}, so there is nothing to break");
        return Ok(());
    }
    let mut check = Command::new(tool);
    check.args([
        "semver-checks",
        "--package",
        name,
        "--all-features",
        "--baseline-rev",
        baseline,
    ]);
    shell::run(&mut check, stop)
}

/// Compares the public items of a crate with its list, or writes the list.
fn compare_list(library: &Package, tool: &Path, write: bool) -> Result<()> {
    let mut list = Command::new(tool);
    list.args([
        "--package",
        library.name(),
        "--all-features",
        "-sss",
        "--color=never",
    ]);
    // rustdoc's JSON is not stable, and the stable compiler has it all the same.
    let public = shell::read(list.env("RUSTC_BOOTSTRAP", "1"))? + "\n";
    let file = Path::new(LISTS).join(format!("{}.txt", library.name()));
    if write {
        fs::create_dir_all(LISTS).with_context(|| format!("could not make {LISTS}"))?;
        return fs::write(&file, public).with_context(|| format!("could not write {}", file.display()));
    }
    let Ok(written) = fs::read_to_string(&file) else {
        eprintln!(
            "{}: no list yet; `cargo xtask api --write` writes {}",
            library.name(),
            file.display()
        );
        return Ok(());
    };
    let lines = changes(&written, &public);
    if !lines.is_empty() {
        bail!(
            "the public API is not the one in {}; if that is meant, run `cargo xtask api --write` and say why in the \
             commit\n{}",
            file.display(),
            lines.join("\n")
        );
    }
    Ok(())
}

fn changes(before: &str, after: &str) -> Vec<String> {
    let missing = |from: &str, of: &str, sign| -> Vec<String> {
        let of: std::collections::BTreeSet<_> = of.lines().collect();
        from.lines()
            .filter(|line| !of.contains(line))
            .map(|line| format!("{sign} {line}"))
            .collect()
    };
    [missing(before, after, '-'), missing(after, before, '+')].concat()
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn what_goes_and_what_comes_is_named() {
        assert!(changes("a\nb\n", "a\nb\n").is_empty());
        assert_eq!(changes("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    }
}
