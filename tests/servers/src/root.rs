//! Roots: another version of Debian in a folder, with the servers that tests need. A root is made once, and kept.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::install;
use crate::programs::{find, is_root, read, shown};
use crate::system::System;

/// A version of Debian whose packages are other versions of the servers than this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// RabbitMQ 4.0, PostgreSQL 17, MariaDB 11.
    Trixie,
    /// RabbitMQ 4.3 or newer. It is not released yet: what it holds changes from week to week.
    Forky,
}

impl Suite {
    /// Returns its name, as Debian has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }
}

const PACKAGES: &[&str] = &["rabbitmq-server", "postgresql", "mariadb-server"];
/// Where debootstrap keeps what it knows of each suite. One that is newer than debootstrap is made as the newest is.
const SCRIPTS: &str = "/usr/share/debootstrap/scripts";
/// Runs a command so that it and all it started end with this process, even if that is killed: another may go on at the
/// same place then. A process of its own tree needs its own `/proc`.
const TIED: &str =
    "setpriv --pdeathsig KILL -- unshare --fork --pid --kill-child --mount-proc --propagation private --";
/// Says whether a root is of the packages above.
const LIST: &str = "brighter-packages";

/// Finds the newest root of this suite in the cache, or makes one, which takes some minutes.
///
/// # Errors
/// There is none, and this machine cannot make one: the error says why.
pub fn root(suite: Suite) -> Result<System> {
    let cache = cache()?;
    let made = |folder: PathBuf| {
        let system = System::in_root(&folder);
        let cannot = || format!("the programs in {} cannot be run here", folder.display());
        system.try_out().with_context(cannot).map(|()| system)
    };
    if let Some(folder) = newest(&cache, suite) {
        return made(folder);
    }
    able()?;
    fs::create_dir_all(&cache).with_context(|| format!("could not make {}", cache.display()))?;
    // Another process that makes one is waited for.
    let lock = cache.join(format!("{}.lock", suite.name()));
    let lock = File::create(lock).with_context(|| format!("could not write to {}", cache.display()))?;
    lock.lock().context("could not lock a file")?;
    if let Some(folder) = newest(&cache, suite) {
        return made(folder);
    }
    made(make(&cache, suite)?)
}

/// Returns the newest root of this suite that is there. `None` if there is none: none is made for it.
pub(crate) fn existing(suite: Suite) -> Result<Option<System>> {
    let found = newest(&cache()?, suite).map(|folder| System::in_root(&folder));
    found.map(|system| system.try_out().map(|()| system)).transpose()
}

/// Installs a package into a root, unless it has the program already.
pub(crate) fn add(system: &System, root: &Path, program: &str, package: &str) -> Result<()> {
    // Apt works for one at a time.
    let lock = root.join("brighter-apt.lock");
    let lock = File::create(lock).with_context(|| format!("could not write to {}", root.display()))?;
    lock.lock().context("could not lock a file")?;
    if system.find(program, &[]).is_some() {
        return Ok(());
    }
    let mut apt = system.command(Path::new("/usr/bin/apt-get"));
    apt.args(["-q", "-o", "Acquire::Check-Valid-Until=false"]);
    apt.args(["install", "-y", "--no-install-recommends", package]);
    run(apt)
}

/// Returns the folder in which roots are kept: outside `target`, as they are not of this checkout.
fn cache() -> Result<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|folder| !folder.is_empty());
    let cache = match (folder("XDG_CACHE_HOME"), folder("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, _) if is_root()? => PathBuf::from("/var/cache"),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) => bail!("there is no folder for caches: set XDG_CACHE_HOME"),
    };
    Ok(cache.join("brighter-roots"))
}

/// Returns the newest root that is whole: by its name, `SUITE-DATE`.
fn newest(cache: &Path, suite: Suite) -> Option<PathBuf> {
    let entries = fs::read_dir(cache).ok()?.flatten();
    let named = entries.filter(|entry| {
        let name = entry.file_name().into_string().unwrap_or_default();
        let date = name
            .strip_prefix(suite.name())
            .and_then(|rest| rest.strip_prefix('-'));
        date.is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let whole = named.map(|entry| entry.path()).filter(|folder| {
        let list = fs::read_to_string(folder.join(LIST));
        list.is_ok_and(|list| list == PACKAGES.join("\n"))
    });
    whole.max()
}

/// Checks that this machine can make a root.
fn able() -> Result<()> {
    if !is_root()? {
        bail!("only root can make a folder with another version of Debian");
    }
    for (program, package) in [("debootstrap", "debootstrap"), ("ip", "iproute2")] {
        if find(program, &["/usr/sbin"]).is_none() {
            install::install(program, &[package])?;
        }
    }
    let tried = read(&mut tied(Command::new("true")));
    tried
        .context("this machine lets nobody have private mounts")
        .map(drop)
}

/// Makes a root aside, and gives it its name when it is whole. The lock of its suite must be held.
fn make(cache: &Path, suite: Suite) -> Result<PathBuf> {
    let aside = cache.join(format!("{}.making", suite.name()));
    // Of a run that was killed. Nothing is mounted in it: its mounts ended with its processes.
    remove(&aside)?;
    let mirror = mirror()?;
    eprintln!(
        "servers: making a root of {} in {}",
        suite.name(),
        cache.display()
    );
    let mut bootstrap = Command::new("debootstrap");
    bootstrap
        .args(["--variant=minbase", suite.name()])
        .args([aside.as_os_str(), mirror.as_ref()]);
    if !Path::new(SCRIPTS).join(suite.name()).exists() {
        bootstrap.arg(Path::new(SCRIPTS).join("sid"));
    }
    run(bootstrap)?;
    let policy = aside.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")
        .and_then(|()| fs::set_permissions(&policy, Permissions::from_mode(0o755)))
        .with_context(|| format!("could not write {}", policy.display()))?;
    let system = System::in_root(&aside);
    // What a mirror has of a suite that is not released may be past its date. It is signed all the same.
    let valid = ["-q", "-o", "Acquire::Check-Valid-Until=false"];
    let apt = |arguments: &[&str]| {
        let mut apt = system.command(Path::new("/usr/bin/apt-get"));
        apt.args(valid).args(arguments);
        run(apt)
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], PACKAGES].concat())?;
    apt(&["clean"])?;
    fs::write(aside.join(LIST), PACKAGES.join("\n")).context("could not write to the new root")?;
    let date = read(Command::new("date").args(["-u", "+%Y%m%d"]))?;
    let folder = cache.join(format!("{}-{date}", suite.name()));
    // One of the same day that lists other packages.
    remove(&folder)?;
    fs::rename(&aside, &folder).with_context(|| format!("could not name {}", folder.display()))?;
    Ok(folder)
}

/// Removes a root, and nothing that somebody mounted in it.
fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    read(
        Command::new("rm")
            .args(["-rf", "--one-file-system", "--"])
            .arg(folder),
    )
    .map(drop)
}

/// Returns the mirror from which this machine has its packages.
fn mirror() -> Result<String> {
    let targets = || {
        let format = "$(SITE) $(ORIGIN) $(RELEASE)";
        read(Command::new("apt-get").args(["indextargets", "--format", format]))
    };
    let mirror = match mirror_of(&targets()?) {
        Some(mirror) => Some(mirror),
        // It lists only what it has looked at.
        None => {
            install::update()?;
            mirror_of(&targets()?)
        }
    };
    mirror.context("none of this machine's apt sources is a mirror of Debian")
}

/// Returns the first site that has Debian itself, and not its security updates alone.
fn mirror_of(targets: &str) -> Option<String> {
    let mut targets = targets.lines().map(|line| line.split(' '));
    targets.find_map(|mut words| {
        let (site, origin, release) = (words.next()?, words.next()?, words.next()?);
        (origin == "Debian" && !release.contains("security")).then(|| site.to_owned())
    })
}

fn tied(command: Command) -> Command {
    let mut words = TIED.split(' ');
    let mut tied = Command::new(words.next().unwrap_or_default());
    tied.args(words)
        .arg(command.get_program())
        .args(command.get_args());
    tied
}

/// Runs a command that says what it does.
fn run(command: Command) -> Result<()> {
    let line = shown(&command);
    let mut command = tied(command);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(std::io::stderr());
    match command
        .status()
        .with_context(|| format!("could not run `{line}`"))?
    {
        status if status.success() => Ok(()),
        status => bail!("`{line}` failed ({status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_machine() {
        let targets = "http://tools.test/apt tools stable\n\
             http://mirror.test/debian-security Debian bookworm-security\n\
             http://mirror.test/debian Debian bookworm\n";
        assert_eq!(mirror_of(targets).as_deref(), Some("http://mirror.test/debian"));
        assert_eq!(mirror_of("http://mirror.test/ubuntu Ubuntu noble\n"), None);
        assert_eq!(mirror_of(""), None);
    }

    #[test]
    fn the_newest_root_that_is_whole_is_taken() {
        let cache = tempfile::tempdir().unwrap();
        let make = |name: &str, packages: &str| {
            fs::create_dir(cache.path().join(name)).unwrap();
            fs::write(cache.path().join(name).join(LIST), packages).unwrap();
        };
        assert_eq!(newest(cache.path(), Suite::Trixie), None);
        let packages = PACKAGES.join("\n");
        for name in [
            "trixie-20250101",
            "trixie-20260203",
            "forky-20270101",
            "trixie.making",
        ] {
            make(name, &packages);
        }
        make("trixie-20260405", "rabbitmq-server");
        let found = newest(cache.path(), Suite::Trixie).unwrap();
        assert_eq!(found, cache.path().join("trixie-20260203"));
        assert_eq!(newest(&cache.path().join("none"), Suite::Trixie), None);
    }
}
