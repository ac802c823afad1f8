//! The listening port: it can be closed and opened again, and each connection can be cut. Does IO.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::Outage;
use super::cut::Cut;
use super::serve::{self, Shared};
use crate::cluster;

const BACKLOG: u32 = 1024;

/// A port that stays ours while nobody listens on it.
pub(super) struct Door {
    address: SocketAddr,
    /// The network namespace it is in; none is the host's.
    network: Option<PathBuf>,
    _keeps_the_port: TcpSocket,
}

impl Door {
    pub(super) fn at(address: SocketAddr, network: Option<PathBuf>) -> Result<Self> {
        let socket = bound(address, network.as_deref())?;
        Ok(Self {
            address: socket.local_addr()?,
            network,
            _keeps_the_port: socket,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the door; it takes connections from now on.
    pub(super) fn open(&self) -> Result<TcpListener> {
        bound(self.address, self.network.as_deref())?
            .listen(BACKLOG)
            .with_context(|| format!("cannot listen on {}", self.address))
    }

    /// Takes connections until the task is dropped, and all connections with it.
    pub(super) async fn serve(self, first: TcpListener, shared: Arc<Shared>) -> Result<()> {
        let mut outage = shared.outage.subscribe();
        let mut connections = JoinSet::new();
        let mut open = Some(first);
        loop {
            let refuse = *outage.borrow_and_update() == Outage::Refuse;
            if refuse {
                open = None;
            } else if open.is_none() {
                open = Some(self.open()?);
            }
            let accept = async {
                match &open {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = accept => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(talk(stream, shared.clone()))),
                    Err(error) => tracing::warn!(%error, "a connection was not taken"),
                },
                _ = outage.changed() => {}
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

fn bound(address: SocketAddr, network: Option<&Path>) -> Result<TcpSocket> {
    let make = || {
        if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
    };
    // A socket stays in the namespace it was made in, wherever it is used.
    let socket = match network {
        Some(network) => cluster::within(network, make)??,
        None => make()?,
    };
    socket.set_reuseaddr(true)?;
    socket
        .bind(address)
        .with_context(|| format!("cannot bind {address}"))?;
    Ok(socket)
}

/// Serves one connection until it ends or is cut.
async fn talk(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let cut = match Cut::of(&stream) {
        Ok(cut) => cut,
        Err(error) => return tracing::warn!(%error, "a connection was not served"),
    };
    let mut outage = shared.outage.subscribe();
    let service = service_fn(|request| {
        let (shared, cut) = (shared.clone(), cut.clone());
        async move { Ok::<_, Infallible>(serve::answer(shared, cut, request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = connection => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended");
        },
        () = cut.asked() => cut.arm(),
        _ = outage.wait_for(|now| *now == Outage::Refuse) => cut.arm(),
    }
}
