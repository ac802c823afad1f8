//! What each `make` target runs, in order.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::budgets::AREAS;
use super::table::Table;
use crate::cluster::Places;
use crate::install::{apt, cache, command};
use crate::steps::Steps;

/// Pinned: another version may find other faults in the same tree.
const CARGO_DENY: &str = "0.20.2";

/// Some of the full extent take nodes away.
const ONE_BY_ONE: &str = "1";

/// The recorder as processes, against the twin. They wait most of the time, for seconds of a show to pass.
const RECORDER: [&str; 3] = ["archive", "finalize", "recorder"];
/// How many of its shows go on at a time; with all rows each has more to do.
const SHOWS: &str = "8";
const SHOWS_OF_ALL: &str = "4";
/// Needs a cluster.
const PROMISES: &str = "promises";
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

/// Every test that needs no cluster.
fn unit_tests(table: &mut Table) -> bool {
    let targets = match test_targets() {
        Ok(targets) => targets,
        Err(error) => return table.call("unit tests", || Err(error)),
    };
    let mut tests = cargo(&["test", "--workspace", "--lib", "--bins"]);
    for target in targets {
        if target != PROMISES && !RECORDER.contains(&target.as_str()) {
            tests.args(["--test", &target]);
        }
    }
    table.run("unit tests", None, &mut tests) && recorder(table, Extent::Representative)
}

fn recorder(table: &mut Table, extent: Extent) -> bool {
    let mut tests = cargo(&["test", "--workspace"]);
    for target in RECORDER {
        tests.args(["--test", target]);
    }
    let shows = match extent {
        Extent::Representative => SHOWS,
        Extent::Full => SHOWS_OF_ALL,
    };
    tests.args(["--", "--test-threads", shows, "--nocapture"]);
    if extent == Extent::Full {
        tests.env("RADIO_FULL", "1");
    }
    table.run("recorder", None, &mut tests)
}

/// The names of all integration tests of the workspace.
fn test_targets() -> Result<Vec<String>> {
    let told = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let told: Metadata = serde_json::from_slice(&told.stdout).context("cargo metadata")?;
    let all = told.packages.into_iter().flat_map(|package| package.targets);
    let tests = all.filter(|target| target.kind.iter().any(|kind| kind == "test"));
    Ok(tests.map(|target| target.name).collect())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// End-to-end tests by the beginning of their names, area by area.
pub fn promises(table: &mut Table, name: &str, extent: Extent) {
    for area in &AREAS {
        let filters = area.filters(name);
        if filters.is_empty() {
            continue;
        }
        let mut tests = cargo(&["test", "--workspace", "--test", PROMISES]);
        if extent == Extent::Full {
            // Promises of single processes; one of each row is among the unit tests.
            tests.args(["--test", "tape"]);
        }
        tests.arg("--").args(&filters);
        let at_once = if extent == Extent::Full {
            ONE_BY_ONE
        } else {
            area.at_once
        };
        tests.args(["--test-threads", at_once, "--nocapture"]);
        if extent == Extent::Full {
            tests.env("RADIO_FULL", "1");
        }
        let budget = (extent == Extent::Representative).then_some(area.budget);
        table.run(
            &format!("end to end: {}", filters.join(" and ")),
            budget,
            &mut tests,
        );
    }
    if extent == Extent::Full && "tape_fuzz".starts_with(name) {
        fuzz(table);
    }
    // What the cluster's rows are about, in all their rows.
    let is_recorder = ["recorder", "recording_"].iter().any(|row| row.starts_with(name));
    if extent == Extent::Full && is_recorder {
        recorder(table, extent);
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
    let mut tests = cargo(&["test", "--workspace", "--test", PROMISES, "--", "bench_"]);
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
    use std::fs;

    use super::*;
    use crate::suite::budgets::Area;

    #[test]
    fn every_area_has_tests_and_nothing_is_run_twice() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises");
        let files = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name());
        let files: Vec<String> = files.map(|file| file.into_string().unwrap()).collect();
        for prefix in AREAS.iter().flat_map(|Area { prefixes, .. }| *prefixes) {
            assert!(
                files.iter().any(|file| file.starts_with(prefix)),
                "{prefix} has no test"
            );
        }
        let targets = test_targets().unwrap();
        for apart in RECORDER.iter().chain([&PROMISES]) {
            assert!(
                targets.iter().any(|target| target == apart),
                "{apart} in {targets:?}"
            );
        }
    }
}
