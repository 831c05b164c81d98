//! The [`Context`] of one handling of one request.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::id::MessageId;
use crate::trace::{Op, TraceContext};

/// Tells a handler about the request besides the request itself. It knows the message and the attempt, whether the
/// process is ending, and the values that the layers and the pump have put in its bag.
///
/// Every subscriber of an event has a context of its own.
///
/// ```
/// use brighter::Context;
///
/// struct Tenant(&'static str);
///
/// let cx = Context::new();
/// cx.insert(Tenant("north"));
/// assert_eq!(cx.get::<Tenant>().unwrap().0, "north");
/// assert_eq!(cx.attempt(), 1);
/// ```
#[derive(Default)]
pub struct Context {
    message_id: Option<MessageId>,
    correlation_id: Option<MessageId>,
    trace: TraceContext,
    handled_count: u32,
    cancellation: Option<Arc<CancellationToken>>,
    /// The processor that handles the request. Only the crate `brighter` knows its type.
    processor: Option<Arc<dyn Any + Send + Sync>>,
    /// The message whose handling made the request, if it was made in this process.
    cause: Option<MessageId>,
    /// The source of the request, which makes one more value for the bag when the value is first requested.
    brought: Option<Arc<dyn Brought>>,
    /// Set by each attempt to handle the request.
    #[cfg(feature = "otel")]
    handling: Mutex<Option<tracing::Span>>,
    /// The bag holds few values: a scan is faster than a map, and an empty `Vec` does not allocate.
    bag: Mutex<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>,
}

/// The source of a request, with a value for the bag that is made only when it is first requested.
pub trait Brought: Send + Sync {
    /// Returns the type of the value.
    fn key(&self) -> TypeId;

    /// Returns the value for a message that was handled `handled_count` times before.
    fn value(&self, handled_count: u32) -> Arc<dyn Any + Send + Sync>;
}

impl Context {
    /// Returns an empty context, as for a request that was made in this process.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id of the message that is being handled.
    #[must_use]
    #[inline]
    pub fn with_message_id(mut self, id: MessageId) -> Self {
        self.message_id = Some(id);
        self
    }

    /// Sets the id of the conversation that the request belongs to.
    #[must_use]
    #[inline]
    pub fn with_correlation_id(mut self, id: MessageId) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Sets the trace that the request belongs to.
    #[must_use]
    #[inline]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = trace;
        self
    }

    /// Sets how often the message was handled before.
    #[must_use]
    #[inline]
    pub fn with_handled_count(mut self, count: u32) -> Self {
        self.handled_count = count;
        self
    }

    /// Sets the token that cancels the context.
    #[doc(hidden)]
    #[inline]
    pub fn with_cancellation(mut self, token: Arc<CancellationToken>) -> Self {
        self.cancellation = Some(token);
        self
    }

    /// Returns the token that cancels the context.
    #[doc(hidden)]
    #[inline]
    pub fn cancellation(&self) -> Option<&Arc<CancellationToken>> {
        self.cancellation.as_ref()
    }

    /// Sets the processor that handles the request.
    #[doc(hidden)]
    #[inline]
    pub fn with_processor(mut self, processor: Arc<dyn Any + Send + Sync>) -> Self {
        self.processor = Some(processor);
        self
    }

    /// Returns the processor that handles the request.
    #[doc(hidden)]
    #[inline]
    pub fn processor_slot(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.processor.as_ref()
    }

    /// Returns the message whose handling made the request, if that is not [`message_id`](Self::message_id).
    #[doc(hidden)]
    #[inline]
    pub fn cause(&self) -> Option<&MessageId> {
        self.cause.as_ref()
    }

    /// Sets the source of the request.
    #[doc(hidden)]
    #[inline]
    pub fn with_brought(mut self, brought: Arc<dyn Brought>) -> Self {
        self.brought = Some(brought);
        self
    }

    /// Returns the id of the message that is being handled. It is `None` if the request was made in this process,
    /// outside of the handling of a message.
    #[must_use]
    #[inline]
    pub fn message_id(&self) -> Option<&MessageId> {
        self.message_id.as_ref()
    }

    /// Returns the id of the conversation that the request belongs to.
    #[must_use]
    #[inline]
    pub fn correlation_id(&self) -> Option<&MessageId> {
        self.correlation_id.as_ref()
    }

    /// Returns the trace of the message that brought the request, as the sender set it. A request that is posted with
    /// this context continues that trace unchanged: the parent span is still the sender's.
    #[must_use]
    #[inline]
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// Returns the span in which the request is handled. A handler runs in this span already, but a task that it spawns
    /// does not: instrument the task with this span, and the task appears below the handler. Without the feature
    /// `otel`, and outside of a handler, this is the current span.
    ///
    /// ```
    /// use brighter::Context;
    /// use tracing::Instrument;
    ///
    /// # async fn count_words() {}
    /// # async fn example(cx: &Context) {
    /// tokio::spawn(count_words().instrument(cx.span()));
    /// # }
    /// ```
    #[must_use]
    #[inline]
    pub fn span(&self) -> tracing::Span {
        #[cfg(feature = "otel")]
        if let Some(span) = self.handling() {
            return span;
        }
        tracing::Span::current()
    }

    #[cfg(feature = "otel")]
    fn handling(&self) -> Option<tracing::Span> {
        self.handling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Records the operation as the one within which the request is handled from now on.
    #[doc(hidden)]
    #[inline]
    pub fn handled_within(&self, op: &Op) {
        #[cfg(feature = "otel")]
        if !op.span().is_disabled() {
            *self.handling.lock().unwrap_or_else(PoisonError::into_inner) = Some(op.span().clone());
        }
        #[cfg(not(feature = "otel"))]
        let _ = op;
    }

    /// Returns the operation, moved below the handling of this request.
    #[doc(hidden)]
    pub fn puts_in_place(&self, op: Op) -> Op {
        #[cfg(feature = "otel")]
        let op = op.within(self.handling(), &self.trace);
        op
    }

    /// Returns which delivery of the message this is, counted from 1. Retries by a policy do not count.
    #[must_use]
    #[inline]
    pub fn attempt(&self) -> u32 {
        self.handled_count.saturating_add(1)
    }

    /// Returns whether the process is ending. A long handler checks this, and returns an error so that the message is
    /// handled again.
    #[must_use]
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation
            .as_ref()
            .is_some_and(|token| token.is_cancelled())
    }

    /// Waits until the process is ending; never returns if nothing can end the process.
    pub async fn cancelled(&self) {
        match &self.cancellation {
            Some(token) => token.cancelled().await,
            None => pending().await,
        }
    }

    /// Puts a value in the bag by its type, and replaces an earlier value of that type.
    #[inline]
    pub fn insert<T: Any + Send + Sync>(&self, value: T) {
        self.insert_arc(Arc::new(value));
    }

    #[doc(hidden)]
    #[inline]
    pub fn insert_arc<T: Any + Send + Sync>(&self, value: Arc<T>) {
        let mut bag = self.bag.lock().unwrap_or_else(PoisonError::into_inner);
        match bag.iter_mut().find(|(key, _)| *key == TypeId::of::<T>()) {
            Some((_, slot)) => *slot = value,
            None => bag.push((TypeId::of::<T>(), value)),
        }
    }

    /// Returns the value of this type in the bag. On a consumer, the header of the message is in the bag:
    /// `cx.get::<MessageHeader>()`.
    #[must_use]
    #[inline]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let mut bag = self.bag.lock().unwrap_or_else(PoisonError::into_inner);
        let key = TypeId::of::<T>();
        let value = match bag.iter().find(|(other, _)| *other == key) {
            Some((_, value)) => Arc::clone(value),
            None => {
                let brought = self.brought.as_ref().filter(|brought| brought.key() == key)?;
                let value = brought.value(self.handled_count);
                bag.push((key, Arc::clone(&value)));
                value
            }
        };
        value.downcast().ok()
    }

    /// Returns a context for another subscriber of the same event: the same facts, and a bag of its own that begins
    /// with the same values.
    #[doc(hidden)]
    pub fn fork(&self) -> Self {
        Self {
            message_id: self.message_id.clone(),
            correlation_id: self.correlation_id.clone(),
            trace: self.trace.clone(),
            handled_count: self.handled_count,
            cancellation: self.cancellation.clone(),
            processor: self.processor.clone(),
            cause: self.cause.clone(),
            brought: self.brought.clone(),
            #[cfg(feature = "otel")]
            handling: Mutex::new(self.handling()),
            bag: Mutex::new(self.bag.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Returns a context for a request that is made while this one is handled. It has the same facts and values,
    /// without the values of the given types, which belong to this request alone.
    #[doc(hidden)]
    #[inline]
    pub fn child(&self, cause: Option<MessageId>, without: &[TypeId]) -> Self {
        let mut child = self.fork();
        let bag = child.bag.get_mut().unwrap_or_else(PoisonError::into_inner);
        bag.retain(|(key, _)| !without.contains(key));
        child.cause = cause;
        child
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("message_id", &self.message_id)
            .field("correlation_id", &self.correlation_id)
            .field("attempt", &self.attempt())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_has_a_bag_of_its_own() {
        let cx = Context::new().with_handled_count(2);
        cx.insert(1_u8);
        let fork = cx.fork();
        fork.insert(2_u8);
        assert_eq!((*cx.get::<u8>().unwrap(), *fork.get::<u8>().unwrap()), (1, 2));
        assert_eq!(fork.attempt(), 3);
        assert!(cx.get::<u16>().is_none());
    }

    #[test]
    fn a_child_context_drops_values_of_its_parent_alone() {
        let cx = Context::new().with_message_id("outer".into());
        cx.insert(1_u8);
        cx.insert(2_u16);
        let child = cx.child(Some("outer".into()), &[TypeId::of::<u16>()]);
        assert_eq!(
            (child.get::<u8>().as_deref(), child.get::<u16>()),
            (Some(&1), None)
        );
        assert_eq!(child.cause(), cx.message_id());
        assert_eq!(*cx.get::<u16>().unwrap(), 2);
    }

    #[test]
    fn a_brought_value_is_made_once_unless_replaced() {
        struct Letter;
        impl Brought for Letter {
            fn key(&self) -> TypeId {
                TypeId::of::<u32>()
            }

            fn value(&self, handled_count: u32) -> Arc<dyn Any + Send + Sync> {
                Arc::new(handled_count)
            }
        }
        let cx = Context::new()
            .with_handled_count(7)
            .with_brought(Arc::new(Letter));
        assert!(cx.get::<u8>().is_none());
        let first = cx.get::<u32>().unwrap();
        assert_eq!(*first, 7);
        assert!(Arc::ptr_eq(&first, &cx.get().unwrap()));
        cx.insert(8_u32);
        assert_eq!(
            (*cx.get::<u32>().unwrap(), *cx.fork().get::<u32>().unwrap()),
            (8, 8)
        );
    }
}
