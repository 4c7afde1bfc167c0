//! The command line: the browser's engine, natively.

mod bench;
mod bytes;
mod catalogue;
mod doctor;
mod fetch;
mod generate;
mod import;
mod inspect;
mod model;
mod models;
mod picture;
mod plan;
mod recall;
mod split;
mod train;
mod upscale;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use opengen::error::Error;

/// Stable Diffusion on your own machine: pictures from words, on the GPU through wgpu or on the CPU.
#[derive(Parser)]
#[command(name = "opengen", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make pictures from a prompt.
    Generate(Box<generate::Args>),
    /// Teach a model something of one's own from a few pictures (DreamBooth), and write it as a LoRA.
    Train(Box<train::Args>),
    /// Enlarge a picture by a network of its own kind (ESRGAN, Real-ESRGAN, SRVGGNetCompact), or by Lanczos.
    Upscale(upscale::Args),
    /// Print what a model will do, dispatch by dispatch; needs neither a GPU nor, for built-ins, weights.
    Plan(plan::Args),
    /// Say what a file or folder holds, from its header alone.
    Inspect(inspect::Args),
    /// Print the settings that a picture's file says it was made with, or write them as a graph of ComfyUI's.
    Recall(recall::Args),
    /// Write a diffusers folder or a checkpoint in one file as a GGUF with smaller weights.
    #[command(alias = "quantize")]
    Import(import::Args),
    /// List the models that are here and those that can be had.
    Models(models::Args),
    /// Cut a model's file into parts with an index, so that any host of files can serve it to a page.
    Split(split::Args),
    /// Look into a model, load it, make a picture, and report all of it: what a bug report needs.
    Doctor(doctor::Args),
    /// Measure every stage and kernel on this machine's GPU, or products of well-known shapes in every variant.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(args) => pollster::block_on(generate::run(*args)),
        Command::Train(args) => pollster::block_on(train::run(*args)),
        Command::Upscale(args) => pollster::block_on(upscale::run(args)),
        Command::Plan(args) => plan::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Recall(args) => recall::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Split(args) => split::run(&args),
        Command::Doctor(args) => pollster::block_on(doctor::run(&args)),
        Command::Bench(args) => pollster::block_on(bench::run(&args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let way =
                if error.code() == "NON_FINITE" { "; --allow-non-finite takes it as it is" } else { "" };
            eprintln!("error: {error}{way}");
            // 2: the caller can mend it; 1: the machine or the file cannot do it.
            ExitCode::from(if error.code() == "INVALID_INPUT" { 2 } else { 1 })
        }
    }
}

/// A bad argument.
fn invalid(field: &'static str, message: String) -> Error {
    Error::InvalidInput { field, message }
}
