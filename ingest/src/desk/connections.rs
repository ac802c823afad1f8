//! The desk's connections: few, and none buffers much. IO: sockets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Desk;

/// Each of playout, origins, recorders and the operator has a few.
const MOST: usize = 512;
/// What a reader that does not read may cost, here and again in the kernel: four seconds of 128 kb/s, so that who
/// comes back is not told old news for long.
const BUFFER: usize = 64 << 10;
/// A reader that takes nothing for so long is gone.
const GONE: Duration = Duration::from_secs(30);

/// Serves until `stop` is done; open answers break off then.
pub async fn serve(listener: TcpListener, desk: Desk, stop: impl Future<Output = ()>) -> io::Result<()> {
    let routes = TowerToHyperService::new(desk.routes());
    let places = Arc::new(Semaphore::new(MOST));
    let mut open = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return Ok(()),
            Some(_) = open.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let (socket, place) = match accepted {
            Ok(accepted) => accepted,
            Err(failure) => {
                tracing::warn!(%failure, "a reader could not be accepted");
                // Out of file descriptors: the next try would fail at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let routes = routes.clone();
        open.spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(socket), routes)
                .await;
            if let Err(failure) = served {
                tracing::debug!(%failure, "a reader's connection ended");
            }
            drop(place);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    sockopt::set_socket_send_buffer_size(&socket, BUFFER)?;
    sockopt::set_tcp_user_timeout(&socket, u32::try_from(GONE.as_millis()).unwrap_or(u32::MAX))?;
    Ok((socket, place))
}
