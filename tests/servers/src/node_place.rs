//! [`NodePlace`]: the name, the addresses and the environment of one node of RabbitMQ.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;

use crate::programs::free_port;

/// No busy waiting: a node shares a machine with the tests.
const ERLANG_ARGS: &str = "+sbwt none +sbwtdcpu none +sbwtdio none";

/// Where a node of RabbitMQ is found.
#[derive(Debug, Clone)]
pub(crate) struct NodePlace {
    /// The name of the node.
    pub(crate) node: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) amqp: u16,
    pub(crate) tls: u16,
    /// The port by which other nodes reach it.
    pub(crate) distribution: u16,
    pub(crate) epmd: u16,
    /// Whether it brings an epmd of its own, or uses that of another node.
    pub(crate) starts_epmd: bool,
    /// The secret that nodes share: without one, Erlang makes it.
    pub(crate) cookie: Option<String>,
    /// More arguments for Erlang.
    pub(crate) erlang: &'static str,
}

impl NodePlace {
    /// Returns a place on this machine that no other node has.
    pub(crate) fn alone() -> Result<Self> {
        let [amqp, tls, distribution, epmd] = free_port()?;
        Ok(Self {
            node: format!("brighter-{}-{amqp}@localhost", std::process::id()),
            ip: Ipv4Addr::LOCALHOST,
            amqp,
            tls,
            distribution,
            epmd,
            starts_epmd: true,
            cookie: None,
            erlang: "",
        })
    }

    /// Returns all that makes a node private, for the server and for `rabbitmqctl` alike.
    pub(crate) fn environment(&self, folder: &Path) -> Vec<(&'static str, OsString)> {
        let within = |name: &str| folder.join(name).into_os_string();
        let ip = self.ip.to_string();
        let arguments = format!(
            "-kernel inet_dist_use_interface {{{}}} {ERLANG_ARGS} {}",
            ip.replace('.', ","),
            self.erlang
        );
        vec![
            // The Erlang cookie lives in the home folder.
            ("HOME", folder.into()),
            ("ERL_EPMD_ADDRESS", ip.clone().into()),
            ("ERL_EPMD_PORT", self.epmd.to_string().into()),
            ("ERL_CRASH_DUMP", within("erl_crash.dump")),
            ("RABBITMQ_NODENAME", self.node.clone().into()),
            ("RABBITMQ_NODE_IP_ADDRESS", ip.into()),
            ("RABBITMQ_NODE_PORT", self.amqp.to_string().into()),
            ("RABBITMQ_DIST_PORT", self.distribution.to_string().into()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments.trim_end().into()),
            ("RABBITMQ_CONF_ENV_FILE", within("rabbitmq-env.conf")),
            ("RABBITMQ_CONFIG_FILE", within("rabbitmq.conf")),
            ("RABBITMQ_CONFIG_FILES", within("conf.d")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", within("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", within("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", within("mnesia")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", within("config")),
            ("RABBITMQ_SCHEMA_DIR", within("schema")),
            ("RABBITMQ_LOG_BASE", within("log")),
            // To standard output.
            ("RABBITMQ_LOGS", "-".into()),
            ("RABBITMQ_PID_FILE", within("rabbitmq.pid")),
        ]
    }
}
