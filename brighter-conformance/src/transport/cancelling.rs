//! Cases with futures that are dropped before they complete: by a timeout, a `select!`, or a performer that stops.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use super::Harness;
use super::tools::*;
use brighter_core::channel::{Broker, Channel};

const COUNT: usize = 12;

/// The moment when a pending future is dropped.
#[derive(Debug, Clone, Copy)]
enum Dropped {
    /// After this many polls that were pending.
    After(usize),
    /// After the same polls and one more wake-up: the awaited result exists, and the future has not been polled for it.
    WokenAfter(usize),
}

/// Returns the result of the future, unless it is dropped first. The future has a waker of its own.
async fn until_dropped<T>(dropped: Dropped, future: impl Future<Output = T>) -> Option<T> {
    let (limit, is_late) = match dropped {
        Dropped::After(times) => (times, false),
        Dropped::WokenAfter(times) => (times, true),
    };
    let mut future = pin!(future);
    let mut pending = 0;
    let polled = poll_fn(|task| {
        if pending == limit {
            return Poll::Ready(None);
        }
        if let Poll::Ready(given) = future.as_mut().poll(task) {
            return Poll::Ready(Some(given));
        }
        pending += 1;
        match pending == limit && !is_late {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    });
    let mut alone = FuturesUnordered::from_iter([polled]);
    alone.next().await.flatten()
}

/// Checks that a consumer whose start is cancelled leaves nothing at the broker: neither a registration nor messages.
/// The starting future is dropped at each of its steps, while messages wait.
pub async fn a_consumer_that_is_given_up_keeps_nothing<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("given-up", "GivenUp"), 4);
    let mut first = consume(harness, &broker, &channel).await;
    let sent = series("GivenUp", COUNT);
    publish(harness, &broker, &sent).await;
    let mut all = take(harness, &mut first, 1).await;
    within(harness, "the close", first.close())
        .await
        .unwrap_or_else(|error| panic!("closing failed: {error:?}"));
    'steps: for times in 0.. {
        for dropped in [Dropped::After(times), Dropped::WokenAfter(times)] {
            let asked = until_dropped(dropped, broker.consume(&channel));
            match within(harness, "a step of consuming", asked).await {
                None => {}
                Some(Ok(consumer)) => {
                    drop(consumer);
                    break 'steps;
                }
                Some(Err(error)) => panic!("{dropped:?}: consuming failed: {error:?}"),
            }
        }
    }
    let mut consumer = consume(harness, &broker, &channel).await;
    all.extend(take(harness, &mut consumer, COUNT - 1).await);
    assert_same("one after many that were given up", &all, &sent);
    nothing(harness, &mut consumer, "all were acked").await;
    only_consumers(harness, &broker, &channel, 1).await;
    drop(consumer);
    only_consumers(harness, &broker, &channel, 0).await;
}

/// Waits until the server has this many consumers of the channel, if the harness can ask it.
async fn only_consumers<H: Harness>(harness: &H, broker: &H::Broker, channel: &Channel, expected: u64) {
    let what = format!("{expected} consumers at the server");
    answer(harness, &what, async || {
        let found = harness.consumers(broker, channel).await;
        found.is_none_or(|found| found == expected).then_some(())
    })
    .await;
}

/// Checks that a call of [`receive`](brighter_core::channel::Consumer::receive) that is dropped at any step leaves the
/// message to the next call.
pub async fn a_receive_that_is_given_up_loses_nothing<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("glanced", "Glanced"), 4);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Glanced", COUNT);
    let mut all = Vec::new();
    for (number, message) in sent.iter().enumerate() {
        let times = number / 2 % 3;
        let dropped = match number % 2 {
            0 => Dropped::After(times),
            _ => Dropped::WokenAfter(times),
        };
        // A call is woken only by events, so its time is limited as well.
        let received = timeout(harness.quiet(), until_dropped(dropped, consumer.receive()));
        let publishing = publish(harness, &broker, std::slice::from_ref(message));
        let delivery = match tokio::join!(received, publishing).0 {
            Ok(Some(Some(Ok(delivery)))) => delivery,
            Ok(Some(end)) => panic!("the consumer ended: {end:?}"),
            Ok(None) | Err(_) => next(harness, &mut consumer).await,
        };
        all.push(carried(&delivery).clone());
        ack(delivery).await;
    }
    assert_same("calls that were dropped, and others", &all, &sent);
    nothing(harness, &mut consumer, "all were acked").await;
}
