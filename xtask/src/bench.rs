//! `cargo xtask bench`: the engine measured natively, or in the browser.

use crate::dist::{self, Profile};
use crate::sh::{self, Parts, cmd};
use crate::tools::{chromium, node, vulkan};
use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {
    /// Measure the page's engine in headless Chromium
    #[arg(long)]
    browser: bool,
    /// Measure inputs that are made to take long: each twice as long as the one before
    #[arg(long, conflicts_with = "browser")]
    hostile: bool,
    /// What follows `--` goes to the benchmark itself
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    if args.hostile {
        return sh::run(cmd("cargo").args(["bench", "--package", "opengen", "--bench", "hostile"]));
    }
    if args.browser {
        dist::build(Profile::Release, &mut Parts::new())?;
        let mut bench = cmd("node");
        bench.current_dir(node::ensure(node::TESTS)?).arg("bench.mjs").args(&args.rest);
        return sh::run(bench.env("OPENGEN_CHROMIUM", chromium::ensure()?));
    }
    let variables = vulkan::ensure()?;
    let bench = ["run", "--release", "--package", "opengen", "--", "bench"];
    sh::run(cmd("cargo").args(bench).args(&args.rest).envs(variables))
}
