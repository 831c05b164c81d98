//! Certificates made for one run: of a broker and of clients, right ones and wrong ones.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key, in PKCS #8.
    pub key: String,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// It ended years ago.
    Expired,
    /// It is of another host.
    WrongName,
}

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority, which nobody trusts yet.
    ///
    /// # Panics
    /// There is no chance to be had.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("it signs itself").pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Its own certificate, in PEM: who trusts it trusts all that it signed.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a certificate for a broker on `localhost` (and `127.0.0.1`), with this flaw.
    #[must_use]
    pub fn broker(&self, flaw: Flaw) -> Identity {
        let names = match flaw {
            Flaw::WrongName => vec!["elsewhere.example".to_owned()],
            Flaw::None | Flaw::Expired => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, flaw)
    }

    /// Signs a certificate for a client.
    #[must_use]
    pub fn client(&self, name: &str) -> Identity {
        self.sign(
            vec![name.to_owned()],
            ExtendedKeyUsagePurpose::ClientAuth,
            Flaw::None,
        )
    }

    fn sign(&self, names: Vec<String>, purpose: ExtendedKeyUsagePurpose, flaw: Flaw) -> Identity {
        let key = KeyPair::generate().expect("a key can be made");
        let common = names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names).expect("the names are good");
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![purpose];
        if flaw == Flaw::Expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}
