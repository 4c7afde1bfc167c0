//! `opengen recall`: the settings in a picture's file, for people and for ComfyUI.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use opengen::error::Result;
use opengen::pipeline::recall;

use crate::generate::io;

/// Print the settings that a picture's file says it was made with: OpenGen's own, those of A1111 and its relatives, and of
/// ComfyUI's graphs of ordinary shape.
#[derive(Parser)]
pub struct Args {
    /// A PNG, JPEG or WebP.
    picture: PathBuf,
    /// json: the settings, with what could not be read in words; comfyui: a graph of ComfyUI's nodes, in its API's
    /// format. What it does not hold is said beside it.
    #[arg(long = "as", value_enum, default_value = "json")]
    form: Form,
    /// Where it goes; printed if left out.
    #[arg(short, long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Json,
    Comfyui,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let bytes = std::fs::read(&args.picture).map_err(|e| io(&args.picture, &e))?;
    let settings = recall::from_file(&bytes)?;
    let text = match args.form {
        Form::Json => format!("{:#}", serde_json::json!(settings)),
        Form::Comfyui => {
            let written = recall::graph(&settings);
            let notices = settings.notices.iter().chain(&written.notices);
            notices.for_each(|notice| eprintln!("note: {notice}"));
            written.graph
        }
    };
    match &args.out {
        Some(file) => std::fs::write(file, text + "\n").map_err(|e| io(file, &e)),
        None => {
            println!("{text}");
            Ok(())
        }
    }
}
