//! Installs a server with the system's package manager, where we may: as root on Debian and its kin.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::error::{Doing, Result, failed};
use crate::shell;
use crate::stop::Stop;

/// Asked by Debian's packages before they start a service; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_BEFORE: &str = "/usr/sbin/policy-rc.d.before-xtask";

/// Services start at the same time, but apt works for one at a time; whether it knows of the newest packages.
static APT: Mutex<bool> = Mutex::new(false);

/// Installs what `name` needs without starting a server of the system's own. Also for what is no server.
pub(crate) fn install(name: &str, packages: &[&str], stop: &Stop) -> Result {
    if !Path::new("/etc/debian_version").exists() || shell::find("apt-get", &[]).is_none() {
        return Err(failed(format_args!(
            "{name} is not installed, and this is not a Debian to install it on"
        )));
    }
    if !is_root()? {
        return Err(failed(format_args!(
            "{name} is not installed, and only root may install it"
        )));
    }
    let mut updated = APT.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!("services: {name} is not installed; installing it");
    let _policy = NoServices::hold()?;
    if !*updated {
        shell::run(apt_get().arg("update").stdout(std::io::stderr()), stop)?;
        *updated = true;
    }
    let install = ["install", "-y", "--no-install-recommends"];
    shell::run(
        apt_get().args(install).args(packages).stdout(std::io::stderr()),
        stop,
    )
}

/// Whether this process may do everything.
pub(super) fn is_root() -> Result<bool> {
    Ok(shell::read(Command::new("id").arg("-u"))? == "0")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While this is held, a package that is installed starts no service. The policy of before comes back after it.
struct NoServices;

impl NoServices {
    fn hold() -> Result<Self> {
        // One put aside by a run that was killed is the true one; what stands in its place is ours.
        if Path::new(POLICY).exists() && !Path::new(POLICY_BEFORE).exists() {
            fs::rename(POLICY, POLICY_BEFORE).doing(format_args!("put {POLICY} aside"))?;
        }
        let held = Self;
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").doing(format_args!("write {POLICY}"))?;
        shell::make_executable(Path::new(POLICY))?;
        Ok(held)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = if Path::new(POLICY_BEFORE).exists() {
            fs::rename(POLICY_BEFORE, POLICY)
        } else {
            fs::remove_file(POLICY)
        };
        if let Err(error) = restored {
            eprintln!("services: could not restore {POLICY}: {error}");
        }
    }
}
