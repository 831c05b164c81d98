//! What our dependencies may be, and whether each is used.

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

fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or(text)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::last_line;

    #[test]
    fn the_reason_is_the_last_line_that_says_something() {
        assert_eq!(last_line("a\n  b: no network\n\n"), "b: no network");
        assert_eq!(last_line(""), "");
    }
}
