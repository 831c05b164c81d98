//! A13: TLS, and what may be wrong with it. Each is an error of its own, and none is answered by plaintext.

use std::net::TcpListener;
use std::path::Path;

use brighter::channel::{Broker, BrokerStatus, Producer, QueueType};
use brighter::transport::rabbitmq::{ConnectError, RabbitMqBuilder, Tls, TlsFault};
use brighter_faults::capture;
use brighter_faults::certificates::{Authority, Flaw, Identity};
use brighter_faults::node::{self, Node};
use brighter_faults::place::{Place, message};
use brighter_faults::wait::{in_time, until_answer};

/// A TLS listener of the node, in front of the same queues as its plaintext one.
struct Listener {
    address: String,
    folder: tempfile::TempDir,
}

impl Listener {
    /// `clients` have signed the certificates that a client must show, if it must.
    async fn open(node: &Node, identity: &Identity, clients: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("certificate.pem"), &identity.certificate).unwrap();
        std::fs::write(path("key.pem"), &identity.key).unwrap();
        let verify = match clients {
            None => "{verify, verify_none}".to_owned(),
            Some(authority) => {
                std::fs::write(path("clients.pem"), authority.certificate()).unwrap();
                format!(
                    "{{cacertfile, \"{}\"}}, {{verify, verify_peer}}, {{fail_if_no_peer_cert, true}}",
                    path("clients.pem")
                )
            }
        };
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        node.eval(&format!(
            "{{ok, _}} = application:ensure_all_started(ssl), \
             ok = rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {port}}}, \
             [{{certfile, \"{}\"}}, {{keyfile, \"{}\"}}, {verify}], 1), done.",
            path("certificate.pem"),
            path("key.pem")
        ))
        .await;
        Self {
            address: format!("127.0.0.1:{port}"),
            folder,
        }
    }

    /// A place behind it, by TLS.
    fn place(&self, node: &Node) -> Place {
        Place::by_tls(node, &self.address)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn trusting(authority: &Authority) -> Tls {
    Tls::new().authority(authority.certificate())
}

async fn fault(builder: RabbitMqBuilder) -> TlsFault {
    let error = in_time("the refusal", builder.connect()).await.unwrap_err();
    // Nobody waits for what only a person can mend.
    assert!(error.is_fatal(), "{error:?}");
    match error {
        ConnectError::Tls { fault, .. } => fault,
        error => panic!("{error:?}"),
    }
}

async fn send_and_receive(place: &Place, tls: Tls, queue_type: QueueType) {
    let broker = place
        .builder()
        .tls(tls)
        .queue_type(queue_type)
        .connect()
        .await
        .unwrap();
    let mut consumer = broker.consume(&place.channel("secret", "topic")).await.unwrap();
    broker.publish(&message("topic", "sent")).await.unwrap();
    let delivery = in_time("the message", consumer.receive()).await.unwrap().unwrap();
    assert_eq!(delivery.message().unwrap().header.id, "sent".into());
    delivery.ack().await.unwrap();
    assert_eq!(broker.status(), BrokerStatus::Connected);
    broker.close().await;
}

#[tokio::test]
async fn a13_certificate_faults_are_distinct_errors() {
    let node = node::shared().await;
    let authority = Authority::new("trusted");
    let good = Listener::open(&node, &authority.broker(Flaw::None), None).await;
    send_and_receive(&good.place(&node), trusting(&authority), QueueType::Classic).await;

    let expired = Listener::open(&node, &authority.broker(Flaw::Expired), None).await;
    let place = expired.place(&node);
    assert_eq!(
        fault(place.builder().tls(trusting(&authority))).await,
        TlsFault::Expired
    );

    let other = Listener::open(&node, &authority.broker(Flaw::WrongName), None).await;
    let place = other.place(&node);
    assert_eq!(
        fault(place.builder().tls(trusting(&authority))).await,
        TlsFault::WrongName
    );
    let tls = trusting(&authority).server_name("elsewhere.example");
    send_and_receive(&place, tls, QueueType::Classic).await;

    let stranger = Authority::new("stranger");
    let place = good.place(&node);
    for unknown in [
        place.builder().tls(trusting(&stranger)),
        // Nor does the system trust it.
        place.builder(),
    ] {
        assert_eq!(fault(unknown).await, TlsFault::UnknownAuthority);
    }
    // One of the same name that did not sign it.
    let impostor = Authority::new("trusted");
    assert_eq!(
        fault(place.builder().tls(trusting(&impostor))).await,
        TlsFault::UnknownAuthority
    );
    capture::assert_no_password();
}

#[tokio::test]
async fn a13_plaintext_is_an_error_without_fallback() {
    let node = node::shared().await;
    let authority = Authority::new("trusted");
    let listener = Listener::open(&node, &authority.broker(Flaw::None), None).await;

    let plaintext = Place::at(&node, &listener.address);
    assert_eq!(fault(plaintext.builder()).await, TlsFault::Demanded);
    let tls = Place::by_tls(&node, node.address());
    let before = node.connections(tls.id()).await;
    assert_eq!(
        fault(tls.builder().tls(trusting(&authority))).await,
        TlsFault::NotSpoken
    );
    assert_eq!(node.connections(tls.id()).await, before);
    capture::assert_no_password();
}

#[tokio::test]
async fn a13_a_missing_client_certificate_is_a_clear_error() {
    let node = node::shared().await;
    let (authority, clients) = (Authority::new("brokers"), Authority::new("clients"));
    let listener = Listener::open(&node, &authority.broker(Flaw::None), Some(&clients)).await;
    let place = listener.place(&node);

    let client = clients.client("billing");
    let known = trusting(&authority).client_certificate(client.certificate, client.key);
    send_and_receive(&place, known.clone(), QueueType::Classic).await;
    send_and_receive(&listener.place(&node), known, QueueType::Quorum).await;

    assert_eq!(
        fault(place.builder().tls(trusting(&authority))).await,
        TlsFault::ClientCertificateMissing
    );
    let stranger = Authority::new("strangers").client("billing");
    let unknown = trusting(&authority).client_certificate(stranger.certificate, stranger.key);
    assert_eq!(
        fault(place.builder().tls(unknown)).await,
        TlsFault::ClientCertificateRefused
    );
    capture::assert_no_password();
}

/// Files are read again for each attempt.
#[tokio::test]
async fn a13_a_certificate_that_is_renewed_needs_no_new_start() {
    let node = node::shared().await;
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let listener = Listener::open(&node, &old.broker(Flaw::None), None).await;
    let trusted = listener.folder().join("trusted.pem");
    std::fs::write(&trusted, new.certificate()).unwrap();
    let place = listener.place(&node);
    let broker = place
        .builder()
        .tls(Tls::new().authority_file(&trusted))
        .connect_lazily()
        .unwrap();
    until_answer("the status", true, async || match broker.status() {
        BrokerStatus::Disconnected { reason } => reason.contains("not trusted"),
        status => panic!("{status:?}"),
    })
    .await;
    std::fs::write(&trusted, old.certificate()).unwrap();
    until_answer("the status", BrokerStatus::Connected, async || broker.status()).await;
    broker.close().await;
}
