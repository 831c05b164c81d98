//! `cargo xtask protections`: takes out one protection after the other, and expects a test to fail for it.
//!
//! A patch in `tests/faults/protections` says by its first lines which fault it is for, what protects, what is without
//! it, and which test then fails; the rest is what takes the protection out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Doing, Error, Result, failed};
use crate::services::{self, Services};
use crate::{Call, shell};

const PATCHES: &str = "tests/faults/protections";
const PAGE: &str = "docs/faults.md";
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

/// Takes out those whose names begin so, or all; each test has to fail, and to pass before.
pub(crate) fn run(call: &Call) -> Result {
    if call.args == ["--page"] {
        return write_page();
    }
    let wanted = |protection: &Protection| {
        call.args.is_empty() || call.args.iter().any(|name| protection.name.starts_with(name))
    };
    let protections: Vec<_> = all()?.into_iter().filter(wanted).collect();
    if protections.is_empty() {
        return Err(Error::Usage(format!("no patch in {PATCHES} has such a name")));
    }
    copy()?;
    let services = services::start(&call.stop)?;
    services.report()?;
    let mut unseen = Vec::new();
    for protection in &protections {
        match removed(protection, &services, call) {
            Ok(()) => println!("{}: its test fails, as it should", protection.name),
            Err(Error::Failed(why)) => {
                println!("{}: {why}", protection.name);
                unseen.push(protection.name.as_str());
            }
            Err(other) => return Err(other),
        }
    }
    services.report()?;
    if unseen.is_empty() {
        return Ok(());
    }
    Err(failed(format_args!(
        "protections that can be taken out unseen, or not at all: {}",
        unseen.join(", ")
    )))
}

/// Takes one out of the copy, has its test run, and puts it back.
fn removed(protection: &Protection, services: &Services, call: &Call) -> Result {
    let patch =
        fs::canonicalize(&protection.file).doing(format_args!("find {}", protection.file.display()))?;
    let apply = |how: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(SCRATCH)
            .arg("apply")
            .args(how)
            .arg(&patch)
            // Else it would take the copy for a folder of this repository, and do nothing.
            .env("GIT_CEILING_DIRECTORIES", patch_root(&patch));
        shell::read(&mut git)
    };
    if let Err(error) = apply(&[]) {
        return Err(failed(format_args!(
            "the patch does not apply any more, so write it anew: {error}"
        )));
    }
    let tested = tested(protection, services, call);
    apply(&["--reverse"])?;
    tested
}

fn tested(protection: &Protection, services: &Services, call: &Call) -> Result {
    fs::create_dir_all(BUILT).doing(format_args!("make {BUILT}"))?;
    let target = fs::canonicalize(BUILT).doing(format_args!("find {BUILT}"))?;
    let test = |more: &[&str]| {
        let mut command = shell::locked("test");
        command
            .current_dir(SCRATCH)
            .env("CARGO_TARGET_DIR", &target)
            .args(&protection.test)
            .args(more);
        command
    };
    if let Err(Error::Failed(why)) = shell::run(&mut test(&["--no-run"]), &call.stop) {
        return Err(failed(format_args!(
            "without the protection it does not compile, which shows nothing: {why}"
        )));
    }
    let mut test = test(&[]);
    let output = services
        .apply(&mut test)
        .output()
        .doing(format_args!("run `{}`", shell::shown(&test)))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("test result: FAILED") {
        return Ok(());
    }
    Err(failed(format_args!(
        "`{}` does not fail without it: {}",
        protection.test.join(" "),
        said.lines()
            .rfind(|line| !line.is_empty())
            .unwrap_or("it said nothing")
    )))
}

/// Copies what git knows of.
fn copy() -> Result {
    let _ = fs::remove_dir_all(SCRATCH);
    let files =
        shell::read(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
    for file in files.lines().map(Path::new).filter(|file| file.is_file()) {
        let to = Path::new(SCRATCH).join(file);
        let folder = to.parent().unwrap_or(Path::new(SCRATCH));
        fs::create_dir_all(folder).doing(format_args!("make {}", folder.display()))?;
        fs::copy(file, &to).doing(format_args!("copy {}", file.display()))?;
    }
    Ok(())
}

/// The folder that holds the copy, beyond which git is not to look for a repository.
fn patch_root(patch: &Path) -> PathBuf {
    let root = patch.ancestors().nth(4).unwrap_or(patch);
    root.join("target")
}

/// Every protection, in the order of their names.
fn all() -> Result<Vec<Protection>> {
    let mut files: Vec<_> = fs::read_dir(PATCHES)
        .doing(format_args!("read {PATCHES}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).doing(format_args!("read {}", file.display()))?;
            parse(&file, &text)
        })
        .collect()
}

fn parse(file: &Path, text: &str) -> Result<Protection> {
    let line = |name: &str| {
        let begin = format!("{name}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begin));
        line.map(str::to_owned)
            .ok_or_else(|| failed(format_args!("{} has no line `{name}: …`", file.display())))
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

fn write_page() -> Result {
    let page = fs::read_to_string(PAGE).doing(format_args!("read {PAGE}"))?;
    let marked = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = marked else {
        return Err(failed(format_args!(
            "{PAGE} has no place for the protections: {BEGIN}"
        )));
    };
    let page = format!("{before}{BEGIN}{}{END}{after}", table(&all()?));
    fs::write(PAGE, page).doing(format_args!("write {PAGE}"))
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
