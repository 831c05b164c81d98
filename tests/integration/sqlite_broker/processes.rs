//! Processes of their own. Some are killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel as lines};
use std::time::Duration;

use brighter::SqliteBroker;
use brighter::channel::{Broker, Producer};
use brighter::transport::sqlite::SqliteBrokerOptions;
use brighter_tests::wait::deadline;

use super::{Place, channel, id, message, next, numbered, publish, until_depth, with_buffer};

/// What this binary is told when it is a child of itself.
const ROLE: &str = "BRIGHTER_SQLITE_BROKER_ROLE";
const FILE: &str = "BRIGHTER_SQLITE_BROKER_FILE";

/// A short lease, so that nobody waits long for what the dead had.
const LEASE: Duration = Duration::from_millis(500);

struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// This very test binary, told to run `the_child` alone.
    fn start(role: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite_broker::processes::the_child", "--nocapture"])
            .env(ROLE, role)
            .env(FILE, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, told) = lines();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let Some((_, said)) = line.split_once("child: ") else {
                    continue;
                };
                if tell.send(said.to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines: told }
    }

    fn says(&self) -> String {
        self.lines
            .recv_timeout(deadline())
            .expect("the child says something in time")
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn open(path: &Path) -> SqliteBroker {
    let options = SqliteBrokerOptions::default().lease(LEASE);
    SqliteBroker::open(path).options(options).await.unwrap()
}

/// What a child does; nothing, where this is no child.
#[tokio::test]
async fn the_child() {
    let (Ok(role), Ok(path)) = (std::env::var(ROLE), std::env::var(FILE)) else {
        return;
    };
    let broker = match role.as_str() {
        // Nobody dies there, and on a busy machine a short lease may end too soon.
        "shares" => SqliteBroker::open(&path).await.unwrap(),
        _ => open(Path::new(&path)).await,
    };
    match role.as_str() {
        "holds" => {
            let mut consumer = broker.consume(&with_buffer(5)).await.unwrap();
            let mut held = Vec::new();
            loop {
                let delivery = next(&mut consumer).await;
                println!("child: {}", id(&delivery));
                held.push(delivery);
            }
        }
        "consumes" | "shares" => {
            let mut consumer = broker.consume(&with_buffer(50)).await.unwrap();
            println!("child: ready");
            while let Some(delivery) = consumer.receive().await {
                let delivery = delivery.unwrap();
                // Said before it is acked, so that what is acked was said.
                println!("child: {}", id(&delivery));
                delivery.ack().await.unwrap();
            }
        }
        "publishes" => {
            for number in 0.. {
                let mut message = message("topic");
                message.header.id = format!("{}-{number}", std::process::id()).as_str().into();
                broker.publish(&message).await.unwrap();
                println!("child: {}", message.header.id);
            }
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn messages_of_a_killed_process_come_again_counted() {
    let place = Place::new();
    let broker = open(&place.path()).await;
    broker.declare(&channel(|_| ())).await.unwrap();
    publish(&broker, 0..7).await;
    let mut holder = Process::start("holds", &place.path());
    for number in 0..5 {
        assert_eq!(holder.says(), number.to_string());
    }
    holder.kill();
    let mut consumer = broker.consume(&with_buffer(10)).await.unwrap();
    let mut came = BTreeSet::new();
    while came.len() < 7 {
        let delivery = next(&mut consumer).await;
        let was_held = id(&delivery).parse::<usize>().unwrap() < 5;
        assert_eq!(delivery.redeliveries(), u32::from(was_held), "{}", id(&delivery));
        came.insert(id(&delivery));
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn confirmed_messages_survive_killed_publishers_and_consumers() {
    let place = Place::new();
    let broker = open(&place.path()).await;
    broker.declare(&channel(|_| ())).await.unwrap();
    let (mut confirmed, mut handled) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..4 {
        let mut publisher = Process::start("publishes", &place.path());
        let mut consumer = Process::start("consumes", &place.path());
        // Killed at another moment each time.
        for _ in 0..50 + 37 * round {
            confirmed.insert(publisher.says());
        }
        publisher.kill();
        confirmed.extend(publisher.lines.try_iter());
        consumer.kill();
        handled.extend(consumer.lines.try_iter());
    }
    let mut consumer = broker.consume(&with_buffer(50)).await.unwrap();
    let rest = tokio::time::timeout(deadline(), async {
        while !confirmed.is_subset(&handled) {
            let delivery = next(&mut consumer).await;
            handled.insert(id(&delivery));
            delivery.ack().await.unwrap();
        }
    });
    let missing = rest
        .await
        .is_err()
        .then(|| confirmed.difference(&handled).count());
    assert_eq!(missing, None, "confirmed and never handled");
}

/// Two processes publish and two consume, all at once.
#[tokio::test]
async fn four_processes_share_a_file() {
    const MESSAGES: usize = 300;
    let place = Place::new();
    let broker = open(&place.path()).await;
    broker.declare(&channel(|_| ())).await.unwrap();
    let consumers = [0, 1].map(|_| Process::start("shares", &place.path()));
    let mut publishers = [0, 1].map(|_| Process::start("publishes", &place.path()));
    let mut confirmed = BTreeSet::new();
    for publisher in &mut publishers {
        confirmed.extend((0..MESSAGES).map(|_| publisher.says()));
        publisher.kill();
        confirmed.extend(publisher.lines.try_iter());
    }
    let mut handled: Vec<String> = Vec::new();
    let all = tokio::time::timeout(deadline(), async {
        loop {
            for consumer in &consumers {
                handled.extend(consumer.lines.try_iter().filter(|line| line != "ready"));
            }
            let distinct: BTreeSet<_> = handled.iter().cloned().collect();
            if confirmed.is_subset(&distinct) {
                assert_eq!(distinct.len(), handled.len(), "none twice");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    all.await.expect("all are handled in time");
}

#[tokio::test]
async fn a_hundred_thousand_wait_and_are_worked_off() {
    const MESSAGES: usize = 100_000;
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&channel(|_| ())).await.unwrap();
    for some in (0..MESSAGES).collect::<Vec<_>>().chunks(1_000) {
        let messages: Vec<_> = some.iter().copied().map(numbered).collect();
        let published = broker.publish_all(messages.iter().collect()).await;
        assert!(published.iter().all(Result::is_ok));
    }
    assert_eq!(
        broker.depth(&channel(|_| ())).await.unwrap(),
        Some(MESSAGES as u64)
    );
    broker.close().await;
    let broker = place.open().await;
    let mut consumer = broker.consume(&with_buffer(1_000)).await.unwrap();
    for number in 0..MESSAGES {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), number.to_string());
        delivery.ack().await.unwrap();
    }
    until_depth(&broker, &channel(|_| ()), 0).await;
}
