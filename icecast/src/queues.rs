//! Listeners that do not keep up, for both flavors: their bytes pile up in the kernel before Icecast's own queue grows.
//! IO: reads `/proc/net/tcp`, which in a pod is the pod's.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Sent and not acknowledged: 2 s at 128 kbit/s, more than any line takes to answer.
const PILE: u64 = 32 << 10;
const ESTABLISHED: &str = "01";

/// The far ends of connections to `port` for which much is waiting.
pub fn piled_up(port: u16) -> HashSet<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let files = tables.into_iter().filter_map(|table| File::open(table).ok());
    let lines = files.flat_map(|file| BufReader::new(file).lines().map_while(Result::ok));
    lines.filter_map(|line| far_end(&line, port)).collect()
}

/// Of a line about a connection to `port` with a pile.
fn far_end(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (here, there) = (fields.next()?, fields.next()?);
    let (_, here) = here.rsplit_once(':')?;
    let is_ours = u16::from_str_radix(here, 16) == Ok(port) && fields.next()? == ESTABLISHED;
    let (waiting, _) = fields.next()?.split_once(':')?;
    (is_ours && u64::from_str_radix(waiting, 16).ok()? > PILE).then(|| there.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn only_piles_of_this_port_count() {
        let line = |port: u16, state: &str, waiting: u64| {
            format!(
                "  0: 0100007F:{port:04X} 0200007F:A1B2 {state} {waiting:08X}:00000000 00:00000000 00000000 1 0 5"
            )
        };
        assert_eq!(
            far_end(&line(8000, "01", PILE + 1), 8000).as_deref(),
            Some("0200007F:A1B2")
        );
        for other in [
            line(8000, "01", PILE),
            line(8001, "01", PILE + 1),
            line(8000, "08", PILE + 1),
        ] {
            assert_eq!(far_end(&other, 8000), None);
        }
        for odd in ["", "  sl  local_address rem_address", "a b c d e f"] {
            assert_eq!(far_end(odd, 8000), None);
        }
    }

    #[test]
    fn who_reads_nothing_is_seen_here() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lazy = TcpStream::connect(address).unwrap();
        let (mut sender, _) = listener.accept().unwrap();
        assert!(piled_up(address.port()).is_empty());
        sender.set_nonblocking(true).unwrap();
        while sender.write(&[0; 4096]).is_ok() {}
        assert_eq!(piled_up(address.port()).len(), 1);
        drop(lazy);
    }
}
