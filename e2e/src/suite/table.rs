//! Running one step after another, and the table of where the time went.

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// The rows so far.
pub struct Table {
    begin: Instant,
    rows: Vec<Row>,
    counted: Counted,
}

struct Row {
    name: String,
    took: Duration,
    budget: Option<Duration>,
    fault: Option<String>,
    /// When each of its tests ended, after its begin: what took so long?
    ended: Vec<(String, Duration)>,
}

/// Tests as the runners' closing lines count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
}

impl Table {
    /// Begins the table; what `make` spent on building this program is its first row.
    #[must_use]
    pub fn begin() -> Self {
        let spent = env::var("RADIO_STARTED")
            .ok()
            .and_then(|at| at.parse::<u64>().ok())
            .and_then(|at| {
                let started = UNIX_EPOCH + Duration::from_secs(at);
                SystemTime::now().duration_since(started).ok()
            });
        let took = spent.unwrap_or_default();
        let row = Row {
            name: "build of this program".to_owned(),
            took,
            budget: None,
            fault: None,
            ended: Vec::new(),
        };
        Self {
            begin: Instant::now(),
            rows: vec![row],
            counted: Counted::default(),
        }
    }

    /// Runs a command, shows its output, counts its tests; over budget is a failure.
    ///
    /// Returns whether the step was good.
    pub fn run(&mut self, name: &str, budget: Option<Duration>, command: &mut Command) -> bool {
        println!("\n==== {name}");
        let begin = Instant::now();
        let mut ended = Vec::new();
        let outcome = self.watch(command, |test| ended.push((test.to_owned(), begin.elapsed())));
        let took = begin.elapsed();
        let fault = match outcome {
            Err(error) => Some(format!("{error:#}")),
            Ok(()) => budget
                .filter(|budget| took > *budget)
                .map(|_| "over its budget".to_owned()),
        };
        self.row(Row {
            name: name.to_owned(),
            took,
            budget,
            fault,
            ended,
        })
    }

    /// Adds a step that is a function of this program.
    pub fn call(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n==== {name}");
        let begin = Instant::now();
        let fault = step().err().map(|error| format!("{error:#}"));
        self.row(Row {
            name: name.to_owned(),
            took: begin.elapsed(),
            budget: None,
            fault,
            ended: Vec::new(),
        })
    }

    fn row(&mut self, row: Row) -> bool {
        let good = row.fault.is_none();
        if let Some(fault) = &row.fault {
            println!("==== {} FAILED: {fault}", row.name);
        }
        self.rows.push(row);
        good
    }

    fn watch(&mut self, command: &mut Command, mut ended: impl FnMut(&str)) -> Result<()> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?} did not start"))?;
        let output = child.stdout.take().context("no output to read")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            stdout().flush()?;
            if let Some(test) = ended_test(&line) {
                ended(test);
            }
            if let Some(counted) = closing_line(&line) {
                self.counted.passed += counted.passed;
                self.counted.failed += counted.failed;
            }
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("{status}");
        }
        Ok(())
    }

    /// Prints the table and the closing line; an error if anything failed or nothing was tested.
    pub fn end(self) -> Result<()> {
        println!("\n{:<44} {:>8} {:>8}", "where the time went", "s", "budget");
        for row in &self.rows {
            let budget = row
                .budget
                .map_or_else(String::new, |b| format!("{}", b.as_secs()));
            let fault = row
                .fault
                .as_ref()
                .map_or_else(String::new, |f| format!("  FAILED: {f}"));
            println!(
                "{:<44} {:>8.1} {:>8}{fault}",
                row.name,
                row.took.as_secs_f32(),
                budget
            );
            let ended = row
                .ended
                .iter()
                .filter(|_| row.budget.is_some() && row.fault.is_some());
            for (test, after) in ended {
                println!("    {test:<72} {:>8.1}", after.as_secs_f32());
            }
        }
        let build = self.rows.first().map_or(Duration::ZERO, |row| row.took);
        println!(
            "{:<44} {:>8.1}",
            "in all",
            (self.begin.elapsed() + build).as_secs_f32()
        );
        let faults = self.rows.iter().filter(|row| row.fault.is_some()).count();
        println!(
            "\nsuite: {} passed, {} failed",
            self.counted.passed, self.counted.failed
        );
        if faults > 0 {
            bail!("{faults} of {} steps failed", self.rows.len());
        }
        if self.counted.passed == 0 {
            bail!("no test ran: is the name right?");
        }
        Ok(())
    }
}

/// Reads `test area::name ... ok`, which libtest prints when a test has ended.
fn ended_test(line: &str) -> Option<&str> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    ["ok", "FAILED"].contains(&outcome).then_some(name)
}

/// Reads `test result: ok. 12 passed; 0 failed; ...`.
fn closing_line(line: &str) -> Option<Counted> {
    let rest = line.strip_prefix("test result: ")?;
    let number_before = |word: &str| -> Option<u32> {
        let (before, _) = rest.split_once(word)?;
        before.trim_end().rsplit(' ').next()?.parse().ok()
    };
    Some(Counted {
        passed: number_before("passed")?,
        failed: number_before("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_closing_lines() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.1s";
        assert_eq!(
            closing_line(line),
            Some(Counted {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(closing_line("12 passed; 3 failed"), None);
        assert_eq!(closing_line("test result: odd"), None);
        assert_eq!(ended_test("test a::b ... ok"), Some("a::b"));
        assert_eq!(ended_test("test a::b ... FAILED"), Some("a::b"));
        assert_eq!(ended_test("test a::b has been running for over 60 seconds"), None);
    }

    #[test]
    fn a_failing_step_and_no_tests_are_errors() {
        let mut table = Table::begin();
        assert!(table.run("good", None, &mut Command::new("true")));
        assert!(!table.run("bad", None, &mut Command::new("false")));
        assert!(
            table
                .end()
                .unwrap_err()
                .to_string()
                .contains("1 of 3 steps failed")
        );

        let mut table = Table::begin();
        table.run("good", None, &mut Command::new("true"));
        assert!(table.end().unwrap_err().to_string().contains("no test ran"));
    }

    #[test]
    fn over_budget_is_a_failure() {
        let mut table = Table::begin();
        assert!(!table.run("slow", Some(Duration::ZERO), &mut Command::new("true")));
    }
}
