//! Installs programs with the system's package manager, where this may be done: as root on Debian and its kin.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::programs::{find, is_root};

/// Asked by Debian's packages before they start a service; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_BEFORE: &str = "/usr/sbin/policy-rc.d.before-brighter";

/// Servers start at the same time, but apt works for one at a time; whether it knows of the newest packages.
static APT: Mutex<bool> = Mutex::new(false);

/// Installs what `name` needs, and starts no server of the system's own.
pub fn install(name: &str, packages: &[&str]) -> Result<()> {
    if !Path::new("/etc/debian_version").exists() || find("apt-get", &[]).is_none() {
        bail!("{name} is not installed, and this is not a Debian to install it on");
    }
    if !is_root()? {
        bail!("{name} is not installed, and only root may install it");
    }
    let mut updated = APT.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!("servers: {name} is not installed; installing it");
    let _policy = NoServices::hold()?;
    update_once(&mut updated)?;
    apt_get(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// Has apt know of the newest packages.
pub(crate) fn update() -> Result<()> {
    update_once(&mut APT.lock().unwrap_or_else(PoisonError::into_inner))
}

fn update_once(updated: &mut bool) -> Result<()> {
    if !*updated {
        apt_get(&["update"])?;
        *updated = true;
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.arg("-q")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let status = apt.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status.context("could not run apt-get")? {
        status if status.success() => Ok(()),
        status => bail!("`apt-get {}` failed ({status})", arguments.join(" ")),
    }
}

/// While this is held, a package that is installed starts no service. The policy of before comes back after it.
struct NoServices;

impl NoServices {
    fn hold() -> Result<Self> {
        // One put aside by a run that was killed is the true one; what stands in its place is ours.
        if Path::new(POLICY).exists() && !Path::new(POLICY_BEFORE).exists() {
            fs::rename(POLICY, POLICY_BEFORE).with_context(|| format!("could not put {POLICY} aside"))?;
        }
        let held = Self;
        let written = fs::write(POLICY, "#!/bin/sh\nexit 101\n");
        let written = written.and_then(|()| fs::set_permissions(POLICY, Permissions::from_mode(0o755)));
        written.with_context(|| format!("could not write {POLICY}"))?;
        Ok(held)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = match Path::new(POLICY_BEFORE).exists() {
            true => fs::rename(POLICY_BEFORE, POLICY),
            false => fs::remove_file(POLICY),
        };
        if let Err(error) = restored {
            eprintln!("servers: could not restore {POLICY}: {error}");
        }
    }
}
