//! [`HandlingSet`]: the futures of what a performer has in hand.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};

/// The futures of what a performer has in hand. Where that is one message at a time, as it is unless the subscription
/// says otherwise, all of them have the same place, one after the other, and none an allocation of its own.
pub(super) struct HandlingSet<F> {
    only: Pin<Box<Option<F>>>,
    others: FuturesUnordered<F>,
}

impl<F: Future> HandlingSet<F> {
    pub(super) fn new() -> Self {
        Self {
            only: Box::pin(None),
            others: FuturesUnordered::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.only.is_some()) + self.others.len()
    }

    /// Takes this in hand; `alone`, if there is to be no other beside it. Whatever shares the place of the one is
    /// polled whenever anything happens, which is no way to treat many.
    pub(super) fn push(&mut self, future: F, alone: bool) {
        if alone && self.only.is_none() {
            self.only.set(Some(future));
        } else {
            self.others.push(future);
        }
    }
}

impl<F: Future> Stream for HandlingSet<F> {
    type Item = F::Output;

    /// The next that is done; `None`, if there is nothing in hand.
    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = &mut *self;
        if let Some(only) = this.only.as_mut().as_pin_mut() {
            if let Poll::Ready(output) = only.poll(task) {
                this.only.set(None);
                return Poll::Ready(Some(output));
            }
            if this.others.is_empty() {
                return Poll::Pending;
            }
        }
        match this.others.poll_next_unpin(task) {
            Poll::Ready(None) if this.only.is_some() => Poll::Pending,
            polled => polled,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{BoxFuture, FutureExt, pending, ready};

    use super::*;

    fn done(number: u32) -> BoxFuture<'static, u32> {
        ready(number).boxed()
    }

    #[tokio::test]
    async fn whatever_is_done_first_comes_first() {
        let mut set = HandlingSet::new();
        assert_eq!((set.len(), set.next().await), (0, None));
        set.push(pending().boxed(), true);
        set.push(done(1), true);
        set.push(done(2), false);
        assert_eq!(set.len(), 3);
        let mut both = [set.next().await, set.next().await];
        both.sort_unstable();
        assert_eq!(both, [Some(1), Some(2)]);
        assert!(futures_util::poll!(set.next()).is_pending(), "one is left");
    }

    #[tokio::test]
    async fn one_after_the_other_has_the_same_place() {
        let mut set = HandlingSet::new();
        for number in 0..3 {
            set.push(done(number), true);
            assert_eq!((set.len(), set.others.len()), (1, 0));
            assert_eq!(set.next().await, Some(number));
        }
        assert_eq!(set.next().await, None);
    }
}
