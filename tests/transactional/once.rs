//! One effect, one key and one message, or none of them.

use std::time::Duration;

use brighter::policy::Retry;
use brighter::prelude::*;
use brighter::testing::fault_points::{Action, Plan, Rule};

use crate::desk::{Book, Booked, Calls, DeskError, book, books, in_each_database};

fn quick() -> Retry {
    Retry::attempts(3).fixed(Duration::from_millis(5))
}

macro_rules! once {
    ($module:ident, $inbox:ident, $outbox:ident, $pool:ty, $tx:ty, $database:expr, $pool_of:expr, $value:literal) => {
        mod $module {
            use super::*;
            books!($inbox, $outbox, $pool);

            const BOOK: &str = concat!("INSERT INTO books (name) VALUES (", $value, ")");

            struct Desk(Calls);

            #[handler]
            impl Handler<Book> for Desk {
                #[transactional(step = 1)]
                async fn handle(&self, book: &Book, tx: &mut $tx, cx: &Context) -> Result<(), DeskError> {
                    sqlx::query(BOOK)
                        .bind(&book.name)
                        .execute(&mut **tx)
                        .await?;
                    let name = book.name.clone();
                    cx.deposit_post(tx, Booked { name }).await?;
                    self.0.pass()
                }
            }

            #[tokio::test]
            async fn effect_key_and_message_are_committed_together_or_not_at_all() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let calls = Calls::failing(2);
                let processor = stores(&pool)
                    .await
                    .handler(Desk(calls.clone()))
                    .build()
                    .unwrap();
                let book = book("milk");
                for attempt in 1..=2 {
                    let error = processor.send(book.clone()).await.unwrap_err();
                    assert!(
                        error.report().contains("the till is empty"),
                        "{}",
                        error.report()
                    );
                    assert_eq!(calls.count(), attempt);
                    assert_eq!(committed(&pool).await, [0, 0, 0]);
                }
                for _ in 0..3 {
                    processor.send(book.clone()).await.unwrap();
                    assert_eq!(calls.count(), 3, "the others are duplicates");
                    assert_eq!(committed(&pool).await, [1, 1, 1]);
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn of_many_deliveries_to_two_nodes_one_has_an_effect() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let calls = Calls::default();
                let mut nodes = Vec::new();
                for _ in 0..2 {
                    let pool: $pool = $pool_of(&database).await;
                    nodes.push(
                        stores(&pool)
                            .await
                            .handler(Desk(calls.clone()))
                            .build()
                            .unwrap(),
                    );
                }
                let book = book("milk");
                let deliveries: Vec<_> = (0..8)
                    .map(|number| {
                        let (node, book) = (nodes[number % 2].clone(), book.clone());
                        tokio::spawn(async move { node.send(book).await.map_err(|error| error.report()) })
                    })
                    .collect();
                for delivery in deliveries {
                    delivery.await.unwrap().unwrap();
                }
                assert_eq!(committed(&pool).await, [1, 1, 1]);
            }

            struct Around(Calls);

            #[handler]
            impl Handler<Book> for Around {
                #[transactional(step = 1)]
                #[use_policy(quick(), step = 2)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    sqlx::query(BOOK)
                        .bind(&book.name)
                        .execute(&mut **tx)
                        .await?;
                    self.0.pass()
                }
            }

            #[tokio::test]
            async fn around_a_retry_a_failed_attempt_leaves_nothing_in_the_one_transaction() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let calls = Calls::failing(2);
                let processor = stores(&pool)
                    .await
                    .handler(Around(calls.clone()))
                    .build()
                    .unwrap();
                processor.send(book("milk")).await.unwrap();
                assert_eq!(calls.count(), 3);
                assert_eq!(committed(&pool).await, [1, 1, 0]);
            }

            struct Inside(Calls);

            #[handler]
            impl Handler<Book> for Inside {
                #[use_policy(quick(), step = 1)]
                #[transactional(step = 2)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    sqlx::query(BOOK)
                        .bind(&book.name)
                        .execute(&mut **tx)
                        .await?;
                    self.0.pass()
                }
            }

            #[tokio::test]
            async fn inside_a_retry_each_attempt_has_its_transaction() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let calls = Calls::failing(2);
                let processor = stores(&pool)
                    .await
                    .handler(Inside(calls.clone()))
                    .build()
                    .unwrap();
                processor.send(book("milk")).await.unwrap();
                assert_eq!(calls.count(), 3);
                assert_eq!(committed(&pool).await, [1, 1, 0]);
            }

            struct Fallen;

            #[handler]
            impl Handler<Book> for Fallen {
                #[transactional(step = 1)]
                #[fallback(later, step = 2)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    sqlx::query(BOOK)
                        .bind(&book.name)
                        .execute(&mut **tx)
                        .await?;
                    Err(DeskError::Empty)
                }
            }

            impl Fallen {
                async fn later(&self, _: &Book, _: &HandlerError) -> Result<(), DeskError> {
                    Ok(())
                }
            }

            #[tokio::test]
            async fn after_a_fallback_the_key_is_committed_and_the_failed_effect_is_not() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let processor = stores(&pool).await.handler(Fallen).build().unwrap();
                processor.send(book("milk")).await.unwrap();
                assert_eq!(committed(&pool).await, [0, 1, 0]);
            }

            /// The outcome of a commit is unknown, as after a lost connection.
            async fn unknown(point: &'static str, handled: u32) {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let calls = Calls::default();
                let processor = stores(&pool)
                    .await
                    .handler(Desk(calls.clone()))
                    .build()
                    .unwrap();
                let plan = Plan::new([Rule::new(point, 1, Action::Error)]);
                let _installed = plan.install();
                processor.send(book("milk")).await.unwrap();
                assert!(plan.all_happened());
                assert_eq!(calls.count(), handled);
                assert_eq!(committed(&pool).await, [1, 1, 1]);
            }

            #[tokio::test]
            async fn a_commit_of_which_only_the_answer_is_lost_is_done() {
                unknown("transaction.committed", 1).await;
            }

            #[tokio::test]
            async fn a_commit_that_is_lost_itself_is_done_again() {
                unknown("transaction.commit", 2).await;
            }

            /// Answers, and completes by hand what is completed already.
            struct ByHand;

            #[handler]
            impl Handler<Book> for ByHand {
                #[transactional(step = 1)]
                async fn handle(&self, _: &Book, tx: &mut $tx, cx: &Context) -> Result<(), BoxError> {
                    brighter::inbox::complete_in(tx, cx).await?;
                    Ok(())
                }
            }

            #[tokio::test]
            async fn completing_by_hand_in_addition_is_a_mistake_that_says_so() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let processor = stores(&pool).await.handler(ByHand).build().unwrap();
                let error = processor.send(book("milk")).await.unwrap_err().report();
                assert!(error.contains("remove `complete_in`"), "{error}");
                assert_eq!(committed(&pool).await, [0, 0, 0]);
            }

            /// A handler before it had the attribute.
            struct Before;

            #[handler]
            impl Handler<Book> for Before {
                #[use_inbox(context = "desk", step = 1)]
                async fn handle(&self, _: &Book) -> Result<(), DeskError> {
                    Ok(())
                }
            }

            struct After(Calls);

            #[handler]
            impl Handler<Book> for After {
                #[transactional(context = "desk", on_duplicate = reject, step = 1)]
                async fn handle(&self, _: &Book, _: &mut $tx) -> Result<(), DeskError> {
                    self.0.pass()
                }
            }

            #[tokio::test]
            async fn what_use_inbox_has_completed_is_a_duplicate() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let (book, calls) = (book("milk"), Calls::default());
                let before = stores(&pool).await.handler(Before).build().unwrap();
                before.send(book.clone()).await.unwrap();
                let after = stores(&pool)
                    .await
                    .handler(After(calls.clone()))
                    .build()
                    .unwrap();
                let error = after.send(book).await.unwrap_err().report();
                assert!(error.contains("was handled before"), "{error}");
                assert_eq!(calls.count(), 0);
            }
        }
    };
}

in_each_database!(once);
