//! What `cargo xtask test` says at its end: a line a step, what was not tested, and the sum.

use crate::idle;
use crate::sh::{self, line, say};
use crate::summary::{Counts, Failed, LeftOut};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitStatus;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// So many failed tests may be a busy machine's doing; more are a fault.
const MOST_UNSTEADY: usize = 3;

/// How long the whole may take on a machine of two cores that does nothing else.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// One line of the report. A check has no tests: it adds to the failures when it fails, never to what passed.
struct Step {
    name: String,
    counts: Counts,
    elapsed: Duration,
    problem: Option<String>,
    left_out: LeftOut,
}

/// A step that runs beside those that follow it, until [`Report::wait_for`].
pub struct Beside(JoinHandle<Step>);

impl Step {
    /// Does its work.
    fn run(name: &str, work: impl FnOnce(&mut LeftOut) -> Result<(Counts, Option<String>)>) -> Step {
        say(format!("── {name}"));
        let start = Instant::now();
        let mut left_out = LeftOut::default();
        let (counts, problem) = work(&mut left_out).unwrap_or_else(|error| {
            line!("error: {error:#}");
            (Counts { failed: 1, ..Counts::default() }, Some(format!("{error:#}")))
        });
        let elapsed = start.elapsed();
        let verdict = if counts.failed == 0 { "ok" } else { "FAILED" };
        say(format!("── {name}: {verdict} in {}", sh::time(elapsed)));
        Step { name: name.to_owned(), counts, elapsed, problem, left_out }
    }

    /// A command that runs tests, whose output says how many; it is given the file in which tests say what they left out.
    fn tests(
        name: &str,
        count: fn(&str) -> Counts,
        work: impl FnOnce(&Path) -> Result<(ExitStatus, String)>,
    ) -> Step {
        Step::run(name, |left_out| {
            let file = LeftOut::file()?;
            let (status, output) = work(&file)?;
            *left_out = LeftOut::read(&file)?;
            let (counts, problem) = judge(count(&output), status);
            Ok((counts.without(left_out.whole_tests()), problem))
        })
    }

    /// The same of tests that wait for a browser on a machine that does other things besides: a few that fail are run once
    /// more, alone. Those that pass then passed, and are named at the end.
    fn tests_twice(
        name: &str,
        count: fn(&str) -> Counts,
        failures: fn(&str) -> Vec<Failed>,
        work: impl Fn(&Path, &[Failed]) -> Result<(ExitStatus, String)>,
    ) -> Step {
        Step::run(name, |left_out| {
            let file = LeftOut::file()?;
            let (status, output) = work(&file, &[])?;
            *left_out = LeftOut::read(&file)?;
            let (counts, problem) = judge(count(&output), status);
            let mut counts = counts.without(left_out.whole_tests());
            let failed = failures(&output);
            if (1..=MOST_UNSTEADY).contains(&failed.len()) && failed.len() == counts.failed {
                for test in &failed {
                    say(format!("── once more, alone: {}: {}", test.file, test.name));
                    let again = LeftOut::file()?;
                    let (status, output) = work(&again, std::slice::from_ref(test))?;
                    left_out.add(LeftOut::read(&again)?);
                    if status.success() && count(&output).passed > 0 {
                        counts.passed += 1;
                        counts.failed -= 1;
                        left_out.unsteady(test);
                    }
                }
            }
            Ok((counts, problem))
        })
    }
}

pub struct Report {
    steps: Vec<Step>,
    left_out: LeftOut,
    start: Instant,
    /// What cargo did before this program could begin.
    before: Duration,
}

impl Report {
    pub fn new() -> Report {
        let before = sh::since_start().unwrap_or_default();
        Report { steps: Vec::new(), left_out: LeftOut::default(), start: Instant::now(), before }
    }

    /// Runs a check; says whether it passed.
    pub fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        self.add(Step::run(name, |_| {
            work()?;
            Ok((Counts::default(), None))
        }))
    }

    /// Runs a command that runs tests, and counts them. It is given the file in which tests say what they left out.
    pub fn tests(
        &mut self,
        name: &str,
        count: fn(&str) -> Counts,
        work: impl FnOnce(&Path) -> Result<(ExitStatus, String)>,
    ) -> bool {
        self.add(Step::tests(name, count, work))
    }

    /// Runs tests that a busy machine may make fail; see [`Step::tests_twice`].
    pub fn tests_twice(
        &mut self,
        name: &str,
        count: fn(&str) -> Counts,
        failures: fn(&str) -> Vec<Failed>,
        work: impl Fn(&Path, &[Failed]) -> Result<(ExitStatus, String)>,
    ) -> bool {
        self.add(Step::tests_twice(name, count, failures, work))
    }

    /// Begins such a run that leaves the machine time for other steps.
    pub fn tests_beside(
        name: &'static str,
        count: fn(&str) -> Counts,
        work: impl FnOnce(&Path) -> Result<(ExitStatus, String)> + Send + 'static,
    ) -> Beside {
        Beside(thread::spawn(move || Step::tests(name, count, work)))
    }

    /// Waits for a run that began before; says whether it passed.
    pub fn wait_for(&mut self, beside: Beside) -> bool {
        match beside.0.join() {
            Ok(step) => self.add(step),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Something that could not be tested here, in a line.
    pub fn left_out(&mut self, what: &str) {
        say(format!("not tested: {what}"));
        self.left_out.say(what);
    }

    fn add(&mut self, mut step: Step) -> bool {
        self.left_out.add(std::mem::take(&mut step.left_out));
        let passed = step.counts.failed == 0;
        self.steps.push(step);
        passed
    }

    /// Prints the table and the last lines; an error when anything failed, or when it took too long for no reason.
    pub fn finish(self) -> Result<()> {
        let mut total = Counts::default();
        line!("\n     ok  {:<22} {:>13}", "the task runner itself", sh::time(self.before));
        for step in &self.steps {
            let Counts { passed, failed, skipped } = step.counts;
            let verdict = if failed == 0 { "ok" } else { "FAILED" };
            let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} not run") };
            let tests = format!("{passed} passed, {failed} failed{skipped}");
            let numbers = if step.counts == Counts::default() { "" } else { &tests };
            line!("{verdict:>7}  {:<22} {:>13}  {numbers}", step.name, sh::time(step.elapsed));
            if let Some(problem) = &step.problem {
                line!("{:9}{problem}", "");
            }
            total += step.counts;
        }
        let elapsed = self.before + self.start.elapsed();
        line!("{:9}{:<22} {:>13}", "", "in all", sh::time(elapsed));
        let share = idle::own_share();
        if let Some(share) = share {
            line!("{:9}{:.0} % of the work that this machine did was this", "", share * 100.0);
        }
        line!("{}", self.left_out.lines(total.skipped));
        line!("{} passed, {} failed", total.passed, total.failed);
        if total.failed > 0 {
            bail!("{} failed", total.failed);
        }
        within(elapsed, share)
    }
}

/// Holds the whole to its limit, where nothing else kept the machine busy.
fn within(elapsed: Duration, share: Option<f64>) -> Result<()> {
    if elapsed > LIMIT && share.is_none_or(|share| share > 0.8) {
        bail!(
            "all passed, but the whole took {}, more than {} (and the machine had nothing else to do): move what is \
             long to `cargo xtask full`",
            sh::time(elapsed),
            sh::time(LIMIT)
        );
    }
    Ok(())
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
        let mut report = Report::new();
        assert!(report.check("one", || Ok(())));
        assert!(!report.check("two", || bail!("no")));
        assert!(report.finish().is_err());
        let mut report = Report::new();
        assert!(report.check("one", || Ok(())));
        assert!(report.finish().is_ok());
    }

    #[test]
    #[cfg(unix)]
    fn what_was_left_out_did_not_pass() {
        let mut report = Report::new();
        report.tests("some", crate::summary::cargo, |file| {
            std::fs::write(file, "all\tone\tno adapter\npart\ttwo\tno f16\npart\ttwo\tno f16\n")?;
            Ok((status(0), "test result: ok. 3 passed; 0 failed; 0 ignored".into()))
        });
        assert_eq!(report.steps[0].counts, Counts { passed: 2, failed: 0, skipped: 1 });
        let lines = report.left_out.lines(0);
        assert!(lines.contains("NOT TESTED: 1 test: no adapter"), "{lines}");
        assert!(lines.contains("NOT TESTED: a part of 1 test: no f16"), "{lines}");
    }

    #[test]
    #[cfg(unix)]
    fn a_few_tests_that_failed_are_run_alone_and_named() {
        let run = |second: &'static str| {
            let mut report = Report::new();
            report.tests_twice("some", crate::summary::node, crate::summary::failed_in_node, |_, again| {
                Ok(match again {
                    [] => (status(1), "ℹ pass 3\nℹ fail 1\n\ntest at a.mjs:3:1\n✖ one (2ms)\n".into()),
                    [one] => {
                        (status(i32::from(one.name != "one" || second.contains("fail 1"))), second.into())
                    }
                    _ => unreachable!("one at a time"),
                })
            });
            report
        };
        let steady = run("ℹ pass 0\nℹ fail 1\n");
        assert_eq!(steady.steps[0].counts, Counts { passed: 3, failed: 1, skipped: 0 });
        assert_eq!(run("ℹ pass 0\nℹ fail 0\n").steps[0].counts.failed, 1, "nothing ran");
        let unsteady = run("ℹ pass 1\nℹ fail 0\n");
        assert_eq!(unsteady.steps[0].counts, Counts { passed: 4, failed: 0, skipped: 0 });
        assert!(
            unsteady.left_out.lines(0).contains("UNSTEADY: failed among others, passed alone: a.mjs: one")
        );
    }

    #[test]
    fn the_limit_holds_on_an_idle_machine_alone() {
        let long = LIMIT + Duration::from_secs(1);
        assert!(within(LIMIT, Some(1.0)).is_ok());
        assert!(within(long, Some(0.95)).is_err());
        assert!(within(long, None).is_err());
        assert!(within(long, Some(0.5)).is_ok());
    }
}
