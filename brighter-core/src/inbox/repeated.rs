//! [`Repeated`]: marks that a handler's result stands in for a reply.

use std::sync::atomic::{AtomicBool, Ordering};

/// Marks, in the context of a call, that the request was handled before. The result of the handler then stands in for
/// the first reply, which was not kept.
#[derive(Debug, Default)]
pub struct Repeated(AtomicBool);

impl Repeated {
    #[doc(hidden)]
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[doc(hidden)]
    pub fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
