//! Every step that is no policy, without an import: on a type, by its path, and on a generic handler.
#![deny(warnings)]

use brighter::pipeline::HandlerPipeline;
use brighter::prelude::*;

#[derive(Command)]
#[command(reply = String)]
pub struct Greet<T: Send + Sync + 'static>(pub T);

impl<T: Send + Sync + 'static> Validate for Greet<T> {
    type Error = std::fmt::Error;

    fn validate(&self) -> Result<(), std::fmt::Error> {
        Ok(())
    }
}

/// To tower, `()` is the layer that does nothing.
fn nothing() {}

#[handler(Greet<u8>)]
#[brighter::monitor(step = 1)]
#[brighter::dont_ack_on_error(step = 2)]
#[validate(step = 3)]
#[brighter::feature_switch("greet-all", off = dont_ack, step = 4)]
#[fallback(later, on = any, step = 5)]
#[brighter::layer(nothing(), step = 6)]
pub struct OnStruct;

#[handler(on_struct)]
impl Handler<Greet<u8>> for OnStruct {
    async fn handle(&self, greet: &Greet<u8>) -> Result<String, std::io::Error> {
        Ok(greet.0.to_string())
    }
}

mod elsewhere {
    use super::*;

    impl OnStruct {
        pub(super) async fn later(&self, _: &Greet<u8>, error: &HandlerError) -> Result<String, BoxError> {
            Ok(error.report())
        }
    }
}

pub struct Generic<T>(T);

#[handler]
impl<T: Clone + Send + Sync + 'static> Handler<Greet<T>> for Generic<T> {
    #[defer_on_error(step = 1)]
    #[validate(step = 2)]
    #[feature_switch(greetings, step = 3)]
    #[fallback(later, on = broken_circuit, step = 4)]
    #[use_policy(circuit_breaker, step = 5)]
    #[fallback(at_once, step = 6)]
    async fn handle(&self, _: &Greet<T>) -> anyhow::Result<String> {
        Ok("hello".to_owned())
    }
}

impl<T: Clone + Send + Sync + 'static> Generic<T> {
    async fn later(&self, greet: &Greet<T>, _: &HandlerError) -> anyhow::Result<String> {
        let _ = (self.0.clone(), greet);
        Ok("later".to_owned())
    }

    fn at_once(
        &self,
        _: &Greet<T>,
        _: &HandlerError,
    ) -> impl Future<Output = Result<String, BoxError>> + Send + use<T> {
        std::future::ready(Ok("at once".to_owned()))
    }
}

fn has_pipeline<R: Request, H: HandlerPipeline<R>>() {}

fn main() {
    has_pipeline::<Greet<u8>, OnStruct>();
    has_pipeline::<Greet<u16>, Generic<u16>>();
}
