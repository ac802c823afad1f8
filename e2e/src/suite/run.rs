//! What each `make` target runs, in order.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::runtime::Runtime;

use super::budgets::AREAS;
use super::table::Table;
use crate::cluster::Places;
use crate::install::{apt, cache, command};
use crate::steps::Steps;

/// Pinned: another version may find other faults in the same tree.
const CARGO_DENY: &str = "0.20.2";

/// Tests that need a cluster run this many at a time: the machine has two cores.
const AT_ONCE: &str = "2";
/// Some of the full extent take nodes away.
const ONE_BY_ONE: &str = "1";

/// Faults of the recorder, as processes against the twin: minutes of kills and slow stores. One of each row is run without them.
const RECORDER_FAULTS: [&str; 3] = ["ingest_killed::", "kills::", "troubles::"];
/// What strangers send is parsed by these; `ingest/fuzz` has a target for each.
const FUZZED: [&str; 8] = ["ogg", "mp3", "adts", "webm", "sniff", "repage", "head", "chunked"];
/// Pinned, for the same report from the same corpus.
const CARGO_FUZZ: &str = "0.13.2";

/// What `make up` may take when there is nothing to do.
const AGAIN: Duration = Duration::from_secs(20);

/// How much of each matrix is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One of each row.
    Representative,
    /// All rows, soaks, and what takes a browser.
    Full,
}

/// `make test`.
pub fn everything(table: &mut Table) {
    // CI's machine is its own: what a broken-off run left there goes first.
    if env::var_os("CI").is_some() && !table.run("cluster down", None, &mut cluster(&["down"])) {
        return;
    }
    let offline = table.run("format", None, &mut cargo(&["fmt", "--all", "--check"]))
        && table.call("Debian packages", debian_packages)
        && table.run(
            "build",
            None,
            &mut cargo(&["build", "--workspace", "--all-targets"]),
        )
        && unit_tests(table)
        && table.run(
            "clippy",
            None,
            &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        )
        && dependencies(table);
    if !offline {
        return;
    }
    // The same work as one `cluster up`, so this proof costs nothing.
    let up = table.call("cluster up, killed half-way", killed_half_way)
        && table.run("cluster up", None, &mut cluster(&["up"]))
        && table.run("cluster up again", Some(AGAIN), &mut cluster(&["up"]));
    if up {
        promises(table, "", Extent::Representative);
    }
    if env::var_os("RADIO_KEEP").is_none() {
        table.run("cluster down", None, &mut cluster(&["down"]));
    }
}

/// Every test but the promises, which need a cluster.
fn unit_tests(table: &mut Table) -> bool {
    let modules = match promise_modules() {
        Ok(modules) => modules,
        Err(error) => return table.call("unit tests", || Err(error)),
    };
    let mut tests = cargo(&["test", "--workspace", "--"]);
    let faults = RECORDER_FAULTS.map(str::to_owned);
    for module in modules.into_iter().chain(faults) {
        tests.args(["--skip", &module]);
    }
    println!("not run here: the recorder's faults; `make e2e-full T=recorder` runs them");
    table.run("unit tests", None, &mut tests)
}

/// `ground_api::` and so on. cargo skips by any part of a name, and `tape_` alone is part of many.
fn promise_modules() -> Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises");
    let mut modules = vec![];
    for file in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let file = file?.path();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        if stem != "main" {
            modules.push(format!("{stem}::"));
        }
    }
    modules.sort();
    Ok(modules)
}

/// End-to-end tests by the beginning of their names, area by area.
pub fn promises(table: &mut Table, name: &str, extent: Extent) {
    let areas = AREAS
        .iter()
        .filter(|area| name.starts_with(area.prefix) || area.prefix.starts_with(name));
    for area in areas {
        let filter = if name.len() > area.prefix.len() {
            name
        } else {
            area.prefix
        };
        let mut tests = cargo(&["test", "--workspace", "--test", "promises"]);
        if extent == Extent::Full {
            // Promises of single processes; one of each row is among the unit tests.
            tests.args(["--test", "tape"]);
        }
        tests.args(["--", filter]);
        let at_once = if extent == Extent::Full {
            ONE_BY_ONE
        } else {
            AT_ONCE
        };
        tests.args(["--test-threads", at_once, "--nocapture"]);
        if extent == Extent::Full {
            tests.env("RADIO_FULL", "1");
        }
        let budget = (extent == Extent::Representative).then_some(area.budget);
        table.run(&format!("end to end: {filter}"), budget, &mut tests);
    }
    if extent == Extent::Full && "tape_fuzz".starts_with(name) {
        fuzz(table);
    }
    if extent == Extent::Full && "recorder".starts_with(name) {
        let mut tests = cargo(&["test", "--workspace", "--test", "recorder", "--test", "finalize"]);
        table.run("recorder", None, &mut tests);
    }
}

/// A minute of each target; `ingest/fuzz/run.sh TARGET SECONDS` does more.
fn fuzz(table: &mut Table) {
    let Some(bin) = tool(table, "cargo-fuzz", CARGO_FUZZ) else {
        return;
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [bin].into_iter().chain(env::split_paths(&path));
    let Ok(path) = env::join_paths(folders) else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ingest/fuzz/run.sh");
    for target in FUZZED {
        let mut fuzz = Command::new(&script);
        fuzz.args([target, "60"]).env("PATH", &path);
        table.run(&format!("fuzz: {target}"), None, &mut fuzz);
    }
}

/// `make bench`.
pub fn bench(table: &mut Table) {
    let mut tests = cargo(&["test", "--workspace", "--test", "promises", "--", "bench_"]);
    tests.args(["--test-threads", ONE_BY_ONE, "--nocapture"]);
    table.run("bench", None, &mut tests);
}

/// Unit tests listen with ffmpeg and to Debian's Icecast.
fn debian_packages() -> Result<()> {
    let packages = async { Steps::default().run("packages", apt::ensure).await };
    Runtime::new()?.block_on(packages)
}

/// Kills `cluster up` when the first node's processes have been started, and not all.
fn killed_half_way() -> Result<()> {
    let kubelet = Places::find()?.records().join("node1-kubelet");
    let mut up = cluster(&["up"]).spawn()?;
    while !kubelet.exists() {
        if let Some(status) = up.try_wait()? {
            bail!("it ended before it could be killed: {status}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    up.kill()?;
    up.wait()?;
    Ok(())
}

fn dependencies(table: &mut Table) -> bool {
    let Some(bin) = tool(table, "cargo-deny", CARGO_DENY) else {
        return false;
    };
    println!("not run here: cargo-deny's advisories (their database lives on a git host)");
    let mut deny = Command::new(bin.join("cargo-deny"));
    deny.args(["--log-level", "error", "check", "bans", "licenses", "sources"]);
    table.run("cargo-deny", None, &mut deny)
}

/// The folder of a program that cargo installs, once.
fn tool(table: &mut Table, name: &str, version: &str) -> Option<PathBuf> {
    let root = match cache::folder() {
        Ok(folder) => folder.join("tools"),
        Err(error) => {
            table.call(name, || Err(error));
            return None;
        }
    };
    let bin = root.join("bin");
    let installed = bin.join(name).exists() || {
        let mut install = cargo(&["install", name, "--locked", "--no-default-features", "--quiet"]);
        install.args(["--version", version, "--root"]).arg(&root);
        table.run(&format!("install {name}"), None, &mut install)
    };
    installed.then_some(bin)
}

fn cargo(args: &[&str]) -> Command {
    let mut command = command::cargo();
    command.args(args);
    command
}

fn cluster(args: &[&str]) -> Command {
    let mut command = cargo(&["run", "--quiet", "--package", "e2e", "--bin", "cluster", "--"]);
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_and_the_benches_are_skipped_without_a_cluster() {
        let modules = promise_modules().unwrap();
        for prefix in AREAS.iter().map(|area| area.prefix).chain(["bench_"]) {
            assert!(
                modules.iter().any(|module| module.starts_with(prefix)),
                "{prefix} has no test"
            );
        }
        assert!(modules.iter().all(|module| module.ends_with("::")));
    }
}
