//! `cargo xtask fuzz`: changed inputs for the readers of data from outside, as many as one likes.

use crate::lint;
use crate::sh::{self, cmd};
use anyhow::Result;
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
}

/// Runs it by the build that `cargo xtask test` has made: optimised a little, with every check of arithmetic.
pub fn run(args: &Args) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
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
    test.env("OPENGEN_FUZZ_SEED", args.seed.unwrap_or(now).to_string());
    if let Some(target) = &args.target {
        test.env("OPENGEN_FUZZ_TARGET", target);
    }
    sh::run(&mut test)
}
