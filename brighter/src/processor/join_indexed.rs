//! Runs several futures at the same time. Most of them have nothing to wait for.

use std::future::Future;
use std::task::Poll;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, poll};

/// Waits for all of them, and gives what each came to, with its number, in the order of the numbers, which must grow.
///
/// One that is done at the first look costs nothing beside itself, however many there are. `join_all` has a place for
/// each, and from thirty on an allocation.
pub(super) async fn join_indexed<F: Future + Unpin>(
    futures: impl Iterator<Item = (usize, F)>,
) -> Vec<(usize, F::Output)> {
    let mut done = Vec::with_capacity(futures.size_hint().1.unwrap_or_default());
    let mut waiting = Vec::new();
    for (number, mut future) in futures {
        match poll!(&mut future) {
            Poll::Ready(output) => done.push((number, output)),
            Poll::Pending => waiting.push(future.map(move |output| (number, output))),
        }
    }
    if !waiting.is_empty() {
        let mut waiting = FuturesUnordered::from_iter(waiting);
        while let Some(ended) = waiting.next().await {
            done.push(ended);
        }
        done.sort_unstable_by_key(|(number, _)| *number);
    }
    done
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn futures_run_together_and_results_keep_their_order() {
        let (first, waits) = oneshot::channel();
        let (second, waits_too) = oneshot::channel();
        let futures: [BoxFuture<'static, u8>; 4] = [
            Box::pin(async { waits.await.unwrap() }),
            Box::pin(async { 2 }),
            // The first ends only because the third goes on meanwhile.
            Box::pin(async {
                let third = waits_too.await.unwrap();
                first.send(1).unwrap();
                third
            }),
            Box::pin(async {
                second.send(3).unwrap();
                4
            }),
        ];
        let done = join_indexed([10, 20, 30, 40].into_iter().zip(futures)).await;
        assert_eq!(done, [(10, 1), (20, 2), (30, 3), (40, 4)]);
    }

    #[tokio::test]
    async fn none_is_nothing() {
        let none: [(usize, BoxFuture<'static, ()>); 0] = [];
        assert!(join_indexed(none.into_iter()).await.is_empty());
    }
}
