//! [`UniquePost`] and [`UniqueDepositPost`]: posts that are stored unless another post holds their key.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::deposit::DepositPost;
use super::error::NoProcessor;
use super::options::{PostOptions, option_methods};
use super::post::Post;
use super::relay::Relay;
use super::{CommandProcessor, NotSent, PostError};
use brighter_core::__private::{Op, fault_point};
use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::message::Message;
use brighter_core::outbox::{Claimed, Outbox, OutboxError, OutboxTransaction, UniqueDeposit, UniqueKey};

/// The outcome of a post with a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the post may be a duplicate"]
pub enum Posted {
    /// The message is posted, and holds its key.
    New(MessageId),
    /// Another post holds the key, and this one was not stored.
    Duplicate {
        /// The id of the post that holds the key.
        first: MessageId,
        /// How long it holds the key from now on.
        left: Duration,
    },
}

impl Posted {
    /// Returns the id of the message that holds the key: of this post or of the first.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        match self {
            Self::New(id) | Self::Duplicate { first: id, .. } => id,
        }
    }

    /// Returns whether another post holds the key.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate { .. })
    }
}

/// The key of a post and how long it is held, before its topic is known.
#[derive(Debug)]
struct Uniqueness {
    window: Duration,
    key: String,
}

impl Uniqueness {
    fn key_of<R: Postable>(&self, message: &Message) -> Result<UniqueKey, PostError> {
        let topic = &message.header.topic;
        Ok(UniqueKey::new(topic, R::EVENT_TYPE, &self.key, self.window)?)
    }
}

/// A request that is posted when this is awaited, unless another post holds its key: see [`Post::unique_for`].
#[derive(Debug)]
#[must_use = "nothing is posted until this is awaited"]
pub struct UniquePost<'a, R> {
    processor: Result<CommandProcessor, NoProcessor>,
    request: R,
    options: PostOptions<'a>,
    unique: Uniqueness,
}

impl<'a, R: Postable> UniquePost<'a, R> {
    option_methods!();
}

impl<'a, R: Postable> Post<'a, R> {
    /// Posts the request unless another post of its type, to its topic, holds this key. The key is held for the time
    /// `window` from the first post on, by the clock of the outbox, in all processes that share it, and over restarts.
    ///
    /// What is returned is awaited for [`Posted`], which says whether this post is new, or else the id of the first. A
    /// duplicate is no error.
    ///
    /// The key is held whether the first post was sent, failed, or was cancelled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use brighter::prelude::*;
    /// use brighter::processor::Posted;
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(topic = "Report.Build")]
    /// struct BuildReport { customer: u64 }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let broker = InMemoryBroker::new();
    /// # use brighter::channel::{Broker, Channel};
    /// # broker.declare(&Channel::new("reports", "Report.Build")).await?;
    /// let processor = CommandProcessor::builder()
    ///     .broker(broker)
    ///     .outbox(InMemoryOutbox::new())
    ///     .build()?;
    /// let hour = Duration::from_secs(60 * 60);
    /// let post = || processor.post(BuildReport { customer: 7 }).unique_for(hour, "customer 7");
    /// let first = post().await?;
    /// assert!(matches!(first, Posted::New(_)));
    /// let second = post().await?;
    /// assert!(second.is_duplicate());
    /// assert_eq!(second.id(), first.id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`post`](CommandProcessor::post), and if the key is too long, the window is zero, or the outbox holds no keys.
    pub fn unique_for(self, window: Duration, key: impl Into<String>) -> UniquePost<'a, R> {
        let Self {
            processor,
            request,
            options,
        } = self;
        let key = key.into();
        UniquePost {
            processor,
            request,
            options,
            unique: Uniqueness { window, key },
        }
    }
}

impl<'a, R: Postable> IntoFuture for UniquePost<'a, R> {
    type Output = Result<Posted, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let processor = self.processor?;
            let posting = processor.post_unique(&self.request, &self.options, &self.unique);
            posting.await
        })
    }
}

/// A request that is stored in the outbox, as part of a transaction, when this is awaited, unless another post holds its
/// key: see [`DepositPost::unique_for`].
#[must_use = "nothing is stored until this is awaited"]
pub struct UniqueDepositPost<'a, T, R, O> {
    processor: Result<CommandProcessor, NoProcessor>,
    transaction: &'a mut T,
    request: R,
    options: PostOptions<'a>,
    unique: Uniqueness,
    outbox: PhantomData<fn() -> O>,
}

impl<'a, T, R, O> UniqueDepositPost<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    option_methods!();
}

impl<'a, T, R, O> DepositPost<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    /// Stores the request unless another post of its type, to its topic, holds this key: see [`Post::unique_for`].
    ///
    /// The key belongs to the transaction. After a rollback it is free. A second transaction with the key waits until the
    /// first has ended, on the in-memory outbox for five seconds at most.
    ///
    /// # Errors
    /// As [`deposit_post`](CommandProcessor::deposit_post), and if the key is too long, the window is zero, or the outbox
    /// holds no keys.
    pub fn unique_for(self, window: Duration, key: impl Into<String>) -> UniqueDepositPost<'a, T, R, O> {
        let Self {
            processor,
            transaction,
            request,
            options,
            outbox,
        } = self;
        let key = key.into();
        UniqueDepositPost {
            processor,
            transaction,
            request,
            options,
            unique: Uniqueness { window, key },
            outbox,
        }
    }
}

impl<'a, T, R, O> IntoFuture for UniqueDepositPost<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    type Output = Result<Posted, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self {
                processor,
                transaction,
                request,
                options,
                unique,
                ..
            } = self;
            let processor = processor?;
            let (outbox, delay) = (processor.outbox_of::<O>()?, options.delay()?);
            let operation = if delay.is_none() { "deposit" } else { "schedule" };
            let op = processor.creates::<R>(operation, &options);
            let deposited = op.run(async {
                let message = processor.message_within(&op, &request, &options)?;
                let key = unique.key_of::<R>(&message)?;
                fault_point!("outbox.deposit", OutboxError::Unavailable);
                let deposited = transaction.deposit_unique(outbox, &message, &key, delay).await?;
                fault_point!("outbox.deposited");
                posted(deposited, message.header.id)
            });
            deposited
                .await
                .inspect_err(|error: &PostError| op.failed(error.kind()))
        })
    }
}

impl<T, R, O> fmt::Debug for UniqueDepositPost<'_, T, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UniqueDepositPost")
            .field("options", &self.options)
            .field("unique", &self.unique)
            .finish_non_exhaustive()
    }
}

impl CommandProcessor {
    async fn post_unique<R: Postable>(
        &self,
        request: &R,
        options: &PostOptions<'_>,
        unique: &Uniqueness,
    ) -> Result<Posted, PostError> {
        let (relay, delay) = (self.relay()?, options.delay()?);
        if delay.is_none() && !relay.has_broker() {
            return Err(PostError::NoBroker);
        }
        let operation = if delay.is_none() { "post" } else { "schedule" };
        let op = self.creates::<R>(operation, options);
        let posted = op.run(async {
            let message = self.message_within(&op, request, options)?;
            let key = unique.key_of::<R>(&message)?;
            self.store_unique(relay, message, &key, delay, &op).await
        });
        posted
            .await
            .inspect_err(|error: &PostError| op.failed(error.kind()))
    }

    async fn store_unique(
        &self,
        relay: &Relay,
        message: Message,
        key: &UniqueKey,
        delay: Option<Duration>,
        op: &Op,
    ) -> Result<Posted, PostError> {
        let id = message.header.id.clone();
        let in_order = relay.in_order().contains(&message.header.topic);
        let lease = match delay {
            Some(_) => None,
            // A claim that ends at once, so that the sweeper is not woken for what is sent here.
            None if in_order => Some(Duration::ZERO),
            None => Some(relay.lease()),
        };
        fault_point!("outbox.deposit", OutboxError::Unavailable);
        let unique_posts = relay.unique_posts()?;
        let deposited = unique_posts.deposit_unique(&message, key, delay, lease).await?;
        fault_point!("outbox.deposited");
        let is_new = match deposited {
            UniqueDeposit::Stored { is_new } => is_new,
            held => {
                op.describe(|span| span.set("brighter.duplicate", true));
                return posted(held, id);
            }
        };
        if delay.is_some() {
            return Ok(Posted::New(id));
        }
        if !is_new {
            return self.posted_before(relay, id).await.map(Posted::New);
        }
        if in_order {
            let sent = relay.send_deposited_in_order(&message).await?;
            return super::post::taken(sent, id).map(Posted::New);
        }
        match relay.send_one(&Claimed::new(message, 0)).await {
            Some(error) => Err(NotSent { id, error }.into()),
            None => Ok(Posted::New(id)),
        }
    }
}

fn posted(deposited: UniqueDeposit, id: MessageId) -> Result<Posted, PostError> {
    match deposited {
        UniqueDeposit::Stored { .. } => Ok(Posted::New(id)),
        UniqueDeposit::Held { by, left } => Ok(Posted::Duplicate { first: by, left }),
        other => {
            let reason =
                format!("the outbox answered {other:?}, which this version does not know: update brighter");
            Err(OutboxError::Other(reason.into()).into())
        }
    }
}
