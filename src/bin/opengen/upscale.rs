//! `opengen upscale`: a picture in, a larger one out.

use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use opengen::error::{Error, Result};
use opengen::gpu::Options;
use opengen::image::{MadeOf, XMP, encode_png};
use opengen::pipeline::{Cancel, Enlarger, Progress, Tiling};

use crate::generate::io;
use crate::{invalid, model, picture};

/// Enlarge a picture by a network: ESRGAN, Real-ESRGAN or SRVGGNetCompact.
#[derive(Parser)]
pub struct Args {
    /// The network's safetensors file.
    #[arg(long)]
    model: PathBuf,
    /// The picture, a PNG.
    picture: PathBuf,
    /// Where the larger one goes; beside the picture, with the factor in its name, if left out.
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// How many times as wide and as high; the network's own factor if left out. What the network makes is brought to another one
    /// by Lanczos.
    #[arg(long)]
    scale: Option<f64>,
    /// The picture is a tile without seams, and so will the larger one be: its borders meet along both axes, or along one.
    #[arg(long, value_name = "AXES", num_args = 0..=1, default_value = "none", default_missing_value = "both")]
    tiling: Tiling,
    /// Use the CPU path instead of the GPU.
    #[arg(long)]
    cpu: bool,
    /// Activations in f32 even where the GPU has f16.
    #[arg(long)]
    f32: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<()> {
    let picture = picture::read(&args.picture)?;
    let options = Options { f16: args.f32.then_some(false), ..Options::default() };
    let enlarger = open(&args.model, &options, args.cpu).await?;
    eprintln!("{}", enlarger.config().describe());
    let size = match args.scale {
        Some(scale) if scale > 0.0 && scale.is_finite() => {
            Some([picture.width, picture.height].map(|side| ((side as f64 * scale).round() as usize).max(1)))
        }
        Some(scale) => return Err(invalid("scale", format!("{scale} asked for, expected a number above 0"))),
        None => None,
    };
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent} % · {eta} left") {
        bar.set_style(style);
    }
    let mut told = |progress: Progress| bar.set_position((progress.share * 1000.0) as u64);
    let larger = enlarger.enlarge(&picture, size, args.tiling, &mut told, &Cancel::default()).await;
    bar.finish_and_clear();
    let larger = larger?;
    let out = args.out.unwrap_or_else(|| {
        let scale = args.scale.unwrap_or(enlarger.config().scale() as f64);
        let stem = args.picture.file_stem().unwrap_or_default().to_string_lossy();
        args.picture.with_file_name(format!("{stem}-{scale}x.png"))
    });
    let mark = MadeOf::Picture.xmp();
    std::fs::write(&out, encode_png(&larger, &[(XMP, &mark)])?).map_err(|error| io(&out, &error))?;
    eprintln!("{} ({}×{})", out.display(), larger.width, larger.height);
    Ok(())
}

/// A network from its file, on the processor or the best GPU.
pub async fn open(path: &std::path::Path, options: &Options, cpu: bool) -> Result<Enlarger> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::Io { path: path.display().to_string(), message: error.to_string() })?;
    let name = path.display().to_string();
    match cpu {
        true => Enlarger::on_cpu(&name, &bytes),
        false => Enlarger::on_gpu(model::device(options).await?, &name, &bytes).await,
    }
}
