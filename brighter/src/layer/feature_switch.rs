//! `#[feature_switch]`: calls what is inside only while a switch is on.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context as Task, Poll};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

use crate::handler::Call;
use brighter_core::error::{DontAck, HandlerError};
use brighter_core::request::Request;

/// A source of feature switches, such as [`FeatureSwitchMap`]. Every call asks it anew, so it must answer from
/// memory.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked for feature switches",
    label = "no `FeatureSwitches`",
    note = "write `impl FeatureSwitches for {Self} {{ fn is_on(&self, name: &str) -> Option<bool> {{ … }} }}`, or give a `FeatureSwitchMap`"
)]
pub trait FeatureSwitches: Send + Sync + 'static {
    /// Whether the switch of this name is on; `None` if there is none, which counts as on, with a warning once
    /// for each handler.
    fn is_on(&self, name: &str) -> Option<bool>;
}

#[diagnostic::do_not_recommend]
impl<T: FeatureSwitches + ?Sized> FeatureSwitches for Arc<T> {
    fn is_on(&self, name: &str) -> Option<bool> {
        T::is_on(self, name)
    }
}

/// Switches that the program sets. Clones are the same switches.
///
/// ```
/// use brighter::layer::{FeatureSwitchMap, FeatureSwitches};
///
/// let switches = FeatureSwitchMap::new();
/// let same = switches.clone();
/// switches.set("new_prices", false);
/// assert_eq!(same.is_on("new_prices"), Some(false));
/// assert_eq!(same.is_on("old_prices"), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct FeatureSwitchMap(Arc<RwLock<HashMap<String, bool>>>);

impl FeatureSwitchMap {
    /// Without any switch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns a switch on or off, from the next call on.
    pub fn set(&self, name: impl Into<String>, on: bool) {
        let mut switches = self.0.write().unwrap_or_else(PoisonError::into_inner);
        switches.insert(name.into(), on);
    }
}

impl FeatureSwitches for FeatureSwitchMap {
    fn is_on(&self, name: &str) -> Option<bool> {
        let switches = self.0.read().unwrap_or_else(PoisonError::into_inner);
        switches.get(name).copied()
    }
}

/// A reply that a request gets when its feature is off.
#[diagnostic::on_unimplemented(
    message = "`#[feature_switch(…)]` has no reply to give while it is off: `{Self}` has no default",
    label = "its reply is `{Self}`, which has no `Default`",
    note = "write `#[derive(Default)]` above `{Self}`, or `off = dont_ack` in the attribute"
)]
pub trait DefaultReply {
    /// The reply.
    fn default_reply() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> DefaultReply for T {
    fn default_reply() -> Self {
        T::default()
    }
}

/// The layer of `#[feature_switch]`.
pub struct FeatureSwitchLayer<R: Request> {
    name: &'static str,
    switches: Option<Arc<dyn FeatureSwitches>>,
    /// The reply while it is off; without one, `DontAck`.
    skipped: Option<fn() -> R::Reply>,
    warned: Arc<AtomicBool>,
}

impl<R: Request> FeatureSwitchLayer<R> {
    pub(crate) fn new(
        name: &'static str,
        switches: Option<Arc<dyn FeatureSwitches>>,
        skipped: Option<fn() -> R::Reply>,
    ) -> Self {
        Self {
            name,
            switches,
            skipped,
            warned: Arc::default(),
        }
    }

    fn is_on(&self) -> bool {
        let known = self
            .switches
            .as_ref()
            .and_then(|switches| switches.is_on(self.name));
        if known.is_none() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(switch = self.name, "unknown feature switch; taken to be on");
        }
        known.unwrap_or(true)
    }

    fn off(&self) -> Result<R::Reply, HandlerError> {
        match self.skipped {
            Some(reply) => Ok(reply()),
            None => {
                let reason = format!("the feature switch `{}` is off", self.name);
                Err(HandlerError::Action(DontAck::because(reason)))
            }
        }
    }
}

impl<R: Request> Clone for FeatureSwitchLayer<R> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            switches: self.switches.clone(),
            skipped: self.skipped,
            warned: Arc::clone(&self.warned),
        }
    }
}

impl<R: Request> fmt::Debug for FeatureSwitchLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureSwitchLayer")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<S, R: Request> Layer<S> for FeatureSwitchLayer<R> {
    type Service = FeatureSwitchService<S, R>;

    fn layer(&self, inner: S) -> FeatureSwitchService<S, R> {
        FeatureSwitchService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service of [`FeatureSwitchLayer`].
#[derive(Debug)]
pub struct FeatureSwitchService<S, R: Request> {
    inner: S,
    layer: FeatureSwitchLayer<R>,
}

impl<S: Clone, R: Request> Clone for FeatureSwitchService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, R> Service<Call<R>> for FeatureSwitchService<S, R>
where
    R: Request,
    S: Service<Call<R>, Response = R::Reply, Error = HandlerError> + Clone,
{
    type Response = R::Reply;
    type Error = HandlerError;
    type Future = FeatureSwitchFuture<Oneshot<S, Call<R>>, R::Reply>;

    /// Always: what is off does not wait for what is inside.
    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<R>) -> Self::Future {
        let state = if self.layer.is_on() {
            State::On {
                inner: self.inner.clone().oneshot(call),
            }
        } else {
            State::Off {
                result: Some(self.layer.off()),
            }
        };
        FeatureSwitchFuture { state }
    }
}

pin_project! {
    /// The future of [`FeatureSwitchService`].
    pub struct FeatureSwitchFuture<F, T> {
        #[pin]
        state: State<F, T>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, T> {
        On { #[pin] inner: F },
        Off { result: Option<Result<T, HandlerError>> },
    }
}

impl<F, T> Future for FeatureSwitchFuture<F, T>
where
    F: Future<Output = Result<T, HandlerError>>,
{
    type Output = Result<T, HandlerError>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::On { inner } => inner.poll(task),
            StateProj::Off { result } => Poll::Ready(result.take().unwrap_or(Err(HandlerError::Cancelled))),
        }
    }
}

impl<F, T> fmt::Debug for FeatureSwitchFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureSwitchFuture").finish_non_exhaustive()
    }
}
