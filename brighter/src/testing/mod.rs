//! What tests are made with: the contracts that every store must keep.
//!
//! Everything here panics when what it checks is not so; it belongs in tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by a panic what is wrong"
)]

mod eventually;
pub mod inbox;
pub mod outbox;
pub mod outbox_transaction;

pub use crate::{inbox_contract, outbox_contract, outbox_transaction_contract};
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
                    $crate::testing::run(async {
                        let $made = ($make)().await;
                        $crate::testing::$contract::$behaviour(&$subject).await;
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
