//! `opengen split`: a file in parts, for hosts that take no large ones.

use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use opengen::error::Result;
use opengen::weights::split;

use crate::bytes::bytes;

/// Cut a model's file into parts with an index, so that any host of files can serve it to a page.
#[derive(Parser)]
pub struct Args {
    /// The file, such as a GGUF that `opengen import` wrote.
    file: PathBuf,
    /// How large a part may be, such as 50MB.
    #[arg(long, default_value = "50MB", value_parser = bytes)]
    size: u64,
    /// The folder that parts and index go into.
    #[arg(short, long)]
    out: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes} · {eta} left") {
        bar.set_style(style);
    }
    let index = split(&args.file, args.size, &args.out, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    println!("{}: put it and the parts beside it on a host, and name its address", index.display());
    Ok(())
}
