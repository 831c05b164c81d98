//! A message that ends its process, among others that do not: G11. A process that stops and starts with messages in hand:
//! G14.

use std::time::Duration;

use brighter::channel::{Broker, Channel, Rejection};
use brighter_faults::app::{self, What};
use brighter_faults::capture;
use brighter_faults::consumer::{Death, Keeps, Orders};
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{Traffic, consume};
use brighter_faults::wait::{in_time, until_answer};
use futures_util::future::join;

const CONFIRM: Duration = Duration::from_secs(30);
/// So many messages do no harm.
const INNOCENTS: usize = 10;
/// As much address space as the process starts with and some more, in kilobytes.
const MEMORY: u32 = 2 << 20;

/// Deeds that wait in a queue of this type, which nobody reads yet.
struct Scene {
    place: Place,
    ledger: Ledger,
    orders: Orders,
    ids: Vec<String>,
}

impl Scene {
    async fn new(node: &Node, name: &str, keeps: Keeps, deeds: &[What]) -> Self {
        let (place, ledger) = (Place::new(node), Ledger::new());
        let mut orders = Orders::new(&place, name, &ledger);
        orders.queue_type = Some(keeps);
        orders.redeliveries = size(6, 20);
        orders.buffer = 10;
        let broker = place.connect().await;
        let mut channel = place.channel(name, name);
        channel.queue_type = Some(keeps.into());
        consume(&broker, &channel).await.close().await.unwrap();
        let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
        let ids = app::order(&traffic, name, deeds.iter().copied()).await;
        broker.close().await;
        Self {
            place,
            ledger,
            orders,
            ids,
        }
    }

    fn start(&self) -> Process {
        let program = env!("CARGO_BIN_EXE_faults-consumer");
        match self.orders.death {
            Death::Memory => Process::start_limited(program, &self.orders, MEMORY),
            _ => Process::start(program, &self.orders, ""),
        }
    }

    fn dead_letters(&self) -> String {
        format!("{}.dlq", self.orders.queue)
    }

    /// Starts the process as often as it dies, until nothing is left in its queue; gives how often it died.
    async fn restarted_until_done(&self, node: &Node) -> usize {
        let settled = async {
            until_answer("handled", INNOCENTS, async || {
                self.ledger.distinct(Entry::Handled)
            })
            .await;
            until_answer("dead letters", 1, async || {
                node.depth(&self.dead_letters()).await.0
            })
            .await;
            until_answer("left in the queue", 0, async || {
                node.depth(&self.orders.queue).await.0
            })
            .await;
        };
        let mut settled = std::pin::pin!(settled);
        for deaths in 0..100 {
            let mut child = self.start();
            let died = async {
                if self.orders.death == Death::Killed {
                    child.says("kill me", 1).await;
                    child.kill().await;
                }
                let status = child.ended().await;
                assert!(!status.success(), "it dies, and does not end: {status}");
            };
            tokio::select! {
                () = &mut settled => {
                    child.end().await;
                    return deaths;
                }
                () = died => {}
            }
        }
        panic!("it dies forever");
    }

    /// The reason for which the only dead letter is there.
    async fn reason(&self) -> String {
        let broker = self.place.connect().await;
        let channel = Channel::existing(self.dead_letters());
        let mut consumer = consume(&broker, &channel).await;
        let delivery = in_time("the dead letter", consumer.receive())
            .await
            .unwrap()
            .unwrap();
        let note = Rejection::read(&delivery.message().unwrap().header).expect("it says why");
        delivery.ack().await.unwrap();
        consumer.close().await.unwrap();
        broker.close().await;
        note.rejection.reason
    }
}

/// Of eleven messages one ends its process in this way, whatever the type of the queue.
async fn innocents_survive(death: Death) {
    let node = node::shared().await;
    let one = async |keeps: Keeps| {
        let mut deeds = vec![What::Note; INNOCENTS];
        deeds.insert(3, What::Die);
        let mut scene = Scene::new(&node, "g11", keeps, &deeds).await;
        scene.orders.death = death;
        scene.ledger.fault();
        let deaths = scene.restarted_until_done(&node).await;
        scene.ledger.cleared();
        let limit = scene.orders.redeliveries;
        let reason = scene.reason().await;
        assert!(reason.contains(&format!("delivered {limit} times")), "{reason}");
        assert!(reason.contains("handled alone"), "{reason}");
        scene.ledger.write(Entry::SetAside, &scene.ids[3]);
        let verdict = scene.ledger.verdict();
        verdict.check(&format!("G11 {death:?}, {keeps:?}"));
        assert_eq!(verdict.handled, INNOCENTS);
        assert!(deaths <= usize::try_from(limit).unwrap() + 1, "{deaths} deaths");
        report(
            "G11",
            format_args!("{death:?}, {keeps:?}: {deaths} deaths, {INNOCENTS} handled, 1 dead letter"),
        );
    };
    join(one(Keeps::Quorum), one(Keeps::Classic)).await;
    capture::assert_no_password();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g11_a_message_aborting_its_process_is_dead_lettered() {
    innocents_survive(Death::Abort).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g11_a_message_killing_its_process_is_dead_lettered() {
    innocents_survive(Death::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g11_a_message_taking_all_memory_is_dead_lettered() {
    innocents_survive(Death::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g11_a_message_ending_its_process_late_is_dead_lettered() {
    innocents_survive(Death::Slow(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g14_returns_at_every_stop_do_not_dead_letter() {
    let node = node::shared().await;
    let restarts = size(12, 50);
    let one = async |keeps: Keeps| {
        let mut scene = Scene::new(&node, "g14", keeps, &[What::Wait; INNOCENTS + 1]).await;
        scene.orders.drain = 100;
        for _ in 0..restarts {
            let mut child = scene.start();
            child.says("begun", 1).await;
            child.terminate().await;
            let status = child.ended().await;
            assert_eq!(status.code(), Some(75), "one was given back");
        }
        let there = (INNOCENTS + 1, INNOCENTS + 1);
        until_answer("all are there", there, async || {
            node.depth(&scene.orders.queue).await
        })
        .await;
        assert_eq!(node.depth(&scene.dead_letters()).await.0, 0);
        scene.orders.waits = false;
        let child = scene.start();
        until_answer("handled", INNOCENTS + 1, async || {
            scene.ledger.distinct(Entry::Handled)
        })
        .await;
        until_answer("left in the queue", 0, async || {
            node.depth(&scene.orders.queue).await.0
        })
        .await;
        child.end().await;
        assert_eq!(node.depth(&scene.dead_letters()).await.0, 0);
        scene.ledger.verdict().check(&format!("G14 {keeps:?}"));
        report(
            "G14",
            format_args!(
                "{keeps:?}: {restarts} restarts with {} messages, 0 dead letters",
                INNOCENTS + 1
            ),
        );
    };
    join(one(Keeps::Quorum), one(Keeps::Classic)).await;
    capture::assert_no_password();
}
