//! `cargo xtask fuzz`: changed inputs for the readers of data from outside, as many as one likes.

use crate::lint;
use crate::sh::{self, cmd, say};
use anyhow::{Result, bail};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub struct Args {
    /// How many inputs each reader gets
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// How long each reader gets inputs, in seconds, however many those are
    #[arg(long, conflicts_with = "runs")]
    seconds: Option<u64>,
    /// One reader alone; `tests/fuzz/targets` has their names
    #[arg(long)]
    target: Option<String>,
    /// Which inputs: the same ones for the same number; by default other ones each time
    #[arg(long)]
    seed: Option<u64>,
    /// One reader led by what code is reached, by cargo-fuzz and libFuzzer; `target/guided` keeps what it finds
    #[arg(long, requires = "target")]
    guided: bool,
}

/// Where cargo-fuzz builds, and keeps inputs.
const BUILDS: &str = "target/guided";
/// What it builds.
const READER: &str = "tests/fuzz/guided";

/// What to do where cargo-fuzz is missing.
const INSTALL: &str = "`cargo install cargo-fuzz` installs it; building the readers wants a C++ compiler too";

fn can_be_guided() -> bool {
    sh::ask(cmd("cargo").args(["fuzz", "--version"])).is_some()
}

/// Without a sanitizer, which shows little in safe code and wants a nightly compiler: the compiler's own checks are on.
fn guided(args: &Args, target: &str, seed: u64) -> Result<()> {
    if !can_be_guided() {
        bail!("`--guided` needs cargo-fuzz: {INSTALL}");
    }
    let root = sh::root();
    let (kept, failed) = (root.join(BUILDS).join(target), root.join("tests/fuzz/corpus").join(target));
    let corpus = kept.join("corpus");
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&failed)?;
    fs::copy(root.join("Cargo.lock"), root.join(READER).join("Cargo.lock"))?;
    let mut fuzz = cmd("cargo");
    fuzz.args(["fuzz", "run", "--fuzz-dir", READER, "--target-dir", BUILDS]);
    fuzz.args(["--sanitizer", "none", "--codegen-units", "16", "reader"]);
    fuzz.arg(&corpus).arg(&failed).args(["--", "-timeout=60", "-print_final_stats=1"]);
    fuzz.arg(format!("-dict={}", kept.join("words").display()));
    fuzz.arg(format!("-artifact_prefix={}/", failed.display()));
    fuzz.arg(match args.seconds {
        Some(seconds) => format!("-max_total_time={seconds}"),
        None => format!("-runs={}", args.runs),
    });
    fuzz.arg(format!("-seed={}", of_32_bits(seed)));
    let ran = sh::run(fuzz.env("OPENGEN_FUZZ_TARGET", target).env("OPENGEN_FUZZ_FOLDER", &kept));
    let _ = fs::remove_dir(&failed); // only if it is empty
    ran
}

/// A seed as libFuzzer takes it, to which 0 means any.
fn of_32_bits(seed: u64) -> u32 {
    (seed as u32).max(1)
}

/// Runs it by the build that `cargo xtask test` has made: optimised a little, with every check of arithmetic.
pub fn run(args: &Args) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = args.seed.unwrap_or(now);
    if let (true, Some(target)) = (args.guided, &args.target) {
        return guided(args, target, seed);
    }
    match can_be_guided() {
        true => say("cargo-fuzz is there: `--guided --target NAME` is led by what code is reached"),
        false => say(format!("`--guided`, led by what code is reached, needs cargo-fuzz: {INSTALL}")),
    }
    let mut test = cmd("cargo");
    lint::by_clippy(&mut test).args([
        "test",
        "--package",
        "opengen",
        "--test",
        "fuzz",
        "--",
        "changed",
        "--nocapture",
    ]);
    match args.seconds {
        Some(seconds) => test.env("OPENGEN_FUZZ_SECONDS", seconds.to_string()),
        None => test.env("OPENGEN_FUZZ_RUNS", args.runs.to_string()),
    };
    test.env("OPENGEN_FUZZ_SEED", seed.to_string());
    if let Some(target) = &args.target {
        test.env("OPENGEN_FUZZ_TARGET", target);
    }
    sh::run(&mut test)
}
