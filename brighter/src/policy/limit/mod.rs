//! [`ConcurrencyLimit`] and [`RateLimit`]: how much goes through at a time, and how often.

mod concurrency;
mod future;
mod rate;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;

pub use concurrency::ConcurrencyLimit;
pub(super) use future::LimitFuture;
pub use rate::RateLimit;

use crate::handler::Call;
use brighter_core::error::HandlerError;

/// The permit that a call holds until its end.
pub(super) type LimitPermit = Option<OwnedSemaphorePermit>;

/// Whether a call is let in.
pub(super) enum Admission {
    Now(LimitPermit),
    // Rare enough for a box: a wait has no name, and who finds room does not get here.
    Later(BoxFuture<'static, Result<LimitPermit, HandlerError>>),
    Refused(HandlerError),
}

/// Waits for a place, but no longer than this and not into a shutdown.
async fn wait<R>(
    place: impl Future<Output = Option<LimitPermit>>,
    at_most: Option<Duration>,
    policy: Arc<str>,
    call: Call<R>,
) -> Result<LimitPermit, HandlerError> {
    let too_late = async {
        match at_most {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        // Nobody closes the semaphore; if somebody did, nothing would go through any more.
        place = place => place.ok_or(HandlerError::Cancelled),
        () = call.context().cancelled() => Err(HandlerError::Cancelled),
        () = too_late => Err(overloaded(&policy, at_most.unwrap_or_default())),
    }
}

fn overloaded(policy: &str, waited: Duration) -> HandlerError {
    HandlerError::Overloaded {
        policy: policy.to_owned(),
        waited,
    }
}
