//! A way to the server that writes, as a name in the DNS or an address that moves.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A way to the server that writes, as a name in the DNS or an address that moves: it leads new connections elsewhere, and
/// leaves those that are open where they are.
pub struct Way {
    address: String,
    leads_to: Arc<Mutex<String>>,
    _end: DropGuard,
}

impl Way {
    /// A way to this address, `host:port`.
    ///
    /// # Panics
    /// There is no port for it.
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let leads_to = Arc::new(Mutex::new(server));
        let (end, target) = (CancellationToken::new(), Arc::clone(&leads_to));
        let accepting = async move {
            loop {
                let Ok((mut near, _)) = listener.accept().await else {
                    continue;
                };
                let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        };
        tokio::spawn(end.clone().run_until_cancelled_owned(accepting));
        Self {
            address,
            leads_to,
            _end: end.drop_guard(),
        }
    }

    /// `host:port` of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Leads new connections to another address.
    pub fn turn_to(&self, server: String) {
        *self.leads_to.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }
}
