//! What a private broker is told before it starts.

use std::fmt;
use std::fmt::Write as _;

/// What a private broker is told before it starts. By default: the user `guest`, a small disk alarm, no TLS.
#[derive(Clone)]
pub struct Settings {
    /// The user that may do everything.
    pub user: String,
    /// Its password.
    pub password: String,
    /// More lines of `rabbitmq.conf`.
    pub config: String,
    /// The certificates of a TLS listener, if there is to be one.
    pub tls: Option<Tls>,
}

/// The certificates of a TLS listener, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// Of whom clients must have theirs, if they need one.
    pub authority: String,
    /// Of the broker.
    pub certificate: String,
    /// The key of the broker's certificate.
    pub key: String,
    /// Whether a client without a certificate is refused.
    pub client_certificate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: "guest".into(),
            password: "guest".into(),
            config: String::new(),
            tls: None,
        }
    }
}

/// Without passwords and keys.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("user", &self.user)
            .field("config", &self.config)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Without the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("client_certificate", &self.client_certificate)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The text of `rabbitmq.conf`, with the TLS listener on this port and its certificates in the folder.
    pub(crate) fn rabbitmq_conf(&self, folder: &str, tls_port: u16) -> String {
        let Self {
            user,
            password,
            config,
            tls,
        } = self;
        // A small alarm, for this broker shares a disk with the tests.
        let mut text = format!(
            "disk_free_limit.absolute = 1MB\ndefault_user = {user}\ndefault_pass = {password}\n{config}\n"
        );
        if let Some(tls) = tls {
            let refuse = tls.client_certificate;
            let verify = if refuse { "verify_peer" } else { "verify_none" };
            let _ = write!(
                text,
                "listeners.ssl.1 = 127.0.0.1:{tls_port}\n\
                 ssl_options.cacertfile = {folder}/authority.pem\n\
                 ssl_options.certfile = {folder}/certificate.pem\n\
                 ssl_options.keyfile = {folder}/key.pem\n\
                 ssl_options.verify = {verify}\n\
                 ssl_options.fail_if_no_peer_cert = {refuse}\n"
            );
        }
        text
    }
}
