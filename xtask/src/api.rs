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

/// Writes the list of each published library, and compares the library with a commit or tag: the last tag, unless
/// another is given. It is an error if a list changes that git has, or if users break.
pub(crate) fn run(baseline: Option<String>, stop: &Stop) -> Result<()> {
    let mut libraries = workspace::published(Path::new("."))?;
    libraries.retain(|package| package.is("lib"));
    let (semver, listing) = (tools::install(SEMVER, stop)?, tools::install(LISTING, stop)?);
    let last_tag = || shell::read(&mut shell::git(&["describe", "--tags", "--abbrev=0"])).ok();
    let baseline = baseline.or_else(last_tag);
    fs::create_dir_all(LISTS).with_context(|| format!("could not make {LISTS}"))?;
    let mut broken = Vec::new();
    for library in &libraries {
        let compared =
            list(library, &listing).and_then(|()| compare(library, &semver, baseline.as_deref(), stop));
        match compared {
            Err(error) if error.is::<Stopped>() => return Err(error),
            Err(error) => broken.push(format!("{}: {error:#}", library.name())),
            Ok(()) => {}
        }
    }
    let diff = &mut shell::git(&["--no-pager", "diff", "--exit-code", "--unified=0", "--", LISTS]);
    if shell::run(diff, stop).is_err() {
        broken.push(format!(
            "the public API changes (printed above): commit {LISTS} with it, and say why"
        ));
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n\n"));
    }
    Ok(())
}

/// Writes the public items of a crate into its list.
fn list(library: &Package, tool: &Path) -> Result<()> {
    let mut list = Command::new(tool);
    list.args([
        "--package",
        library.name(),
        "--all-features",
        "-sss",
        "--color=never",
    ]);
    // rustdoc's JSON is not stable, and the stable compiler has it all the same.
    let public = shell::read(list.env("RUSTC_BOOTSTRAP", "1"))?;
    let file = Path::new(LISTS).join(format!("{}.txt", library.name()));
    fs::write(&file, public + "\n").with_context(|| format!("could not write {}", file.display()))
}

/// Has cargo-semver-checks compare a crate with what it was.
fn compare(library: &Package, tool: &Path, baseline: Option<&str>, stop: &Stop) -> Result<()> {
    let name = library.name();
    let Some(baseline) = baseline else {
        eprintln!("{name}: no tag yet and no --baseline, so there is nothing to break");
        return Ok(());
    };
    // A crate has a folder of its name.
    if shell::read(&mut shell::git(&[
        "cat-file",
        "-e",
        &format!("{baseline}:{name}/Cargo.toml"),
    ]))
    .is_err()
    {
        eprintln!("{name}: is not in {baseline}, so there is nothing to break");
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
