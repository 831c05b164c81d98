//! The consumers of a broken broker, and how what they give is settled.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brighter::Message;
use brighter::channel::{
    ChannelError, Consumer, Delivery, Producer, Rejection, RejectionKind, Settle, SettleError,
};
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;

use super::Flaw::*;
use super::broker::Shared;

/// A consumer that gives out what another does, as the flaw has it; nothing, unless it is served.
pub(super) fn over(broker: &Arc<Shared>, inner: Consumer, served: bool) -> Consumer {
    broker.consumers.fetch_add(1, Ordering::Relaxed);
    let (broker, flaw) = (Arc::clone(broker), broker.flaw);
    let open = |inner| Open {
        broker,
        inner,
        taken: VecDeque::new(),
    };
    let next = move |open: Option<Open>| async move {
        let mut open = open?;
        let broker = Arc::clone(&open.broker);
        let mut closed = broker.closed.subscribe();
        let delivery = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed && broker.flaw != GoesOnWhenClosed) => return None,
            delivery = open.receive(), if served => delivery,
        };
        match delivery {
            Some(Ok(delivery)) => Some((Ok(lend(&broker, delivery)), Some(open))),
            Some(Err(_)) if broker.flaw == LosesSilently => pending().await,
            Some(Err(error)) => Some((Err(error), None)),
            None => None,
        }
    };
    if flaw == ServesOnlyTheCallThatWaited {
        return inner.around(|inner| {
            let deliveries = stream::unfold(Some(open(inner)), next).boxed();
            OneCall {
                deliveries,
                waited: None,
            }
        });
    }
    inner.around(|inner| stream::unfold(Some(open(inner)), next))
}

/// What a message is meant for is the call that waited for it, by its waker.
struct OneCall {
    deliveries: BoxStream<'static, Result<Delivery, ChannelError>>,
    waited: Option<Waker>,
}

impl Stream for OneCall {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match (self.deliveries.poll_next_unpin(task), self.waited.take()) {
                (Poll::Pending, _) => {
                    self.waited = Some(task.waker().clone());
                    return Poll::Pending;
                }
                (Poll::Ready(Some(Ok(delivery))), Some(waited)) if !waited.will_wake(task.waker()) => {
                    // A settling in memory does not wait.
                    let _ = delivery.ack().now_or_never();
                }
                (came, _) => return came,
            }
        }
    }
}

/// A consumer that takes messages and keeps them, unless it is taken out.
pub(super) struct KeptForEver(Option<Consumer>);

impl KeptForEver {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self(Some(consumer))
    }

    pub(super) fn take(&mut self) -> Consumer {
        self.0.take().unwrap()
    }
}

impl Drop for KeptForEver {
    fn drop(&mut self) {
        if let Some(mut consumer) = self.0.take() {
            while let Some(Some(Ok(delivery))) = consumer.receive().now_or_never() {
                mem::forget(delivery);
            }
            mem::forget(consumer);
        }
    }
}

struct Open {
    broker: Arc<Shared>,
    inner: Consumer,
    /// Taken before somebody asked.
    taken: VecDeque<Delivery>,
}

impl Open {
    async fn receive(&mut self) -> Option<Result<Delivery, ChannelError>> {
        if let Some(delivery) = self.taken.pop_front() {
            return Some(Ok(delivery));
        }
        let mut delivery = self.inner.receive().await?;
        if matches!(self.broker.flaw, Reorders | KeepsWhatItTook) {
            while let Some(Some(Ok(mut next))) = self.inner.receive().now_or_never() {
                if let (Reorders, true, Ok(first)) = (self.broker.flaw, self.taken.is_empty(), &mut delivery)
                {
                    mem::swap(first, &mut next);
                }
                self.taken.push_back(next);
            }
        }
        Some(delivery)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.broker.consumers.fetch_sub(1, Ordering::Relaxed);
        if self.broker.flaw == KeepsWhatItTook {
            self.taken.drain(..).for_each(mem::forget);
        }
    }
}

fn lend(broker: &Arc<Shared>, inner: Delivery) -> Delivery {
    let redeliveries = match broker.flaw {
        ForgetsDeliveries => 0,
        _ => inner.redeliveries(),
    };
    let message = inner.message().unwrap().clone();
    let loan = Loan {
        broker: Arc::clone(broker),
        inner: Some(inner),
    };
    Delivery::new(message, Box::new(loan)).with_redeliveries(redeliveries)
}

struct Loan {
    broker: Arc<Shared>,
    /// There until it is settled.
    inner: Option<Delivery>,
}

impl Loan {
    async fn take(&mut self) -> Delivery {
        if self.broker.flaw == HangsWhenSettledLate && *self.broker.closed.borrow() {
            pending::<()>().await;
        }
        self.inner.take().unwrap()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        if self.broker.flaw == AcksWhatIsDropped {
            // A settling in memory does not wait.
            let _ = inner.ack().now_or_never();
        }
    }
}

impl Settle for Loan {
    fn ack(mut self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        async move {
            let delivery = self.take().await;
            match self.broker.flaw {
                ForgetsAcks => Ok(()),
                FlushesNothing => {
                    let acks = {
                        let mut acked = self.broker.acked.lock().unwrap_or_else(PoisonError::into_inner);
                        acked.push(delivery);
                        if acked.len() < 8 {
                            return Ok(());
                        }
                        mem::take(&mut *acked)
                    };
                    for delivery in acks {
                        delivery.ack().await?;
                    }
                    Ok(())
                }
                _ => delivery.ack().await,
            }
        }
        .boxed()
    }

    fn requeue(
        mut self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        async move {
            let delivery = self.take().await;
            let before = delivery.message().unwrap().header.handled_count;
            let counted = message.header.handled_count > before;
            match self.broker.flaw {
                RequeuesUncounted => delivery.requeue(delay, false).await,
                RequeuesToAll => {
                    self.broker.server.publish(&message).await?;
                    delivery.ack().await
                }
                IgnoresDelays => delivery.requeue(Duration::ZERO, counted).await,
                QueuesDelays => {
                    let delay = {
                        let mut last = self
                            .broker
                            .last_delay
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner);
                        let now = Instant::now();
                        let due = last.map_or(now + delay, |last| (last + delay).max(now + delay));
                        *last = Some(due);
                        due - now
                    };
                    delivery.requeue(delay, counted).await
                }
                _ => delivery.requeue(delay, counted).await,
            }
        }
        .boxed()
    }

    fn reject(mut self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        async move {
            let delivery = self.take().await;
            match self.broker.flaw {
                DropsRejected => delivery.ack().await,
                TakesInvalidForDead => {
                    let rejection = Rejection::new(RejectionKind::DeadLetter, rejection.reason);
                    delivery.reject(rejection).await
                }
                RejectsWithoutReason => delivery.reject(Rejection::new(rejection.kind, "")).await,
                _ => delivery.reject(rejection).await,
            }
        }
        .boxed()
    }

    fn release(self: Box<Self>) {}
}
