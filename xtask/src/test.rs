//! `cargo xtask test`: every check and every test; the last lines count them.

use crate::arrows;
use crate::dist::{self, Warnings};
use crate::lint;
use crate::pkg;
use crate::report::{Beside, Report};
use crate::sh::{self, Parts, cmd, say};
use crate::size;
use crate::summary::{self, Failed, LeftOut};
use crate::tools::{self, chromium, firefox, node, trunk, vulkan, webkit};
use anyhow::Result;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

#[derive(clap::Args)]
pub struct Args {
    /// Leave out the wasm build and the browser
    #[arg(long)]
    quick: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let mut report = Report::new();
    report.check("formatting", || sh::run(cmd("cargo").args(["fmt", "--all", "--check"])));
    report.check("direction of rooms", arrows::check);
    let native = native(&mut report);
    if args.quick {
        say("--quick: the wasm build and the browser are left out");
    } else {
        web(&mut report);
    }
    report.wait_for(native);
    report.finish()
}

/// How the engine is compiled for its unit tests, which are quick in any case: in a fraction of the time.
const UNOPTIMISED: [&str; 2] = ["--config", "profile.dev.package.opengen.opt-level=0"];

/// A package's tests, compiled by clippy.
fn tests(package: &str, profile: &str) -> Command {
    let mut tests = cmd("cargo");
    lint::by_clippy(&mut tests).args(["test", "--package", package, "--profile", profile]);
    tests
}

/// Begins to build unit tests, goldens and GPU tests, and to run them: a software adapter compiles shaders on one core, and the
/// compiler ends on one, so that there is another one meanwhile. Package by package, as a contributor's own `cargo test` would build
/// them: in one workspace run their features would unite and everything would be compiled twice.
fn native(report: &mut Report) -> Beside {
    let mut variables = Vec::new();
    report.check("a Vulkan driver", || {
        variables = vulkan::ensure()?;
        tools::program("curl", "curl") // `opengen import` of an address
    });
    let beside = Report::tests_beside("clippy and tests, native", summary::cargo, move |left_out| {
        let kinds = [[&["--lib"][..], &UNOPTIMISED].concat(), vec!["--bins", "--test", "*"]];
        let lint = |kind| lint::deny_warnings(tests("opengen", "dev").args(kind).arg("--no-run"));
        let linted = kinds.iter().map(lint).reduce(Result::and);
        let (mut worst, mut all) = (ExitStatus::default(), String::new());
        for kind in kinds.iter().chain([&vec!["--doc"]]) {
            let mut test = tests("opengen", "dev");
            test.args(kind).arg("--no-fail-fast").envs(variables.clone()).env(LeftOut::VARIABLE, left_out);
            let (status, seen) = sh::tee_at_the_end(&mut test)?;
            worst = if status.success() { worst } else { status };
            all += &seen;
        }
        linted.transpose().map(|_| (worst, all))
    });
    report.check("clippy, xtask", || lint::deny_warnings(tests("xtask", "xtask").arg("--no-run")));
    report.tests("tests, xtask", summary::cargo, |left_out| {
        sh::tee(tests("xtask", "xtask").arg("--no-fail-fast").env(LeftOut::VARIABLE, left_out))
    });
    beside
}

/// The wasm crate, the page and its tests in a real browser. What needs the built page waits for it.
fn web(report: &mut Report) {
    let mut built = PathBuf::new();
    let done = report.check("the page's build, clippy's too", || {
        let mut parts = Parts::new();
        built = dist::whole(Warnings::Denied, &mut parts)?;
        parts.print();
        Ok(())
    });
    if !done {
        say("the page was not built, so its size and its tests in the browser are left out");
        return;
    }
    report.check("the page's size", || size::run(&built));
    report.check("the npm package", || pkg::pack(&built).map(drop));
    match trunk::find() {
        Some(program) => drop(report.check("trunk's build", || trunk::check(&program, &built))),
        None => report.left_out("trunk's build of the page: no trunk is installed here"),
    }
    if !webkit::ensure() {
        report.left_out("the page in WebKitGTK: no webkit2gtk-driver and xvfb can be had here");
    }
    report.tests_twice("tests, browser", summary::node, summary::failed_in_node, |left_out, again| {
        let mut tests = cmd("npm");
        tests.arg("test").current_dir(node::ensure(node::TESTS)?).env(LeftOut::VARIABLE, left_out);
        tests.env("OPENGEN_CHROMIUM", chromium::ensure()?).env("OPENGEN_FIREFOX", firefox::ensure()?);
        tools::program("exiftool", "libimage-exiftool-perl")?;
        if !again.is_empty() {
            tests.args(["--", "--test-concurrency=1"]);
            tests.args(again.iter().map(Failed::pattern)).args(again.iter().map(|failed| &failed.file));
        }
        sh::tee(&mut tests)
    });
}
