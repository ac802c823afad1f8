//! Ports on loopback for the programs that tests start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that Linux gives to clients: between this question and the program's `bind()`, and while a killed program comes
/// again, any connection of another test may be given one of those. Below `NodePorts`, too.
const PORTS: Range<u16> = 10_000..30_000;

/// Ports that nobody listens on, another one at each call.
pub fn free<const COUNT: usize>() -> io::Result<[SocketAddr; COUNT]> {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    for address in &mut found {
        let mut tried = PORTS.len();
        address.set_port(loop {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = PORTS.start + next % (PORTS.end - PORTS.start);
            tried -= 1;
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(_) => break port,
                Err(why) if tried == 0 => return Err(why),
                Err(_) => {}
            }
        });
    }
    Ok(found)
}
