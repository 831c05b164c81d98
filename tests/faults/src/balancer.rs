//! A load balancer in front of a broker, as it stands before many: it ends a connection through which nothing has gone
//! for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The load balancer. Dropping it ends every connection.
pub struct LoadBalancer {
    address: String,
    cuts: Arc<AtomicUsize>,
    _end: DropGuard,
}

impl LoadBalancer {
    /// Listens, connects every client to `broker` (`host:port`), and ends connections that are idle for so long.
    ///
    /// # Panics
    /// No port can be had.
    pub async fn start(broker: &str, idle: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens").to_string();
        let cuts = Arc::<AtomicUsize>::default();
        let end = CancellationToken::new();
        let accepting = accept(listener, broker.to_owned(), idle, Arc::clone(&cuts));
        tokio::spawn(end.clone().run_until_cancelled_owned(accepting));
        Self {
            address,
            cuts,
            _end: end.drop_guard(),
        }
    }

    /// `host:port` of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How many connections it has ended.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, broker: String, idle: Duration, cuts: Arc<AtomicUsize>) {
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((near, _)) = accepted else { continue };
        let (broker, cuts) = (broker.clone(), Arc::clone(&cuts));
        connections.spawn(async move {
            if let Ok(far) = TcpStream::connect(broker).await
                && between(near, far, idle).await
            {
                cuts.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
}

/// Brings what comes to the other side, and says whether it ended that because nothing came.
async fn between(mut near: TcpStream, mut far: TcpStream, idle: Duration) -> bool {
    let (mut one, mut other) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        let bringing = async {
            tokio::select! {
                read = near.read(&mut one) => match read {
                    Ok(bytes @ 1..) => far.write_all(&one[..bytes]).await.is_ok(),
                    Ok(0) | Err(_) => false,
                },
                read = far.read(&mut other) => match read {
                    Ok(bytes @ 1..) => near.write_all(&other[..bytes]).await.is_ok(),
                    Ok(0) | Err(_) => false,
                },
            }
        };
        match timeout(idle, bringing).await {
            Ok(true) => {}
            Ok(false) => return false,
            Err(_) => return true,
        }
    }
}
