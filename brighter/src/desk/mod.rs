//! The desk: dead letters and invalid messages in a table of the application's database, where they are grouped,
//! searched, edited and sent back.
//!
//! A [`Desk`] takes what was rejected off its channels into a [`DeskStore`]: [`InMemoryDesk`] for tests, or
//! [`SqliteDesk`], [`PostgresDesk`] or [`MySqlDesk`]. Each verb on several messages is an [operation](BulkOperation): a
//! frozen list of messages, with a rate and a trial, which any process can continue.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use brighter::channel::{Broker, Channel, Rejection, RejectionKind};
//! # use brighter::channel::Producer;
//! use brighter::desk::{BulkVerb, Desk, InMemoryDesk, NewBulk};
//! # use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
//! use brighter::InMemoryBroker;
//! # use brighter::MessageId;
//!
//! # brighter::testing::run(async {
//! let broker = Arc::new(InMemoryBroker::new());
//! let channel = Channel::new("reminders", "Task.Reminder");
//! let mut reminders = broker.consume(&channel).await?;
//! # let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
//! # broker.publish(&Message::new(header, MessageBody::new("{}"))).await?;
//! if let Some(delivery) = reminders.receive().await {
//!     delivery?.reject(Rejection::new(RejectionKind::DeadLetter, "no answer within 30s")).await?;
//! }
//!
//! let desk = Desk::new(broker, Arc::new(InMemoryDesk::new())).channel(&channel);
//! desk.take_waiting().await?;
//! let groups = desk.store().groups(10).await?;
//! assert_eq!((groups[0].waiting, &*groups[0].pattern), (1, "no answer within #"));
//!
//! let plan = NewBulk::new(BulkVerb::Retry, "error~'no answer'".parse()?, "ann")
//!     .rate(20.0)
//!     .evidence(Duration::from_millis(10));
//! let operation = desk.begin(&plan).await?;
//! # let handled = tokio::spawn(async move { reminders.receive().await.unwrap()?.ack().await.map_err(brighter::BoxError::from) });
//! let operation = desk.work(operation.id).await?;
//! assert_eq!(operation.counts.done, 1);
//! # handled.await??;
//! # Ok::<(), brighter::BoxError>(())
//! # }).unwrap();
//! ```

mod error;
mod operator;
mod pace;
mod sending;
mod taker;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::error::OperateError;
pub use self::taker::TakenCounts;
pub use crate::in_memory::desk::InMemoryDesk;
pub use brighter_core::desk::{
    BulkClaim, BulkCounts, BulkEvent, BulkItem, BulkOperation, BulkState, BulkVerb, Canary, Comparison,
    DeadGroup, Death, DeskError, DeskField, DeskFilter, DeskId, DeskMessage, DeskRow, DeskRowView, DeskState,
    DeskStore, FilterCondition, FilterError, GroupKey, InvalidBulk, ItemResult, ItemState, NewBulk,
    NewDeskMessage, ORIGINAL_ID, OperationId, RETRIED_BY, RetryMark, Steering, Taken, error_pattern,
};
#[cfg(feature = "mysql")]
pub use brighter_sql::store::mysql::MySqlDesk;
#[cfg(feature = "postgres")]
pub use brighter_sql::store::postgres::PostgresDesk;
#[cfg(feature = "sqlite")]
pub use brighter_sql::store::sqlite::SqliteDesk;

use brighter_core::channel::{Broker, Channel};

/// How many operations one process continues at once: one that waits for evidence does little.
const OPERATIONS: usize = 4;

/// Takes dead letters and invalid messages off their channels into a table, and continues the operations on them.
/// See [the module](self) for an example.
///
/// Several processes may run a desk with the same store. Clones share the broker and the store.
#[derive(Clone)]
pub struct Desk {
    broker: Arc<dyn Broker>,
    store: Arc<dyn DeskStore>,
    channels: Vec<Channel>,
    lease: Duration,
    edits: bool,
}

impl Desk {
    /// The time after which another process may continue an operation whose process is silent.
    const LEASE: Duration = Duration::from_secs(30);

    /// Returns a desk of this broker and store, for no channel yet.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, store: Arc<dyn DeskStore>) -> Self {
        Self {
            broker,
            store,
            channels: Vec::new(),
            lease: Self::LEASE,
            edits: false,
        }
    }

    /// Takes the dead letters and the invalid messages of this channel. Nothing is declared: a channel that does not
    /// exist yet is tried again.
    #[must_use]
    pub fn channel(mut self, channel: &Channel) -> Self {
        self.channels.push(channel.clone());
        self
    }

    /// Allows operations that send a message with another body. Without this they are refused.
    #[must_use]
    pub fn allow_edits(mut self) -> Self {
        self.edits = true;
        self
    }

    /// Sets the time after which another process may continue an operation whose process is silent; 30 seconds unless
    /// set. It must be longer than the broker takes to confirm a message.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns the store, for groups, lists and the state of operations.
    #[must_use]
    pub fn store(&self) -> &dyn DeskStore {
        &*self.store
    }

    /// Takes messages and continues operations, until `end` completes. Operations that have not come to their end are
    /// then continued by another process, or by this one when it runs again.
    ///
    /// A failure of the broker or of the database is logged, and tried again.
    pub async fn run_until(&self, end: impl Future<Output = ()> + Send) {
        let ending = CancellationToken::new();
        let takers = futures_util::future::join_all(self.sources().into_iter().map(|source| {
            let ending = ending.clone();
            self.keep_taking(source, ending)
        }));
        let operators =
            futures_util::future::join_all((0..OPERATIONS).map(|_| self.keep_operating(ending.clone())));
        let work = futures_util::future::join(takers, operators);
        tokio::pin!(work);
        tokio::select! {
            _ = &mut work => {}
            () = end => {
                ending.cancel();
                work.await;
            }
        }
    }

    /// Begins an operation: freezes the list of its messages. A process that [runs](Self::run_until) a desk with the same
    /// store does the rest, or a call of [`work`](Self::work).
    ///
    /// # Errors
    /// Returns an error if the plan makes no sense, if edits are not allowed, or if the store fails.
    pub async fn begin(&self, plan: &NewBulk) -> Result<BulkOperation, OperateError> {
        plan.validate()?;
        if matches!(plan.verb, BulkVerb::Edit { .. }) && !self.edits {
            return Err(OperateError::EditsNotAllowed);
        }
        Ok(self.store.begin(plan).await?)
    }

    /// Continues an operation in this process until it has ended or was stopped, and returns it. If another process has
    /// it, waits for that. Dropping the future stops nothing: another process continues when the lease has ended.
    ///
    /// # Errors
    /// Returns an error if there is no such operation, or if the store fails.
    pub async fn work(&self, id: OperationId) -> Result<BulkOperation, OperateError> {
        self.work_until_ended(id).await
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("broker", &self.broker.system())
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
