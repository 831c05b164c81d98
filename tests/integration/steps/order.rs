//! Who runs when, over permutations of steps and timings.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};

use brighter::handler::Call;
use brighter::prelude::*;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

/// What happened, in its order.
#[derive(Clone, Default)]
struct Trail(Arc<Mutex<Vec<String>>>);

impl Trail {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

/// Each event of tracing is one write.
impl io::Write for Trail {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        for word in ["handling", "handled", "failed"] {
            if text.contains(&format!(" {word} ")) {
                self.add(word);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Command)]
struct Go {
    trail: Trail,
    fails: bool,
}

/// Notes on the trail when a call comes in and when it is out.
fn trace(name: &'static str) -> Trace {
    Trace(name)
}

#[derive(Clone)]
struct Trace(&'static str);

impl<S> Layer<S> for Trace {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner, name: self.0 }
    }
}

#[derive(Clone)]
struct Traced<S> {
    inner: S,
    name: &'static str,
}

impl<S> Service<Call<Go>> for Traced<S>
where
    S: Service<Call<Go>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call<Go>) -> Self::Future {
        let (name, trail) = (self.name, call.request().trail.clone());
        trail.add(name);
        self.inner
            .call(call)
            .inspect(move |_| trail.add(format!("/{name}")))
            .boxed()
    }
}

macro_rules! orders {
    ($($name:ident: [$($step:meta),+] => $success:literal, $failure:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            struct H;
            #[handler]
            impl Handler<Go> for H {
                $(#[$step])+
                async fn handle(&self, go: &Go) -> Result<(), BoxError> {
                    go.trail.add("H");
                    if go.fails { Err("broken".into()) } else { Ok(()) }
                }
            }
            let processor = CommandProcessor::builder().handler(H).build().unwrap();
            assert_eq!(run(&processor, false).await, $success, "when it succeeds");
            assert_eq!(run(&processor, true).await, $failure, "when it fails");
        }
    )+};
}

async fn run(processor: &CommandProcessor, fails: bool) -> String {
    let trail = Trail::default();
    let writer = trail.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_max_level(tracing::Level::DEBUG);
    let guard = brighter_tests::subscriber::subscribe(subscriber.finish());
    let result = processor
        .send(Go {
            trail: trail.clone(),
            fails,
        })
        .await;
    drop(guard);
    assert_eq!(result.is_err(), fails);
    trail.0.lock().unwrap().join(" ")
}

orders! {
    steps_123: [layer(trace("a"), step = 1), layer(trace("b"), step = 2), layer(trace("c"), step = 3)]
        => "a b c H /c /b /a", "a b c H /c /b /a";
    steps_132: [layer(trace("a"), step = 1), layer(trace("b"), step = 3), layer(trace("c"), step = 2)]
        => "a c b H /b /c /a", "a c b H /b /c /a";
    steps_213: [layer(trace("a"), step = 2), layer(trace("b"), step = 1), layer(trace("c"), step = 3)]
        => "b a c H /c /a /b", "b a c H /c /a /b";
    steps_231: [layer(trace("a"), step = 2), layer(trace("b"), step = 3), layer(trace("c"), step = 1)]
        => "c a b H /b /a /c", "c a b H /b /a /c";
    steps_312: [layer(trace("a"), step = 3), layer(trace("b"), step = 1), layer(trace("c"), step = 2)]
        => "b c a H /a /c /b", "b c a H /a /c /b";
    steps_321: [layer(trace("a"), step = 3), layer(trace("b"), step = 2), layer(trace("c"), step = 1)]
        => "c b a H /a /b /c", "c b a H /a /b /c";
    numbers_may_have_gaps: [layer(trace("a"), step = 70), layer(trace("b"), step = 9), layer(trace("c"), step = 4000)]
        => "b a c H /c /a /b", "b a c H /c /a /b";

    before_outside: [request_logging(step = 1), layer(trace("a"), step = 2)]
        => "handling a H /a handled", "handling a H /a failed";
    before_inside: [layer(trace("a"), step = 1), request_logging(step = 2, timing = before)]
        => "a handling H handled /a", "a handling H failed /a";

    // After acts inside of all that acts before, whatever its number, and on success only.
    after_of_low_number: [request_logging(step = 1, timing = after), layer(trace("a"), step = 2)]
        => "a H handled /a", "a H /a";
    after_of_high_number: [layer(trace("a"), step = 1), request_logging(step = 9, timing = after)]
        => "a H handled /a", "a H /a";
    after_of_the_same_number: [layer(trace("a"), step = 1), request_logging(step = 1, timing = after)]
        => "a H handled /a", "a H /a";
    both: [
        request_logging(step = 2, timing = after), layer(trace("b"), step = 3), request_logging(step = 1),
        layer(trace("a"), step = 2)
    ] => "handling a b H handled /b /a handled", "handling a b H /b /a failed";
    two_after: [request_logging(step = 1, timing = after), request_logging(step = 2, timing = after)]
        => "H handled handled", "H";
}

/// The events of two steps after the handler are the same, so their order is seen in the stack.
#[test]
fn of_the_steps_after_the_highest_is_innermost() {
    struct H;
    #[handler]
    impl Handler<Go> for H {
        #[request_logging(step = 2, timing = after)]
        #[layer(trace("b"), step = 2)]
        #[request_logging(step = 7, timing = after)]
        #[request_logging(step = 1, timing = after)]
        #[layer(trace("a"), step = 1)]
        async fn handle(&self, _: &Go) -> Result<(), BoxError> {
            Ok(())
        }
    }
    let processor = CommandProcessor::builder().handler(H).build().unwrap();
    let description = processor.describe().next().unwrap();
    let places: Vec<_> = description
        .steps
        .iter()
        .map(|it| format!("{} {}", it.step.timing, it.step.number))
        .collect();
    assert_eq!(places, ["before 1", "before 2", "after 1", "after 2", "after 7"]);
}
