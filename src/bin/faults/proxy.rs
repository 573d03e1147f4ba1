//! A network that can be cut: connections stay open, and nothing comes through.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Failure;

/// Forwards connections to a port of this machine.
pub(crate) struct Proxy {
    port: u16,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let open = Arc::new(watch::Sender::new(true));
        let gate = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(connect(near, to, gate.subscribe()));
            }
        });
        Ok(Self { port, open })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing comes through, and nobody is told.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Everything that was sent meanwhile comes through.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn connect(near: TcpStream, to: u16, mut open: watch::Receiver<bool>) {
    // A connection that is begun while the network is cut is not made.
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    tokio::spawn(forward(near_reads, far_writes, open.clone()));
    forward(far_reads, near_writes, open).await;
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut bytes).await {
        // The end of a connection does not come through either.
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        let sent = bytes.get(..read).unwrap_or_default();
        if read == 0 || to.write_all(sent).await.is_err() {
            return;
        }
    }
}
