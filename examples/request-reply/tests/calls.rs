//! The shop gets its replies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::Duration;

use brighter::processor::CallError;
use request_reply::{count, shop, warehouse};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_shop_learns_stock_and_unsold_items() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stock.db");
    let dispatcher = warehouse(&path).await.unwrap();
    let processor = shop(&path).await.unwrap();
    let stock = processor.call(count("tea"), LONG).await.unwrap();
    assert_eq!((stock.item.as_str(), stock.count), ("tea", 12));
    match processor.call(count("gold"), LONG).await {
        Err(CallError::Failed { reason }) => assert!(reason.contains("nobody here sells gold")),
        other => panic!("{other:?}"),
    }
    dispatcher.end().await;
    processor.close().await;
}
