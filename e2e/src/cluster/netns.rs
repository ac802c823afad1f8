//! Network namespaces: running something inside one, and opening sockets that belong to it. Does IO.
//!
//! A thread can move to another namespace, and what it starts stays there; so everything here happens on a
//! thread of its own, and no other thread of the program ever leaves the host's network.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// Where `ip netns` keeps a named namespace.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Runs `work` on a thread inside the network namespace at `path`.
pub fn within<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T> {
    let namespace =
        File::open(path).with_context(|| format!("no network namespace at {}", path.display()))?;
    std::thread::scope(|scope| {
        let inside = scope.spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            io::Result::Ok(work())
        });
        inside
            .join()
            .map_err(|_| anyhow!("the thread inside {} panicked", path.display()))?
            .with_context(|| format!("cannot enter the network namespace {}", path.display()))
    })
}

/// Connects from inside the cluster's network: pod addresses, Service addresses and node addresses are all in
/// reach, whichever node is down.
pub async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    dial_from(&path(super::CONTROL_PLANE), address).await
}

/// Starts a program inside the cluster's network.
pub fn spawn(command: &mut Command) -> Result<Child> {
    // The thread inside is not one of the runtime's, but the runtime has to wait for the child.
    let runtime = Handle::current();
    within(&path(super::CONTROL_PLANE), move || {
        let _entered = runtime.enter();
        command.spawn()
    })?
    .context("it could not be started in the cluster's network")
}

/// Connects from inside the network namespace at `path`.
pub async fn dial_from(path: &Path, address: SocketAddr) -> io::Result<TcpStream> {
    // A socket belongs to the namespace it was made in for its whole life; only making it needs the thread.
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket: OwnedFd = within(path, || {
        rustix::net::socket_with(family, SocketType::STREAM, flags, None)
    })
    .map_err(|error| io::Error::other(format!("{error:#}")))??;
    TcpSocket::from_std_stream(socket.into()).connect(address).await
}
