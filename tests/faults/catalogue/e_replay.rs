//! Dead letters are sent back, and the process that does so dies half way: E04.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::Broker;
use brighter::prelude::*;
use brighter_faults::app::{Deed, What, order};
use brighter_faults::consumer::Orders;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::Traffic;
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, node};
use tokio::sync::watch;

use super::c_handling::set_aside;

/// The topic, the name of the replay, and what the reasons of the chosen say.
const AWAY: &str = "the-mail-server-is-away";

/// Sends mail, when there is a server; `Panic` is to nobody, `Sleep` to one who has moved.
#[derive(Clone)]
struct Mail {
    ledger: Ledger,
    is_up: watch::Sender<bool>,
    /// How often the poison came while there was a server.
    poisoned: Arc<AtomicUsize>,
}

#[handler]
impl Handler<Deed> for Mail {
    async fn handle(&self, deed: &Deed) -> Result<(), BoxError> {
        let id = deed.id.to_string();
        match deed.what {
            What::Sleep(_) => return Err("the recipient has moved".into()),
            _ if !*self.is_up.borrow() => return Err(AWAY.into()),
            What::Panic => {
                self.poisoned.fetch_add(1, Ordering::Relaxed);
                return Err("no such recipient".into());
            }
            _ => self.ledger.write(Entry::Handled, &id),
        }
        Ok(())
    }
}

fn start(orders: &Orders, plan: &str) -> Process {
    Process::start(env!("CARGO_BIN_EXE_faults-replayer"), orders, plan)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e04_a_killed_replay_resumes_and_poison_returns() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let (queue, dead) = (place.queue("e04"), format!("{}.dlq", place.queue("e04")));
    let is_up = watch::Sender::new(false);
    let mail = Mail {
        ledger: ledger.clone(),
        is_up: is_up.clone(),
        poisoned: Arc::default(),
    };
    let poisoned = Arc::clone(&mail.poisoned);
    let processor = CommandProcessor::builder()
        .handler(mail)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key(AWAY)
        .buffer(200)
        .performers(2)
        .attempts(1);
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    // The first is the poison, and of each ten one is not to be replayed.
    let letters = size(1_000, 10_000);
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    let poison = order(&traffic, AWAY, [What::Panic]).await;
    let others = publish(&traffic, letters - 1).await;
    until_answer("dead letters", letters, async || node.depth(&dead).await.0).await;
    is_up.send_replace(true);

    let mut orders = Orders::new(&place, AWAY, &ledger);
    orders.queue.clone_from(&queue);
    // A hundred are moved together: half way.
    let half = letters / 200;
    let mut dying = start(&orders, &format!("replay.moved#{half}=kill"));
    assert!(!dying.ended().await.success(), "it was killed");
    let waiting = node.depth(&dead).await.0;
    assert!(
        waiting > others.left.len() + 1,
        "half way, and not at the end: {waiting}"
    );
    let mut second = start(&orders, "");
    second.says("replayed", 1).await;
    assert!(second.ended().await.success());
    until_answer("handled", others.chosen.len(), async || {
        ledger.distinct(Entry::Handled)
    })
    .await;
    until_answer("queued", 0, async || node.depth(&queue).await.0).await;
    // Once, or twice where the first process died between a move and its ack: then the poison came twice as well.
    let poisoned = poisoned.load(Ordering::Relaxed);
    assert!((1..=2).contains(&poisoned), "the poison came {poisoned} times");
    until_answer("dead letters", others.left.len() + poisoned, async || {
        node.depth(&dead).await.0
    })
    .await;
    dispatcher.end().await;

    let aside = set_aside(&place, &dead, others.left.len() + poisoned).await;
    let is_poison = |id: &String| *id == poison[0];
    let (came_back, stayed): (Vec<_>, Vec<_>) = aside.into_iter().partition(|(id, ..)| is_poison(id));
    assert_eq!(came_back.len(), poisoned);
    for (_, reason, _) in &came_back {
        assert!(reason.contains("no such recipient"), "{reason}");
    }
    let stayed: BTreeSet<_> = stayed.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(stayed, others.left);
    for id in stayed.iter().chain(&poison) {
        ledger.write(Entry::SetAside, id);
    }
    let verdict = ledger.verdict();
    report(
        "E04",
        format_args!(
            "{letters} dead letters, {} chosen, killed half way: each of these handled ({} twice), {} stayed, the \
             poison came back",
            others.chosen.len() + 1,
            verdict.duplicated.len(),
            stayed.len(),
        ),
    );
    verdict.check("E04");
    broker.close().await;
    capture::assert_no_password();
}

/// Which of them are to be replayed.
struct Letters {
    chosen: BTreeSet<String>,
    left: BTreeSet<String>,
}

/// Publishes so many, several at once.
async fn publish(traffic: &Traffic<brighter::RabbitMq>, letters: usize) -> Letters {
    let kinds = |number: usize| {
        if number.is_multiple_of(10) {
            What::Sleep(0)
        } else {
            What::Note
        }
    };
    let publishing = (0..20).map(|publisher| async move {
        let mine: Vec<_> = (publisher..letters).step_by(20).collect();
        let ids = order(traffic, AWAY, mine.iter().map(|number| kinds(*number))).await;
        mine.into_iter().zip(ids).collect::<Vec<_>>()
    });
    let all = futures_util::future::join_all(publishing).await;
    let (left, chosen): (Vec<_>, Vec<_>) = all
        .into_iter()
        .flatten()
        .partition(|(number, _)| number.is_multiple_of(10));
    let ids = |some: Vec<(usize, String)>| some.into_iter().map(|(_, id)| id).collect();
    Letters {
        chosen: ids(chosen),
        left: ids(left),
    }
}
