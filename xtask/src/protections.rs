//! `cargo xtask protections`: takes out one protection after the other, and expects a test to fail for it.
//!
//! A patch in `tests/faults/protections` says by its first lines which fault it is for, what protects, what is without
//! it, and which test then fails; the rest is what takes the protection out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use brighter_test_servers::Servers;

use crate::shell;
use crate::stop::{Stop, Stopped};

const PATCHES: &str = "tests/faults/protections";
const PAGE: &str = "docs/lab/faults.md";
/// A copy of the repository to do harm to. What it builds is shared with the repository, but for our own crates.
const SCRATCH: &str = "target/protections";
/// Where the copy is built. What it leaves must not be taken for the repository's own: its crates have the same names.
const BUILT: &str = "target/protections-built";

/// One protection, and how it is taken out.
#[derive(Debug, PartialEq, Eq)]
struct Protection {
    name: String,
    file: PathBuf,
    fault: String,
    protects: String,
    without: String,
    test: Vec<String>,
}

/// Takes out those whose names begin so, or all; each test has to fail.
pub(crate) fn run(names: &[String], stop: &Stop) -> Result<()> {
    let mut protections = all()?;
    protections.retain(|one| names.is_empty() || names.iter().any(|name| one.name.starts_with(name)));
    if protections.is_empty() {
        bail!("no patch in {PATCHES} has such a name");
    }
    copy()?;
    let servers = Servers::start(&[])?;
    servers.report()?;
    let mut unseen = Vec::new();
    for protection in &protections {
        match removed(protection, &servers, stop) {
            Err(error) if error.is::<Stopped>() => return Err(error),
            Err(error) => {
                println!("{}: {error:#}", protection.name);
                unseen.push(protection.name.as_str());
            }
            Ok(()) => println!("{}: its test fails, as it should", protection.name),
        }
    }
    servers.report()?;
    if !unseen.is_empty() {
        bail!(
            "protections that can be taken out unseen, or not at all: {}",
            unseen.join(", ")
        );
    }
    Ok(())
}

/// Takes one out of the copy, has its test run, and puts it back.
fn removed(protection: &Protection, servers: &Servers, stop: &Stop) -> Result<()> {
    let found =
        |path: &Path| fs::canonicalize(path).with_context(|| format!("could not find {}", path.display()));
    let (patch, built) = (found(&protection.file)?, found(Path::new(BUILT))?);
    let apply = |how: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(SCRATCH).arg("apply").args(how).arg(&patch);
        // Else it would take the copy for a folder of this repository, and do nothing.
        shell::read(git.env("GIT_CEILING_DIRECTORIES", built.with_file_name("")))
    };
    apply(&[]).context("the patch does not apply any more, so write it anew")?;
    let test = |more: &[&str]| {
        let mut test = shell::locked(&["test"]);
        test.current_dir(SCRATCH)
            .env("CARGO_TARGET_DIR", &built)
            .args(&protection.test)
            .args(more);
        test
    };
    let tested = shell::run(&mut test(&["--no-run"]), stop)
        .context("without the protection it does not compile, which shows nothing")
        .and_then(|()| {
            servers
                .apply(&mut test(&[]))
                .output()
                .context("could not run its test")
        });
    apply(&["--reverse"])?;
    let output = tested?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.contains("test result: FAILED") {
        let last = said
            .lines()
            .rfind(|line| !line.is_empty())
            .unwrap_or("it said nothing");
        bail!("`{}` does not fail without it: {last}", protection.test.join(" "));
    }
    Ok(())
}

/// Copies what git knows of.
fn copy() -> Result<()> {
    let _ = fs::remove_dir_all(SCRATCH);
    fs::create_dir_all(BUILT).with_context(|| format!("could not make {BUILT}"))?;
    let mut list = Command::new("git");
    let files = shell::read(list.args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    for file in files.lines().map(Path::new).filter(|file| file.is_file()) {
        let to = Path::new(SCRATCH).join(file);
        let folder = fs::create_dir_all(to.with_file_name(""));
        folder
            .and_then(|()| fs::copy(file, &to))
            .with_context(|| format!("could not copy {}", file.display()))?;
    }
    Ok(())
}

/// Every protection, in the order of their names.
fn all() -> Result<Vec<Protection>> {
    let entries = fs::read_dir(PATCHES).with_context(|| format!("could not read {PATCHES}"))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "patch"));
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()));
        parse(file, &text?)
    };
    files.iter().map(read).collect()
}

fn parse(file: &Path, text: &str) -> Result<Protection> {
    let line = |name: &str| {
        let begin = format!("{name}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begin));
        line.map(str::to_owned)
            .with_context(|| format!("{} has no line `{name}: …`", file.display()))
    };
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Protection {
        name: name.into_owned(),
        file: file.to_owned(),
        fault: line("Fault")?,
        protects: line("Protection")?,
        without: line("Without it")?,
        test: line("Test")?.split_whitespace().map(str::to_owned).collect(),
    })
}

const BEGIN: &str = "<!-- protections: written by `cargo xtask protections --page` -->\n";
const END: &str = "<!-- end of protections -->\n";

/// The table of the page.
fn table(protections: &[Protection]) -> String {
    let mut table = String::from(
        "\n| fault | what protects | taken out by | then | this test fails |\n|---|---|---|---|---|\n",
    );
    for Protection {
        name,
        fault,
        protects,
        without,
        test,
        ..
    } in protections
    {
        let test = test.last().map_or("", |test| test.trim_end_matches("::"));
        table += &format!("| {fault} | {protects} | `{name}.patch` | {without} | `{test}` |\n");
    }
    table + "\n"
}

/// Writes the table into the page.
pub(crate) fn write_page() -> Result<()> {
    let page = fs::read_to_string(PAGE).with_context(|| format!("could not read {PAGE}"))?;
    let marked = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        marked.with_context(|| format!("{PAGE} has no place for the protections: {BEGIN}"))?;
    let page = format!("{before}{BEGIN}{}{END}{after}", table(&all()?));
    fs::write(PAGE, page).with_context(|| format!("could not write {PAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_applies_and_the_page_has_it() {
        std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
        let protections = all().unwrap();
        assert!(protections.len() >= 10);
        let page = fs::read_to_string(PAGE).unwrap();
        let wanted = format!("{BEGIN}{}{END}", table(&protections));
        assert!(page.contains(&wanted), "run `cargo xtask protections --page`");
        for protection in &protections {
            let mut git = Command::new("git");
            git.args(["apply", "--check"]).arg(&protection.file);
            let checked = git.output().unwrap();
            let said = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success(), "{}: {said}", protection.name);
        }
    }

    #[test]
    fn a_patch_without_a_test_is_told() {
        let error = parse(Path::new("01-x.patch"), "Fault: A01\n").unwrap_err();
        assert!(error.to_string().contains("Protection"), "{error}");
    }
}
