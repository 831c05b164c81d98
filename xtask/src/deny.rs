//! `cargo xtask deny`: what our dependencies may be, by the rules in `deny.toml`.

use crate::error::{Error, Result};
use crate::{Call, shell};

/// The version that is installed where there is none.
const VERSION: &str = "0.20.2";

/// Runs cargo-deny. Its database of advisories comes over the network; without it the other checks still run.
pub(crate) fn run(call: &Call) -> Result {
    if let Some(arg) = call.args.first() {
        return Err(Error::Usage(format!(
            "`deny` takes no arguments, but was given `{arg}`"
        )));
    }
    install(call)?;
    let mut checks = vec!["licenses", "bans", "sources"];
    let fetched = shell::read(shell::cargo().args(["deny", "fetch", "db"]));
    if fetched.is_ok() {
        checks.insert(0, "advisories");
    }
    let result = shell::run(shell::cargo().args(["deny", "check"]).args(checks), &call.stop);
    if fetched.is_err() {
        // At the end, where it is seen.
        eprintln!("deny: advisories were NOT checked: their database could not be fetched");
    }
    result
}

fn install(call: &Call) -> Result {
    match shell::read(shell::cargo().args(["deny", "--version"])) {
        Ok(version) => {
            eprintln!("deny: {version}");
            Ok(())
        }
        Err(_) => {
            eprintln!("deny: cargo-deny is not installed; building {VERSION} of it into the cargo home");
            let version = format!("cargo-deny@{VERSION}");
            shell::run(shell::cargo().args(["install", "--locked", &version]), &call.stop)
        }
    }
}
