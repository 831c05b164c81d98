//! An [`Observer`] is told of every call of every handler, for tests that assert them.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::erased::{DynPipeline, Pipeline};
use crate::handler::Call;
use brighter_core::error::HandlerError;
use brighter_core::id::MessageId;
use brighter_core::request::Request;

/// Is told of every call of every handler, and when the outbox was told what became of messages.
pub(crate) trait Observer: Send + Sync {
    /// This handler was called with this request, and ended like that, its steps included.
    fn called(
        &self,
        handler: &'static str,
        request: &'static str,
        id: Option<&MessageId>,
        error: Option<&HandlerError>,
    );

    /// The outbox was told that messages were sent, or were not.
    fn recorded(&self);
}

/// A pipeline that tells of its calls.
struct Observed<R: Request> {
    pipeline: Pipeline<R>,
    handler: &'static str,
    observer: Arc<dyn Observer>,
}

impl<R: Request> Pipeline<R> {
    /// Returns the pipeline with an observer of its calls.
    pub(crate) fn observed(self, handler: &'static str, observer: &Arc<dyn Observer>) -> Self {
        Self(Box::new(Observed {
            pipeline: self,
            handler,
            observer: Arc::clone(observer),
        }))
    }
}

impl<R: Request> DynPipeline<R> for Observed<R> {
    fn call(&self, call: Call<R>) -> BoxFuture<'static, Result<R::Reply, HandlerError>> {
        let (handler, observer) = (self.handler, Arc::clone(&self.observer));
        let id = call.context().message_id().cloned();
        let calling = self.pipeline.call(call);
        calling
            .inspect(move |result| {
                let request = std::any::type_name::<R>();
                observer.called(handler, request, id.as_ref(), result.as_ref().err());
            })
            .boxed()
    }
}
