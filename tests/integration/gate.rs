//! A way to a server that can be closed: what a network does that fails.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Brings connections to a server, while it is open.
pub(crate) struct Gate {
    /// `host:port` of it.
    pub(crate) address: String,
    is_open: Arc<watch::Sender<bool>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Gate {
    /// An open gate to this server.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let is_open = Arc::new(watch::Sender::new(true));
        let gate = Arc::clone(&is_open);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (server, mut open) = (server.clone(), gate.subscribe());
                tokio::spawn(async move {
                    if !*open.borrow_and_update() {
                        return;
                    }
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self {
            address,
            is_open,
            accepting,
        }
    }

    /// Lets connections through, or cuts them and every one that comes.
    pub(crate) fn open(&self, open: bool) {
        self.is_open.send_replace(open);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open(false);
        self.accepting.abort();
    }
}
