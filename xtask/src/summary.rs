//! What a test run's output says: how many passed, failed and were left out.

use std::ops::AddAssign;

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

#[cfg(test)]
mod tests {
    use super::*;

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
