//! [`Cluster`]: several nodes of RabbitMQ that are one broker.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::{Context, Error, Result};

use crate::keeper::until_up;
use crate::network::Network;
use crate::node_place::NodePlace;
use crate::programs::{free_port, password};
use crate::rabbitmq::{Broker, Install, Settings};

/// How many nodes a cluster has.
const NODES: u8 = 3;
/// A node that does not answer is given up after this many seconds, and not after a minute.
const ERLANG: &str = "-kernel net_ticktime 10";
const AMQP: u16 = 5672;
const TLS: u16 = 5671;
const DISTRIBUTION: u16 = 25672;
const EPMD: u16 = 4369;

/// Three nodes that find each other by themselves. Dropping it ends them.
pub struct Cluster {
    /// Dropped before the network that they are in.
    pub brokers: Vec<Broker>,
    /// The network between them, unless they are all on this machine.
    pub network: Option<Network>,
    /// Why there is no network.
    pub why_no_network: Option<Error>,
}

impl Cluster {
    /// Starts the nodes, each as a host of its own where this machine allows that, and returns before they are up.
    ///
    /// # Errors
    /// A node cannot be started.
    pub fn launch(install: &Install, settings: &Settings) -> Result<Self> {
        let (network, why_no_network) = match Network::make(NODES) {
            Ok(network) => (Some(network), None),
            Err(error) => (None, Some(error)),
        };
        let places = match &network {
            Some(network) => on_hosts(network)?,
            None => on_this_machine()?,
        };
        let mut settings = settings.clone();
        settings.config += &formation(&places);
        let hosts = network.as_ref().map(hosts_file).transpose()?;
        let mut brokers = Vec::new();
        for (index, place) in places.into_iter().enumerate() {
            let install = match (&network, &hosts) {
                (Some(network), Some(hosts)) => {
                    let host = network.host(index, host_name(index), hosts);
                    install.moved_to(install.system().on(host))
                }
                _ => install.clone(),
            };
            let epmd = (place.ip, place.epmd);
            let broker = Broker::launch_at(&install, settings.clone(), place)?;
            // Those without one would start another, which would stay behind.
            let ask = || Ok(TcpStream::connect(epmd).map(|_| None)?);
            until_up("epmd", ask, || broker.is_running())?;
            brokers.push(broker);
        }
        Ok(Self {
            brokers,
            network,
            why_no_network,
        })
    }
}

fn host_name(index: usize) -> String {
    format!("node{}", index + 1)
}

fn on_hosts(network: &Network) -> Result<Vec<NodePlace>> {
    let cookie = password()?;
    let place = |index| NodePlace {
        node: format!("rabbit@{}", host_name(index)),
        ip: network.address(index),
        amqp: AMQP,
        tls: TLS,
        distribution: DISTRIBUTION,
        epmd: EPMD,
        starts_epmd: true,
        cookie: Some(cookie.clone()),
        erlang: ERLANG,
    };
    Ok((0..usize::from(NODES)).map(place).collect())
}

/// Returns places on this machine: they share the epmd of the first.
fn on_this_machine() -> Result<Vec<NodePlace>> {
    let (cookie, [epmd]) = (password()?, free_port()?);
    let place = |index| {
        Ok(NodePlace {
            epmd,
            starts_epmd: index == 0,
            cookie: Some(cookie.clone()),
            erlang: ERLANG,
            ..NodePlace::alone()?
        })
    };
    (0..NODES).map(place).collect()
}

/// Returns the lines of `rabbitmq.conf` by which the nodes become a cluster.
fn formation(places: &[NodePlace]) -> String {
    let mut lines = String::from(
        "\ncluster_partition_handling = pause_minority\n\
         cluster_formation.peer_discovery_backend = classic_config\n",
    );
    for (index, place) in places.iter().enumerate() {
        let number = index + 1;
        let _ = writeln!(
            lines,
            "cluster_formation.classic_config.nodes.{number} = {}",
            place.node
        );
    }
    lines
}

/// Writes the file that the hosts see as `/etc/hosts`.
fn hosts_file(network: &Network) -> Result<PathBuf> {
    let mut text = String::from("127.0.0.1 localhost\n");
    for index in 0..usize::from(NODES) {
        let _ = writeln!(text, "{} {}", network.address(index), host_name(index));
    }
    let path = network.file("hosts");
    fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_knows_all_nodes() {
        let places = on_this_machine().unwrap();
        let formation = formation(&places);
        for (index, place) in places.iter().enumerate() {
            let line = format!("classic_config.nodes.{} = {}\n", index + 1, place.node);
            assert!(formation.contains(&line), "{formation}");
        }
        assert_eq!(places.iter().filter(|place| place.starts_epmd).count(), 1);
        assert!(
            places
                .iter()
                .all(|place| place.cookie == places[0].cookie && place.epmd == places[0].epmd)
        );
    }
}
