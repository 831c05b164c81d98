//! [`Tls`]: the trusted authorities and the client certificate for an `amqps://` URL.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::fault::TlsFault;
use brighter_core::__private::{redact, small_file};

/// More than the certificates of all authorities of a system have.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// The TLS settings of a broker, for [`RabbitMqBuilder::tls`](super::RabbitMqBuilder::tls).
///
/// Without them, an `amqps://` URL trusts the authorities of the system, and presents no certificate. Files are read
/// again for each attempt to connect, so that a renewed certificate needs no restart.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use brighter::transport::rabbitmq::{RabbitMq, Tls};
///
/// let broker = RabbitMq::builder("amqps://rabbit.example/orders")
///     .tls(
///         Tls::new()
///             .authority_file("ca.pem")
///             .client_certificate_files("client.pem", "client.key"),
///     )
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
///
/// To log in with the certificate alone and without a password, add `?auth_mechanism=external` to the URL and enable
/// the broker's plugin for it.
#[derive(Clone, Default)]
#[must_use = "give it to the builder"]
pub struct Tls {
    authorities: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
}

/// A text in memory or in a file.
#[derive(Clone)]
enum Pem {
    Bytes(Arc<[u8]>),
    File(PathBuf),
}

impl Tls {
    /// Returns settings that trust the authorities of the system, and present no certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts only the authorities with these certificates (PEM, one or several).
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(Pem::bytes(pem));
        self
    }

    /// Trusts only the authorities with the certificates in this file (PEM, one or several).
    pub fn authority_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities = Some(Pem::File(path.into()));
        self
    }

    /// Presents this client certificate with its chain, and proves it with this key (both PEM): mutual TLS.
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((Pem::bytes(chain), Pem::bytes(key)));
        self
    }

    /// Presents the client certificate from these files (PEM), and proves it with the key: mutual TLS.
    pub fn client_certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// Sets the name that the broker's certificate must have, if it is not the host of the URL. Use it for a broker
    /// behind a tunnel or an IP address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(super) fn has_client_certificate(&self) -> bool {
        self.identity.is_some()
    }

    /// Returns the name that the certificate of the broker at `host` must have.
    pub(super) fn name<'a>(&'a self, host: &'a str) -> &'a str {
        self.server_name.as_deref().unwrap_or(host)
    }

    /// Checks that all settings can be read and used.
    pub(super) fn check(&self, host: &str) -> Result<(), TlsFault> {
        let name = self.name(host);
        ServerName::try_from(name)
            .map_err(|_| settings(format!("`{}` is no name of a server", redact::text(name))))?;
        if self.authorities.is_some() {
            self.roots()?;
        }
        self.identity()?;
        Ok(())
    }

    pub(super) fn config(&self) -> Result<ClientConfig, TlsFault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| settings(error.to_string()))?
            .with_root_certificates(self.roots()?);
        match self.identity()? {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| settings(format!("the client certificate and its key: {error}"))),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsFault> {
        let mut roots = RootCertStore::empty();
        let Some(pem) = &self.authorities else {
            // Some certificates of a system may be unreadable; the readable ones suffice.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        for certificate in pem.certificates("the authorities' certificates")? {
            roots
                .add(certificate)
                .map_err(|error| settings(format!("the authorities' certificates: {error}")))?;
        }
        Ok(roots)
    }

    #[allow(clippy::type_complexity)]
    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsFault> {
        let Some((chain, key)) = &self.identity else {
            return Ok(None);
        };
        let what = "the key of the client certificate";
        let key = PrivateKeyDer::from_pem_slice(&key.read(what)?)
            // The error of the parser could contain the key.
            .map_err(|_| settings(format!("{what} is not a private key in PEM format")))?;
        Ok(Some((chain.certificates("the client certificate")?, key)))
    }
}

impl Pem {
    fn bytes(pem: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(pem.into().into())
    }

    fn read(&self, what: &str) -> Result<Vec<u8>, TlsFault> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::File(path) => small_file::read(path, LARGEST_FILE).map_err(|reason| {
                // The text of a key may stand where its file should be named.
                let path = path.display().to_string();
                settings(format!("{what}: {}: {reason}", redact::text(&path)))
            }),
        }
    }

    fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
        let pem = self.read(what)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        // What the parser says could repeat the text, which may be that of a key.
        let found = found.map_err(|_| settings(format!("{what}: it is no text in the form PEM")))?;
        if found.is_empty() {
            return Err(settings(format!(
                "{what}: no certificate in the form PEM is in it"
            )));
        }
        Ok(found)
    }
}

fn settings(reason: String) -> TlsFault {
    TlsFault::Settings { reason }
}

/// Prints no content: a key is secret.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_authorities", &self.authorities.is_some())
            .field("client_certificate", &self.identity.is_some())
            .field("server_name", &self.server_name.as_deref().map(redact::text))
            .finish_non_exhaustive()
    }
}
