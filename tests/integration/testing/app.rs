//! `TestApp`: given, when, then.

use std::time::Duration;

use brighter::prelude::*;
use brighter::testing::{FaultyBroker, PublishFault, TestApp, TestAppBuilder};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Order.Place")]
struct PlaceOrder {
    item: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", kind = "event")]
struct OrderPlaced {
    item: String,
}

#[derive(Debug, Command)]
struct Restock;

struct Places;

#[handler]
impl Handler<PlaceOrder> for Places {
    async fn handle(&self, order: &PlaceOrder, cx: &Context) -> Result<(), BoxError> {
        match order.item.as_str() {
            "later" if cx.attempt() == 1 => return Err(Defer::after(Duration::from_secs(60)).into()),
            "rotten" => return Err(Reject::because("nobody wants it").into()),
            "missing" => return Err("out of stock".into()),
            _ => {}
        }
        let item = order.item.clone();
        cx.post(OrderPlaced { item }).await?;
        Ok(())
    }
}

struct Ships;

#[handler]
impl Handler<OrderPlaced> for Ships {
    async fn handle(&self, _: &OrderPlaced) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

struct Restocks;

#[handler]
impl Handler<Restock> for Restocks {
    async fn handle(&self, _: &Restock, cx: &Context) -> Result<(), BoxError> {
        let item = "stock".to_owned();
        cx.post(PlaceOrder { item }).await?;
        Ok(())
    }
}

fn orders() -> Subscription<PlaceOrder> {
    Subscription::new("orders").attempts(2)
}

fn shop() -> TestAppBuilder {
    TestApp::builder()
        .processor(|it| it.handler(Places).handler(Restocks).handler(Ships))
        .dispatcher(|it| {
            it.subscription(orders())
                .subscription(Subscription::<OrderPlaced>::new("shipping"))
        })
}

fn order(item: &str) -> PlaceOrder {
    PlaceOrder { item: item.into() }
}

#[tokio::test(start_paused = true)]
async fn consequences_of_a_message_exist_once_settled() {
    let app = shop().start().await;
    app.when_posted(order("tea")).await;
    app.then()
        .handled_by::<Places>(1)
        .posted::<OrderPlaced>(1)
        .handled::<OrderPlaced>(1)
        .nothing_else();
    assert_eq!(app.posted::<OrderPlaced>(), [OrderPlaced { item: "tea".into() }]);
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_what_comes_again_later_and_no_longer() {
    let app = shop().start().await;
    let began = tokio::time::Instant::now();
    app.when_posted(order("later")).await;
    assert!((60..62).contains(&began.elapsed().as_secs()));
    app.then()
        .failed::<Places>(1)
        .deferred::<PlaceOrder>(Duration::from_secs(60))
        .handled_by::<Places>(1)
        .posted::<OrderPlaced>(1)
        .handled_by::<Ships>(1)
        .nothing_else();
}

#[tokio::test(start_paused = true)]
async fn rejected_messages_carry_their_reason() {
    let app = shop().start().await;
    app.when_posted(order("rotten")).await;
    app.then()
        .failed::<Places>(1)
        .dead_lettered::<PlaceOrder>("nobody wants it")
        .nothing_else();
    app.when_posted(order("missing")).await;
    app.then()
        .failed::<Places>(2)
        .deferred::<PlaceOrder>(Duration::from_secs(1))
        .dead_lettered::<PlaceOrder>("attempt 2 of 2: out of stock")
        .nothing_else();
}

#[tokio::test(start_paused = true)]
async fn then_checks_only_the_last_when() {
    let app = shop().start().await;
    app.given(order("tea")).await;
    app.then().nothing_else();
    app.when_sent(Restock).await.unwrap();
    app.then()
        .handled::<Restock>(1)
        .posted::<PlaceOrder>(1)
        .posted::<OrderPlaced>(1)
        .handled::<PlaceOrder>(1)
        .handled::<OrderPlaced>(1)
        .nothing_else();
    app.when_published(OrderPlaced { item: "here".into() })
        .await
        .unwrap();
    app.then().handled_by::<Ships>(1).nothing_else();
}

#[tokio::test(start_paused = true)]
async fn waiting_messages_are_handled_after_the_start() {
    let app = shop()
        .waiting(&orders(), order("tea"))
        .deposited(order("milk"))
        .start()
        .await;
    app.settled().await;
    app.then()
        .handled_by::<Places>(2)
        .posted::<OrderPlaced>(2)
        .handled_by::<Ships>(2)
        .nothing_else();
}

#[tokio::test(start_paused = true)]
async fn transactional_deposits_settle_too() {
    let outbox = InMemoryOutbox::new();
    let app = shop().outbox(outbox.clone()).start().await;
    let mut transaction = outbox.begin();
    let processor = app.processor();
    processor
        .deposit_post(&mut transaction, order("tea"))
        .await
        .unwrap();
    transaction.commit().unwrap();
    app.settled().await;
    app.then().handled_by::<Ships>(1);
}

#[tokio::test(start_paused = true)]
async fn time_passes_without_waiting_for_what_is_due_later() {
    let app = shop().start().await;
    app.processor().post(order("later")).await.unwrap();
    app.when_time_passes(Duration::from_secs(59)).await;
    app.then()
        .handled::<PlaceOrder>(0)
        .deferred::<PlaceOrder>(Duration::from_secs(60));
    app.when_time_passes(Duration::from_secs(1)).await;
    app.then().handled::<PlaceOrder>(1);
}

#[tokio::test(start_paused = true)]
async fn refused_messages_are_reported_without_waiting() {
    let broker = FaultyBroker::new(InMemoryBroker::new());
    let app = shop().broker(broker.clone()).start().await;
    broker.every_publish(Some(PublishFault::Refuse));
    assert!(app.processor().post(order("tea")).await.is_err());
    app.settled().await;
    app.then()
        .not_published::<PlaceOrder>("told to refuse")
        .nothing_else();
}

/// What the test of a user would say when it fails.
async fn failure(assertion: impl FnOnce(&TestApp) + Send) -> String {
    let app = shop().start().await;
    app.when_posted(order("tea")).await;
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assertion(&app)));
    *caught.unwrap_err().downcast::<String>().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_what_was_expected_and_all_that_happened() {
    let said = failure(|app| drop(app.then().handled_by::<Places>(2))).await;
    assert!(
        said.starts_with("expected Places to succeed 2 times, but it did 1 times\n\nWhat happened:\n"),
        "{said}"
    );
    let lines = [
        "arrived in `orders`",
        "delivered from `orders`, attempt 1",
        "arrived in `shipping`",
        "Places handled PlaceOrder",
        "acked in `orders`",
    ];
    let mut rest = said.as_str();
    for line in lines {
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("no `{line}` in its place in {said}"));
        rest = &rest[at..];
    }
    let said = failure(|app| drop(app.then().handled_by::<Places>(1).nothing_else())).await;
    assert!(said.contains("nothing else, but there was"), "{said}");
    assert!(said.contains("Ships handled OrderPlaced"), "{said}");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not settled: 0 copies are not handled, and the outbox has 1 to send")]
async fn messages_that_never_settle_are_reported_in_time() {
    let app = shop().settle_timeout(Duration::from_secs(60)).start().await;
    app.broker().lose_connection();
    app.when_posted(order("tea")).await;
}

#[tokio::test(start_paused = true)]
async fn unsettled_messages_are_reported_with_their_last_error() {
    let app = shop().settle_timeout(Duration::from_secs(30)).start().await;
    let waiting = std::panic::AssertUnwindSafe(app.when_posted(order("later")));
    let panic = futures_util::FutureExt::catch_unwind(waiting).await.unwrap_err();
    let said = panic.downcast::<String>().unwrap();
    assert!(
        said.starts_with("not settled: 1 copies are not handled"),
        "{said}"
    );
    let first = said.lines().nth(1).unwrap();
    assert!(
        first.contains(
            "in `orders`: comes again to `orders` after 60s; Places failed with PlaceOrder: deferred for 60s"
        ),
        "{said}"
    );
}

struct Panics;

#[handler]
impl Handler<PlaceOrder> for Panics {
    async fn handle(&self, order: &PlaceOrder) -> Result<(), std::convert::Infallible> {
        panic!("no idea what `{}` is", order.item);
    }
}

fn panicking() -> TestAppBuilder {
    TestApp::builder()
        .processor(|it| it.handler(Panics))
        .dispatcher(|it| it.subscription(orders()))
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Panics panicked: no idea what `tea` is")]
async fn a_panic_of_a_handler_ends_the_test() {
    let app = panicking().start().await;
    app.when_posted(order("tea")).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_is_allowed_is_handled_as_in_production() {
    let app = panicking().allow_panics().start().await;
    app.when_posted(order("tea")).await;
    app.then()
        .failed::<Panics>(2)
        .deferred::<PlaceOrder>(Duration::from_secs(1))
        .dead_lettered::<PlaceOrder>("attempt 2 of 2: panicked: no idea")
        .nothing_else();
}

#[derive(Debug, Command)]
struct Unheard;

struct Asks;

#[handler]
impl Handler<PlaceOrder> for Asks {
    async fn handle(&self, _: &PlaceOrder, cx: &Context) -> Result<(), BoxError> {
        cx.send(Unheard).await?;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Asks fails however often it is called: no handler for")]
async fn a_handler_that_lacks_what_it_uses_ends_the_test() {
    let app = TestApp::builder()
        .processor(|it| it.handler(Asks))
        .dispatcher(|it| it.subscription(orders()));
    let app = app.start().await;
    app.when_posted(order("tea")).await;
}

#[tokio::test]
async fn it_works_with_the_clock_running() {
    let app = shop().start().await;
    app.when_posted(order("tea")).await;
    app.then().handled_by::<Ships>(1);
    assert!(app.end().await.interrupted.is_empty());
}
