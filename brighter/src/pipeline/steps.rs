//! The layers that [`Wiring`] hands out for the steps that are no policies.

use std::sync::Arc;
use std::time::Duration;

use super::{Step, StepLayer, Wiring, WiringError};
use crate::layer::{
    BackstopLayer, DefaultReply, FallbackLayer, FallbackMethod, FallbackOn, FeatureSwitchLayer, ForeignLayer,
    MonitorLayer, ValidateLayer,
};
use brighter_core::error::ActionKind;
use brighter_core::request::{Request, Validate};

impl Wiring<'_> {
    /// `#[reject_on_error]`.
    pub fn reject_on_error(&mut self, step: Step) -> StepLayer<BackstopLayer> {
        self.note(step, "reject_on_error", "");
        self.step(BackstopLayer::new(ActionKind::Reject))
    }

    /// `#[defer_on_error]`, after this delay or the subscription's own.
    pub fn defer_on_error(&mut self, step: Step, delay: Option<Duration>) -> StepLayer<BackstopLayer> {
        let detail = delay.map(|delay| format!("{delay:?}"));
        self.note(step, "defer_on_error", detail.unwrap_or_default());
        self.step(BackstopLayer::new(ActionKind::Defer(delay)))
    }

    /// `#[dont_ack_on_error]`.
    pub fn dont_ack_on_error(&mut self, step: Step) -> StepLayer<BackstopLayer> {
        self.note(step, "dont_ack_on_error", "");
        self.step(BackstopLayer::new(ActionKind::DontAck))
    }

    /// `#[validate]`.
    pub fn validate<R: Validate>(&mut self, step: Step) -> StepLayer<ValidateLayer<R>> {
        self.note(step, "validate", "");
        self.step(ValidateLayer::new())
    }

    /// `#[fallback(method)]`.
    pub fn fallback<R, H, M>(
        &mut self,
        step: Step,
        name: &'static str,
        on: FallbackOn,
        handler: Arc<H>,
        method: M,
    ) -> StepLayer<FallbackLayer<R>>
    where
        R: Request,
        H: Send + Sync + 'static,
        M: for<'a> FallbackMethod<'a, H, R>,
    {
        self.note(step, "fallback", format!("{name} on {on}"));
        self.step(FallbackLayer::new(on, handler, method))
    }

    /// `#[feature_switch(name, off = skip)]`.
    pub fn switch_or_skip<R>(&mut self, step: Step, name: &'static str) -> StepLayer<FeatureSwitchLayer<R>>
    where
        R: Request<Reply: DefaultReply>,
    {
        self.switch(step, name, "skip", Some(R::Reply::default_reply))
    }

    /// `#[feature_switch(name, off = dont_ack)]`.
    pub fn switch_or_dont_ack<R: Request>(
        &mut self,
        step: Step,
        name: &'static str,
    ) -> StepLayer<FeatureSwitchLayer<R>> {
        self.switch(step, name, "dont_ack", None)
    }

    fn switch<R: Request>(
        &mut self,
        step: Step,
        name: &'static str,
        off: &str,
        skipped: Option<fn() -> R::Reply>,
    ) -> StepLayer<FeatureSwitchLayer<R>> {
        self.note(step, "feature_switch", format!("{name}, off: {off}"));
        if self.provided.switches.is_none() {
            self.errors.push(WiringError::NoFeatureSwitches {
                handler: self.handler,
                switch: name,
                step: step.number,
            });
        }
        self.step(FeatureSwitchLayer::new(
            name,
            self.provided.switches.clone(),
            skipped,
        ))
    }

    /// `#[monitor]`.
    pub fn monitor(&mut self, step: Step) -> StepLayer<MonitorLayer> {
        self.note(step, "monitor", "");
        if self.provided.monitor.is_none() {
            self.errors.push(WiringError::NoMonitorSink {
                handler: self.handler,
                step: step.number,
            });
        }
        self.step(MonitorLayer::new(self.handler, self.provided.monitor.clone()))
    }

    /// `#[layer(expr)]`.
    pub fn foreign_layer<L>(
        &mut self,
        step: Step,
        text: &'static str,
        layer: L,
    ) -> StepLayer<ForeignLayer<L>> {
        self.note(step, "layer", text);
        self.step(ForeignLayer::new(layer))
    }
}
