//! `cluster status`: what runs, and how to reach it. Does IO.

use anyhow::Result;

use super::outage::Outage;
use super::{NODES, Places, node, processes, serve};

/// Prints one line per process group of the cluster. True when all of it runs.
pub fn status(places: &Places) -> Result<bool> {
    let records = places.records();
    let control_plane = [
        "etcd",
        "apiserver",
        "controller-manager",
        "scheduler",
        "proxy",
        "coredns",
        "s3",
        serve::NAME,
    ];
    let mut all = print("control plane", &control_plane.map(str::to_owned), &records, None);
    for node in NODES {
        let outage = Outage::of(places, node);
        all &= print(&node.name(), &node::process_names(node), &records, outage) && outage.is_none();
    }
    if all {
        println!("kubeconfig: {}", places.of_running().kubeconfig().display());
    }
    Ok(all)
}

fn print(name: &str, wanted: &[String], records: &std::path::Path, outage: Option<Outage>) -> bool {
    let absent: Vec<&str> = wanted
        .iter()
        .filter(|process| !processes::is_running(records, process))
        .map(String::as_str)
        .collect();
    let words = match (outage, absent.len()) {
        (Some(outage), _) => outage.word().to_owned(),
        (None, 0) => "runs".to_owned(),
        (None, count) if count == wanted.len() => "is down".to_owned(),
        _ => format!("lacks {}", absent.join(", ")),
    };
    println!("{name:<14} {words}");
    absent.is_empty()
}
