//! What becomes of each message of a batch.

use std::collections::BTreeSet;

use brighter_tests::wait::until_eq;

use super::*;

/// The numbers of the rows in a channel.
fn dead(broker: &InMemoryBroker) -> BTreeSet<u32> {
    let messages = broker.messages("rows.dlq");
    messages
        .iter()
        .map(|message| {
            serde_json::from_slice::<Row>(message.body.as_bytes())
                .unwrap()
                .number
        })
        .collect()
}

fn reason(broker: &InMemoryBroker) -> String {
    let messages = broker.messages("rows.dlq");
    let reason = messages[0].header.bag.get("rejectionMessage").unwrap();
    reason.as_str().unwrap().to_owned()
}

fn position(batch: &Batch<'_, Row>, number: u32) -> Option<usize> {
    batch.iter().position(|row| row.number == number)
}

#[tokio::test(start_paused = true)]
async fn each_message_has_the_outcome_that_the_handler_gave_it() {
    let deferred = Arc::new(Mutex::new(0));
    let store = {
        let deferred = Arc::clone(&deferred);
        Store::new(move |batch| {
            for (index, (row, cx)) in batch.with_contexts().enumerate() {
                match (row.number, cx.attempt()) {
                    (1, _) => batch.reject(index, "one is not wanted"),
                    (2, 1) => batch.defer(index, 5 * SECOND),
                    (2, _) => *deferred.lock().unwrap() += 1,
                    (3, 1) => batch.fail(index, "not yet"),
                    (4, _) => batch.fail(index, Invalid::because("four is no number")),
                    _ => {}
                }
            }
            Ok(())
        })
    };
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table()).await;
    post(&dispatcher, rows(6)).await;
    until_eq("the one put off", 1, || *deferred.lock().unwrap()).await;
    assert_eq!(dead(&broker), BTreeSet::from([1]));
    assert!(reason(&broker).contains("one is not wanted"));
    assert_eq!(broker.messages("rows.invalid").len(), 1);
    assert_eq!(store.calls(), vec![vec![0, 1, 2, 3, 4, 5], vec![3], vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn a_poison_message_fails_alone_in_a_batch() {
    let handled = Arc::new(Mutex::new(Vec::new()));
    let store = {
        let handled = Arc::clone(&handled);
        Store::new(move |batch| {
            if position(batch, 6).is_some() {
                return Err("six is poison".into());
            }
            handled.lock().unwrap().extend(batch.iter().map(|row| row.number));
            Ok(())
        })
    };
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table().attempts(2)).await;
    post(&dispatcher, rows(10)).await;
    until_eq("six is dead", BTreeSet::from([6]), || dead(&broker)).await;
    let mut handled = handled.lock().unwrap().clone();
    handled.sort_unstable();
    assert_eq!(handled, [0, 1, 2, 3, 4, 5, 7, 8, 9]);
    // In halves at its first delivery, and alone at its second.
    let expected: Vec<Vec<u32>> = vec![
        (0..10).collect(),
        (0..5).collect(),
        (5..10).collect(),
        vec![5, 6, 7],
        vec![5, 6],
        vec![5],
        vec![6],
        vec![7],
        vec![8, 9],
        vec![6],
    ];
    assert_eq!(store.calls(), expected);
    assert_eq!(reason(&broker), "attempt 2 of 2: six is poison");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_found_by_halves_as_an_error_is() {
    let store = Store::new(|batch| {
        assert!(position(batch, 3).is_none(), "three is poison");
        Ok(())
    });
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table().attempts(1)).await;
    post(&dispatcher, rows(10)).await;
    until_eq("three is dead", BTreeSet::from([3]), || dead(&broker)).await;
    assert!(reason(&broker).contains("three is poison"), "{}", reason(&broker));
    until_eq("nothing is left", 0, || dispatcher_in_flight(&dispatcher)).await;
}

fn dispatcher_in_flight(dispatcher: &Dispatcher) -> usize {
    let status = dispatcher.status();
    let performers = status.iter().flat_map(|one| &one.performers);
    performers.map(|performer| performer.in_hand.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_repeated_without_its_named_culprits() {
    let store = Store::new(|batch| {
        let culprits = [2, 5].into_iter().filter_map(|number| position(batch, number));
        let culprits: Vec<_> = culprits.collect();
        for index in &culprits {
            batch.fail(*index, "a duplicate row");
        }
        match culprits.is_empty() {
            true => Ok(()),
            false => Err("rolled back".into()),
        }
    });
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table().attempts(1)).await;
    post(&dispatcher, rows(8)).await;
    until_eq("both are dead", BTreeSet::from([2, 5]), || dead(&broker)).await;
    until_eq("the others", 2, || store.calls().len()).await;
    assert_eq!(store.calls(), vec![(0..8).collect(), vec![0, 1, 3, 4, 6, 7]]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_defers_puts_off_all_without_further_calls() {
    let store = Store::new(|batch| match batch.context(0).map(Context::attempt) {
        Some(1) => Err(Defer::after(10 * SECOND).because("the database is away").into()),
        _ => Ok(()),
    });
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    post(&dispatcher, rows(10)).await;
    until_eq("twice", vec![10, 10], || store.sizes()).await;
}

#[tokio::test(start_paused = true)]
async fn a_rejecting_call_ends_a_message_only_when_alone() {
    let store = Store::new(|batch| match position(batch, 1) {
        Some(_) => Err(Reject::because("one is not wanted").into()),
        None => Ok(()),
    });
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table()).await;
    post(&dispatcher, rows(4)).await;
    until_eq("one is dead", BTreeSet::from([1]), || dead(&broker)).await;
    assert_eq!(store.calls().last(), Some(&vec![2, 3]));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_of_no_message_fails_the_call() {
    let store = Store::new(|batch| {
        batch.fail(batch.len(), "beyond");
        Ok(())
    });
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table().attempts(1)).await;
    post(&dispatcher, rows(2)).await;
    until_eq("both are dead", 2, || dead(&broker).len()).await;
    assert!(
        reason(&broker).contains("set the outcome of message 1"),
        "{}",
        reason(&broker)
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_on_its_last_attempt_is_handled_alone() {
    // Hangs, so that the whole batch times out, whichever message is to blame.
    let store = Store::gated(|_| Ok(()));
    let broker = InMemoryBroker::new();
    let subscription = table().timeout(SECOND).attempts(2).delays([SECOND]);
    let dispatcher = consuming(broker.clone(), &store, subscription).await;
    post(&dispatcher, rows(3)).await;
    until_eq("one call", vec![3], || store.sizes()).await;
    tokio::time::sleep(2 * SECOND).await;
    store.gate.add_permits(3);
    until_eq("each alone", vec![3, 1, 1, 1], || store.sizes()).await;
    tokio::time::sleep(60 * SECOND).await;
    assert!(dead(&broker).is_empty());
    drop(dispatcher);
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_key_share_no_batch_and_keep_order() {
    let done = Arc::new(Mutex::new(Vec::new()));
    let store = {
        let done = Arc::clone(&done);
        Store::new(move |batch| {
            let keys: BTreeSet<_> = batch.iter().map(|row| row.key).collect();
            assert_eq!(keys.len(), batch.len(), "a key twice");
            for (index, (row, cx)) in batch.with_contexts().enumerate() {
                match row.number == 0 && cx.attempt() < 3 {
                    true => batch.fail(index, "not yet"),
                    false => done.lock().unwrap().push((row.key, row.number)),
                }
            }
            Ok(())
        })
    };
    let ordered = table().ordered_by(|row: &Row| row.key);
    let dispatcher = consuming(InMemoryBroker::new(), &store, ordered).await;
    let rows = (0..5).flat_map(|number| (0..4).map(move |key| Row { key, number }));
    post(&dispatcher, rows).await;
    until_eq("all of them", 20, || done.lock().unwrap().len()).await;
    for key in 0..4 {
        let done = done.lock().unwrap();
        let numbers = done
            .iter()
            .filter(|(of, _)| *of == key)
            .map(|(_, number)| *number);
        assert!(numbers.eq(0..5), "{done:?}");
    }
}
