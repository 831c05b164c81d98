//! How a batch is gathered: full, after its time, alone.

use brighter_tests::wait::until_eq;
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let store = Store::new(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    let began = Instant::now();
    post(&dispatcher, rows(10)).await;
    // Paused time goes on only when nothing else can.
    while store.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(store.calls(), [(0..10).collect::<Vec<_>>()]);
}

#[tokio::test(start_paused = true)]
async fn the_first_message_waits_for_others_no_longer_than_within() {
    let store = Store::new(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    let began = Instant::now();
    post(&dispatcher, [row(0)]).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    post(&dispatcher, [row(1)]).await;
    until_eq("both in one call", vec![vec![0, 1]], || store.calls()).await;
    let took = began.elapsed();
    // The clock of tokio goes in milliseconds, and the test looks every five.
    let (least, most) = (Duration::from_millis(50), Duration::from_millis(57));
    assert!(took >= least && took <= most, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn more_than_a_batch_goes_in_several() {
    let store = Store::new(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    post(&dispatcher, rows(25)).await;
    until_eq("all of them", 25, || store.sizes().iter().sum()).await;
    assert!(
        store.sizes().iter().all(|size| *size <= 10),
        "{:?}",
        store.sizes()
    );
    let all: Vec<u32> = store.calls().concat();
    assert_eq!(all, (0..25).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn messages_of_several_performers_share_a_batch() {
    let store = Store::new(|_| Ok(()));
    let shared = table().performers(5).concurrency(2).buffer(2);
    let dispatcher = consuming(InMemoryBroker::new(), &store, shared).await;
    post(&dispatcher, rows(10)).await;
    until_eq("one call", vec![10], || store.sizes()).await;
}

#[tokio::test(start_paused = true)]
async fn batches_run_beside_each_other_as_far_as_concurrency_goes() {
    let store = Store::gated(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table().concurrency(20)).await;
    post(&dispatcher, rows(30)).await;
    until_eq("two calls", vec![10, 10], || store.sizes()).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(store.sizes().len(), 2);
    assert_eq!(dispatcher.status()[0].performers[0].in_hand.len(), 20);
    store.gate.add_permits(1_000);
    until_eq("all of them", 30, || store.sizes().iter().sum()).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_in_process_is_a_batch_of_one() {
    let store = Store::new(|batch| {
        let number = batch.get(0).ok_or("nothing")?.number;
        match number {
            7 => batch.fail(0, "seven"),
            8 => return Err("eight".into()),
            _ => {}
        }
        Ok(())
    });
    let processor = processor(InMemoryBroker::new(), store.clone());
    let began = Instant::now();
    processor.publish(row(1)).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    for (number, reason) in [(7, "seven"), (8, "eight")] {
        let errors = processor.publish(row(number)).await.unwrap_err();
        assert!(errors.to_string().contains(reason), "{errors}");
    }
    assert_eq!(store.calls(), [[1], [7], [8]]);
    // And by the trait, as a unit test calls it.
    let cx = Context::new();
    let error = Handler::handle(&store, &row(7), &cx).await.unwrap_err();
    assert_eq!(error.to_string(), "seven");
    Handler::handle(&store, &row(1), &cx).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rate_counts_messages_and_not_batches() {
    let store = Store::new(|_| Ok(()));
    let slow = table().rate(Rate::per_second(100));
    let dispatcher = consuming(InMemoryBroker::new(), &store, slow).await;
    let began = Instant::now();
    post(&dispatcher, rows(50)).await;
    until_eq("all of them", 50, || store.sizes().iter().sum()).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(490), "{took:?}");
    assert!(took <= Duration::from_millis(600), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn each_message_has_its_context_and_the_call_none() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = {
        let seen = Arc::clone(&seen);
        Store::new(move |batch| {
            for (row, cx) in batch.with_contexts() {
                let header = cx.get::<MessageHeader>().ok_or("no header")?;
                seen.lock()
                    .unwrap()
                    .push((row.number, cx.message_id() == Some(&header.id)));
            }
            assert_eq!(
                (batch.is_empty(), batch.context(batch.len()).is_some()),
                (false, false)
            );
            Ok(())
        })
    };
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    post(&dispatcher, rows(3)).await;
    until_eq("each", vec![(0, true), (1, true), (2, true)], || {
        seen.lock().unwrap().clone()
    })
    .await;
}
