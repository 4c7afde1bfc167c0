//! What a test could not test here, told to `cargo xtask test`, whose last lines count it.

use std::fs::OpenOptions;
use std::io::Write;

/// Whether the tests that need a device were left out by choice (`OPENGEN_SKIP_GPU=1`).
pub fn by_choice() -> bool {
    std::env::var("OPENGEN_SKIP_GPU").is_ok_and(|value| value == "1")
}

/// Whether every combination is tried, as `cargo xtask full` does. Otherwise what has nothing to do with each other is not: a
/// software adapter compiles seconds for each.
#[allow(dead_code, reason = "not every test file has long parts")]
pub fn everything() -> bool {
    std::env::var_os("OPENGEN_FULL").is_some()
}

/// The running test was left out: it must not count among those that passed.
#[allow(dead_code, reason = "not every test file has tests that need a device alone")]
pub fn wholly(why: &str) {
    tell("all", why);
}

/// A part of the running test was left out.
pub fn partly(why: &str) {
    tell("part", why);
}

/// One line of the file that `OPENGEN_LEFT_OUT` names: how much, the test, the reason, with tabs between them.
fn tell(share: &str, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("NOT TESTED ({share} of {test}): {why}");
    let Some(path) = std::env::var_os("OPENGEN_LEFT_OUT") else { return };
    // One write, so that lines of tests that run at once do not mix.
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).expect("the file of what is left out");
    file.write_all(format!("{share}\t{test}\t{why}\n").as_bytes()).expect("a line in that file");
}
