//! A node of several goes, or what is between them: G01 to G09.

use std::time::Duration;

use brighter_faults::cluster::{self, cut};
use brighter_faults::node::Node;
use brighter_faults::scale::{report, size};
use brighter_faults::wait::until_answer;
use brighter_test_servers::{Error, Network, patience};
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::g_scene::Scene;

/// The node that harm is done to: it leads all queues, and the first application is on it.
const HARMED: usize = 0;
/// How long a member that was kept is waited for to demand its queue.
const DEMAND: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g01_a_killed_leader_loses_nothing() {
    let Some(cluster) = cluster::alone("G01").await else {
        return;
    };
    let scene = Scene::start("G01", &cluster).await;
    scene.fault();
    cluster.nodes()[HARMED].kill().await;
    scene.progress().await;
    cluster.start_all().await;
    scene.cleared();
    scene.progress().await;
    scene.end().await;
}

/// Cuts the network until all go on and the nodes have noticed, and mends it.
async fn cut_off(fault: &'static str, harm: fn(&Network) -> Result<(), Error>) {
    let Some((cluster, network)) = cluster::with_network(fault).await else {
        return;
    };
    let scene = Scene::start(fault, &cluster).await;
    scene.fault();
    cut(&network, harm).await;
    scene.progress().await;
    cluster.gone(HARMED).await;
    cut(&network, Network::mend).await;
    cluster.whole().await;
    scene.cleared();
    scene.progress().await;
    scene.end().await;
}

fn isolate(network: &Network) -> Result<(), Error> {
    network.isolate(HARMED, true)
}

/// The clients still reach it, and it answers them as far as it can alone.
fn split_from_all(network: &Network) -> Result<(), Error> {
    network.split(HARMED, 1, true)?;
    network.split(HARMED, 2, true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g02_an_isolated_leader_loses_nothing() {
    cut_off("G02", isolate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g03_clients_leave_a_split_leader() {
    cut_off("G03", split_from_all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g04_a_whole_cluster_outage_loses_nothing() {
    let Some(cluster) = cluster::alone("G04").await else {
        return;
    };
    let scene = Scene::start("G04", &cluster).await;
    scene.fault();
    join_all(cluster.nodes().iter().map(Node::stop)).await;
    // This is the fault.
    sleep(Duration::from_secs(size(5, 30))).await;
    cluster.start_all().await;
    scene.cleared();
    scene.progress().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g05_a_rolling_restart_loses_nothing() {
    let Some(cluster) = cluster::alone("G05").await else {
        return;
    };
    let scene = Scene::start("G05", &cluster).await;
    for node in cluster.nodes() {
        scene.fault();
        node.stop().await;
        scene.progress().await;
        node.start_again().await;
        cluster.whole().await;
        scene.cleared();
        scene.progress().await;
    }
    scene.end().await;
}

/// The queue of the bare client is deleted as well: RabbitMQ cannot reach the member at the node that is cut off, and keeps
/// it. Where the queue is declared again under its name, that member demands to lead the new one when the network is
/// back, and nothing goes through the queue until somebody removes it. See `docs/book/src/how-to/operate.md`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g06_publishing_after_a_split_deletes_its_queue_loses_nothing() {
    let Some((cluster, network)) = cluster::with_network("G06").await else {
        return;
    };
    let scene = Scene::start("G06", &cluster).await;
    let app = &scene.apps[0];
    let queues = [app.queue.as_str(), scene.bare.queue.as_str()];
    // The member that is kept is of a later term than the first of the new queue, for each of them.
    for queue in queues {
        cluster.lead(queue, 1).await;
        cluster.lead(queue, HARMED).await;
    }
    scene.progress().await;
    scene.fault();
    cut(&network, split_from_all).await;
    scene.progress().await;
    cluster.gone(HARMED).await;
    // What is in the queue goes with it, so it is empty when it is deleted.
    scene.spare(Some(0));
    let other = &cluster.nodes()[1];
    until_answer("what the queue holds", 0, async || other.depth(queues[0]).await.0).await;
    until_answer("what is on its way", 0, async || {
        scene.ledger.verdict().lost.len()
    })
    .await;
    join_all(queues.map(|queue| other.delete_queue(queue))).await;
    scene.spare(None);
    scene.progress().await;
    cut(&network, Network::mend).await;
    cluster.whole().await;
    let demands = join_all(queues.map(|queue| cluster.leads_within(patience(DEMAND), queue, HARMED))).await;
    if demands[0] {
        // It tells the truth about a queue that the broker has broken.
        until_answer("ready", false, async || app.is_ready().await).await;
    }
    for queue in queues {
        cluster.remove_member(queue, HARMED).await;
    }
    report(
        "G06",
        format_args!(
            "the member that was kept led the new queue: {demands:?}, of the application and of the bare client"
        ),
    );
    scene.cleared();
    scene.progress().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g07_one_nodes_memory_alarm_blocks_publishers_and_is_reported() {
    let Some(cluster) = cluster::alone("G07").await else {
        return;
    };
    let scene = Scene::start("G07", &cluster).await;
    scene.fault();
    cluster.nodes()[HARMED].memory_alarm(true).await;
    for app in &scene.apps {
        until_answer("ready", false, async || app.is_ready().await).await;
    }
    cluster.nodes()[HARMED].memory_alarm(false).await;
    scene.cleared();
    scene.progress().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g08_removing_and_adding_a_node_loses_nothing() {
    let Some(cluster) = cluster::alone("G08").await else {
        return;
    };
    let scene = Scene::start("G08", &cluster).await;
    let (gone, other) = (&cluster.nodes()[HARMED], &cluster.nodes()[1]);
    scene.fault();
    gone.kill().await;
    scene.progress().await;
    other.ctl(&["forget_cluster_node", gone.name()]).await;
    gone.wipe().await;
    // It finds the others by itself, as a new machine does.
    cluster.start_all().await;
    cluster.grow_queues(HARMED).await;
    scene.cleared();
    scene.progress().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g09_connections_spread_again_after_a_node_was_gone() {
    let Some(cluster) = cluster::alone("G09").await else {
        return;
    };
    let scene = Scene::start("G09", &cluster).await;
    scene.fault();
    for node in &cluster.nodes()[1..] {
        node.stop().await;
        scene.progress().await;
        node.start_again().await;
        cluster.whole().await;
    }
    scene.cleared();
    // All that they had were closed, and went to the first node or to each other.
    let connections = async || {
        let of_each = scene.apps.iter().map(|app| cluster.connections(&app.name));
        let mut sums = vec![0; cluster.nodes().len()];
        for counts in join_all(of_each).await {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sums
    };
    let before = connections().await;
    let spread = until_answer("every node has connections", true, async || {
        connections().await.iter().all(|count| *count > 0)
    })
    .await;
    report(
        "G09",
        format_args!(
            "connections at each node: {before:?}, {spread:.1?} later {:?}",
            connections().await
        ),
    );
    scene.progress().await;
    scene.end().await;
}
