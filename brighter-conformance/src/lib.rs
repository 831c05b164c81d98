//! The tests that every broker, outbox and inbox of brighter must pass.
//!
//! | for | write | and get |
//! |---|---|---|
//! | a broker | a [`Harness`](transport::Harness) and [`transport_conformance!`] | one test a case of [`transport`] |
//! | an outbox | [`outbox_contract!`] | one test a behaviour of [`outbox`] |
//! | the transactions of an outbox | [`outbox_transaction_contract!`] | those of [`outbox_transaction`] |
//! | an inbox | [`inbox_contract!`] | those of [`inbox`] |
//! | the transactions of an inbox | [`inbox_transaction_contract!`] | those of [`inbox_transaction`] |
//!
//! Everything here panics when what it checks does not hold; it belongs in tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by a panic what is wrong"
)]

mod eventually;
pub mod inbox;
pub mod inbox_transaction;
pub mod outbox;
pub mod outbox_transaction;
pub mod transport;

pub use eventually::eventually;

/// One `#[test]` for each behaviour of a contract: the end of every macro that makes a contract's tests. What is made
/// is taken apart by `$made`, and `$subject` of it is what a behaviour of `$contract` looks at.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_tests {
    ($module:ident, $make:expr, $made:pat => $subject:ident, $contract:ident, [$($behaviour:ident,)*]) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $behaviour() {
                    $crate::run(async {
                        let $made = ($make)().await;
                        $crate::$contract::$behaviour(&$subject).await;
                    });
                }
            )*
        }
    };
}

/// Runs a future to its end, as `#[tokio::test]` does, for tests that a macro of this crate made: they need
/// not know how the crate that asked for them calls tokio.
///
/// # Panics
/// The future panicked, or the system gave no threads.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(future)
}
