//! Batch handlers in the forms in which they may be written.
#![deny(warnings, clippy::all)]

use std::future::Future;
use std::marker::PhantomData;

use brighter::handler::BatchHandler;
use brighter::{Batch, BoxError, Context, Handler, handler};

#[derive(Debug, brighter::Command)]
struct Greet {
    name: String,
}

struct Plain;

#[handler(batch(max = 100, within = "50ms"))]
impl Handler<Greet> for Plain {
    async fn handle(&self, batch: Batch<'_, Greet>) -> Result<(), BoxError> {
        for (index, greet) in batch.iter().enumerate() {
            if greet.name.is_empty() {
                batch.fail(index, "no name");
            }
        }
        for greet in &batch {
            println!("{}", greet.name);
        }
        Ok(())
    }
}

struct WithContext;

#[brighter::handler(crate = brighter, batch(within = "1s", max = 1))]
impl brighter::Handler<Greet> for WithContext {
    #[brighter::request_logging(step = 1, fields = debug)]
    #[brighter::use_policy(retry, step = 2)]
    #[brighter::timeout("5s", step = 3)]
    async fn handle(&self, mut batch: Batch<'_, Greet>, cx: &Context) -> Result<(), std::io::Error> {
        let _ = (&mut batch, cx.is_cancelled());
        Ok(())
    }
}

struct Generic<T>(PhantomData<fn() -> T>);

#[handler(batch(max = 10, within = "2m"))]
impl<T: Send + Sync + 'static> Handler<Greet> for Generic<T> {
    fn handle(&self, batch: Batch<'_, Greet>) -> impl Future<Output = Result<(), BoxError>> + Send {
        let len = batch.len();
        async move { if len == 0 { Err("nothing".into()) } else { Ok(()) } }
    }
}

struct OwnError;

#[derive(Debug)]
struct Wrong;

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wrong")
    }
}

impl std::error::Error for Wrong {}

#[handler(batch(max = 10, within = "50ms"))]
impl Handler<Greet> for OwnError {
    type Error = Wrong;

    async fn handle(&self, _: Batch<'_, Greet>) -> Result<(), Wrong> {
        Err(Wrong)
    }
}

fn is_both<H: Handler<Greet> + BatchHandler<Greet> + brighter::pipeline::HandlerPipeline<Greet>>(_: H) {}

fn main() {
    is_both(Plain);
    is_both(WithContext);
    is_both(Generic::<String>(PhantomData));
    is_both(OwnError);
}
