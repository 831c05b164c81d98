//! A crate of a company's own: its services depend on this, and not on brighter.

pub use brighter;
// All of it at the root too, so that a service may say `extern crate platform as brighter;`.
#[doc(no_inline)]
pub use brighter::*;
pub use serde;

/// Makes a handler out of a block: a macro of the company's own over those of brighter.
#[macro_export]
macro_rules! handler_of {
    ($handler:ident, $request:ty, $result:ty, $body:block) => {
        #[$crate::brighter::handler(crate = $crate::brighter)]
        impl $crate::brighter::Handler<$request> for $handler {
            #[request_logging(step = 1)]
            #[$crate::brighter::timeout("5s", step = 2)]
            async fn handle(&self, _: &$request) -> $result $body
        }
    };
}

/// Makes a command of a name.
#[macro_export]
macro_rules! command {
    ($name:ident) => {
        #[derive($crate::brighter::Command)]
        #[command(crate = $crate::brighter)]
        struct $name;
    };
}
