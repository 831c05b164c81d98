//! [`System`]: whose programs are run, and where.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::programs::{find, read};

/// By this variable a process is told to take its servers from a root instead of from the machine: the root's folder.
pub const ROOT: &str = "BRIGHTER_TEST_ROOT";

/// Enters a root and a network, and becomes the program. The mounts are private: they go with the last process that
/// sees them, however it ends, and nobody else sees them.
const ENTER: &str = r#"
set -e
root=$1 shared=$2 host=$3 hosts=$4
shift 4
if [ -n "$host" ]; then
  echo "$host" >/proc/sys/kernel/hostname
  mount --bind "$hosts" "$root/etc/hosts"
fi
[ -n "$root" ] || exec "$@"
for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
mkdir -p "$root$shared"
mount --rbind "$shared" "$root$shared"
unset LD_LIBRARY_PATH LD_PRELOAD
LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin exec chroot "$root" "$@"
"#;

/// The system whose programs are run: this machine's, or another version of Debian in a root; in the network of the
/// machine, or in a network namespace.
#[derive(Debug, Clone, Default)]
pub struct System {
    root: Option<PathBuf>,
    host: Option<Host>,
}

/// A network namespace, as a machine of its own.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// The name of the network namespace.
    pub(crate) namespace: String,
    /// The host name that its programs see.
    pub(crate) name: String,
    /// A file with the addresses of all hosts, which its programs see as `/etc/hosts`.
    pub(crate) hosts: PathBuf,
}

impl System {
    /// Returns the root that the environment names, or else this machine.
    #[must_use]
    pub fn of_environment() -> Self {
        let root = std::env::var_os(ROOT).filter(|root| !root.is_empty());
        Self {
            root: root.map(PathBuf::from),
            host: None,
        }
    }

    /// Returns the system in this folder.
    pub(crate) fn in_root(root: &Path) -> Self {
        Self {
            root: Some(root.to_owned()),
            host: None,
        }
    }

    /// Returns the same programs on another host.
    pub(crate) fn on(&self, host: Host) -> Self {
        Self {
            root: self.root.clone(),
            host: Some(host),
        }
    }

    /// Returns the folder of the root, if these are not the programs of this machine.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Returns where a file of the system is seen from outside.
    #[must_use]
    pub fn outside(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => PathBuf::from(path),
        }
    }

    /// Returns the first of these folders, then of the system's `PATH`, that has the program: its path within the
    /// system.
    #[must_use]
    pub fn find(&self, program: &str, folders: &[&str]) -> Option<PathBuf> {
        if self.root.is_none() {
            return find(program, folders);
        }
        let folders = folders.iter().chain(&["/usr/sbin", "/usr/bin"]);
        let mut files = folders.map(|folder| format!("{folder}/{program}"));
        // A link within a root may point to a path of the root: it need not lead anywhere out here.
        let file = files.find(|file| {
            let outside = self.outside(file).symlink_metadata();
            outside.is_ok_and(|outside| !outside.is_dir())
        });
        file.map(PathBuf::from)
    }

    /// Returns a command that runs a program of the system. It sees the machine's folder for temporary files under
    /// the path that it has outside.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let prefix = self.prefix();
        let mut words = prefix.iter();
        let Some(first) = words.next() else {
            return Command::new(program);
        };
        let mut command = Command::new(first);
        command.args(words).arg(program);
        command
    }

    /// Returns the words before a program that run it within the system.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let (root, host) = match (&self.root, &self.host) {
            (None, None) => return Vec::new(),
            (root, host) => (root.clone().unwrap_or_default(), host),
        };
        let mut words: Vec<OsString> = Vec::new();
        if let Some(host) = host {
            words.extend(["ip", "netns", "exec", &host.namespace].map(OsString::from));
        }
        words.extend(["unshare", "--mount", "--uts", "--propagation", "private", "--"].map(OsString::from));
        words.extend(["sh", "-c", ENTER, "enter"].map(OsString::from));
        words.push(root.into());
        words.push(std::env::temp_dir().into());
        let (name, hosts) = host
            .as_ref()
            .map_or_else(Default::default, |host| (host.name.clone(), host.hosts.clone()));
        words.push(name.into());
        words.push(hosts.into());
        words
    }

    /// Checks that a program of the system can be run: a machine may not let us.
    pub(crate) fn try_out(&self) -> Result<()> {
        read(&mut self.command(Path::new("true"))).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_programs_are_run_as_they_are() {
        let command = System::default().command(Path::new("/bin/echo"));
        assert_eq!(command.get_program(), "/bin/echo");
        assert_eq!(command.get_args().len(), 0);
    }

    #[test]
    fn a_program_of_a_root_is_found_by_path() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("usr/lib/some/bin");
        std::fs::create_dir_all(&folder).unwrap();
        // As the packages of RabbitMQ have it: a link that leads somewhere within the root only.
        std::os::unix::fs::symlink("/usr/lib/some/lib/program", folder.join("program")).unwrap();
        let system = System::in_root(root.path());
        let found = system.find("program", &["/usr/lib/some/bin"]);
        assert_eq!(found.as_deref(), Some(Path::new("/usr/lib/some/bin/program")));
        assert_eq!(system.find("sh", &["/bin"]), None, "that of the machine");
        let command = system.command(Path::new("/usr/bin/program"));
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(command.get_program(), "unshare");
        assert!(words.contains(&root.path().as_os_str()));
        assert_eq!(words.last().unwrap().to_str(), Some("/usr/bin/program"));
    }
}
