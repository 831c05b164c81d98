//! A way to the broker that can be disturbed: a TCP proxy that knows the frames of AMQP 0-9-1.

mod plan;
mod pump;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use plan::{Act, Direction, Rule};

use plan::Plan;

/// A proxy in front of the broker at one address. Dropping it resets every connection.
pub struct Proxy {
    address: String,
    plan: Arc<Plan>,
    _end: tokio_util::sync::DropGuard,
}

impl Proxy {
    /// Listens, and connects every client to `broker` (`host:port`).
    ///
    /// # Panics
    /// No port can be had.
    pub async fn start(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens").to_string();
        let plan = Arc::new(Plan::default());
        let end = CancellationToken::new();
        let accepting = accept(listener, broker.to_owned(), Arc::clone(&plan));
        tokio::spawn(end.clone().run_until_cancelled_owned(accepting));
        Self {
            address,
            plan,
            _end: end.drop_guard(),
        }
    }

    /// `host:port` of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Does something to a frame that is to come.
    pub fn add(&self, rule: Rule) {
        self.plan.add(rule);
    }

    /// How many rules have been followed.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.plan.followed()
    }

    /// Swallows what comes in both directions, and keeps every connection open: what a network does that fails.
    pub fn black_hole(&self, on: bool) {
        self.plan.black_hole(on);
    }

    /// Keeps what the broker says, and brings the rest on: what a server does that has no time to answer. What was kept
    /// goes on when it is over.
    pub fn silence(&self, on: bool) {
        self.plan.silence(on);
    }

    /// Closes new connections at once, as a broker does that is down.
    pub fn refuse(&self, on: bool) {
        self.plan.refuse(on);
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.plan.reset();
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.plan.open()
    }

    /// How many connections were ever made, refused ones included.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.plan.attempts()
    }

    /// How many frames of a kind went this way, dropped ones included.
    #[must_use]
    pub fn seen(&self, direction: Direction, kind: crate::frames::Kind) -> usize {
        self.plan.seen(direction, kind)
    }
}

/// A broker that does not answer is no broker.
const REACH: Duration = Duration::from_secs(5);

async fn accept(listener: TcpListener, broker: String, plan: Arc<Plan>) {
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((near, _)) = accepted else { continue };
        plan.attempted();
        let _ = near.set_zero_linger();
        if plan.is_refusing() {
            continue;
        }
        let (broker, plan) = (broker.clone(), Arc::clone(&plan));
        connections.spawn(async move {
            let Ok(Ok(far)) = timeout(REACH, TcpStream::connect(broker)).await else {
                return;
            };
            pump::between(near, far, &plan).await;
        });
    }
}
