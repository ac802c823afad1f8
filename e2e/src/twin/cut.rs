//! Cutting a connection in the middle, so that the other side sees a reset.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The scissors at one connection.
#[derive(Clone)]
pub(super) struct Cut {
    socket: Arc<OwnedFd>,
    asked: Arc<Notify>,
}

impl Cut {
    pub(super) fn of(stream: &TcpStream) -> std::io::Result<Self> {
        Ok(Self {
            socket: Arc::new(stream.as_fd().try_clone_to_owned()?),
            asked: Arc::default(),
        })
    }

    /// Resets the connection. Never returns: whoever serves the connection is dropped with it.
    pub(super) async fn now<T>(&self) -> T {
        self.asked.notify_one();
        std::future::pending().await
    }

    /// Waits until someone cuts.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Closing will be a reset: what was not sent yet is thrown away.
    pub(super) fn arm(&self) {
        if let Err(error) = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)) {
            tracing::warn!(%error, "a connection ends in order instead of by a reset");
        }
    }
}
