//! What tests are made with: a whole [application](TestApp) in one process, a [broker that fails](FaultyBroker)
//! when it is told to, the contracts that every store must keep, and [what every transport must do](conformance).
//!
//! # A whole application in one process
//!
//! [`TestApp`] takes the application's own handlers, policies and subscriptions, and brings a broker in memory, and an
//! outbox where the application has none. A test says what is *given*, *when* something happens, and what is to have come of it *then*. `when`
//! waits until everything that followed has settled: what handlers posted, to whatever depth, is handled, deferred
//! and handled again, or set aside. It counts messages and does not guess at times, so a test is neither slow nor
//! flaky; with tokio's clock paused, retries after an hour take no time.
//!
//! ```
//! use std::time::Duration;
//!
//! use brighter::prelude::*;
//! use brighter::testing::{PublishFault, TestApp};
//!
//! #[derive(Debug, Serialize, Deserialize, Message)]
//! #[message(topic = "Order.Place")]
//! struct PlaceOrder { item: String }
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
//! #[message(topic = "Order.Placed", kind = "event")]
//! struct OrderPlaced { item: String }
//!
//! struct PlaceOrderHandler;
//!
//! #[handler]
//! impl Handler<PlaceOrder> for PlaceOrderHandler {
//!     async fn handle(&self, order: &PlaceOrder, cx: &Context) -> Result<(), BoxError> {
//!         if order.item == "unicorn" {
//!             return Err(Reject::because("there are none").into());
//!         }
//!         if cx.attempt() == 1 {
//!             return Err(Defer::after(Duration::from_secs(3600)).into());
//!         }
//!         let placed = OrderPlaced { item: order.item.clone() };
//!         cx.post(placed).await?;
//!         Ok(())
//!     }
//! }
//!
//! struct ShipOrderHandler;
//!
//! #[handler]
//! impl Handler<OrderPlaced> for ShipOrderHandler {
//!     async fn handle(&self, placed: &OrderPlaced) -> Result<(), BoxError> {
//!         println!("shipping {}", placed.item);
//!         Ok(())
//!     }
//! }
//!
//! // In a test: #[tokio::test(start_paused = true)]
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
//! let app = TestApp::builder()
//!     .processor(|processor| {
//!         processor
//!             .handler(PlaceOrderHandler)
//!             .handler(ShipOrderHandler)
//!     })
//!     .dispatcher(|dispatcher| {
//!         dispatcher
//!             .subscription(Subscription::<PlaceOrder>::new("orders"))
//!             .subscription(Subscription::<OrderPlaced>::new("shipping"))
//!     })
//!     .start()
//!     .await;
//!
//! app.when_posted(PlaceOrder { item: "tea".into() }).await;
//! app.then()
//!     .failed::<PlaceOrderHandler>(1)
//!     .deferred::<PlaceOrder>(Duration::from_secs(3600))
//!     .handled_by::<PlaceOrderHandler>(1)
//!     .posted::<OrderPlaced>(1)
//!     .handled_by::<ShipOrderHandler>(1)
//!     .nothing_else();
//! assert_eq!(app.posted::<OrderPlaced>(), [OrderPlaced { item: "tea".into() }]);
//!
//! app.when_posted(PlaceOrder { item: "unicorn".into() }).await;
//! app.then()
//!     .failed::<PlaceOrderHandler>(1)
//!     .dead_lettered::<PlaceOrder>("there are none")
//!     .nothing_else();
//!
//! // What if a message comes twice?
//! app.broker().next_publishes([PublishFault::Duplicate]);
//! app.when_posted(PlaceOrder { item: "unicorn".into() }).await;
//! app.then().failed::<PlaceOrderHandler>(2);
//! # });
//! ```
//!
//! An assertion that fails says what was expected, and prints everything that happened, in its order, with the time. A
//! handler that panics, or that fails because the processor lacks what it uses, ends the test at once with the cause.
//!
//! # With the application's database
//!
//! A handler with a transaction of its own needs the outbox and the inbox of its database. Give them to
//! [`processor`](TestAppBuilder::processor) as `main` does; the broker stays in memory. PostgreSQL, MySQL and SQLite
//! work alike, and SQLite can be in memory. Leave tokio's clock running: a database does not wait for a paused one.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # mod example {
//! use brighter::channel::{Broker, Channel};
//! use brighter::inbox::complete_in;
//! use brighter::prelude::*;
//! use brighter::testing::{PublishFault, TestApp};
//! use brighter::{MessageId, SqliteInbox, SqliteOutbox};
//! use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
//!
//! #[derive(Debug, Serialize, Deserialize, Message)]
//! #[message(topic = "Payment.Take")]
//! struct TakePayment { id: MessageId }
//!
//! #[derive(Debug, Serialize, Deserialize, Message)]
//! #[message(topic = "Payment.Taken", kind = "event")]
//! struct PaymentTaken { of: MessageId }
//!
//! struct TakePaymentHandler { pool: SqlitePool }
//!
//! #[handler]
//! impl Handler<TakePayment> for TakePaymentHandler {
//!     #[use_inbox(step = 1)]
//!     async fn handle(&self, payment: &TakePayment, cx: &Context) -> Result<(), BoxError> {
//!         let mut tx = self.pool.begin().await?;
//!         sqlx::query("INSERT INTO payments VALUES ('taken')").execute(&mut *tx).await?;
//!         complete_in(&mut tx, cx).await?;
//!         cx.deposit_post(&mut tx, PaymentTaken { of: payment.id.clone() }).await?;
//!         tx.commit().await?;
//!         Ok(())
//!     }
//! }
//!
//! // In a test: #[tokio::test]
//! # pub async fn example() -> Result<(), BoxError> {
//! // One connection, for another would open another database.
//! let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! sqlx::query("CREATE TABLE payments (what TEXT)").execute(&pool).await?;
//! let outbox = SqliteOutbox::from_pool(pool.clone()).await?;
//! let inbox = SqliteInbox::from_pool(pool.clone()).await?;
//! let handler = TakePaymentHandler { pool: pool.clone() };
//! let app = TestApp::builder()
//!     .processor(|processor| processor.handler(handler).outbox(outbox).inbox(inbox))
//!     .dispatcher(|dispatcher| dispatcher.subscription(Subscription::<TakePayment>::new("payments")))
//!     .start()
//!     .await;
//! // For another program, which this test does not have.
//! app.broker().declare(&Channel::new("mails", "Payment.Taken")).await?;
//!
//! app.broker().next_publishes([PublishFault::Duplicate]);
//! app.when_posted(TakePayment { id: MessageId::new() }).await;
//! app.then().handled_by::<TakePaymentHandler>(2).posted::<PaymentTaken>(1);
//! let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(&pool).await?;
//! assert_eq!(taken, 1);
//! # Ok(())
//! # }
//! # }
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example::example()).unwrap();
//! ```
//!
//! # A whole application that goes wrong at every step
//!
//! [`crash_test`] runs a scenario again and again, and has the process die, a step fail or the connection be cut at every
//! one of the [fault points](fault_points) that it passes; then a second time while it recovers. A failure says in a
//! line how it is run alone.
//!
//! Everything here panics when what it checks is not so; it belongs in tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by a panic what is wrong"
)]

mod app;
pub mod conformance;
mod crash_test;
pub mod fault_points;
mod faulty_broker;

pub use crate::transport_conformance;
pub use app::{TestApp, TestAppBuilder, Then};
pub use brighter_conformance::{
    eventually, inbox, inbox_contract, inbox_transaction, inbox_transaction_contract, outbox,
    outbox_contract, outbox_transaction, outbox_transaction_contract, run,
};
pub use crash_test::{CrashTestReport, ProcessRun, Scenario, crash_test};
pub use faulty_broker::{FaultyBroker, PublishFault, RandomFaults, SettleFault};
