//! Installs RabbitMQ with the system's package manager, where we may: as root on Debian and its kin.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::{Doing, Result, failed};
use crate::shell;
use crate::stop::Stop;

/// Asked by Debian's packages before they start a service; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_BEFORE: &str = "/usr/sbin/policy-rc.d.before-xtask";

/// Installs RabbitMQ without starting the system's own broker.
pub(super) fn install(stop: &Stop) -> Result {
    if !Path::new("/etc/debian_version").exists() || shell::find("apt-get", &[]).is_none() {
        return Err(failed(
            "RabbitMQ is not installed, and this is not a Debian to install it on",
        ));
    }
    if shell::read(Command::new("id").arg("-u"))? != "0" {
        return Err(failed("RabbitMQ is not installed, and only root may install it"));
    }
    eprintln!("services: RabbitMQ is not installed; installing it");
    let _policy = NoServices::hold()?;
    shell::run(apt_get().arg("update").stdout(std::io::stderr()), stop)?;
    let install = ["install", "-y", "--no-install-recommends", "rabbitmq-server"];
    shell::run(apt_get().args(install).stdout(std::io::stderr()), stop)
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
