//! [`TlsFault`]: why TLS did not come about, by the kinds of rustls' errors and never by their text.

use std::error::Error;

use rustls::{AlertDescription, CertificateError};

/// What is wrong between us and a broker that should speak TLS.
///
/// All but [`Other`](Self::Other) need a person, so [`connect`](super::RabbitMqBuilder::connect) fails with them
/// at once; a broker that was reached before is tried again every 15 s. There is no fall-back to plaintext.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// What was given to [`Tls`](super::Tls) cannot be used.
    #[error("the TLS settings cannot be used: {reason}")]
    Settings {
        /// What is wrong with which of them.
        reason: String,
    },
    /// The certificate of the broker has expired, or is not valid yet.
    #[error("the broker's certificate has expired or is not valid yet: renew it, or set the clocks right")]
    Expired,
    /// Nobody whom we trust has signed the certificate of the broker.
    #[error(
        "the broker's certificate is signed by an authority that is not trusted: name the authority with `Tls::authority_file`"
    )]
    UnknownAuthority,
    /// The certificate of the broker is for another name.
    #[error(
        "the broker's certificate is for another name: use that in the URL, or give it to `Tls::server_name`"
    )]
    WrongName,
    /// The certificate of the broker is wrong in another way.
    #[error("the broker's certificate cannot be accepted")]
    Certificate,
    /// An `amqps://` URL leads to a port that does not speak TLS.
    #[error(
        "the port does not speak TLS: use the broker's TLS port (often 5671), or `amqp://` if it may be plaintext"
    )]
    NotSpoken,
    /// An `amqp://` URL leads to a port that speaks nothing but TLS.
    #[error("the port speaks TLS, and the URL begins with `amqp://`: use `amqps://`")]
    Demanded,
    /// The broker wants a certificate of us, and we have shown none.
    #[error("the broker wants a client certificate: give one to `Tls::client_certificate_files`")]
    ClientCertificateMissing,
    /// The broker does not accept our certificate.
    #[error(
        "the broker refused the client certificate: see whether it is valid, and signed by an authority that the broker trusts"
    )]
    ClientCertificateRefused,
    /// Something else. Trying again may work.
    #[error("no TLS came about")]
    Other,
}

brighter_core::__private::readable_debug!(TlsFault);

impl TlsFault {
    /// The fault behind an error of the connection, if it is one of TLS.
    pub(super) fn behind(error: &(dyn Error + 'static), client_certificate: bool) -> Option<Self> {
        let mut error = Some(error);
        while let Some(found) = error {
            if let Some(fault) = found.downcast_ref::<Self>() {
                return Some(fault.clone());
            }
            if let Some(tls) = found.downcast_ref::<rustls::Error>() {
                return Some(Self::of(tls, client_certificate));
            }
            // An `io::Error` does not count what it carries among its causes.
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
            // What came is no TLS at all.
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
            // A certificate that signs itself, or pretends to be signed by whom we trust.
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
            // All that TLS 1.2 has to say to somebody who shows no certificate.
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
