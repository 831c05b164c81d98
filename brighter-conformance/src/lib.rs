//! Tests that every broker, outbox and inbox of brighter must pass.
//!
//! | for | write | and get |
//! |---|---|---|
//! | a broker | a [`Harness`](transport::Harness) and [`transport_conformance!`] | one test for each case of
//! [`transport`] |
//! | an outbox | [`outbox_contract!`] | one test for each behaviour of [`outbox`] |
//! | the transactions of an outbox | [`outbox_transaction_contract!`] | one test for each behaviour of
//! [`outbox_transaction`] |
//! | an inbox | [`inbox_contract!`] | one test for each behaviour of [`inbox`] |
//! | the transactions of an inbox | [`inbox_transaction_contract!`] | one test for each behaviour of
//! [`inbox_transaction`] |
//! | the store of a desk (feature `desk`) | [`desk_contract!`] | one test for each behaviour of [`desk`](mod@desk) |
//!
//! Every function panics if its check fails. Use them only in tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by a panic what is wrong"
)]

#[cfg(feature = "desk")]
pub mod desk;
mod eventually;
pub mod inbox;
pub mod inbox_transaction;
pub mod outbox;
pub mod outbox_transaction;
pub mod transport;

pub use eventually::eventually;

/// Makes one `#[test]` for each behaviour of a contract; all contract macros end with this. `$made` destructures the
/// value of `$make`, and `$subject` is the part that a behaviour of `$contract` checks.
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

/// Runs a future to its end, as `#[tokio::test]` does, for the tests of this crate's macros. These then need not know
/// how the calling crate depends on tokio.
///
/// # Panics
/// Panics if the future panics, or if the system has no threads left.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(future)
}
