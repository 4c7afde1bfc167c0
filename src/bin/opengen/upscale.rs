//! `opengen upscale`: a picture in, a larger one out.

use std::path::{Path, PathBuf};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use opengen::error::{Error, Result};
use opengen::gpu::Options;
use opengen::image::{MadeOf, Rgba, XMP, encode_png};
use opengen::pipeline::{Cancel, Enlarger, Progress, Tiling, by_lanczos};

use crate::generate::io;
use crate::{invalid, model, picture};

/// Enlarge a picture by a network (ESRGAN, Real-ESRGAN or SRVGGNetCompact), or by Lanczos alone.
#[derive(Parser)]
pub struct Args {
    /// The network's safetensors file; left out, Lanczos enlarges, by the factor of `--scale`.
    #[arg(long, required_unless_present = "scale")]
    model: Option<PathBuf>,
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
    let sides = |scale: f64| {
        [picture.width, picture.height].map(|side| ((side as f64 * scale).round() as usize).max(1))
    };
    let scale = args.scale;
    if let Some(scale) = scale.filter(|scale| !(*scale > 0.0 && scale.is_finite())) {
        return Err(invalid("scale", format!("{scale} asked for, expected a number above 0")));
    }
    let (larger, own) = match &args.model {
        Some(file) => by_network(&args, file, &picture, scale.map(sides)).await?,
        None => (by_lanczos(&picture, sides(scale.unwrap_or(1.0)), args.tiling)?, 1),
    };
    let out = args.out.unwrap_or_else(|| {
        let scale = scale.unwrap_or(own as f64);
        let stem = args.picture.file_stem().unwrap_or_default().to_string_lossy();
        args.picture.with_file_name(format!("{stem}-{scale}x.png"))
    });
    let mark = MadeOf::Picture.xmp();
    std::fs::write(&out, encode_png(&larger, &[(XMP, &mark)])?).map_err(|error| io(&out, &error))?;
    eprintln!("{} ({}×{})", out.display(), larger.width, larger.height);
    Ok(())
}

/// The picture as a network enlarges it, and the network's own factor.
async fn by_network(
    args: &Args,
    file: &Path,
    picture: &Rgba,
    size: Option<[usize; 2]>,
) -> Result<(Rgba, usize)> {
    let options = Options { f16: args.f32.then_some(false), ..Options::default() };
    let enlarger = open(file, &options, args.cpu).await?;
    eprintln!("{}", enlarger.config().describe());
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent} % · {eta} left") {
        bar.set_style(style);
    }
    let mut told = |progress: Progress| bar.set_position((progress.share * 1000.0) as u64);
    let larger = enlarger.enlarge(picture, size, args.tiling, &mut told, &Cancel::default()).await;
    bar.finish_and_clear();
    Ok((larger?, enlarger.config().scale()))
}

/// A network from its file, on the processor or the best GPU.
pub async fn open(path: &Path, options: &Options, cpu: bool) -> Result<Enlarger> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::Io { path: path.display().to_string(), message: error.to_string() })?;
    let name = path.display().to_string();
    match cpu {
        true => Enlarger::on_cpu(&name, &bytes),
        false => Enlarger::on_gpu(model::device(options).await?, &name, &bytes).await,
    }
}
