//! Out of the process with a transaction of the application: [`DepositPost`] and [`DepositPosts`].

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::error::NoProcessor;
use super::options::{PostOptions, option_methods};
use super::{CommandProcessor, PostError};
use brighter_core::__private::fault_point;
use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::message::Message;
use brighter_core::outbox::{Outbox, OutboxError, OutboxTransaction};

/// A request that is stored in the outbox, as part of a transaction, when this is awaited: see
/// [`CommandProcessor::deposit_post`].
#[must_use = "nothing is stored until this is awaited"]
pub struct DepositPost<'a, T, R, O> {
    pub(super) processor: Result<CommandProcessor, NoProcessor>,
    pub(super) transaction: &'a mut T,
    pub(super) request: R,
    pub(super) options: PostOptions<'a>,
    pub(super) outbox: PhantomData<fn() -> O>,
}

impl<'a, T, R, O> DepositPost<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    pub(super) fn new(
        processor: Result<CommandProcessor, NoProcessor>,
        transaction: &'a mut T,
        request: R,
        options: PostOptions<'a>,
    ) -> Self {
        Self {
            processor,
            transaction,
            request,
            options,
            outbox: PhantomData,
        }
    }

    option_methods!();
}

impl<'a, T, R, O> IntoFuture for DepositPost<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    type Output = Result<MessageId, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (processor, transaction) = (self.processor?, self.transaction);
            processor
                .deposit_with(transaction, &self.request, &self.options)
                .await
        })
    }
}

/// Requests that are stored in the outbox in one go, as part of a transaction, when this is awaited: see
/// [`CommandProcessor::deposit_posts`]. Each option holds for all of them.
#[must_use = "nothing is stored until this is awaited"]
pub struct DepositPosts<'a, T, R, O> {
    processor: Result<CommandProcessor, NoProcessor>,
    transaction: &'a mut T,
    requests: Vec<R>,
    options: PostOptions<'a>,
    outbox: PhantomData<fn() -> O>,
}

impl<'a, T, R, O> DepositPosts<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    pub(super) fn new(
        processor: Result<CommandProcessor, NoProcessor>,
        transaction: &'a mut T,
        requests: Vec<R>,
        options: PostOptions<'a>,
    ) -> Self {
        Self {
            processor,
            transaction,
            requests,
            options,
            outbox: PhantomData,
        }
    }

    option_methods!();
}

impl<'a, T, R, O> IntoFuture for DepositPosts<'a, T, R, O>
where
    T: OutboxTransaction<O>,
    R: Postable,
    O: Outbox,
{
    type Output = Result<Vec<MessageId>, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (processor, transaction) = (self.processor?, self.transaction);
            processor
                .deposit_all(transaction, &self.requests, &self.options)
                .await
        })
    }
}

impl<T, R, O> fmt::Debug for DepositPost<'_, T, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DepositPost")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<T, R, O> fmt::Debug for DepositPosts<'_, T, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DepositPosts")
            .field("requests", &self.requests.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl CommandProcessor {
    /// Stores a request in the outbox as part of the caller's own transaction: it is posted if that commits,
    /// and was never there if it does not. Returns the id of its message.
    ///
    /// What is returned is awaited, and takes the options of [`post`](Self::post) before. The sweeper sends the
    /// message; [`clear_outbox`](Self::clear_outbox) after the commit sends it at once.
    ///
    /// # Errors
    /// Returns an error if the message is not stored. Nothing is sent before the commit, so the broker has no part in
    /// it.
    pub fn deposit_post<'a, T, R, O>(&self, transaction: &'a mut T, request: R) -> DepositPost<'a, T, R, O>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox,
    {
        DepositPost::new(Ok(self.clone()), transaction, request, PostOptions::default())
    }

    /// Stores many requests in one go, as [`deposit_post`](Self::deposit_post) does one: all of them or, after
    /// an error, none once the transaction is rolled back. Returns their ids in the same order.
    ///
    /// # Errors
    /// As [`deposit_post`](Self::deposit_post).
    pub fn deposit_posts<'a, T, R, O>(
        &self,
        transaction: &'a mut T,
        requests: impl IntoIterator<Item = R>,
    ) -> DepositPosts<'a, T, R, O>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox,
    {
        let requests = requests.into_iter().collect();
        DepositPosts::new(Ok(self.clone()), transaction, requests, PostOptions::default())
    }

    async fn deposit_with<T, R, O>(
        &self,
        transaction: &mut T,
        request: &R,
        options: &PostOptions<'_>,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox,
    {
        let (outbox, delay) = (self.outbox_of::<O>()?, options.delay()?);
        let op = self.creates::<R>(operation(delay), options);
        let deposited = op.run(async {
            let message = self.message_within(&op, request, options)?;
            fault_point!("outbox.deposit", OutboxError::Unavailable);
            store(transaction, outbox, std::slice::from_ref(&message), delay).await?;
            fault_point!("outbox.deposited");
            Ok(message.header.id)
        });
        deposited
            .await
            .inspect_err(|error: &PostError| op.failed(error.kind()))
    }

    async fn deposit_all<T, R, O>(
        &self,
        transaction: &mut T,
        requests: &[R],
        options: &PostOptions<'_>,
    ) -> Result<Vec<MessageId>, PostError>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox,
    {
        let (outbox, delay) = (self.outbox_of::<O>()?, options.delay()?);
        let ops = requests.iter().map(|request| {
            let op = self.creates::<R>(operation(delay), options);
            let message = self.message_within(&op, request, options);
            message
                .inspect_err(|error| op.failed(error.kind()))
                .map(|message| (op, message))
        });
        // They are over when all are in the outbox.
        let (ops, messages): (Vec<_>, Vec<_>) = ops.collect::<Result<_, _>>()?;
        fault_point!("outbox.deposit", OutboxError::Unavailable);
        let deposited = store(transaction, outbox, &messages, delay).await;
        if deposited.is_err() {
            ops.iter().for_each(|op| op.failed("outbox"));
        }
        deposited?;
        fault_point!("outbox.deposited");
        Ok(messages.into_iter().map(|message| message.header.id).collect())
    }
}

fn operation(delay: Option<Duration>) -> &'static str {
    if delay.is_none() { "deposit" } else { "schedule" }
}

async fn store<T, O>(
    transaction: &mut T,
    outbox: &O,
    messages: &[Message],
    delay: Option<Duration>,
) -> Result<(), OutboxError>
where
    T: OutboxTransaction<O>,
    O: Outbox,
{
    let Some(delay) = delay else {
        return transaction.deposit(outbox, messages).await;
    };
    for message in messages {
        transaction.schedule(outbox, message, delay).await?;
    }
    Ok(())
}
