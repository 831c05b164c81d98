//! [`TlsFault`]: why TLS failed, by the kinds of rustls' errors and never by their text.

use std::error::Error;

use rustls::{AlertDescription, CertificateError};

/// Why a TLS connection to the broker failed.
///
/// All variants except [`Other`](Self::Other) need a person, so [`connect`](super::RabbitMqBuilder::connect) fails with
/// them at once. A broker that was reached before is tried again every 15 s. There is no fallback to plaintext.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The settings of [`Tls`](super::Tls) cannot be used.
    #[error("the TLS settings cannot be used: {reason}")]
    Settings {
        /// The setting, and the reason.
        reason: String,
    },
    /// The certificate of the broker has expired, or is not valid yet.
    #[error("the broker's certificate has expired or is not valid yet: renew it, or set the clocks right")]
    Expired,
    /// The certificate of the broker is not signed by a trusted authority.
    #[error(
        "the broker's certificate is signed by an authority that is not trusted: name the authority with `Tls::authority_file`"
    )]
    UnknownAuthority,
    /// The certificate of the broker is for another name.
    #[error(
        "the broker's certificate is for another name: use that in the URL, or give it to `Tls::server_name`"
    )]
    WrongName,
    /// The certificate of the broker is invalid for another reason.
    #[error("the broker's certificate cannot be accepted")]
    Certificate,
    /// An `amqps://` URL names a port that does not speak TLS.
    #[error(
        "the port does not speak TLS: use the broker's TLS port (often 5671), or `amqp://` if it may be plaintext"
    )]
    NotSpoken,
    /// An `amqp://` URL names a port that speaks only TLS.
    #[error("the port speaks TLS, and the URL begins with `amqp://`: use `amqps://`")]
    Demanded,
    /// The broker requires a client certificate, and none is configured.
    #[error("the broker requires a client certificate: set one with `Tls::client_certificate_files`")]
    ClientCertificateMissing,
    /// The broker does not accept the client certificate.
    #[error(
        "the broker refused the client certificate: see whether it is valid, and signed by an authority that the broker trusts"
    )]
    ClientCertificateRefused,
    /// Any other failure. Another attempt may succeed.
    #[error("TLS handshake failed")]
    Other,
}

brighter_core::__private::readable_debug!(TlsFault);

impl TlsFault {
    /// Returns the fault in the causes of a connection error, if TLS is one of them.
    pub(super) fn behind(error: &(dyn Error + 'static), client_certificate: bool) -> Option<Self> {
        let mut error = Some(error);
        while let Some(found) = error {
            if let Some(fault) = found.downcast_ref::<Self>() {
                return Some(fault.clone());
            }
            if let Some(tls) = found.downcast_ref::<rustls::Error>() {
                return Some(Self::of(tls, client_certificate));
            }
            // An `io::Error` does not list its inner error among its causes.
            error = match found.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
                Some(inner) => Some(inner),
                None => found.source(),
            };
        }
        None
    }

    fn of(error: &rustls::Error, client_certificate: bool) -> Self {
        match error {
            rustls::Error::InvalidCertificate(certificate) => Self::of_certificate(certificate),
            rustls::Error::NoCertificatesPresented | rustls::Error::UnsupportedNameType => Self::Certificate,
            // The answer was not TLS.
            rustls::Error::InvalidMessage(_) => Self::NotSpoken,
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert, client_certificate),
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            // The certificate is self-signed, or its signature is not that of a trusted authority.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<rustls::Error>() {
                Some(rustls::Error::InvalidCertificate(inner)) => Self::of_certificate(inner),
                _ => Self::Certificate,
            },
            _ => Self::Certificate,
        }
    }

    fn of_alert(alert: AlertDescription, client_certificate: bool) -> Self {
        match alert {
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                Self::ClientCertificateMissing
            }
            // TLS 1.2 has no other alert for a missing client certificate.
            AlertDescription::HandshakeFailure if !client_certificate => Self::ClientCertificateMissing,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => Self::ClientCertificateRefused,
            _ => Self::Other,
        }
    }

    pub(super) fn is_fatal(&self) -> bool {
        !matches!(self, Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_fault_is_found_however_deep_it_lies() {
        let tls = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let error = lapin::Error::from(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(
            TlsFault::behind(&error, false),
            Some(TlsFault::ClientCertificateMissing)
        );
        let error = lapin::Error::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(TlsFault::behind(&error, false), None);
    }

    #[test]
    fn an_alert_means_what_we_have_shown() {
        let alert = AlertDescription::HandshakeFailure;
        assert_eq!(
            TlsFault::of_alert(alert, false),
            TlsFault::ClientCertificateMissing
        );
        assert_eq!(TlsFault::of_alert(alert, true), TlsFault::Other);
        assert!(!TlsFault::Other.is_fatal() && TlsFault::Expired.is_fatal());
    }
}
