//! The contributor's command: `cargo xtask serve`, `test`, `bench`, `dist`, `size`, `pkg`, `full`,
//! `full-size`, `fuzz`, `golden`, `stored`.
//!
//! One file per command. [`tools`] gets what a bare machine lacks, [`dist`] builds the page,
//! [`arrows`] holds the rooms of `src/` to their one direction, [`sh`] runs and shows commands.

mod arrows;
mod bench;
mod bundle;
mod compress;
mod dist;
mod full;
mod full_size;
mod fuzz;
mod golden;
mod idle;
mod lint;
mod page;
mod pkg;
mod report;
mod rooms;
mod serve;
mod sh;
mod size;
mod stored;
mod summary;
mod test;
mod tools;

use crate::sh::Parts;
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Serve, test and measure OpenGen; gets the tools it needs by itself")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page and serve it on http://localhost:8080
    Serve(serve::Args),
    /// Run every check and test; the last line counts them
    Test(test::Args),
    /// Measure the engine, natively or in headless Chromium
    Bench(bench::Args),
    /// Build the page as a site serves it: dist/, with its compressed twins
    Dist,
    /// Build the page and print what a visitor downloads; fails above the limit
    Size,
    /// Build the npm package into pkg/ and pack it
    Pkg,
    /// Run what takes too long for `test`, before a release; says of which day and commit it was
    Full,
    /// Make models of true size with random weights, and hold each format to what diffusers computes (needs Python 3)
    FullSize(full_size::Args),
    /// Change inputs for the readers of files, prompts and pictures, and read them
    Fuzz(fuzz::Args),
    /// Make the golden files again from diffusers (needs Python 3; downloads PyTorch)
    Golden,
    /// Write the stored model of the present packed format, which later formats are held to
    Stored,
}

/// Builds the whole page, says how long its parts took, and does something with it.
fn whole(then: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut parts = Parts::new();
    let dist = dist::whole(dist::Warnings::Shown, &mut parts)?;
    parts.print();
    then(&dist)
}

fn main() -> ExitCode {
    idle::begin();
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Dist => whole(|_| Ok(())),
        Command::Size => whole(size::run),
        Command::Pkg => whole(|dist| pkg::pack(dist).map(drop)),
        Command::Full => full::run(),
        Command::FullSize(args) => full_size::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Golden => golden::run(),
        Command::Stored => stored::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
