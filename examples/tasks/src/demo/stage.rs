//! [`Stage`]: everything that takes part, in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brighter::channel::Broker;
use brighter::policy::{CircuitBreaker, Retry};
use brighter::{Dispatcher, Message, MessageId, PolicyRegistry, SqliteBroker, Subscription};
use tasks::api::{AfterCommit, Api};
use tasks::mail::{DEFAULT_SENDER, MailFolder};
use tasks::worker::QUEUE;
use tasks::{ReminderStore, TaskReminder};
use tokio::task::JoinHandle;

use super::gateway::TroubledGateway;
use super::narrator::Narrator;
use super::story::CAST;
use crate::failure::Failure;

/// Short, so that the story is: a real worker leaves a mail server more time.
const RETRY_EVERY: Duration = Duration::from_millis(100);
const COMES_AGAIN_AFTER: Duration = Duration::from_millis(200);
const OPEN_FOR: Duration = Duration::from_millis(600);

/// Longer than any part of the story takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that takes part.
pub(super) struct Stage {
    pub(super) narrator: Narrator,
    pub(super) api: SocketAddr,
    pub(super) broker: SqliteBroker,
    pub(super) breaker: CircuitBreaker,
    pub(super) dispatcher: Dispatcher,
    pub(super) gateway: Arc<TroubledGateway>,
    pub(super) mail: PathBuf,
    /// The id of each reminder that was posted, with its name, in order.
    pub(super) posted: Vec<(&'static str, MessageId)>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Stage {
    /// Puts everything together. Nothing is consumed yet.
    pub(super) async fn set_up(narrator: Narrator) -> Result<Self, Failure> {
        let place = tempfile::Builder::new()
            .prefix("brighter-tasks-")
            .tempdir()
            .map_err(|error| Failure::because("cannot make a temporary folder", &error))?
            .keep();
        let mail = place.join("mail");
        let from = DEFAULT_SENDER
            .parse()
            .map_err(|error| Failure::because("the sender is not a mail address", &error))?;
        let folder = MailFolder::open(&mail, from)
            .map_err(|error| Failure::because("cannot make the folder for the mails", &error))?;

        let broker = SqliteBroker::open(place.join("broker.db"))
            .await
            .map_err(|error| Failure::because("cannot make the broker's file", &error))?;
        let subscription = Subscription::<TaskReminder>::new(QUEUE)
            .performers(4)
            .attempts(3)
            .delays([COMES_AGAIN_AFTER]);
        // The queue is there before the worker is, so that reminders can wait in it.
        broker
            .declare(&subscription.settings().channel)
            .await
            .map_err(|error| Failure::because("the queue cannot be made", &error))?;

        let store = ReminderStore::open(place.join("tasks.db"))
            .await
            .map_err(|error| Failure::because("cannot make the database", &error))?;
        let api = Api::new(store, broker.clone(), AfterCommit::Answer)
            .map_err(|error| Failure::because("the API is not wired well", &error))?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| Failure::because("cannot listen on 127.0.0.1", &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Failure::because("the server has no address", &error))?;
        let server = tokio::spawn(axum::serve(listener, api.router()).into_future());

        let breaker = CircuitBreaker::consecutive(2, OPEN_FOR);
        let policies = PolicyRegistry::default()
            .insert("retry", Retry::attempts(3).fixed(RETRY_EVERY))
            .insert("circuit_breaker", breaker.clone());
        let troubles = CAST.iter().map(|part| (part.task_name, part.trouble));
        let gateway = Arc::new(TroubledGateway::new(folder, narrator.clone(), troubles));
        let dispatcher = tasks::worker::worker(broker.clone(), gateway.clone(), policies, subscription, None)
            .map_err(|error| Failure::because("the worker is not wired well", &error))?;
        Ok(Self {
            narrator,
            api: address,
            broker,
            breaker,
            dispatcher,
            gateway,
            mail,
            posted: Vec::new(),
            server,
        })
    }

    /// Waits until something is so.
    pub(super) async fn until(
        &self,
        what: &str,
        mut so: impl AsyncFnMut(&Self) -> bool,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while !so(self).await {
            if began.elapsed() > PATIENCE {
                return Err(Failure::new(format!("waited {PATIENCE:?} in vain until {what}")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// What was set aside in the queue of this suffix.
    pub(super) async fn set_aside(&self, suffix: &str) -> Vec<Message> {
        let queue = format!("{QUEUE}.{suffix}");
        // If the file cannot be read, nothing is found, and the story does not end well.
        self.broker.messages(queue, 100).await.unwrap_or_default()
    }

    /// Where the mail of a reminder is, if it was mailed.
    pub(super) fn mail_of(&self, id: &MessageId) -> Option<PathBuf> {
        let path = self.mail.join(format!("{id}.eml"));
        path.is_file().then_some(path)
    }

    /// Lets the worker finish, and stops the server.
    pub(super) async fn end(&self) {
        self.dispatcher.end().await;
        self.broker.close().await;
        self.server.abort();
    }
}
