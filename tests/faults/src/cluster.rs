//! A cluster of three nodes to do harm to, each a host of its own where the machine allows that.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brighter_test_servers::{Cluster, Error, Install, Network};
use futures_util::future::join_all;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::node::Node;
use crate::wait::{in_time, until_answer};

/// Set by `cargo xtask brokers cluster`: three nodes take much of a machine.
const ALLOWED: &str = "BRIGHTER_TEST_CLUSTER";
const LOOK: Duration = Duration::from_millis(200);

/// Three nodes that are one broker.
pub struct LiveCluster {
    nodes: Vec<Node>,
    network: Result<Arc<Network>, String>,
    /// A test failed half way, and nobody knows what it left.
    left: AtomicBool,
}

/// The cluster for one test, mended after whatever was done to it before.
pub struct ClusterAlone {
    cluster: &'static LiveCluster,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for ClusterAlone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.cluster.left.store(true, Ordering::SeqCst);
        }
    }
}

impl Deref for ClusterAlone {
    type Target = LiveCluster;

    fn deref(&self) -> &LiveCluster {
        self.cluster
    }
}

/// The cluster for one test, unless this run has none: then it says so, and the test has nothing to do.
///
/// # Panics
/// It does not start, or cannot be mended.
pub async fn alone(fault: &str) -> Option<ClusterAlone> {
    static CLUSTER: OnceCell<LiveCluster> = OnceCell::const_new();
    static TURN: Mutex<()> = Mutex::const_new(());
    if std::env::var_os(ALLOWED).is_none_or(|allowed| allowed.is_empty()) {
        println!("fault {fault}: not run, for it needs a cluster: `cargo xtask brokers cluster`");
        return None;
    }
    let turn = TURN.lock().await;
    let cluster = CLUSTER.get_or_init(LiveCluster::start).await;
    cluster.mend().await;
    Some(ClusterAlone { cluster, _turn: turn })
}

/// The same for a test that cuts the network between the nodes: without a network there is nothing to cut.
///
/// # Panics
/// It does not start, or cannot be mended.
pub async fn with_network(fault: &str) -> Option<(ClusterAlone, Arc<Network>)> {
    let cluster = alone(fault).await?;
    match &cluster.network {
        Ok(network) => {
            let network = Arc::clone(network);
            Some((cluster, network))
        }
        Err(reason) => {
            println!("fault {fault}: not run, for the nodes have no network that can be cut: {reason}");
            None
        }
    }
}

/// Does something to the network of the cluster.
///
/// # Panics
/// It cannot be done.
pub async fn cut(network: &Arc<Network>, what: impl FnOnce(&Network) -> Result<(), Error> + Send + 'static) {
    let network = Arc::clone(network);
    let done = spawn_blocking(move || what(&network)).await;
    done.expect("cutting does not panic")
        .unwrap_or_else(|error| panic!("{error:#}"));
}

impl LiveCluster {
    async fn start() -> Self {
        let cluster = spawn_blocking(|| {
            let install = Install::find().expect("RabbitMQ is installed");
            let cluster = Cluster::launch(&install, &Node::settings())?;
            for broker in &cluster.brokers {
                broker.until_up()?;
            }
            Ok::<_, Error>(cluster)
        });
        let cluster = cluster.await.expect("starting does not panic");
        let cluster = cluster.unwrap_or_else(|error| panic!("{error:#}"));
        let why = cluster.why_no_network.map(|why| format!("{why:#}"));
        Self {
            nodes: cluster.brokers.into_iter().map(Node::of).collect(),
            network: cluster
                .network
                .map(Arc::new)
                .ok_or_else(|| why.unwrap_or_default()),
            left: AtomicBool::new(false),
        }
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The URLs of all nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url().to_owned()).collect()
    }

    /// Waits until every node counts all of them as running. One that stays split from the others, which RabbitMQ with
    /// Mnesia does where they met again before they had noticed, is started anew, as an operator does.
    pub async fn whole(&self) {
        for node in &self.nodes {
            until_answer("running nodes", self.nodes.len(), async || {
                let count = running(node).await;
                if count != self.nodes.len() {
                    self.end_split().await;
                }
                count
            })
            .await;
        }
    }

    async fn end_split(&self) {
        let said = join_all(self.nodes.iter().map(|node| node.eval(SPLIT))).await;
        for node in &self.nodes {
            let by = said.iter().filter(|said| said.contains(node.name())).count();
            // The others are the majority.
            if by == self.nodes.len() - 1 {
                println!(
                    "{} has stayed split from the others: it is started anew",
                    node.name()
                );
                node.stop().await;
                node.start_again().await;
            }
        }
    }

    /// Moves the leader of a quorum queue of the virtual host `/` to this node, and waits until it leads.
    pub async fn lead(&self, queue: &str, to: usize) {
        let to = &self.nodes[to];
        // A node may hear of a queue a little later than its consumer does.
        let move_here = format!(
            "case rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)) of \
                 {{ok, Q}} -> \
                     {{Name, _}} = amqqueue:get_pid(Q), Here = {{Name, node()}}, \
                     case ra:members(Here) of \
                         {{ok, _, Here}} -> leads; \
                         {{ok, _, Leader}} -> ra:transfer_leadership(Leader, Here); \
                         _ -> none end; \
                 _ -> none end."
        );
        in_time("the leader to move", async {
            while to.eval(&move_here).await != "leads" {
                sleep(LOOK).await;
            }
        })
        .await;
    }

    /// Whether the member at this node leads a queue, as another node knows it, within some time.
    pub async fn leads_within(&self, limit: Duration, queue: &str, node: usize) -> bool {
        let name = self.nodes[node].name();
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        let others: Vec<_> = others.map(|(_, other)| other).collect();
        // What a node remembers, for which it needs no other.
        let ask = format!(
            "case catch ra_leaderboard:lookup_leader(list_to_atom(\"%2F_{queue}\")) of \
                 {{_, Leader}} -> Leader; _ -> none end."
        );
        let leads = async {
            loop {
                for other in &others {
                    if other.eval(&ask).await == name {
                        return;
                    }
                }
                sleep(LOOK).await;
            }
        };
        timeout(limit, leads).await.is_ok()
    }

    /// Removes the member of a quorum queue at this node with what it has, whatever others say: an operator does so where the
    /// queue was deleted while its node was away.
    pub async fn remove_member(&self, queue: &str, node: usize) {
        let remove = format!(
            "case ra:force_delete_server(quorum_queues, {{list_to_atom(\"%2F_{queue}\"), node()}}) of \
                 ok -> removed; Other -> Other end."
        );
        println!(
            "{queue} at {}: {}",
            self.nodes[node].name(),
            self.nodes[node].eval(&remove).await
        );
    }

    /// What the nodes say of these queues and of themselves, for somebody who has to find out why nothing goes on.
    pub async fn says(&self, queues: &[&str]) -> String {
        let of_each = queues.iter().map(|queue| {
            format!("{{\"{queue}\", catch ra_leaderboard:lookup_leader(list_to_atom(\"%2F_{queue}\"))}}")
        });
        let ask = format!(
            "{{{RUNNING}, catch mnesia_locker:get_held_locks(), [{}]}}.",
            of_each.collect::<Vec<_>>().join(", ")
        );
        let said = self.nodes.iter().map(async |node| {
            let said = node.eval(&ask).await;
            format!(
                "{} (running nodes, locks of Mnesia, leaders of queues): {said}",
                node.name()
            )
        });
        join_all(said).await.join("\n")
    }

    /// How many connections of this name each node has.
    pub async fn connections(&self, name: &str) -> Vec<usize> {
        join_all(self.nodes.iter().map(|node| node.local_connections(name))).await
    }

    /// Has every connection of this name be at one node: those at others are closed until chance has brought them
    /// there.
    pub async fn gather(&self, name: &str, count: usize, at: usize) {
        in_time("the connections to gather at a node", async {
            loop {
                let others = self.nodes.iter().enumerate().filter(|(node, _)| *node != at);
                let closed = join_all(others.map(|(_, node)| node.close_local_connections(name))).await;
                let here = self.nodes[at].local_connections(name).await;
                if here == count && closed.iter().sum::<usize>() == 0 {
                    return;
                }
                sleep(LOOK).await;
            }
        })
        .await;
    }

    /// Waits until this node and the others count each other as gone: a node of 4.0 pauses then, and joins the others
    /// again by a start anew. One that is joined before it has noticed goes on with metadata of its own, which only an
    /// operator can mend.
    pub async fn gone(&self, node: usize) {
        until_answer("the nodes that it counts as running", true, async || {
            running(&self.nodes[node]).await <= 1
        })
        .await;
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != node);
        for (_, other) in others {
            until_answer(
                "the nodes that others count as running",
                self.nodes.len() - 1,
                async || running(other).await,
            )
            .await;
        }
    }

    /// Gives every quorum queue a member at this node, which is new.
    pub async fn grow_queues(&self, node: usize) {
        let grow = format!(
            "rabbit_quorum_queue:grow('{}', <<\".*\">>, <<\".*\">>, all), done.",
            self.nodes[node].name()
        );
        self.nodes[node].eval(&grow).await;
    }

    /// Starts every node that is not there, and waits until all run.
    pub async fn start_all(&self) {
        // At the same time: one alone may wait for the others.
        join_all(self.nodes.iter().map(Node::start_if_down)).await;
        self.whole().await;
    }

    async fn mend(&self) {
        if let Ok(network) = &self.network {
            cut(network, Network::mend).await;
        }
        join_all(self.nodes.iter().map(Node::start_if_down)).await;
        if self.left.swap(false, Ordering::SeqCst) {
            // One that was split off has the metadata of the others after a start.
            for node in &self.nodes {
                node.stop().await;
                node.start_again().await;
            }
        }
        self.whole().await;
        for node in &self.nodes {
            node.memory_alarm(false).await;
        }
        // What a test left that failed takes time of the nodes.
        self.nodes[0]
            .eval("[rabbit_amqqueue:delete(Q, false, false, <<\"a test\">>) || Q <- rabbit_amqqueue:list()], done.")
            .await;
    }
}

/// Erlang for the nodes that one counts as running: none, if it does not run itself. Where the metadata are in Mnesia,
/// its word counts: nodes that have split run on side by side, each with metadata of its own.
const RUNNING: &str = "case {rabbit:is_running(), (catch mnesia:system_info(is_running)), \
           erlang:function_exported(rabbit_nodes, list_running, 0)} of \
     {false, _, _} -> []; {_, yes, _} -> mnesia:system_info(running_db_nodes); \
     {_, _, true} -> rabbit_nodes:list_running(); _ -> rabbit_nodes:all_running() end";
/// Erlang for the nodes from which one is split for good, until they are started anew.
const SPLIT: &str = "case erlang:function_exported(rabbit_node_monitor, partitions, 0) of \
     true -> catch rabbit_node_monitor:partitions(); false -> [] end.";

/// How many nodes this one counts as running.
async fn running(node: &Node) -> usize {
    let count = node.eval(&format!("length({RUNNING}).")).await;
    count.parse().expect("a number")
}
