//! What probes and Prometheus ask for over HTTP, as a [`Service`] that any server can carry.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process does its work; 503 when it should be started anew |
//! | `/readyz` | 200, or 503 with what stands in the way; JSON either way |
//! | `/metrics` | what [`Endpoints::metrics`] gives; 404 without it |
//!
//! With axum: `Router::new().route("/orders", …).fallback_service(Endpoints::of_processor(processor))`. The reasons name
//! hosts and subscriptions, and no passwords: show them to those who run the program.

mod body;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tower::Service;

pub use body::Body;

use crate::dispatcher::Dispatcher;
use crate::processor::{CommandProcessor, FullChannel, Health, Held, OutboxStats, Unhealthy};

/// Answers `/livez`, `/readyz` and `/metrics`. Clones are cheap.
///
/// ```
/// use brighter::http::Endpoints;
/// use brighter::{CommandProcessor, InMemoryBroker};
/// use http::Request;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), brighter::BoxError> {
/// let processor = CommandProcessor::builder().broker(InMemoryBroker::new()).build()?;
/// let endpoints = Endpoints::of_processor(processor).metrics(|| "up 1\n".to_owned());
/// let response = endpoints.oneshot(Request::get("/readyz").body(())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoints {
    of: Of,
    metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

#[derive(Clone)]
enum Of {
    Dispatcher(Dispatcher),
    Processor(CommandProcessor),
}

impl Endpoints {
    /// Tells of a program that consumes. It is alive as long as every subscription that was started is looked after.
    #[must_use]
    pub fn of_dispatcher(dispatcher: Dispatcher) -> Self {
        Self {
            of: Of::Dispatcher(dispatcher),
            metrics: None,
        }
    }

    /// Tells of a program that only posts.
    #[must_use]
    pub fn of_processor(processor: CommandProcessor) -> Self {
        Self {
            of: Of::Processor(processor),
            metrics: None,
        }
    }

    /// Answers `/metrics` with this, in the text format of Prometheus.
    #[must_use]
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }

    async fn answer(self, method: Method, path: String) -> Response<Body> {
        let is_head = method == Method::HEAD;
        let mut response = match path.as_str() {
            "/livez" | "/readyz" | "/metrics" if !is_head && method != Method::GET => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n");
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            "/livez" => match self.is_alive() {
                true => text(StatusCode::OK, "alive\n"),
                false => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "a subscription is not looked after\n",
                ),
            },
            "/readyz" => ready(&self.health().await),
            "/metrics" => match &self.metrics {
                Some(render) => metrics(render()),
                None => text(StatusCode::NOT_FOUND, "there are no metrics here\n"),
            },
            _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n"),
        };
        if is_head {
            *response.body_mut() = Body::new(Bytes::new());
        }
        response
    }

    fn is_alive(&self) -> bool {
        match &self.of {
            Of::Dispatcher(dispatcher) => dispatcher.is_looked_after(),
            Of::Processor(_) => true,
        }
    }

    async fn health(&self) -> Health {
        match &self.of {
            Of::Dispatcher(dispatcher) => dispatcher.health().await,
            Of::Processor(processor) => processor.health().await,
        }
    }
}

/// The answer of `/readyz`: each reason for a program, and as a person would say it.
#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    reasons: Vec<Value>,
    outbox: Option<OutboxStats>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    full_channels: &'a [FullChannel],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    held: &'a [Held],
}

/// A reason with the sentence for a person, which has the words of its field `reason` in it: they are said once.
fn reason(reason: &Unhealthy) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(reason)?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("reason");
        fields.insert("message".to_owned(), reason.to_string().into());
    }
    Ok(value)
}

fn ready(health: &Health) -> Response<Body> {
    let json = || {
        let reasons = health.reasons.iter().map(reason);
        let ready = Ready {
            ready: health.is_ready(),
            reasons: reasons.collect::<Result<_, _>>()?,
            outbox: health.outbox,
            full_channels: &health.full_channels,
            held: &health.held,
        };
        serde_json::to_vec(&ready)
    };
    let status = match health.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    match json() {
        Ok(json) => respond(status, "application/json", json.into()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn metrics(text: String) -> Response<Body> {
    respond(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        text.into(),
    )
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", text.into())
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // A proxy must not answer for us.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<B> Service<Request<B>> for Endpoints {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.clone().answer(method, path);
        Box::pin(async move { Ok(answer.await) })
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}
