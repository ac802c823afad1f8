//! `icecast-agent watch` and `run` together with Debian's real Icecast, as in a pod: one mounted Secret, one shared
//! directory, no root. Loopback only.

#![cfg(test)]

mod passthrough;
mod pod;
mod serving;

use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use pod::{Pod, config, until};
use rustix::process::{Signal, kill_process};

const EXTRA: &str = "<mount><mount-name>/extra</mount-name><username>source</username>
    <password>friendofthehouse</password></mount>";

#[test]
fn a_changed_secret_reaches_icecast_and_disturbs_nobody() {
    let Some(mut pod) = Pod::new() else { return };
    pod.project(&config(pod.icecast, ""));
    pod.start();
    let source = pod.source("/live", "opensesame").unwrap();
    assert!(source.flows());
    let listener = pod.listener("/live").unwrap();
    assert!(listener.flows());
    assert_eq!(
        pod.source("/extra", "friendofthehouse").err().as_deref(),
        Some("401")
    );

    let changed = Instant::now();
    pod.project(&config(pod.icecast, EXTRA));
    until("the new password", || {
        pod.source("/extra", "friendofthehouse").is_ok()
    });
    println!("Secret changed to password accepted: {:?}", changed.elapsed());
    assert!(
        changed.elapsed() < Duration::from_secs(10),
        "{:?}",
        changed.elapsed()
    );

    pod.project(&config(pod.icecast, EXTRA).replace("</limits>", ""));
    until("the refusal", || {
        pod.asked("/metrics")
            .is_some_and(|text| text.contains("icecast_agent_config_refusals_total 1\n"))
    });
    assert!(
        pod.asked("/healthz").unwrap().contains(" 200 "),
        "a bad Secret must not restart the pod"
    );
    until("the mount to be free again", || {
        pod.source("/extra", "friendofthehouse").is_ok()
    });
    let metrics = pod.asked("/metrics").unwrap();
    assert!(
        metrics.contains("icecast_agent_config_writes_total 2\n"),
        "{metrics}"
    );
    assert!(source.flows() && listener.flows(), "the reload cut a connection");
    let logs = pod.logs();
    for secret in ["opensesame", "friendofthehouse", "adminword", "relayword"] {
        assert!(!logs.contains(secret), "{secret} is in the logs");
    }
    assert_eq!(pod.stop(0).code(), Some(0));
}

#[test]
fn a_killed_icecast_is_back_within_a_second() {
    let Some(mut pod) = Pod::new() else { return };
    pod.project(&config(pod.icecast, ""));
    pod.start();
    let source = pod.source("/live", "opensesame").unwrap();
    assert!(source.flows() && pod.listener("/live").unwrap().flows());
    let first = pod.icecast_pid().unwrap();
    kill_process(first, Signal::KILL).unwrap();
    let killed = Instant::now();
    until("the source to be let in again", || {
        pod.source("/live", "opensesame").is_ok()
    });
    println!("killed to source accepted: {:?}", killed.elapsed());
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    assert_ne!(pod.icecast_pid().unwrap(), first);
    assert_eq!(pod.stop(1).code(), Some(0));
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, pod.icecast)).is_err(),
        "Icecast outlived its parent"
    );
}
