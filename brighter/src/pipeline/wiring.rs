//! [`Wiring`]: what `#[handler]` asks for layers while a pipeline is put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::batch::{BatchLimits, BatchService};
use super::provided::Provided;
use super::step_layer::StepLayer;
use crate::handler::{BatchHandler, NoReply};
use crate::layer::RequestLoggingLayer;
use crate::policy::{Policy, PolicyLayer};
use brighter_core::error::InvalidSetting;
use brighter_core::request::Request;

/// Which way through a step a layer acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Timing {
    /// Around what is inside it: it sees the request before, and the outcome after.
    Before,
    /// On the way out, and only if the handler succeeded; the highest step first.
    After,
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
        })
    }
}

/// Where in a pipeline a layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// 1 is outermost.
    pub number: u32,
    /// On the way in, or on the way out.
    pub timing: Timing,
}

/// One step of a pipeline, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepDescription {
    /// Where it stands.
    #[serde(flatten)]
    pub step: Step,
    /// The attribute that put it there.
    pub attribute: &'static str,
    /// The resource that the step uses, with its settings.
    pub detail: String,
}

impl fmt::Display for StepDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.step.number, self.step.timing, self.attribute)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.detail)
        }
    }
}

/// A mistake in a pipeline that only shows when the processor is built.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WiringError {
    /// A handler names a policy that the registry does not have.
    #[error(
        "`{handler}` uses the policy `{policy}` at step {step}, and there is none of that name{}",
        nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_else(|| "; add it with `PolicyRegistry::insert`".to_owned())
    )]
    UnknownPolicy {
        /// The type of the handler.
        handler: &'static str,
        /// The name that is not known.
        policy: String,
        /// The step that names it.
        step: u32,
        /// A name that is known and looks like it.
        nearest: Option<String>,
    },
    /// A policy that is written in an attribute has a setting with a value that it cannot have.
    #[error("`{handler}` has a policy with an invalid setting at step {step}: `{policy}`")]
    InvalidPolicy {
        /// The type of the handler.
        handler: &'static str,
        /// The policy, as it is written.
        policy: &'static str,
        /// The step that it is written in.
        step: u32,
        /// The setting, its value, and the values that are allowed.
        #[source]
        source: InvalidSetting,
    },
    /// A handler has a feature switch, and nobody knows the switches.
    #[error(
        "`{handler}` has the feature switch `{switch}` at step {step}, but the processor has no feature switches: add `.feature_switches(…)`, for example a `FeatureSwitchMap`"
    )]
    NoFeatureSwitches {
        /// The type of the handler.
        handler: &'static str,
        /// The name of the switch.
        switch: &'static str,
        /// The step that names it.
        step: u32,
    },
    /// A handler is monitored, and there is no sink.
    #[error(
        "`{handler}` is monitored at step {step}, but the processor has no monitor: add `.monitor(…)` with your `MonitorSink`, or remove `#[monitor]`"
    )]
    NoMonitorSink {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
    },
    /// A handler uses an inbox, and there is none.
    #[error(
        "`{handler}` uses an inbox at step {step}, but the processor has none: add `.inbox(…)`, or `.inbox(InMemoryInbox::new())` if it may be forgotten with the process"
    )]
    NoInbox {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
    },
    /// A handler has `#[transactional]`, and there is no outbox in whose pool its transaction could begin.
    #[error(
        "`{handler}` has `#[transactional]` at step {step}, but the processor has no outbox: add `.outbox(…)` with a `{wanted}`, or give the attribute a pool with `pool = …`"
    )]
    NoTransactionalOutbox {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
        /// The outbox that belongs to the transaction.
        wanted: &'static str,
    },
    /// A handler has `#[transactional]`, and its transaction is one of another database than the outbox.
    #[error(
        "`{handler}` has `#[transactional]` at step {step} with the transaction of a `{wanted}`, and the processor has another outbox: pass a `{wanted}` to `.outbox(…)`, or change the type of `tx`"
    )]
    OtherTransactionalOutbox {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
        /// The outbox that belongs to the transaction.
        wanted: &'static str,
    },
    /// A handler has `#[transactional]`, and there is no inbox for the key of its request.
    #[error(
        "`{handler}` has `#[transactional]` at step {step}, but the processor has no inbox: add `.inbox(…)` with a `{wanted}` in the same database"
    )]
    NoTransactionalInbox {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
        /// The inbox that belongs to the transaction.
        wanted: &'static str,
    },
    /// A handler has `#[transactional]`, and the inbox cannot be written in its transaction.
    #[error(
        "`{handler}` has `#[transactional]` at step {step}, and the processor has an inbox that cannot be written in its transaction: pass a `{wanted}` in the same database to `.inbox(…)`"
    )]
    OtherTransactionalInbox {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
        /// The inbox that belongs to the transaction.
        wanted: &'static str,
    },
    /// `#[transactional]` has an option that the database does not have.
    #[error(
        "`{handler}` has `#[transactional]` at step {step} with an option that its database does not have: {reason}"
    )]
    TransactionOption {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
        /// The option, and what to do.
        reason: String,
    },
    /// A handler replays its duplicates, and there is no outbox to replay from.
    #[error(
        "`{handler}` replays duplicates at step {step}, but the processor has no outbox: add `.outbox(…)`, or write `on_duplicate = warn`"
    )]
    NoOutboxToReplay {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
    },
    /// A handler replays its duplicates, and the outbox has no [`Resending`](brighter_core::outbox::Resending).
    #[error(
        "`{handler}` replays duplicates at step {step}, but the outbox cannot send dispatched messages again: use an outbox with `Outbox::resending`, or write `on_duplicate = warn`"
    )]
    OutboxCannotReplay {
        /// The type of the handler.
        handler: &'static str,
        /// The step that wants it.
        step: u32,
    },
    /// Two use the inbox by the same name, so that one would take the other's requests for duplicates.
    #[error(
        "`{handler}` uses the inbox at step {step} with the context `{context}`, as another step does, so each would take requests of the other for duplicates: give it its own with `context = \"…\"`"
    )]
    SameInboxContext {
        /// The type of the handler.
        handler: &'static str,
        /// The name.
        context: String,
        /// The step that came second.
        step: u32,
    },
}

brighter_core::__private::readable_debug!(WiringError);

/// Hands out the layers of one pipeline, and notes what it was asked for and what was wrong with it.
#[derive(Debug)]
pub struct Wiring<'a> {
    pub(super) handler: &'static str,
    pub(super) provided: &'a Provided,
    steps: Vec<StepDescription>,
    batch: Option<BatchLimits>,
    pub(super) errors: Vec<WiringError>,
}

impl<'a> Wiring<'a> {
    pub(crate) fn new(handler: &'static str, provided: &'a Provided) -> Self {
        Self {
            handler,
            provided,
            steps: Vec::new(),
            batch: None,
            errors: Vec::new(),
        }
    }

    /// The steps, outermost first, how the handler is called if that is by batches, and the errors.
    pub(crate) fn finish(mut self) -> (Vec<StepDescription>, Option<BatchLimits>, Vec<WiringError>) {
        self.steps.reverse();
        (self.steps, self.batch, self.errors)
    }

    /// `#[timeout(after)]` of a batch handler, which limits each call.
    pub fn call_timeout(&mut self, step: Step, after: Duration) -> Duration {
        self.note(step, "timeout", format!("{after:?} a call"));
        after
    }

    /// `#[handler(batch(max = …, within = …))]`.
    pub fn batch<R, H>(
        &mut self,
        handler: Arc<H>,
        max: u16,
        within: Duration,
        timeout: Option<Duration>,
    ) -> BatchService<H, R>
    where
        R: Request<Reply: NoReply>,
        H: BatchHandler<R>,
    {
        let max = usize::from(max);
        let limits = BatchLimits { max, within, timeout };
        self.batch = Some(limits);
        BatchService::new(handler, limits)
    }

    pub(super) fn note(&mut self, step: Step, attribute: &'static str, detail: impl Into<String>) {
        self.steps.push(StepDescription {
            step,
            attribute,
            detail: detail.into(),
        });
    }

    /// The layer, as the step that was noted last.
    pub(super) fn step<L>(&self, layer: L) -> StepLayer<L> {
        self.step_named(layer, "")
    }

    /// The layer, as the step that was noted last, which is known by more than its attribute.
    fn step_named<L>(&self, layer: L, name: &str) -> StepLayer<L> {
        // A policy that is not known was not noted, and nothing is built.
        let attribute = self.steps.last().map_or("", |step| step.attribute);
        StepLayer::new(layer, attribute, name, self.handler)
    }

    /// `#[request_logging]`.
    pub fn request_logging<R>(&mut self, step: Step) -> StepLayer<RequestLoggingLayer<R>> {
        self.note(step, "request_logging", "");
        self.step(self.logging(step))
    }

    /// `#[request_logging(fields = debug)]`.
    pub fn request_logging_with_fields<R: fmt::Debug>(
        &mut self,
        step: Step,
    ) -> StepLayer<RequestLoggingLayer<R>> {
        self.note(step, "request_logging", "with the request's fields");
        self.step(self.logging(step).with_fields())
    }

    fn logging<R>(&self, step: Step) -> RequestLoggingLayer<R> {
        match step.timing {
            Timing::Before => RequestLoggingLayer::around(self.handler),
            Timing::After => RequestLoggingLayer::after(self.handler),
        }
    }

    /// `#[timeout(after)]`.
    pub fn timeout(&mut self, step: Step, after: Duration) -> StepLayer<PolicyLayer> {
        self.note(step, "timeout", format!("{after:?}"));
        self.step(Policy::timeout(after).layer_named("timeout"))
    }

    /// `#[use_policy(name)]`: the policy of that name, which all who name it share.
    pub fn named_policy(&mut self, step: Step, name: &str) -> StepLayer<PolicyLayer> {
        let policy = self.provided.policies.get(name).cloned();
        match &policy {
            Some(found) => self.note(step, "use_policy", format!("{name}: {found}")),
            None => self.errors.push(WiringError::UnknownPolicy {
                handler: self.handler,
                policy: name.to_owned(),
                step: step.number,
                nearest: self.provided.policies.nearest(name).map(str::to_owned),
            }),
        }
        // Without the policy nothing is built, so it does not matter what stands in its place.
        self.step_named(policy.unwrap_or_default().layer_named(name), name)
    }

    /// `#[use_policy(expr)]`: a policy of this handler alone.
    pub fn inline_policy(
        &mut self,
        step: Step,
        text: &'static str,
        policy: impl Into<Policy>,
    ) -> StepLayer<PolicyLayer> {
        let policy = policy.into();
        self.note(step, "use_policy", format!("{text}: {policy}"));
        let invalid = policy.invalid().into_iter();
        self.errors
            .extend(invalid.map(|source| WiringError::InvalidPolicy {
                handler: self.handler,
                policy: text,
                step: step.number,
                source,
            }));
        self.step(policy.layer_named(text))
    }
}
