//! Batches in a `TestApp`.

use brighter::testing::TestApp;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_test_app_waits_for_each_message_of_a_batch() {
    let store = Store::new(|batch| {
        for (index, row) in batch.iter().enumerate() {
            if row.number == 1 {
                batch.reject(index, "not wanted");
            }
        }
        Ok(())
    });
    let handler = store.clone();
    let app = TestApp::builder()
        .processor(move |it| it.handler(handler))
        .dispatcher(|it| it.subscription(table()))
        .start()
        .await;
    app.when_posted(row(0)).await;
    app.then().handled_by::<Store>(1).nothing_else();
    app.when_posted(row(1)).await;
    app.then().dead_lettered::<Row>("not wanted");
    assert_eq!(store.calls(), [[0], [1]]);
}
