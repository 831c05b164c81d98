//! What our dependencies may be, and whether each is used.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stop::{Stop, Stopped};
use crate::{shell, tools};

const DENY: &str = "cargo-deny@0.20.2";
const MACHETE: &str = "cargo-machete@0.9.2";

/// What `deny.toml` says that needs nothing but the lock file.
const BY_THE_LOCK_FILE: [&str; 3] = ["licenses", "bans", "sources"];

/// `cargo xtask deny`: licences, bans and sources, and the advisories if their database can be had. What was not checked
/// is said at the end, where it is seen.
pub(crate) fn deny(stop: &Stop) -> Result<()> {
    let deny = tools::install(DENY, stop)?;
    let fetched = shell::read(Command::new(&deny).args(["fetch", "db"]));
    let advisories = fetched.is_ok().then_some("advisories");
    let mut check = Command::new(&deny);
    check.arg("check").args(advisories).args(BY_THE_LOCK_FILE);
    let result = shell::run(&mut check, stop);
    let good = if result.is_ok() {
        "good"
    } else {
        "BROKEN, see above"
    };
    eprintln!("deny: {}: {good}", BY_THE_LOCK_FILE.join(", "));
    match fetched {
        Ok(_) => eprintln!("deny: advisories: {good}"),
        Err(error) => eprintln!(
            "deny: advisories: NOT CHECKED, for their database could not be fetched: {}",
            last_line(&format!("{error:#}"))
        ),
    }
    result
}

/// Finds dependencies that no code uses. A crate that needs one for another reason says so in its manifest, under
/// `[package.metadata.cargo-machete]`.
pub(crate) fn unused(stop: &Stop) -> Result<()> {
    let machete = match tools::install(MACHETE, stop) {
        Ok(machete) => machete,
        Err(error) if error.is::<Stopped>() => return Err(error),
        Err(error) => return Err(error).context("unused dependencies were not checked"),
    };
    // It looks at every manifest below, those of `fuzz` and of what is not in the workspace too.
    let (none, lines) = shell::run_noting(Command::new(machete).args(["--skip-target-dir", "."]), stop)?;
    if !none {
        bail!("{}", lines.join("\n"));
    }
    Ok(())
}

/// Checks that each lock file beside the workspace's own has what its manifest asks for now. The workspace's crates are
/// dependencies of these programs, so a change of theirs makes those files stale, and no build of the workspace tells.
pub(crate) fn lock_files(stop: &Stop) -> Result<()> {
    let files = shell::read(&mut shell::git(&["ls-files", "*/Cargo.lock"]))?;
    let mut stale = Vec::new();
    for file in files.lines() {
        stop.tick()?;
        let manifest = Path::new(file).with_file_name("Cargo.toml");
        stale.extend(check_lock_file(&manifest).err().map(|error| format!("{error:#}")));
    }
    if !stale.is_empty() {
        bail!("{}", stale.join("\n\n"));
    }
    eprintln!(
        "lock files: {} beside the workspace's are up to date",
        files.lines().count()
    );
    Ok(())
}

fn check_lock_file(manifest: &Path) -> Result<()> {
    let metadata = |network: &[&str]| {
        let mut metadata = shell::cargo(&["metadata", "--locked", "--format-version", "1"]);
        shell::read(metadata.args(network).arg("--manifest-path").arg(manifest))
    };
    // The network is only for packages that were never built here: of those cargo knows nothing, stale or not.
    let read = metadata(&["--offline"]).or_else(|offline| match is_stale(&offline) {
        true => Err(offline),
        false => metadata(&[]),
    });
    match read {
        Ok(_) => Ok(()),
        Err(error) if is_stale(&error) => bail!(
            "{lock} is out of date: run `cargo metadata --format-version 1 --manifest-path {} >/dev/null`, and commit {lock}",
            manifest.display(),
            lock = manifest.with_file_name("Cargo.lock").display()
        ),
        Err(error) => Err(error).with_context(|| {
            let lock = manifest.with_file_name("Cargo.lock");
            format!("{} was not checked", lock.display())
        }),
    }
}

/// Whether cargo would have written another lock file.
fn is_stale(error: &anyhow::Error) -> bool {
    let said = error.to_string();
    said.contains("lock file") && said.contains("because --locked was passed")
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or(text)
        .trim()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_reason_is_the_last_line_that_says_something() {
        assert_eq!(last_line("a\n  b: no network\n\n"), "b: no network");
        assert_eq!(last_line(""), "");
    }

    #[test]
    fn a_stale_lock_file_is_named_with_its_fix() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |name: &str, dependencies: &str| {
            let package = folder.path().join(name);
            fs::create_dir_all(package.join("src")).unwrap();
            fs::write(package.join("src/lib.rs"), "").unwrap();
            let text = format!(
                "[package]\nname = \"{name}\"\nedition = \"2024\"\n[dependencies]\n{dependencies}\n[workspace]\n"
            );
            fs::write(package.join("Cargo.toml"), text).unwrap();
            package.join("Cargo.toml")
        };
        manifest("first", "");
        manifest("second", "");
        let with_first = "first = { path = \"../first\" }";
        let program = manifest("program", with_first);
        let mut generate = shell::cargo(&["generate-lockfile", "--offline", "--manifest-path"]);
        shell::read(generate.arg(&program)).unwrap();
        check_lock_file(&program).unwrap();
        manifest(
            "program",
            &format!("{with_first}\nsecond = {{ path = \"../second\" }}"),
        );
        let error = check_lock_file(&program).unwrap_err().to_string();
        assert!(
            error.contains("program/Cargo.lock is out of date: run `cargo metadata"),
            "{error}"
        );
        // It was looked at and not mended.
        assert!(check_lock_file(&program).is_err());
    }
}
