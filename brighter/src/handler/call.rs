//! [`Call`]: one request on its way through a pipeline.

use std::fmt;
use std::sync::Arc;

use brighter_core::context::Context;
use brighter_core::id::MessageId;
use brighter_core::request::Request;

/// One request on its way through a pipeline, with its context: what every layer is a tower service of.
///
/// Cloning it is cheap and shares both, which is how a retry can try the same request again.
pub struct Call<R>(Arc<Inner<R>>);

struct Inner<R> {
    request: HeldRequest<R>,
    context: Context,
}

enum HeldRequest<R> {
    /// Made for this call alone: one allocation for request and context together.
    Alone(R),
    /// One of several subscribers of the same event.
    Shared(Arc<R>),
}

impl<R> Call<R> {
    /// A call of this request.
    pub fn new(request: R, context: Context) -> Self {
        Self::of(HeldRequest::Alone(request), context)
    }

    pub(crate) fn shared(request: Arc<R>, context: Context) -> Self {
        Self::of(HeldRequest::Shared(request), context)
    }

    fn of(request: HeldRequest<R>, context: Context) -> Self {
        Self(Arc::new(Inner { request, context }))
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &R {
        match &self.0.request {
            HeldRequest::Alone(request) => request,
            HeldRequest::Shared(request) => request,
        }
    }

    /// Which request this is: by its own id, or by that of the message that brought it.
    #[must_use]
    pub fn id(&self) -> Option<&MessageId>
    where
        R: Request,
    {
        self.request().id().or(self.context().message_id())
    }

    /// The context of this handling of it.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.0.context
    }
}

impl<R> Clone for Call<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &std::any::type_name::<R>())
            .field("context", self.context())
            .finish()
    }
}
