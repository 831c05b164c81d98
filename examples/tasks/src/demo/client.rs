//! A client of the API: real HTTP, as small as it gets.

use std::net::SocketAddr;

use brighter::BoxError;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Posts JSON, and gives the answer.
pub(super) async fn post(api: SocketAddr, path: &str, body: &Value) -> Result<(StatusCode, Value), BoxError> {
    call(api, Method::POST, path, body.to_string()).await
}

/// Gets JSON.
pub(super) async fn get(api: SocketAddr, path: &str) -> Result<(StatusCode, Value), BoxError> {
    call(api, Method::GET, path, String::new()).await
}

async fn call(
    api: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, Value), BoxError> {
    let stream = TcpStream::connect(api).await?;
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the client is dropped; if it fails, so does the request.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", api.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body)?))
}
