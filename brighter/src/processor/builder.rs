//! Puts a [`CommandProcessor`] together, and finds everything that is wrong with it.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::call::{self, Calls};
#[cfg(feature = "config")]
use super::configure::Configured;
use super::health_monitor::HealthMonitor;
use super::registered_handler::RegisteredHandler;
use super::registry::Registry;
use super::relay::Relay;
use super::{
    Archiver, BuildError, BuildErrors, CommandProcessor, HandlerChoice, HealthOptions, Inner, Sweeper,
    sweep_task,
};
use crate::duplicate::SendUnsent;
use crate::layer::{FeatureSwitches, MonitorSink};
use crate::pipeline::{HandlerPipeline, Provided, Wiring};
use crate::policy::PolicyRegistry;
use crate::publication::{Publication, PublicationSettings};
use crate::telemetry::traced;
use brighter_core::channel::Broker;
use brighter_core::context::Context;
use brighter_core::inbox::Inbox;
use brighter_core::mapper::Postable;
use brighter_core::outbox::Outbox;
use brighter_core::request::{Request, RequestKind};

/// Puts a [`CommandProcessor`] together. The order of the calls does not matter, but that handlers of an event
/// are described in the order in which they were added.
#[must_use = "nothing is made until `build` is called"]
#[derive(Default)]
pub struct CommandProcessorBuilder {
    handlers: Vec<AddHandler>,
    routes: Vec<AddAgreement>,
    publications: Vec<(TypeId, &'static str, PublicationSettings)>,
    provided: Provided,
    policies: Option<PolicyRegistry>,
    broker: Option<Arc<dyn Broker>>,
    outbox: Option<Arc<dyn Outbox>>,
    sweeper: Option<Sweeper>,
    without_sweeper: bool,
    health: Option<HealthOptions>,
    #[cfg(feature = "config")]
    config: Option<brighter_config::Config>,
    archiver: Option<Archiver>,
    #[cfg(feature = "schedule")]
    recurring: crate::schedule::RecurringWork,
    without_archiver: bool,
    span_body_limit: Option<usize>,
    max_pending_calls: Option<usize>,
    /// The mistakes in the calls themselves.
    errors: Vec<BuildError>,
}

/// A handler that waits for what its steps need to be known.
type AddHandler = Box<dyn FnOnce(&Provided, &mut Registry, &mut Vec<BuildError>) + Send>;

/// The routing function of a request, with the type of the request.
type AddAgreement = (
    &'static str,
    Box<dyn FnOnce(&mut Registry, &mut Vec<BuildError>) + Send>,
);

impl CommandProcessor {
    /// Begins to describe a processor.
    pub fn builder() -> CommandProcessorBuilder {
        CommandProcessorBuilder::default()
    }
}

impl CommandProcessorBuilder {
    /// Adds a handler, with the layers that its attributes say.
    ///
    /// A type that handles several requests is added once for each, and each time says for which:
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # #[derive(Command)] struct Order;
    /// # #[derive(Command)] struct Refund;
    /// struct Till;
    ///
    /// #[handler]
    /// impl Handler<Order> for Till {
    ///     async fn handle(&self, _: &Order) -> Result<(), std::io::Error> { Ok(()) }
    /// }
    ///
    /// #[handler]
    /// impl Handler<Refund> for Till {
    ///     async fn handle(&self, _: &Refund) -> Result<(), std::io::Error> { Ok(()) }
    /// }
    ///
    /// # fn main() -> Result<(), BoxError> {
    /// let processor = CommandProcessor::builder()
    ///     .handler::<Order>(Till)
    ///     .handler::<Refund>(Till)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Share its state by an `Arc`: an `Arc` of a handler is a handler.
    // The compiler shows these lines when it cannot tell which request is meant.
    pub fn handler<
        R: Request, // a handler of several requests is added once for each: `.handler::<Order>(…)`
    >(
        self,
        handler: impl HandlerPipeline<R>, // one of several requests says for which: `.handler::<Order>(…)`
    ) -> Self {
        self.add(handler)
    }

    fn add<R: Request, H: HandlerPipeline<R>>(mut self, handler: H) -> Self {
        self.handlers.push(Box::new(move |provided, registry, errors| {
            let name = std::any::type_name::<H>();
            let mut wiring = Wiring::new(name, provided);
            let pipeline = H::pipeline(Arc::new(handler), &mut wiring);
            let (steps, batch, wrong) = wiring.finish();
            errors.extend(wrong.into_iter().map(BuildError::from));
            #[cfg(feature = "testing")]
            let pipeline = match &provided.observer {
                Some(observer) => pipeline.observed(name, observer),
                None => pipeline,
            };
            registry.add(
                RegisteredHandler {
                    id: TypeId::of::<H>(),
                    handler: name,
                    pipeline,
                },
                steps,
                batch,
            );
        }));
        self
    }

    /// Chooses one handler for each request of type `R`, by the contents of the request or its context:
    /// by region, by date, by tenant. Without a routing function a command has one handler, and an event goes to all.
    ///
    /// A choice that is no handler of `R` is an error of that request, and so is a panic.
    ///
    /// ```
    /// use brighter::prelude::*;
    /// use brighter::processor::HandlerChoice;
    ///
    /// #[derive(Debug, Command)]
    /// #[command(reply = &'static str)]
    /// struct Ship { weight: u32 }
    ///
    /// struct Letter;
    /// struct Parcel;
    ///
    /// #[handler]
    /// impl Handler<Ship> for Letter {
    ///     async fn handle(&self, _: &Ship) -> Result<&'static str, BoxError> { Ok("letter") }
    /// }
    ///
    /// #[handler]
    /// impl Handler<Ship> for Parcel {
    ///     async fn handle(&self, _: &Ship) -> Result<&'static str, BoxError> { Ok("parcel") }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let processor = CommandProcessor::builder()
    ///     .handler(Letter)
    ///     .handler(Parcel)
    ///     .route_by(|ship: &Ship, _cx| match ship.weight {
    ///         0..1000 => HandlerChoice::of::<Letter>(),
    ///         _ => HandlerChoice::of::<Parcel>(),
    ///     })
    ///     .build()?;
    /// assert_eq!(processor.send(Ship { weight: 20 }).await?, "letter");
    /// assert_eq!(processor.send(Ship { weight: 2000 }).await?, "parcel");
    /// # Ok(())
    /// # }
    /// ```
    pub fn route_by<R: Request>(
        mut self,
        choose: impl Fn(&R, &Context) -> HandlerChoice + Send + Sync + 'static,
    ) -> Self {
        let request = std::any::type_name::<R>();
        let add = move |registry: &mut Registry, errors: &mut Vec<BuildError>| {
            if registry.pipelines::<R>().is_empty() {
                errors.push(BuildError::RouteWithoutHandlers { request });
            }
            if registry.set_route::<R>(Box::new(choose)) {
                errors.push(BuildError::DuplicateRoute { request });
            }
        };
        self.routes.push((request, Box::new(add)));
        self
    }

    /// Uses these named policies. Without this there are the two of [`PolicyRegistry::default`].
    pub fn policies(mut self, policies: PolicyRegistry) -> Self {
        BuildError::set(&mut self.policies, policies, "policies", &mut self.errors);
        self
    }

    /// Asks this, which knows whether a feature is on, for every `#[feature_switch]`.
    pub fn feature_switches(mut self, switches: impl FeatureSwitches) -> Self {
        BuildError::set(
            &mut self.provided.switches,
            Arc::new(switches),
            "feature_switches",
            &mut self.errors,
        );
        self
    }

    /// Tells this sink what every `#[monitor]` sees.
    pub fn monitor(mut self, sink: impl MonitorSink) -> Self {
        BuildError::set(
            &mut self.provided.monitor,
            Arc::new(sink),
            "monitor",
            &mut self.errors,
        );
        self
    }

    /// Tells this observer of every call of every handler.
    #[cfg(feature = "testing")]
    pub(crate) fn observed_by(mut self, observer: Arc<dyn crate::pipeline::Observer>) -> Self {
        self.provided.observer = Some(observer);
        self
    }

    /// Keeps messages in this outbox, unless the application has said another.
    #[cfg(feature = "testing")]
    pub(crate) fn outbox_unless_set(mut self, outbox: impl Outbox) -> Self {
        self.outbox.get_or_insert_with(|| Arc::new(outbox));
        self
    }

    /// Posts through this broker, and lets a dispatcher consume from it.
    pub fn broker(mut self, broker: impl Broker) -> Self {
        BuildError::set(&mut self.broker, Arc::new(broker), "broker", &mut self.errors);
        self
    }

    /// Keeps messages in this outbox until the broker has them.
    pub fn outbox(mut self, outbox: impl Outbox) -> Self {
        BuildError::set(&mut self.outbox, Arc::new(outbox), "outbox", &mut self.errors);
        self
    }

    /// Remembers in this inbox what was handled, for the handlers with `#[use_inbox]`.
    pub fn inbox(mut self, inbox: impl Inbox) -> Self {
        BuildError::set(
            &mut self.provided.inbox,
            Arc::new(inbox),
            "inbox",
            &mut self.errors,
        );
        self
    }

    /// Sets the publication of `R`, which this process posts. A request without one is posted to its own
    /// topic; with one, `build()` checks that it can be posted.
    pub fn publication<R: Postable>(mut self, publication: Publication<R>) -> Self {
        self.publications.push((
            TypeId::of::<R>(),
            std::any::type_name::<R>(),
            publication.into_settings(),
        ));
        self
    }

    /// Sweeps the outbox as this says, in place of [`Sweeper::default`].
    pub fn sweeper(mut self, sweeper: Sweeper) -> Self {
        BuildError::set(&mut self.sweeper, sweeper, "sweeper", &mut self.errors);
        self
    }

    /// Leaves the sweeping to another process. There has to be one: without it a message that is deposited, posted for
    /// later, or posted while the broker is away is not sent, and [health](CommandProcessor::health) says so once it
    /// has waited for too long.
    pub fn without_sweeper(mut self) -> Self {
        self.without_sweeper = true;
        self
    }

    /// Takes this for healthy, in place of [`HealthOptions::default`].
    pub fn health(mut self, options: HealthOptions) -> Self {
        BuildError::set(&mut self.health, options, "health", &mut self.errors);
        self
    }

    /// Takes what the configuration says of policies, of the sweeper, of the archiver and of health: it overrides what
    /// this builder was told, before or after. Where there is no outbox, what it says of the archiver is for others.
    ///
    /// ```
    /// use brighter::CommandProcessor;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = brighter::config::load()?;
    /// let processor = CommandProcessor::builder().configure(&config).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "config")]
    pub fn configure(mut self, config: &brighter_config::Config) -> Self {
        BuildError::set(&mut self.config, config.clone(), "configure", &mut self.errors);
        self
    }

    /// Shows the bodies of messages in their spans, at most this many bytes of each. Anyone who can read the traces can
    /// then read the bodies. By default, and without the feature `otel`, they are not shown.
    pub fn span_body_limit(mut self, bytes: usize) -> Self {
        BuildError::set(
            &mut self.span_body_limit,
            bytes,
            "span_body_limit",
            &mut self.errors,
        );
        self
    }

    /// Lets this many [calls](CommandProcessor::call) wait for their replies at once, in place of a thousand; one more
    /// is a [`CallError::TooMany`](super::CallError::TooMany).
    pub fn max_pending_calls(mut self, calls: usize) -> Self {
        BuildError::set(
            &mut self.max_pending_calls,
            calls,
            "max_pending_calls",
            &mut self.errors,
        );
        self
    }

    /// Takes old messages out of the outbox, as this says. Without it, a processor that sweeps its outbox deletes what was
    /// sent once it has been there for a day longer than the [inbox](Self::inbox) remembers, or for eight days where there
    /// is no inbox or it does not say.
    pub fn archiver(mut self, archiver: Archiver) -> Self {
        BuildError::set(&mut self.archiver, archiver, "archiver", &mut self.errors);
        self
    }

    /// Leaves sent messages in the outbox forever, unless another process takes them out. An
    /// [`archiver`](Self::archiver) that is given all the same takes it out.
    pub fn without_archiver(mut self) -> Self {
        self.without_archiver = true;
        self
    }

    /// Fires this schedule: its message is posted at each of its times, exactly once, by whichever process sweeps the
    /// outbox. Say the same schedules in every process of a program; one that the code does not have any more is paused.
    #[cfg(feature = "schedule")]
    pub fn recurring<R: Postable>(mut self, recurring: crate::schedule::Recurring<R>) -> Self {
        self.recurring.add(recurring);
        self
    }

    /// Fires schedules that were added [at run time](crate::schedule::ProcessorSchedules::add), by this process or another. A
    /// processor with [`recurring`](Self::recurring) work does so anyway.
    #[cfg(feature = "schedule")]
    pub fn runtime_schedules(mut self) -> Self {
        self.recurring.fire_others();
        self
    }

    /// Names the program whose schedules these are. Programs with different schedules that share an outbox need a name
    /// each: else each would take the schedules of the other for its own that are gone.
    #[cfg(feature = "schedule")]
    pub fn schedules_of(mut self, program: impl Into<String>) -> Self {
        if self.recurring.name_program(program.into()) {
            let twice = BuildError::SetTwice {
                method: "schedules_of",
            };
            self.errors.push(twice);
        }
        self
    }

    /// Makes the processor, and starts the sweeper if there is an outbox and a broker.
    ///
    /// # Errors
    /// Everything that is wrong, all at once: see [`BuildError`].
    pub fn build(mut self) -> Result<CommandProcessor, BuildErrors> {
        let mut errors = self.errors;
        self.provided.policies = self.policies.unwrap_or_default();
        #[cfg_attr(
            not(feature = "config"),
            expect(unused_mut, reason = "only a configuration changes it")
        )]
        let mut health = self.health.unwrap_or_default();
        #[cfg(feature = "config")]
        let configured = self.config.take().map(|config| {
            let policies = &mut self.provided.policies;
            health = health.configure(&config);
            Configured::take(config, policies, &mut self.sweeper, &mut self.without_sweeper)
        });
        self.provided.outbox = self.outbox.clone();
        self.broker = self.broker.map(traced);
        #[cfg(feature = "config")]
        if let (Some(configured), Some(_)) = (&configured, &self.outbox) {
            configured.archiver(&mut self.archiver, &mut self.without_archiver, &mut errors);
        }
        for (name, policy) in self.provided.policies.iter() {
            errors.extend(BuildError::settings(
                format_args!("the policy `{name}`"),
                policy.invalid(),
            ));
        }
        let sweeper = self.sweeper.as_ref();
        errors.extend(BuildError::settings(
            "the sweeper",
            sweeper.into_iter().flat_map(Sweeper::invalid),
        ));
        let archiver = self.archiver.as_ref();
        errors.extend(BuildError::settings(
            "the archiver",
            archiver.into_iter().flat_map(Archiver::invalid),
        ));
        let mut registry = Registry::default();
        for add in self.handlers {
            add(&self.provided, &mut registry, &mut errors);
        }
        let mut agreed = Vec::new();
        for (request, add) in self.routes {
            add(&mut registry, &mut errors);
            agreed.push(request);
        }
        find_commands_with_several_handlers(&registry, &agreed, &mut errors);
        #[cfg(feature = "config")]
        if let Some(configured) = configured {
            configured.check(&registry, &mut errors);
        }

        let mut publications = HashMap::new();
        for (id, request, publication) in self.publications {
            if self.broker.is_none() {
                errors.push(BuildError::NoBrokerToPublish { request });
            }
            if self.outbox.is_none() {
                errors.push(BuildError::NoOutbox { request });
            }
            if let Err(source) = publication.validate() {
                errors.push(BuildError::Publication { request, source });
            }
            if publications.insert(id, publication).is_some() {
                errors.push(BuildError::SeveralPublications { request });
            }
        }

        #[cfg(feature = "schedule")]
        let scheduler = {
            let (scheduler, wrong) = self.recurring.build(&crate::schedule::Surroundings {
                publications: &publications,
                outbox: self.outbox.as_ref(),
                inbox: self.provided.inbox.as_ref(),
                has_broker: self.broker.is_some(),
                without_inbox: &|request| without_inbox(&registry, request),
            });
            let wrong = wrong.into_iter();
            errors.extend(wrong.map(|(name, source)| BuildError::Schedule { name, source }));
            scheduler
        };

        let ended = Arc::new(CancellationToken::new());
        let mut sweeper = self.sweeper.unwrap_or_default();
        for topic in publications
            .values()
            .filter_map(PublicationSettings::topic_in_order)
        {
            sweeper.keep_order(topic.clone());
        }
        let relay = self
            .outbox
            .map(|outbox| Relay::new(outbox, self.broker.clone(), sweeper));
        #[cfg(feature = "schedule")]
        let relay = relay.map(|relay| relay.with_scheduler(scheduler));
        #[cfg(feature = "testing")]
        let relay = relay.map(|relay| relay.observed_by(self.provided.observer.clone()));
        let relay = relay.map(Arc::new);
        match &relay {
            None if self.archiver.is_some() => errors.push(BuildError::NothingToArchive),
            Some(relay) if self.archiver.is_some() && relay.archiving().is_err() => {
                errors.push(BuildError::OutboxCannotArchive);
            }
            _ => {}
        }
        let sweeps = !self.without_sweeper && self.broker.is_some();
        let mut background = Vec::new();
        let inbox_retention = self.provided.inbox.as_ref().and_then(|inbox| inbox.retention());
        let by_default = sweeps && !self.without_archiver && self.archiver.is_none();
        match (tokio::runtime::Handle::try_current(), &relay) {
            _ if !errors.is_empty() => {}
            (Ok(runtime), Some(relay)) => {
                if sweeps {
                    background.push(sweep_task::start(&runtime, relay, &ended));
                } else if self.broker.is_some() {
                    let relay: Arc<dyn SendUnsent> = Arc::<Relay>::clone(relay);
                    // Nobody else sets it.
                    let _ = self.provided.unsent.set(relay);
                }
                if let Some(archiver) = self.archiver {
                    background.push(archiver.start(&runtime, relay.outbox(), &ended, true));
                }
                if by_default && relay.archiving().is_ok() {
                    let archiver = Archiver::by_default(inbox_retention);
                    background.push(archiver.start(&runtime, relay.outbox(), &ended, false));
                }
            }
            (Err(_), Some(_)) if sweeps || self.archiver.is_some() => errors.push(BuildError::NoRuntime),
            _ => {}
        }
        BuildErrors::check(errors)?;
        let at_most = self.max_pending_calls.unwrap_or(call::AT_MOST);
        let calls = |broker: &Arc<dyn Broker>| Calls::new(Arc::clone(broker), at_most, Arc::clone(&ended));
        Ok(CommandProcessor(Arc::new(Inner {
            calls: self.broker.as_ref().map(calls),
            registry,
            publications,
            broker: self.broker,
            relay,
            has_inbox: self.provided.inbox.is_some(),
            health: HealthMonitor::new(health, sweeps, self.provided.claimed),
            background,
            span_body_limit: self.span_body_limit.unwrap_or_default(),
            inbox_retention,
            ended,
        })))
    }
}

/// Returns a handler of this request that leaves nothing in the inbox.
#[cfg(feature = "schedule")]
fn without_inbox(registry: &Registry, request: &str) -> Option<&'static str> {
    let mut of_request = registry
        .descriptions()
        .filter(|description| description.request == request);
    let leaves_nothing =
        of_request.find(|description| !description.steps.iter().any(|step| step.attribute == "use_inbox"));
    leaves_nothing.map(|description| description.handler)
}

/// Except those that a routing function chooses among.
fn find_commands_with_several_handlers(
    registry: &Registry,
    agreed: &[&'static str],
    errors: &mut Vec<BuildError>,
) {
    let mut handlers = BTreeMap::<&'static str, Vec<&'static str>>::new();
    for description in registry
        .descriptions()
        .filter(|description| description.kind == RequestKind::Command)
    {
        handlers
            .entry(description.request)
            .or_default()
            .push(description.handler);
    }
    handlers.retain(|command, handlers| handlers.len() > 1 && !agreed.contains(command));
    errors.extend(
        handlers
            .into_iter()
            .map(|(command, handlers)| BuildError::SeveralHandlers { command, handlers }),
    );
}

impl fmt::Debug for CommandProcessorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandProcessorBuilder")
            .field("handlers", &self.handlers.len())
            .field("publications", &self.publications)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}
