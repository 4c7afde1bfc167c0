//! `cargo xtask full`: the tests that take too long for `cargo xtask test`, for before a release.

use crate::dist;
use crate::lint;
use crate::pkg;
use crate::report::Report;
use crate::sh::{self, Parts, cmd, say};
use crate::summary::{self, LeftOut};
use crate::tools::{chromium, node, vulkan};
use anyhow::{Context, Result};

/// Runs them all. The last lines count them, as those of `cargo xtask test` do.
pub fn run() -> Result<()> {
    say(of()?);
    let mut report = Report::new();
    let mut variables = Vec::new();
    report.check("a Vulkan driver", || {
        variables = vulkan::ensure()?;
        Ok(())
    });
    report.tests("every golden run and every kernel on the GPU", summary::cargo, |left_out| {
        let mut test = cmd("cargo");
        lint::by_clippy(&mut test).args(["test", "--package", "opengen"]);
        test.args(["--test", "golden_engine", "--test", "kernels_gemm", "--test", "kernels_gpu"]);
        test.envs(variables.iter().cloned()).env("OPENGEN_FULL", "1").env(LeftOut::VARIABLE, left_out);
        sh::tee(&mut test)
    });
    let packed = report.check("the npm package", || {
        let mut parts = Parts::new();
        let page = dist::whole(dist::Warnings::Shown, &mut parts)?;
        parts.print();
        pkg::pack(&page).map(drop)
    });
    if packed {
        report.tests("long tests, browser", summary::node, |left_out| {
            let mut tests = cmd("npm");
            tests
                .args(["run", "long"])
                .current_dir(node::ensure(node::TESTS)?)
                .envs([("OPENGEN_FULL", "1".as_ref()), (LeftOut::VARIABLE, left_out.as_os_str())]);
            sh::tee(tests.env("OPENGEN_CHROMIUM", chromium::ensure()?))
        });
    }
    let done = report.finish();
    say(of()?);
    done
}

/// The day and the commit, and whether anything was changed since.
fn of() -> Result<String> {
    let ask = |program: &str, arguments: &[&str]| {
        sh::ask(cmd(program).args(arguments)).with_context(|| format!("{program} does not answer"))
    };
    let day = ask("date", &["+%Y-%m-%d"])?;
    let commit = ask("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = ask("git", &["status", "--porcelain"])?;
    let beside = if changed.trim().is_empty() { "" } else { " with changes beside it" };
    Ok(format!("{}, commit {}{beside}", day.trim(), commit.trim()))
}
