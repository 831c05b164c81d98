//! What probes and Prometheus get.

use ::http::Request;
use brighter::http::Endpoints;
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Http.Asked")]
struct Asked;

struct Handles;

#[handler]
impl Handler<Asked> for Handles {
    async fn handle(&self, _: &Asked) -> Result<(), std::io::Error> {
        Ok(())
    }
}

async fn ask(endpoints: &Endpoints, method: &str, path: &str) -> (u16, String, String) {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let response = endpoints.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

fn dispatcher() -> Dispatcher {
    let processor = CommandProcessor::builder()
        .handler(Handles)
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    Dispatcher::builder(processor)
        .subscription(Subscription::<Asked>::new("asked"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn readiness_follows_consuming_and_has_a_reason() {
    let dispatcher = dispatcher();
    let endpoints = Endpoints::of_dispatcher(dispatcher.clone());
    let ready = async || {
        let (status, kind, body) = ask(&endpoints, "GET", "/readyz").await;
        assert_eq!(kind, "application/json");
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, said) = ready().await;
    assert_eq!((status, &said["ready"]), (503, &Value::Bool(false)));
    assert_eq!(said["reasons"][0]["kind"], "not_consumed");
    assert_eq!(said["reasons"][0]["subscription"], "asked");
    assert_eq!(
        said["reasons"][0]["message"],
        "the subscription `asked` is stopped"
    );
    assert_eq!(
        said["reasons"][0].as_object().unwrap().len(),
        3,
        "each reason is said once: {said}"
    );

    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let (status, said) = ready().await;
    assert_eq!((status, &said["ready"]), (200, &Value::Bool(true)), "{said}");
    assert_eq!(said["outbox"]["outstanding"], 0);

    dispatcher.end().await;
    assert_eq!(ready().await.0, 503);
    assert_eq!(ask(&endpoints, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn only_the_metrics_path_is_served() {
    let endpoints = Endpoints::of_dispatcher(dispatcher());
    assert_eq!(ask(&endpoints, "GET", "/metrics").await.0, 404);
    let endpoints = endpoints.metrics(|| "up 1\n".to_owned());
    let (status, kind, body) = ask(&endpoints, "GET", "/metrics").await;
    assert_eq!((status, body.as_str()), (200, "up 1\n"));
    assert!(kind.starts_with("text/plain; version=0.0.4"));
    let (status, _, body) = ask(&endpoints, "HEAD", "/metrics").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(ask(&endpoints, "POST", "/livez").await.0, 405);
    assert_eq!(ask(&endpoints, "GET", "/").await.0, 404);
}
