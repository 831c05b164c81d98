//! A claim that this process [holds](ClaimGuard) while it handles a request.

use std::sync::Arc;

use tokio::runtime::Handle;

use brighter_core::inbox::{ClaimId, Inbox, InboxError, InboxKey};

/// A claim that this process holds: abandoned when it is dropped, by a handler that was cancelled, unless the
/// handler is known to have succeeded.
pub(super) struct ClaimGuard {
    inbox: Arc<dyn Inbox>,
    key: Arc<InboxKey>,
    claim: ClaimId,
    end: Option<ClaimEnd>,
}

/// The end of a claim that the inbox does not know yet.
#[derive(Clone, Copy)]
enum ClaimEnd {
    Complete,
    Abandon,
}

impl ClaimGuard {
    pub(super) fn new(inbox: Arc<dyn Inbox>, key: Arc<InboxKey>, claim: ClaimId) -> Self {
        Self {
            inbox,
            key,
            claim,
            end: Some(ClaimEnd::Abandon),
        }
    }

    /// The handler succeeded. If the inbox cannot note that, the message is acked all the same: were it to
    /// come again, it would be handled again.
    pub(super) async fn complete(mut self) {
        self.end = Some(ClaimEnd::Complete);
        brighter_core::__private::fault_point!("inbox.complete");
        tell(&*self.inbox, &self.key, self.claim, ClaimEnd::Complete).await;
        brighter_core::__private::fault_point!("inbox.completed");
        self.end = None;
    }

    /// The handler has completed it itself.
    pub(super) fn forget(mut self) {
        self.end = None;
    }

    /// The handler failed or panicked, and the request may be handled again.
    pub(super) async fn abandon(mut self) {
        brighter_core::__private::fault_point!("inbox.abandon");
        tell(&*self.inbox, &self.key, self.claim, ClaimEnd::Abandon).await;
        self.end = None;
    }
}

/// Ends the claim in a task, as a drop cannot wait for the inbox. Without a runtime the lease has to end the claim.
impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let Some(end) = self.end else { return };
        if let Ok(runtime) = Handle::try_current() {
            let (inbox, key, claim) = (Arc::clone(&self.inbox), Arc::clone(&self.key), self.claim);
            runtime.spawn(async move { tell(&*inbox, &key, claim, end).await });
        }
    }
}

async fn tell(inbox: &dyn Inbox, key: &InboxKey, claim: ClaimId, end: ClaimEnd) {
    let told: Result<(), InboxError> = match end {
        ClaimEnd::Complete => inbox.complete(key).await,
        ClaimEnd::Abandon => inbox.abandon(key, claim).await,
    };
    let Err(error) = told else { return };
    let (request_id, context, error) = (&key.id, &*key.context, brighter_core::__private::report(&error));
    match end {
        ClaimEnd::Complete => tracing::warn!(
            %request_id, context, error,
            "handled, and the inbox could not note it: if it comes again after the lease, it is handled again"
        ),
        ClaimEnd::Abandon => tracing::warn!(
            %request_id, context, error,
            "not handled, and the inbox could not note it: it is not handled again before the lease ends"
        ),
    }
}
