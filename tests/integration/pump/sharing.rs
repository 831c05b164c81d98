//! No message waits behind a busy performer while another performer of its subscription has nothing to do.

use brighter::SqliteBroker;
use brighter_tests::rabbitmq::Corner;
use brighter_tests::scripted::{Came, Consume, Scripted, Settled};
use brighter_tests::wait::{DEADLINE, until_eq};

use super::*;

/// Handles notes of key 0 when it is let, and all others at once.
#[derive(Clone)]
struct Slow {
    begun: Arc<Mutex<Vec<u32>>>,
    done: Arc<Mutex<Vec<u32>>>,
    gate: Arc<Semaphore>,
}

impl Slow {
    fn new() -> Self {
        Self {
            begun: Arc::default(),
            done: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// What is done, in the order of the numbers.
    fn done(&self) -> Vec<u32> {
        let mut done = self.done.lock().unwrap().clone();
        done.sort_unstable();
        done
    }
}

#[handler]
impl Handler<Note> for Slow {
    async fn handle(&self, note: &Note) -> Result<(), BoxError> {
        self.begun.lock().unwrap().push(note.number);
        if note.key == 0 {
            self.gate.acquire().await?.forget();
        }
        self.done.lock().unwrap().push(note.number);
        Ok(())
    }
}

/// Posts a message whose handler is busy until it is let, then short ones: these are done meanwhile, by the others.
async fn short_ones_pass_a_long_one(broker: impl Broker, subscription: Subscription<Note>) {
    let (slow, short) = (Slow::new(), 1..=20);
    let dispatcher = receiving(broker, slow.clone(), subscription.performers(2).buffer(10));
    tokio::time::timeout(DEADLINE, dispatcher.wait_until_consuming())
        .await
        .unwrap();
    post(&dispatcher, [note(0, 0)]).await;
    until_eq("one performer is busy", 1, || slow.begun()).await;
    post(&dispatcher, short.clone().map(|number| note(1, number))).await;
    until_eq("the short ones", short.clone().collect::<Vec<_>>(), || {
        slow.done()
    })
    .await;
    slow.gate.add_permits(1);
    until_eq("all of them", (0..=20).collect::<Vec<_>>(), || slow.done()).await;
    assert!(dispatcher.end().await.interrupted.is_empty());
    assert_eq!(slow.begun(), 21, "none came twice");
    dispatcher.processor().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_messages_pass_a_long_one_in_memory() {
    short_ones_pass_a_long_one(InMemoryBroker::new(), notes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_messages_pass_a_long_one_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    short_ones_pass_a_long_one(broker, notes()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_messages_pass_a_long_one_on_rabbitmq() {
    let corner = Corner::new();
    let channel = corner.channel("notes", "Note");
    let broker = corner.connect().await;
    short_ones_pass_a_long_one(broker, Subscription::new(channel.name.as_str())).await;
}

fn came(notes: impl IntoIterator<Item = Note>) -> Vec<Came> {
    let message = |note| Came::Message(message(&note));
    notes.into_iter().map(message).collect()
}

fn short(numbers: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Note> {
    numbers.into_iter().map(|number| note(1, number))
}

/// One performer gets the long one and what is behind it, the other nothing.
fn long_and(others: impl IntoIterator<Item = Note>) -> Consume {
    Consume::Gives(came([note(0, 0)].into_iter().chain(others)))
}

#[tokio::test(start_paused = true)]
async fn waiting_messages_move_to_an_idle_sibling_and_settle_once() {
    for performers in [2, 3, 8] {
        let broker = Scripted::new([long_and(short(1..=50))]);
        let slow = Slow::new();
        let dispatcher = receiving(broker.clone(), slow.clone(), notes().performers(performers));
        until_eq("the others", 50, || slow.done().len()).await;
        assert_eq!(broker.settled().len(), 50);
        slow.gate.add_permits(1);
        until_eq("all acked", 51, || broker.settled().len()).await;
        assert!(
            broker
                .settled()
                .iter()
                .all(|(_, settled)| *settled == Settled::Ack)
        );
        assert_eq!(dispatcher.status()[0].restarts, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_performer_hands_over_only_excess_messages() {
    let long = (0..4).map(|number| note(0, number));
    let broker = Scripted::new([Consume::Gives(came(long.chain(short(4..=10))))]);
    let slow = Slow::new();
    let subscription = notes().performers(2).concurrency(4).buffer(20);
    let dispatcher = receiving(broker.clone(), slow.clone(), subscription);
    until_eq("the short ones", (4..=10).collect::<Vec<_>>(), || slow.done()).await;
    let in_hand: Vec<_> = dispatcher.status()[0]
        .performers
        .iter()
        .map(|performer| performer.in_hand.len())
        .collect();
    assert_eq!(in_hand.iter().sum::<usize>(), 4);
    assert!(in_hand.contains(&4), "{in_hand:?}");
}

#[tokio::test(start_paused = true)]
async fn busy_performers_leave_messages_with_the_broker() {
    let broker = Scripted::new([
        long_and([note(0, 1)]),
        Consume::Gives(came([note(0, 2), note(0, 3)])),
    ]);
    let slow = Slow::new();
    let dispatcher = receiving(broker.clone(), slow.clone(), notes().performers(2));
    until_eq("both busy", 2, || slow.begun()).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!((slow.begun(), broker.settled().len()), (2, 0));
    assert_eq!(dispatcher.status()[0].in_hand(), 2);
    slow.gate.add_permits(4);
    until_eq("all of them", vec![0, 1, 2, 3], || slow.done()).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_a_stop_leave_nothing_between_two_performers() {
    let broker = Scripted::new([long_and([note(0, 1)].into_iter().chain(short(2..=9)))]);
    let slow = Slow::new();
    let dispatcher = receiving(broker.clone(), slow.clone(), notes().performers(2));
    // The sibling has got the second one, and now neither has room.
    until_eq("both busy", 2, || slow.begun()).await;
    dispatcher.pause("notes").unwrap();
    slow.gate.add_permits(2);
    until_eq("those in hand", vec![0, 1], || slow.done()).await;
    assert!(dispatcher.end().await.interrupted.is_empty());
    let acked = |(_, settled): &&(MessageId, Settled)| *settled == Settled::Ack;
    assert_eq!(broker.settled().iter().filter(acked).count(), 2);
    // What the script had not given by then is the broker's.
    assert_eq!(slow.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn handed_over_messages_settle_after_the_giver_lost_its_channel() {
    let mut first = came([note(0, 0), note(0, 1)]);
    first.push(Came::Lost);
    // One sibling gets the second message, and for the other the giver looks further.
    let broker = Scripted::new([
        Consume::Gives(first),
        Consume::Gives(Vec::new()),
        Consume::Gives(Vec::new()),
        Consume::Gives(came(short([2]))),
    ]);
    let slow = Slow::new();
    let dispatcher = receiving(broker.clone(), slow.clone(), notes().performers(3));
    until_eq("both busy", 2, || slow.begun()).await;
    until_eq("the loss", 2, || dispatcher.status()[0].consuming()).await;
    slow.gate.add_permits(2);
    until_eq("all of them", vec![0, 1, 2], || slow.done()).await;
    until_eq("all acked", 3, || broker.settled().len()).await;
    assert!(
        broker
            .settled()
            .iter()
            .all(|(_, settled)| *settled == Settled::Ack)
    );
    assert_eq!(dispatcher.status()[0].consuming(), 3);
}

#[tokio::test(start_paused = true)]
async fn ordered_messages_are_never_handed_over() {
    let broker = Scripted::new([long_and(short(1..=3))]);
    let slow = Slow::new();
    let subscription = notes().ordered_by(|_: &Note| 0);
    let _dispatcher = receiving(broker.clone(), slow.clone(), subscription);
    until_eq("the first", 1, || slow.begun()).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(slow.begun(), 1);
    slow.gate.add_permits(1);
    until_eq("all of them", 4, || slow.done().len()).await;
    assert_eq!(*slow.begun.lock().unwrap(), [0, 1, 2, 3]);
}
