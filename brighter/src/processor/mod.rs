//! The [`CommandProcessor`]: sends, publishes and posts requests.

mod archiver;
mod background;
mod build_error;
mod builder;
mod call;
mod circuits;
#[cfg(feature = "config")]
mod configure;
mod context;
mod deposit;
mod error;
mod health;
mod health_monitor;
mod join_indexed;
mod message;
mod options;
mod outbox;
mod post;
mod registered_handler;
mod registry;
mod relay;
mod route_by;
mod sweep_stats;
mod sweep_task;
mod sweeper;
mod type_map;
mod unique;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use archiver::Archiver;
pub use build_error::{BuildError, BuildErrors};
pub use builder::CommandProcessorBuilder;
pub use call::{CallError, CallStats};
pub(crate) use call::{Reply, answer, is_waited_for};
pub use context::ContextExt;
pub use deposit::{DepositPost, DepositPosts};
pub use error::{NoProcessor, NotSent, PostError, PublishErrors, SendError, SubscriberFailure};
pub use health::{FullChannel, Health, HealthOptions, Held, OutboxStats, Unhealthy};
pub use outbox::{Cancel, ProcessorOutbox, Reschedule, Rescheduled, Within};
pub use post::{Cleared, Post};
pub use registry::PipelineDescription;
pub use route_by::{HandlerChoice, NoSuchHandler};
pub use sweeper::Sweeper;
pub use unique::{Posted, UniqueDepositPost, UniquePost};

use self::background::BackgroundTask;
use self::call::Calls;
use self::health_monitor::HealthMonitor;
use self::join_indexed::join_indexed;
use self::registry::Registry;
use self::relay::Relay;
use crate::handler::Call;
use crate::pipeline::BatchLimits;
use crate::publication::PublicationSettings;
use crate::telemetry::spans;
use brighter_core::channel::Broker;
use brighter_core::context::Context;
use brighter_core::request::{Command, Event, Request};

/// Sends commands and publishes events in this process; posts both to others, through an outbox and a broker.
///
/// Clones are the same processor. When the last one is dropped, or [`close`](Self::close) is called, its
/// sweeper ends.
///
/// ```
/// use brighter::prelude::*;
/// use brighter::CommandProcessor;
///
/// #[derive(Debug, Command)]
/// struct Greet { name: String }
///
/// struct GreetHandler;
///
/// #[handler]
/// impl Handler<Greet> for GreetHandler {
///     async fn handle(&self, greet: &Greet) -> Result<(), BoxError> {
///         println!("Hello, {}", greet.name);
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let processor = CommandProcessor::builder().handler(GreetHandler).build()?;
/// processor.send(Greet { name: "Ian".into() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CommandProcessor(Arc<Inner>);

struct Inner {
    registry: Registry,
    /// Publications that differ from the request's own, by request.
    publications: HashMap<TypeId, PublicationSettings>,
    broker: Option<Arc<dyn Broker>>,
    relay: Option<Arc<Relay>>,
    calls: Option<Calls>,
    has_inbox: bool,
    health: HealthMonitor,
    /// The sweeper and the archiver, where there are.
    background: Vec<BackgroundTask>,
    /// How many bytes of a body are shown in spans.
    span_body_limit: usize,
    /// For how long the inbox remembers.
    inbox_retention: Option<std::time::Duration>,
    /// Cancelled when this processor ends.
    ended: Arc<CancellationToken>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl CommandProcessor {
    /// Handles a command in this process, by the one handler it has, and gives its reply.
    ///
    /// # Errors
    /// There is no handler for `C`, or the handler failed: its own error is in the
    /// [`HandlerError`](crate::HandlerError). A panic in the handler is an error too.
    pub async fn send<C: Command>(&self, command: C) -> Result<C::Reply, SendError> {
        self.send_in(command, self.context()).await
    }

    pub(super) async fn send_in<C: Command>(&self, command: C, cx: Context) -> Result<C::Reply, SendError> {
        let pipelines = self.0.registry.pipelines::<C>();
        let registered = match self.0.registry.route_by::<C>() {
            Some(route) => {
                let chosen = route_by::choose(route, pipelines, &command, &cx);
                Some(chosen.map_err(|(_, error)| SendError::Handler(error))?)
            }
            // That there are not two is seen to by `build()`.
            None => pipelines.first(),
        };
        let Some(registered) = registered else {
            return Err(SendError::NoHandler {
                command: std::any::type_name::<C>(),
            });
        };
        let op = spans::call("send", std::any::type_name::<C>(), &cx);
        let sent = op.run(registered.pipeline.call(Call::new(command, cx))).await;
        Ok(sent.inspect_err(|error| op.failed(error.kind()))?)
    }

    /// Handles an event in this process, by every handler it has, at the same time. Having none is no error.
    ///
    /// # Errors
    /// Every handler that failed, each with its error; the others were not disturbed.
    pub async fn publish<E: Event>(&self, event: E) -> Result<(), PublishErrors> {
        self.publish_in(event, self.context()).await
    }

    pub(super) async fn publish_in<E: Event>(&self, event: E, cx: Context) -> Result<(), PublishErrors> {
        let op = spans::call("publish", std::any::type_name::<E>(), &cx);
        let published = op.run(self.dispatch(event, cx, &mut Vec::new())).await;
        published.map(drop).inspect_err(|errors| op.failed(errors.kind()))
    }

    /// Brings a request to every handler it has, be that one or many. Those that succeed are noted in `done`, by
    /// the order of registration, and those that are there already are not asked again. Gives the reply of a single
    /// handler.
    pub(crate) async fn dispatch<R: Request>(
        &self,
        request: R,
        cx: Context,
        done: &mut Vec<usize>,
    ) -> Result<Option<R::Reply>, PublishErrors> {
        let mut reply = None;
        let mut pipelines = self.0.registry.pipelines::<R>();
        if let Some(route) = self.0.registry.route_by::<R>() {
            match route_by::choose(route, pipelines, &request, &cx) {
                Ok(chosen) => pipelines = std::slice::from_ref(chosen),
                Err((handler, error)) => {
                    let failures = vec![SubscriberFailure { handler, error }];
                    return Err(PublishErrors { failures });
                }
            }
        }
        let failures = match pipelines {
            [] => Vec::new(),
            // The usual case, and every command's: nothing to share and nothing to gather.
            [only] => match only.pipeline.call(Call::new(request, cx)).await {
                Ok(given) => {
                    reply = Some(given);
                    Vec::new()
                }
                Err(error) => vec![SubscriberFailure {
                    handler: only.handler,
                    error,
                }],
            },
            several => {
                let request = Arc::new(request);
                let calls = several
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| !done.contains(index))
                    .map(|(index, subscriber)| {
                        let call = Call::shared(Arc::clone(&request), cx.fork());
                        (index, subscriber.pipeline.call(call))
                    });
                let ended = join_indexed(calls).await;
                let mut failures = Vec::new();
                for (index, result) in ended {
                    match result {
                        Ok(_) => done.push(index),
                        Err(error) => failures.push(SubscriberFailure {
                            handler: several[index].handler,
                            error,
                        }),
                    }
                }
                failures
            }
        };
        if failures.is_empty() {
            Ok(reply)
        } else {
            Err(PublishErrors { failures })
        }
    }

    /// Every pipeline, step by step, in the order of registration: as text by `Display`, as JSON by serde.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # #[derive(Command)] struct Greet;
    /// # struct GreetHandler;
    /// #[handler]
    /// impl Handler<Greet> for GreetHandler {
    ///     #[timeout("5s", step = 1)]
    ///     async fn handle(&self, _: &Greet) -> Result<(), std::io::Error> { Ok(()) }
    /// }
    ///
    /// # fn main() -> Result<(), BoxError> {
    /// let processor = CommandProcessor::builder().handler(GreetHandler).build()?;
    /// let pipelines: Vec<_> = processor.describe().collect();
    /// let json = serde_json::to_value(&pipelines)?;
    /// assert_eq!(json[0]["steps"][0]["attribute"], "timeout");
    /// assert_eq!(json[0]["steps"][0]["number"], 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn describe(&self) -> impl Iterator<Item = &PipelineDescription> {
        self.0.registry.descriptions()
    }

    /// Returns whether this processor can do its work: its broker is connected, and its outbox answers and empties.
    ///
    /// Call it as often as you like: the outbox is asked every few seconds at most, by one caller at a time, and with a
    /// deadline. [`HealthOptions`] has these settings.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), brighter::BoxError> {
    /// use brighter::{CommandProcessor, InMemoryBroker, InMemoryOutbox};
    ///
    /// let processor = CommandProcessor::builder()
    ///     .broker(InMemoryBroker::new())
    ///     .outbox(InMemoryOutbox::new())
    ///     .build()?;
    /// let health = processor.health().await;
    /// assert!(health.is_ready(), "{health}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn health(&self) -> Health {
        let Inner {
            health,
            broker,
            relay,
            background,
            ..
        } = &*self.0;
        health
            .check(broker.as_deref(), relay.as_deref(), background)
            .await
    }

    /// Ends the sweeper and closes the broker, once what is under way has been confirmed and noted. Later posts are kept
    /// in the outbox and not sent. Calls that wait for their replies end with [`CallError::Closed`].
    pub async fn close(&self) {
        self.0.ended.cancel();
        if let Some(calls) = &self.0.calls {
            calls.close().await;
        }
        if let Some(relay) = &self.0.relay {
            relay.idle().await;
        }
        if let Some(broker) = &self.0.broker {
            broker.close().await;
        }
    }

    /// Returns a context of this processor, as a handler is given for a request that was made in this process. It is
    /// for tests, and for requests that share values in the context: see [`ContextExt`].
    ///
    /// ```
    /// use brighter::prelude::*;
    ///
    /// struct Tenant(&'static str);
    ///
    /// #[derive(Command)]
    /// #[command(reply = &'static str)]
    /// struct WhoAmI;
    ///
    /// struct Knows;
    ///
    /// #[handler]
    /// impl Handler<WhoAmI> for Knows {
    ///     async fn handle(&self, _: &WhoAmI, cx: &Context) -> Result<&'static str, BoxError> {
    ///         Ok(cx.get::<Tenant>().map_or("nobody", |tenant| tenant.0))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let processor = CommandProcessor::builder().handler(Knows).build()?;
    /// let cx = processor.context();
    /// cx.insert(Tenant("north"));
    /// assert_eq!(cx.send(WhoAmI).await?, "north");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn context(&self) -> Context {
        self.own(Context::new().with_cancellation(Arc::clone(&self.0.ended)))
    }

    /// Returns the same context, as one of this processor.
    pub(crate) fn own(&self, cx: Context) -> Context {
        cx.with_processor(Arc::<Inner>::clone(&self.0))
    }

    pub(crate) fn broker(&self) -> Option<&Arc<dyn Broker>> {
        self.0.broker.as_ref()
    }

    /// Whether a step of a handler may ask what came before.
    pub(crate) fn has_inbox(&self) -> bool {
        self.0.has_inbox
    }

    /// The outbox beside which schedules are kept.
    #[cfg(feature = "schedule")]
    pub(crate) fn outbox_for_schedules(&self) -> Option<&dyn brighter_core::outbox::Outbox> {
        self.0.relay.as_ref().map(|relay| &**relay.outbox())
    }

    /// Returns the publication of a request.
    #[cfg(feature = "schedule")]
    pub(crate) fn publication_for_schedules(&self, request: TypeId) -> Option<PublicationSettings> {
        self.0.publications.get(&request).cloned()
    }

    /// Makes the sweeper look at the schedules, for one of them was changed.
    #[cfg(feature = "schedule")]
    pub(crate) fn schedules_changed(&self) {
        if let Some(relay) = &self.0.relay
            && let Some(scheduler) = &relay.scheduler
        {
            scheduler.note_change();
            relay.bell.ring(brighter_core::outbox::Arrival::Here);
        }
    }

    /// How many bytes of a body are shown in spans.
    pub(crate) fn span_body_limit(&self) -> usize {
        self.0.span_body_limit
    }

    /// For how long it is remembered that a handler of this request has handled it, if one of them asks the inbox.
    pub(crate) fn remembers(&self, request: &str) -> Option<std::time::Duration> {
        let asks = |pipeline: &PipelineDescription| {
            let mut steps = pipeline.steps.iter();
            // A transaction that only reads records nothing.
            steps.any(|step| match step.attribute {
                "use_inbox" => true,
                "transactional" => !step.detail.starts_with("read only"),
                _ => false,
            })
        };
        let mut pipelines = self.describe().filter(|pipeline| pipeline.request == request);
        self.0.inbox_retention.filter(|_| pipelines.any(asks))
    }

    /// The handlers of this request that handle several messages in one call, with how.
    pub(crate) fn batches_of(&self, request: &str) -> impl Iterator<Item = (&'static str, BatchLimits)> {
        let pipelines = self
            .describe()
            .filter(move |pipeline| pipeline.request == request);
        pipelines.filter_map(|pipeline| Some((pipeline.handler, pipeline.batch?)))
    }

    /// The types of the handlers that a request has, whether it is a command or not.
    pub(crate) fn handlers_of<R: Request>(&self) -> impl Iterator<Item = &'static str> {
        let pipelines = self.0.registry.pipelines::<R>();
        pipelines.iter().map(|registered| registered.handler)
    }
}

impl fmt::Debug for CommandProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandProcessor")
            .field("pipelines", &self.0.registry.descriptions().count())
            .field("broker", &self.0.broker.as_ref().map(|broker| broker.system()))
            .finish_non_exhaustive()
    }
}
