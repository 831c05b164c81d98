//! [`Repeated`]: whether what a handler gave back is its reply.

use std::sync::atomic::{AtomicBool, Ordering};

/// Put in the context of a request whose sender waits for the reply: tells that it was handled before, so that what
/// came back from its handler stands in the place of a reply that nobody has kept.
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
