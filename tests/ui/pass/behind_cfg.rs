//! What is configured away is not there, wherever `cfg` and `cfg_attr` stand.
#![deny(warnings)]

use std::io::Error;

use brighter::prelude::*;

#[derive(Command)]
#[cfg_attr(all(), command(reply = &'static str))]
#[cfg_attr(any(), command(reply = u8))]
struct Ask;

/// Steps on the method.
struct OnMethod;

#[handler]
impl Handler<Ask> for OnMethod {
    #[cfg_attr(all(), request_logging(step = 1))]
    #[cfg_attr(any(), timeout("1s", step = 1))]
    #[cfg_attr(all(), allow(clippy::unused_async), use_policy(retry, step = 2), doc = "Documented.", monitor(step = 3))]
    #[cfg_attr(all(), cfg_attr(all(), brighter::timeout("2s", step = 4)), cfg_attr(any(), timeout("3s", step = 5)))]
    #[cfg_attr(any(), cfg_attr(all(), timeout("4s", step = 6)))]
    #[cfg_attr(any(), fallback(of_no_such_name, step = 7))]
    #[cfg_attr(all(), fallback(later, step = 8))]
    #[cfg_attr(any(), use_policy(step = none, whatever))]
    async fn handle(&self, _: &Ask) -> Result<&'static str, Error> {
        Ok("on the method")
    }
}

impl OnMethod {
    async fn later(&self, _: &Ask, _: &HandlerError) -> Result<&'static str, Error> {
        Ok("later")
    }
}

/// A backstop that is outside of every policy that is there.
struct Backstop;

#[handler]
impl Handler<Ask> for Backstop {
    #[cfg_attr(any(), timeout("1s", step = 1))]
    #[cfg_attr(all(), dont_ack_on_error(step = 2))]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, _: &Ask) -> Result<&'static str, Error> {
        Ok("behind a backstop")
    }
}

/// All steps are away.
struct Bare;

#[handler]
impl Handler<Ask> for Bare {
    #[cfg_attr(any(), timeout("1s", step = 1))]
    async fn handle(&self, _: &Ask) -> Result<&'static str, Error> {
        Ok("bare")
    }
}

/// Steps on the type.
#[cfg_attr(all(), handler(Ask), request_logging(step = 1))]
#[cfg_attr(all(), timeout("1s", step = 2))]
#[cfg_attr(any(), timeout("1s", step = 3))]
struct OnType;

#[cfg_attr(all(), handler(on_struct))]
impl Handler<Ask> for OnType {
    async fn handle(&self, _: &Ask) -> Result<&'static str, Error> {
        Ok("on the type")
    }
}

/// `handler` itself is there or not: the impl is then a whole one.
struct Plain;

#[cfg_attr(any(), handler)]
impl Handler<Ask> for Plain {
    type Error = Error;

    #[cfg_attr(any(), use_policy(retry, step = 1))]
    async fn handle(&self, _: &Ask, _: &Context) -> Result<&'static str, Error> {
        Ok("plain")
    }
}

/// One method of two, with another error and other steps.
struct OneOfTwo;

#[handler]
impl Handler<Ask> for OneOfTwo {
    #[cfg(all())]
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Ask) -> Result<&'static str, Error> {
        Ok("the first")
    }

    #[cfg(not(all()))]
    #[timeout("1s", step = 1)]
    #[monitor(step = 2)]
    async fn handle(&self, _: &Ask, cx: &Context) -> Result<&'static str, OfNoSuchName> {
        Ok(of_no_such_name(cx))
    }
}

/// The other one, found by a `cfg` in a `cfg_attr`, beside a `type Error`.
struct OtherOfTwo;

#[handler]
impl Handler<Ask> for OtherOfTwo {
    #[cfg(any())]
    type Error = OfNoSuchName;

    #[cfg(any())]
    async fn handle(&self) {}

    #[cfg_attr(all(), cfg(all()))]
    async fn handle(&self, _: &Ask, #[cfg(any())] _: &Context) -> Result<&'static str, Error> {
        Ok("the second")
    }
}

struct Silent;

impl brighter::layer::MonitorSink for Silent {
    fn record(&self, _: &brighter::layer::MonitorEvent) {}
}

fn steps_of(processor: &CommandProcessor) -> Vec<String> {
    let steps = processor.describe().flat_map(|pipeline| &pipeline.steps);
    steps.map(|step| format!("{} {}", step.step.number, step.attribute)).collect()
}

async fn run(processor: CommandProcessor) -> (&'static str, Vec<String>) {
    let reply = processor.send(Ask).await.unwrap();
    (reply, steps_of(&processor))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let built = |builder: brighter::processor::CommandProcessorBuilder| builder.build().unwrap();
    let new = CommandProcessor::builder;

    let (reply, steps) = run(built(new().handler(OnMethod).monitor(Silent))).await;
    assert_eq!(reply, "on the method");
    assert_eq!(steps, ["1 request_logging", "2 use_policy", "3 monitor", "4 timeout", "8 fallback"]);

    let (reply, steps) = run(built(new().handler(Backstop))).await;
    assert_eq!(reply, "behind a backstop");
    assert_eq!(steps, ["2 dont_ack_on_error", "3 use_policy"]);

    let (reply, steps) = run(built(new().handler(Bare))).await;
    assert_eq!(reply, "bare");
    assert!(steps.is_empty());

    let (reply, steps) = run(built(new().handler(OnType))).await;
    assert_eq!(reply, "on the type");
    assert_eq!(steps, ["1 request_logging", "2 timeout"]);

    let (reply, steps) = run(built(new().handler(OneOfTwo))).await;
    assert_eq!(reply, "the first");
    assert_eq!(steps, ["1 use_policy"]);

    let (reply, steps) = run(built(new().handler(OtherOfTwo))).await;
    assert_eq!(reply, "the second");
    assert!(steps.is_empty());

    let _: <Plain as Handler<Ask>>::Error = Error::other("plain");
}
