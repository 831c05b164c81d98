//! The layers that step attributes put around a handler, one file each. Policies are in
//! [`policy`](crate::policy).
//!
//! # A step of your own
//!
//! `#[layer(…)]` takes any [`tower::Layer`]. Its service is called with a [`Call`](crate::handler::Call), which is
//! the request and its context, and gives the reply:
//!
//! ```
//! use std::task::{Context as Task, Poll};
//! use std::time::Instant;
//!
//! use brighter::handler::Call;
//! use brighter::prelude::*;
//! use tower::{Layer, Service};
//!
//! /// When the request came in, for the handler and the layers inside to see.
//! struct Since(Instant);
//!
//! /// What stands in the attribute.
//! fn since() -> SinceLayer {
//!     SinceLayer
//! }
//!
//! #[derive(Clone)]
//! struct SinceLayer;
//!
//! impl<S> Layer<S> for SinceLayer {
//!     type Service = SinceService<S>;
//!
//!     fn layer(&self, inner: S) -> SinceService<S> {
//!         SinceService { inner }
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct SinceService<S> { inner: S }
//!
//! impl<S: Service<Call<R>>, R> Service<Call<R>> for SinceService<S> {
//!     type Response = S::Response;
//!     type Error = S::Error;
//!     type Future = S::Future;
//!
//!     fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
//!         self.inner.poll_ready(task)
//!     }
//!
//!     fn call(&mut self, call: Call<R>) -> S::Future {
//!         call.context().insert(Since(Instant::now()));
//!         self.inner.call(call)
//!     }
//! }
//!
//! #[derive(Command)]
//! struct Greet;
//!
//! struct GreetHandler;
//!
//! #[handler]
//! impl Handler<Greet> for GreetHandler {
//!     #[layer(since(), step = 1)]
//!     #[use_policy(retry, step = 2)]
//!     async fn handle(&self, _: &Greet, cx: &Context) -> Result<(), BoxError> {
//!         let since = cx.get::<Since>().ok_or("no `since` around")?;
//!         println!("Hello, after {:?}", since.0.elapsed());
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let processor = CommandProcessor::builder().handler(GreetHandler).build()?;
//! processor.send(Greet).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Its service may fail with an error of its own: that is [`HandlerError::Failed`](crate::HandlerError::Failed) to
//! the layers around it. What it passes on from inside, boxed or not, they see as it was.

mod backstop;
mod fallback;
mod feature_switch;
mod foreign;
mod monitor;
mod request_logging;
mod transactional;
mod use_inbox;
mod validate;

pub use crate::duplicate::DuplicateReply;
pub use backstop::{BackstopFuture, BackstopLayer, BackstopService};
pub use fallback::{FallbackFuture, FallbackLayer, FallbackMethod, FallbackOn, FallbackService};
pub use feature_switch::{
    DefaultReply, FeatureSwitchFuture, FeatureSwitchLayer, FeatureSwitchMap, FeatureSwitchService,
    FeatureSwitches,
};
pub use foreign::{ForeignFuture, ForeignLayer, ForeignService};
pub use monitor::{MonitorEvent, MonitorEventKind, MonitorFuture, MonitorLayer, MonitorService, MonitorSink};
pub use request_logging::{RequestLoggingLayer, RequestLoggingService};
pub use transactional::{TransactionalLayer, TransactionalService};
pub(crate) use transactional::{UnitOfWork, is_conflict};
pub(crate) use use_inbox::{ClaimedElsewhere, HandlingLimit};
pub use use_inbox::{UseInboxLayer, UseInboxService};
pub use validate::{ValidateFuture, ValidateLayer, ValidateService};
