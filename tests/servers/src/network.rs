//! [`Network`]: several hosts on this machine, each in a network namespace, joined by a bridge that this machine is on.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::keeper::{Lifeline, folder};
use crate::programs::{is_root, read};
use crate::system::Host;

/// When standard input is closed, removes its folder, and does what it is given: `ip` commands, one a word.
const AT_THE_END: &str =
    r#"trap : TERM; read -r _; rm -rf "$FOLDER"; for it; do ip $it >/dev/null 2>&1; done"#;
/// Where Linux keeps the names of network namespaces.
const NAMES: &str = "/run/netns";
/// The names of namespaces begin so, and go on with the id of the process that made them.
const NAMESPACE: &str = "brighter-";
/// Those of bridges, and of the ends of cables at a bridge.
const BRIDGE: &str = "bt";
/// Addresses that are meant for measuring networks and that nobody routes: 198.18.0.0/15.
const ADDRESSES: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// A network has sixteen of them.
const BITS: u32 = 4;
const NETWORKS: u32 = 1 << (17 - BITS);

/// Hosts that reach each other and this machine, until they are kept from it. Dropping it removes them.
pub struct Network {
    bridge: String,
    namespaces: Vec<String>,
    first: u32,
    folder: PathBuf,
    _end: Lifeline,
}

impl Network {
    /// Makes a network of so many hosts.
    ///
    /// # Errors
    /// This process may not make network namespaces.
    pub fn make(hosts: u8) -> Result<Self> {
        if !is_root()? {
            bail!("only root can make network namespaces");
        }
        sweep();
        let process = std::process::id();
        let bridge = format!("{BRIDGE}{process}");
        let first = free_network(&ip(&["-o", "-4", "addr"])?, process)
            .context("every network of 198.18.0.0/15 is in use")?;
        let namespaces: Vec<_> = (1..=hosts)
            .map(|host| format!("{NAMESPACE}{process}-{host}"))
            .collect();
        let mut undo: Vec<String> = Vec::new();
        for (host, namespace) in namespaces.iter().enumerate() {
            undo.push(format!("link del {}", cable(&bridge, host)));
            undo.push(format!("netns del {namespace}"));
        }
        undo.push(format!("link del {bridge}"));
        let folder = folder("network")?;
        let mut end = Command::new("sh");
        end.args(["-c", AT_THE_END, "end"])
            .args(&undo)
            .env("FOLDER", folder.path());
        // Before anything is made, so that nothing is left behind wherever this stops.
        let network = Self {
            _end: Lifeline::start(&mut end)?,
            folder: folder.keep(),
            bridge,
            namespaces,
            first,
        };
        network.connect()?;
        Ok(network)
    }

    fn connect(&self) -> Result<()> {
        let bridge = &self.bridge;
        let own = format!("{}/{}", Ipv4Addr::from(self.first + (1 << BITS) - 2), 32 - BITS);
        ip(&["link", "add", bridge, "type", "bridge"]).context("this machine lets nobody make a bridge")?;
        ip(&["addr", "add", &own, "dev", bridge])?;
        ip(&["link", "set", bridge, "up"])?;
        for (host, namespace) in self.namespaces.iter().enumerate() {
            let (cable, address) = (
                cable(bridge, host),
                format!("{}/{}", self.address(host), 32 - BITS),
            );
            ip(&["netns", "add", namespace])?;
            ip(&[
                "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", namespace,
            ])?;
            ip(&["link", "set", &cable, "master", bridge, "up"])?;
            ip(&["-n", namespace, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// Returns the address of a host, which are counted from 0.
    #[must_use]
    pub fn address(&self, host: usize) -> Ipv4Addr {
        // Behind the network's own address. There are a few hosts.
        Ipv4Addr::from(self.first + 1 + u32::try_from(host).unwrap_or_default())
    }

    /// Returns where a file is written that goes with the network.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns a host with its name and a file that has the names of all.
    pub(crate) fn host(&self, host: usize, name: String, hosts: &Path) -> Host {
        Host {
            namespace: self.namespaces[host].clone(),
            name,
            hosts: hosts.to_owned(),
        }
    }

    /// Cuts a host off from all others and from this machine, or joins it again.
    ///
    /// # Errors
    /// The cable cannot be taken out.
    pub fn isolate(&self, host: usize, isolated: bool) -> Result<()> {
        let state = if isolated { "down" } else { "up" };
        ip(&["link", "set", &cable(&self.bridge, host), state]).map(drop)
    }

    /// Keeps two hosts from reaching each other, or lets them. Both go on reaching all others and this machine.
    ///
    /// # Errors
    /// Their routes cannot be changed.
    pub fn split(&self, one: usize, other: usize, split: bool) -> Result<()> {
        for (at, to) in [(one, other), (other, one)] {
            let (namespace, to) = (&self.namespaces[at], self.address(to).to_string());
            let change = if split { "replace" } else { "del" };
            ip(&["-n", namespace, "route", change, "blackhole", &to])?;
        }
        Ok(())
    }

    /// Joins all hosts again, whatever was done to them.
    ///
    /// # Errors
    /// They cannot be joined.
    pub fn mend(&self) -> Result<()> {
        for (host, namespace) in self.namespaces.iter().enumerate() {
            self.isolate(host, false)?;
            ip(&["-n", namespace, "route", "flush", "type", "blackhole"])?;
        }
        Ok(())
    }
}

/// The end of a host's cable that is at the bridge.
fn cable(bridge: &str, host: usize) -> String {
    format!("{bridge}-{}", host + 1)
}

fn ip(arguments: &[&str]) -> Result<String> {
    read(Command::new("ip").args(arguments))
}

/// Returns the first address of a network that no interface of this machine is in. Where to begin goes by the process,
/// so that two that look at once do not find the same.
fn free_network(addresses: &str, process: u32) -> Option<u32> {
    let size = 1 << BITS;
    let used: Vec<u32> = addresses
        .split_whitespace()
        .filter_map(|word| word.split('/').next()?.parse::<Ipv4Addr>().ok())
        .map(|address| u32::from(address) & !(size - 1))
        .collect();
    (0..NETWORKS)
        .map(|step| ADDRESSES + (process.wrapping_add(step) % NETWORKS) * size)
        .find(|network| !used.contains(network))
}

/// Removes what runs left behind that were killed together with what cleans up after them.
fn sweep() {
    let names = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.collect::<Vec<_>>()
    };
    for namespace in names(NAMES).iter().filter(|name| is_left(NAMESPACE, name)) {
        let _ = ip(&["netns", "del", namespace]);
    }
    for link in names("/sys/class/net")
        .iter()
        .filter(|name| is_left(BRIDGE, name))
    {
        let _ = ip(&["link", "del", link]);
    }
}

/// Returns whether a name of ours is that of a process that is no more.
fn is_left(beginning: &str, name: &str) -> bool {
    let process = name
        .strip_prefix(beginning)
        .and_then(|rest| rest.split('-').next());
    let process = process.and_then(|process| process.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_chosen_that_no_interface_is_in() {
        let network = |text: &str| u32::from(text.parse::<Ipv4Addr>().unwrap());
        assert_eq!(free_network("", 0), Some(network("198.18.0.0")));
        let used = "1: lo inet 127.0.0.1/8 scope host lo\n2: bt7 inet 198.18.0.14/28 scope global bt7\n";
        assert_eq!(free_network(used, 0), Some(network("198.18.0.16")));
        assert_eq!(free_network(used, NETWORKS - 1), Some(network("198.19.255.240")));
        let all: String = (0..NETWORKS)
            .map(|step| format!("{}/28\n", Ipv4Addr::from(ADDRESSES + (step << BITS))))
            .collect();
        assert_eq!(free_network(&all, 5), None);
    }

    #[test]
    fn only_what_a_dead_process_left_is_swept() {
        let own = std::process::id();
        for (name, left) in [
            // No process has an id as high as that.
            ("brighter-4294967295-1".to_owned(), true),
            (format!("brighter-{own}-1"), false),
            ("brighter-mine".to_owned(), false),
            ("other-4294967295-1".to_owned(), false),
        ] {
            assert_eq!(is_left(NAMESPACE, &name), left, "{name}");
        }
    }
}
