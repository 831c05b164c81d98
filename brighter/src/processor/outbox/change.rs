//! What changes a message that waits for its time, by itself or as part of a transaction.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use crate::processor::options::PostTime;
use crate::processor::{CommandProcessor, PostError};
use brighter_core::id::MessageId;
use brighter_core::outbox::{Outbox, OutboxTransaction};

/// Takes a message back when this is awaited: see [`cancel`](super::ProcessorOutbox::cancel).
#[derive(Debug)]
#[must_use = "nothing is cancelled until this is awaited"]
pub struct Cancel<'a>(Change<'a>);

/// A message that is to be sent at another time, which is still to be said: see
/// [`reschedule`](super::ProcessorOutbox::reschedule).
#[derive(Debug)]
#[must_use = "nothing is rescheduled until a time is said and this is awaited"]
pub struct Reschedule<'a> {
    processor: &'a CommandProcessor,
    id: &'a MessageId,
}

/// Changes when a message is sent, once this is awaited: see [`reschedule`](super::ProcessorOutbox::reschedule).
#[derive(Debug)]
#[must_use = "nothing is rescheduled until this is awaited"]
pub struct Rescheduled<'a>(Change<'a>);

/// A change that is made as part of a transaction when this is awaited.
#[must_use = "nothing is changed until this is awaited"]
pub struct Within<'a, T, O> {
    change: Change<'a>,
    transaction: &'a mut T,
    outbox: PhantomData<fn() -> O>,
}

#[derive(Debug)]
struct Change<'a> {
    processor: &'a CommandProcessor,
    id: &'a MessageId,
    /// When it is sent; `None`, if it is not sent at all.
    time: Option<PostTime>,
}

impl<'a> Cancel<'a> {
    pub(super) fn new(processor: &'a CommandProcessor, id: &'a MessageId) -> Self {
        Self(Change {
            processor,
            id,
            time: None,
        })
    }

    /// Takes it back as part of this transaction: it is cancelled if that commits, and sent at its time if not.
    pub fn within<T, O>(self, transaction: &'a mut T) -> Within<'a, T, O>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
    {
        self.0.within(transaction)
    }
}

impl<'a> Reschedule<'a> {
    pub(super) fn new(processor: &'a CommandProcessor, id: &'a MessageId) -> Self {
        Self { processor, id }
    }

    /// Sends it when this much time has passed from now.
    pub fn after(self, delay: Duration) -> Rescheduled<'a> {
        self.to(PostTime::After(delay))
    }

    /// Sends it at this time.
    pub fn at(self, time: SystemTime) -> Rescheduled<'a> {
        self.to(PostTime::At(time))
    }

    fn to(self, time: PostTime) -> Rescheduled<'a> {
        Rescheduled(Change {
            processor: self.processor,
            id: self.id,
            time: Some(time),
        })
    }
}

impl<'a> Rescheduled<'a> {
    /// Changes its time as part of this transaction: it keeps the time that it had if that does not commit.
    pub fn within<T, O>(self, transaction: &'a mut T) -> Within<'a, T, O>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
    {
        self.0.within(transaction)
    }
}

impl<'a> Change<'a> {
    fn within<T, O>(self, transaction: &'a mut T) -> Within<'a, T, O> {
        Within {
            change: self,
            transaction,
            outbox: PhantomData,
        }
    }

    async fn make(self) -> Result<bool, PostError> {
        let scheduling = self.processor.relay()?.scheduling()?;
        Ok(match self.time {
            None => scheduling.cancel(self.id).await?,
            Some(time) => scheduling.reschedule(self.id, time.delay()?).await?,
        })
    }
}

impl<'a> IntoFuture for Cancel<'a> {
    type Output = Result<bool, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.0.make())
    }
}

impl<'a> IntoFuture for Rescheduled<'a> {
    type Output = Result<bool, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.0.make())
    }
}

impl<'a, T, O> IntoFuture for Within<'a, T, O>
where
    T: OutboxTransaction<O>,
    O: Outbox,
{
    type Output = Result<bool, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Change { processor, id, time } = self.change;
            let outbox = processor.outbox_of::<O>()?;
            Ok(match time {
                None => self.transaction.cancel(outbox, id).await?,
                Some(time) => self.transaction.reschedule(outbox, id, time.delay()?).await?,
            })
        })
    }
}

impl<T, O> fmt::Debug for Within<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within")
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}
