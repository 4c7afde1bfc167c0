//! `cargo xtask test`: every check and every test; the last line counts them.

use crate::arrows;
use crate::dist::{self, Profile};
use crate::pkg;
use crate::sh::{self, cmd, say};
use crate::size;
use crate::summary::{self, Counts};
use crate::tools::wasm::{TARGET, Toolchain};
use crate::tools::{chromium, exiftool, firefox, node, vulkan};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// Leave out the wasm build and the browser
    #[arg(long)]
    quick: bool,
}

/// One line of the report. A check has no tests: it adds to the failures when it fails, never to what passed.
struct Step {
    name: &'static str,
    counts: Counts,
    elapsed: Duration,
    problem: Option<String>,
}

#[derive(Default)]
struct Report {
    steps: Vec<Step>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut report = Report::default();
    report.check("formatting", || sh::run(cmd("cargo").args(["fmt", "--all", "--check"])));
    report.check("direction of rooms", arrows::check);
    for package in ["opengen", "xtask"] {
        report.check(if package == "xtask" { "clippy, xtask" } else { "clippy, native" }, || clippy(package));
    }
    native(&mut report);
    if args.quick {
        say("--quick: the wasm build and the browser are left out");
    } else {
        web(&mut report);
    }
    report.finish()
}

/// Unit tests, goldens and GPU tests. Package by package, as a contributor's own `cargo test` would build
/// them: in one workspace run their features would unite and everything would be compiled twice.
fn native(report: &mut Report) {
    let mut variables = Vec::new();
    report.check("a Vulkan driver", || {
        variables = vulkan::ensure()?;
        Ok(())
    });
    for (name, package) in [("tests, native", "opengen"), ("tests, xtask", "xtask")] {
        report.tests(name, summary::cargo, || {
            let mut test = cmd("cargo");
            test.args(["test", "--no-fail-fast", "--package", package]).envs(variables.iter().cloned());
            sh::tee(&mut test)
        });
    }
}

/// The wasm crate, the page and its tests in a real browser. What needs the built page waits for it.
fn web(report: &mut Report) {
    for (name, engine) in [("clippy, wasm32, GPU", "gpu"), ("clippy, wasm32, CPU", "cpu")] {
        report.check(name, || {
            let toolchain = Toolchain::ensure()?;
            let mut clippy = cmd(toolchain.cargo());
            clippy.args(["clippy", "--package", "opengen", "--lib", "--no-default-features"]);
            clippy.args(["--features", &format!("module,{engine}"), "--target", TARGET]);
            toolchain.apply(&mut clippy, &[])?;
            sh::run(clippy.args(["--", "-D", "warnings"]))
        });
    }
    let mut built = PathBuf::new();
    let done = report.check("the page's build", || {
        built = dist::build(Profile::Release)?;
        Ok(())
    });
    if !done {
        say("the page was not built, so its size and its tests in the browser are left out");
        return;
    }
    report.check("the page's size", || size::run(&built));
    report.check("the npm package", || pkg::pack(&built).map(drop));
    report.tests("tests, browser", summary::node, || {
        let mut tests = cmd("npm");
        tests.arg("test").current_dir(node::ensure()?);
        tests.env("OPENGEN_CHROMIUM", chromium::ensure()?).env("OPENGEN_FIREFOX", firefox::ensure()?);
        exiftool::ensure()?;
        sh::tee(&mut tests)
    });
}

fn clippy(package: &str) -> Result<()> {
    sh::run(cmd("cargo").args(["clippy", "--package", package, "--all-targets", "--", "-D", "warnings"]))
}

impl Report {
    /// Runs a check; says whether it passed.
    fn check(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> bool {
        self.step(name, || {
            work()?;
            Ok((Counts::default(), None))
        })
    }

    /// Runs a command that runs tests, and counts them.
    fn tests(
        &mut self,
        name: &'static str,
        count: fn(&str) -> Counts,
        work: impl FnOnce() -> Result<(ExitStatus, String)>,
    ) -> bool {
        self.step(name, || {
            let (status, output) = work()?;
            Ok(judge(count(&output), status))
        })
    }

    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<(Counts, Option<String>)>) -> bool {
        say(format!("── {name}"));
        let start = Instant::now();
        let (counts, problem) = work().unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            (Counts { failed: 1, ..Counts::default() }, Some(format!("{error:#}")))
        });
        let elapsed = start.elapsed();
        say(format!(
            "── {name}: {} in {}",
            if counts.failed == 0 { "ok" } else { "FAILED" },
            sh::time(elapsed)
        ));
        self.steps.push(Step { name, counts, elapsed, problem });
        counts.failed == 0
    }

    /// Prints the table and the last line, which counts tests and what else failed; an error when anything did.
    fn finish(&self) -> Result<()> {
        let mut total = Counts::default();
        println!();
        for step in &self.steps {
            let Counts { passed, failed, skipped } = step.counts;
            let verdict = if failed == 0 { "ok" } else { "FAILED" };
            let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} left out") };
            let tests = format!("{passed} passed, {failed} failed{skipped}");
            let numbers = if step.counts == Counts::default() { "" } else { &tests };
            println!("{verdict:>7}  {:<19} {:>13}  {numbers}", step.name, sh::time(step.elapsed));
            if let Some(problem) = &step.problem {
                println!("{:9}{problem}", "");
            }
            total += step.counts;
        }
        if total.skipped > 0 {
            println!("{} tests were left out by themselves", total.skipped);
        }
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed > 0 {
            bail!("{} failed", total.failed);
        }
        Ok(())
    }
}

/// A run that failed without a failed test, or that ran none, is itself a failure.
fn judge(mut counts: Counts, status: ExitStatus) -> (Counts, Option<String>) {
    let problem = if !status.success() && counts.failed == 0 {
        Some(format!("the run ended with {status} before all tests were done"))
    } else if status.success() && counts.passed == 0 {
        Some("the run counted no test".into())
    } else {
        None
    };
    counts.failed += usize::from(problem.is_some());
    (counts, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn status(code: i32) -> ExitStatus {
        std::os::unix::process::ExitStatusExt::from_raw(code << 8)
    }

    #[test]
    #[cfg(unix)]
    fn a_run_that_breaks_off_is_not_a_success() {
        let counts = |passed, failed| Counts { passed, failed, skipped: 0 };
        assert_eq!(judge(counts(3, 0), status(0)), (counts(3, 0), None));
        assert_eq!(judge(counts(3, 1), status(101)), (counts(3, 1), None));
        assert_eq!(judge(counts(3, 0), status(101)).0, counts(3, 1));
        assert_eq!(judge(counts(0, 0), status(0)).0, counts(0, 1));
    }

    #[test]
    fn a_failed_check_makes_the_whole_fail() {
        let mut report = Report::default();
        assert!(report.check("one", || Ok(())));
        assert!(report.finish().is_ok());
        assert!(!report.check("two", || bail!("no")));
        assert!(report.finish().is_err());
    }
}
