//! What `build()` refuses.

use std::error::Error;

use brighter::channel::BatchError;
use brighter::processor::{BuildError, BuildErrors};

use super::*;

fn refused(subscription: Subscription<Row>) -> BuildErrors {
    let store = Store::new(|_| Ok(()));
    let building = Dispatcher::builder(processor(InMemoryBroker::new(), store));
    building.subscription(subscription).build().unwrap_err()
}

fn source(errors: &BuildErrors) -> BatchError {
    match errors.iter().collect::<Vec<_>>().as_slice() {
        [BuildError::Batch { source, .. }] => source.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_buffer_without_concurrency_never_fills_a_batch() {
    let errors = refused(Subscription::new("rows").buffer(200));
    let expected = BatchError::TooFewInHand {
        max: 10,
        performers: 1,
        concurrency: 1,
        buffer: 200,
        in_hand: 1,
    };
    assert_eq!(source(&errors), expected);
    assert!(
        expected.to_string().contains("write `.concurrency(10)`"),
        "{expected}"
    );
    let error = errors.iter().next().unwrap();
    assert!(error.to_string().contains("batches"), "{error}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn performers_and_concurrency_count_together() {
    let errors = refused(table().performers(3).concurrency(3));
    assert!(source(&errors).to_string().contains("write `.concurrency(4)`"));
    let store = Store::new(|_| Ok(()));
    let enough = table().performers(3).concurrency(4);
    let building = Dispatcher::builder(processor(InMemoryBroker::new(), store));
    building.subscription(enough).build().unwrap();
}

#[tokio::test]
async fn a_batch_may_not_wait_longer_than_its_messages_live() {
    let errors = refused(table().timeout(SECOND / 20));
    assert!(
        matches!(source(&errors), BatchError::WaitsTooLong { .. }),
        "{errors}"
    );
}

#[tokio::test]
async fn a_subscription_that_is_added_later_is_checked_too() {
    let store = Store::new(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    let errors = dispatcher.add(Subscription::<Row>::new("more")).unwrap_err();
    assert!(
        matches!(source(&errors), BatchError::TooFewInHand { .. }),
        "{errors}"
    );
}

#[tokio::test]
async fn a_description_says_that_a_handler_takes_batches() {
    let processor = processor(InMemoryBroker::new(), Store::new(|_| Ok(())));
    let description = processor.describe().next().unwrap();
    let batch = description.batch.unwrap();
    assert_eq!((batch.max, batch.within), (10, SECOND / 20));
    assert!(
        description.to_string().ends_with("batch of 10 within 50ms"),
        "{description}"
    );
    let json = serde_json::to_value(description).unwrap();
    assert_eq!(json["batch"]["max"], 10);
}
