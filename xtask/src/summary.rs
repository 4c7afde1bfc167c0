//! What a test run's output says: how many passed, failed and were left out.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Counts {
    /// Tests that left themselves out ended well, and passed nothing.
    pub fn without(mut self, left_out: usize) -> Counts {
        let left_out = left_out.min(self.passed);
        self.passed -= left_out;
        self.skipped += left_out;
        self
    }
}

/// What tests say that they could not test on this machine: the reasons, each with the tests, whole or in part.
#[derive(Default)]
pub struct LeftOut {
    /// By reason and whether the whole test was left out.
    tests: BTreeMap<(bool, String), BTreeSet<String>>,
    lines: Vec<String>,
    /// Tests that failed among others and passed alone.
    unsteady: Vec<String>,
}

impl LeftOut {
    /// Names the file to the tests, which write a line each: `all` or `part`, the test, the reason, with tabs between.
    pub const VARIABLE: &str = "OPENGEN_LEFT_OUT";

    /// An empty file for one run, of which there may be several at once.
    pub fn file() -> Result<PathBuf> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("opengen-left-out-{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Reads the file and removes it.
    pub fn read(path: &Path) -> Result<LeftOut> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::remove_file(path).ok();
        let mut left_out = LeftOut::default();
        for line in text.lines() {
            let mut fields = line.splitn(3, '\t');
            if let (Some(share), Some(test), Some(why)) = (fields.next(), fields.next(), fields.next()) {
                let tests = left_out.tests.entry((share == "all", why.to_owned())).or_default();
                tests.insert(test.to_owned());
            }
        }
        Ok(left_out)
    }

    /// How many tests were left out as a whole.
    pub fn whole_tests(&self) -> usize {
        let whole = self.tests.iter().filter(|((all, _), _)| *all);
        whole.flat_map(|(_, tests)| tests).collect::<BTreeSet<_>>().len()
    }

    pub fn add(&mut self, other: LeftOut) {
        for (key, tests) in other.tests {
            self.tests.entry(key).or_default().extend(tests);
        }
        self.lines.extend(other.lines);
        self.unsteady.extend(other.unsteady);
    }

    /// A test that failed among others and passed alone: no failure of what is tested, and to be looked at.
    pub fn unsteady(&mut self, test: &Failed) {
        self.unsteady
            .push(format!("UNSTEADY: failed among others, passed alone: {}: {}", test.file, test.name));
    }

    /// Something else that was left out.
    pub fn say(&mut self, what: &str) {
        self.lines.push(what.to_owned());
    }

    /// A line a reason, for the end of the report.
    pub fn lines(&self, not_run: usize) -> String {
        let mut lines = Vec::new();
        for ((all, why), tests) in &self.tests {
            let number = match tests.len() {
                1 => "1 test".to_owned(),
                many => format!("{many} tests"),
            };
            lines.push(format!("NOT TESTED: {}{number}: {why}", if *all { "" } else { "a part of " }));
        }
        lines.extend(self.lines.iter().map(|line| format!("NOT TESTED: {line}")));
        let whole = self.whole_tests();
        if not_run > whole {
            lines.push(format!("NOT TESTED: {} tests are left out by their files", not_run - whole));
        }
        if lines.is_empty() {
            lines.push("nothing was left out".to_owned());
        }
        lines.extend(self.unsteady.iter().cloned());
        lines.join("\n")
    }
}

/// Adds up cargo's lines: `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; …`.
pub fn cargo(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        let rest = line.split_once(". ").map_or(line, |(_, rest)| rest);
        for part in rest.split(';') {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => counts.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => counts.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => counts.skipped += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    counts
}

/// Adds up the last lines of `node --test`, in either of its forms: `# pass 3` or `ℹ pass 3`.
pub fn node(output: &str) -> Counts {
    let mut counts = Counts::default();
    for line in output.lines() {
        let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else {
            continue;
        };
        let Some((word, Ok(number))) =
            rest.trim().split_once(' ').map(|(word, n)| (word, n.parse::<usize>()))
        else {
            continue;
        };
        match word {
            "pass" => counts.passed += number,
            "fail" | "cancelled" => counts.failed += number,
            "skipped" | "todo" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

/// A test of a file that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    pub file: String,
    pub name: String,
}

impl Failed {
    /// The option of `node --test` that chooses it, and others of its name.
    pub fn pattern(&self) -> String {
        let mut pattern = String::from("--test-name-pattern=^");
        for letter in self.name.chars() {
            if r"\^$.*+?()[]{}|/".contains(letter) {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern + "$"
    }
}

/// Reads the end of what `node --test` prints in its form `spec`: a place, `test at X.test.mjs:3:1`, and in the next line the
/// test, `✖ NAME (1.6ms)`.
pub fn failed_in_node(output: &str) -> Vec<Failed> {
    let lines: Vec<&str> = output.lines().collect();
    let read = |place: &str, test: &str| {
        let file = place.strip_prefix("test at ")?.rsplitn(3, ':').nth(2)?;
        let name = test.strip_prefix("✖ ")?.rsplit_once(" (")?.0;
        Some(Failed { file: file.to_owned(), name: name.to_owned() })
    };
    lines.windows(2).filter_map(|pair| read(pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_in_node_can_be_run_again() {
        let output = "✖ one (of two) (1.6ms)\n  Error: x\n\nℹ fail 2\n\n✖ failing tests:\n\ntest at a.test.mjs:3:1\n\
            ✖ one (of two) (1.6ms)\n  Error: x\n\ntest at long/b.mjs:15:1\n✖ a: \"b\" (12ms)\n  Error: y\n";
        let failed = |file: &str, name: &str| Failed { file: file.into(), name: name.into() };
        let all = failed_in_node(output);
        assert_eq!(all, [failed("a.test.mjs", "one (of two)"), failed("long/b.mjs", "a: \"b\"")]);
        assert_eq!(all[0].pattern(), r"--test-name-pattern=^one \(of two\)$");
        assert_eq!(failed_in_node("✔ all well (1ms)"), []);
    }

    #[test]
    fn cargo_lines_add_up() {
        let output = "
running 3 tests
test sample::tests::says_5_passed ... ok
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s

   Doc-tests opengen
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.00s
";
        assert_eq!(cargo(output), Counts { passed: 15, failed: 2, skipped: 1 });
        assert_eq!(cargo("error: could not compile"), Counts::default());
    }

    #[test]
    fn node_lines_add_up_in_both_forms() {
        let tap = "TAP version 13\n# tests 9\n# suites 0\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 2\n# todo 0\n";
        assert_eq!(node(tap), Counts { passed: 5, failed: 2, skipped: 2 });
        let spec = "✔ first visit (12ms)\nℹ tests 4\nℹ pass 3\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\n";
        assert_eq!(node(spec), Counts { passed: 3, failed: 1, skipped: 0 });
        assert_eq!(node("# a comment\nnothing"), Counts::default());
    }
}
