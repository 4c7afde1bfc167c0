//! `opengen import`: a diffusers folder or a checkpoint in one file as a GGUF that says all of itself.

use std::path::PathBuf;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use opengen::config::Suggested;
use opengen::error::Result;
use opengen::kernels::WeightType;
use opengen::sample::{SamplerKind, ScheduleKind};
use opengen::weights::quantize_source;

use crate::model;

/// Write a diffusers folder or a checkpoint in one file as a GGUF that says all of itself.
#[derive(Parser)]
pub struct Args {
    /// The diffusers folder, or the file.
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// f32, f16, q8 or q4: the type of matrices; vectors stay f32.
    #[arg(long, default_value = "q8")]
    r#type: String,
    /// The same for the autoencoder alone.
    #[arg(long)]
    vae_type: Option<String>,
    /// What a run should take that says nothing of its own; what is left out stays as the model has it.
    #[arg(long)]
    steps: Option<usize>,
    /// The same for classifier-free guidance.
    #[arg(long)]
    guidance: Option<f64>,
    /// The same for the sampler.
    #[arg(long)]
    sampler: Option<SamplerKind>,
    /// The same for its schedule.
    #[arg(long)]
    schedule: Option<ScheduleKind>,
    /// Where the file goes.
    #[arg(short, long)]
    out: PathBuf,
}

/// A weight type by its name, short or as GGUF has it.
pub fn weight_type(name: &str) -> Result<WeightType> {
    match name {
        "f32" => Ok(WeightType::F32),
        "f16" => Ok(WeightType::F16),
        "q8" | "q8_0" => Ok(WeightType::Q8),
        "q4" | "q4_0" => Ok(WeightType::Q4),
        _ => Err(crate::invalid("type", format!("{name:?} is no weight type; known are f32, f16, q8, q4"))),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let ty = weight_type(&args.r#type)?;
    let vae = match &args.vae_type {
        Some(name) => weight_type(name)?,
        None if ty.is_quantized() => WeightType::F16,
        None => ty,
    };
    let mut source = model::open(&args.model, &args.known.options())?;
    source.suggest(Suggested {
        steps: args.steps,
        guidance: args.guidance,
        sampler: args.sampler.map(|sampler| sampler.to_string()),
        schedule: args.schedule.map(|schedule| schedule.to_string()),
    });
    let decls = opengen::model::weight_decls(source.config());
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes} · {eta} left") {
        bar.set_style(style);
    }
    let summary = quantize_source(&source, &decls, ty, vae, &args.out, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let types: Vec<_> = summary.by_type.iter().map(|(ty, count)| format!("{count} {}", ty.name())).collect();
    println!(
        "{}: {} tensors ({}), {:.2} MB from {:.2} MB",
        args.out.display(),
        summary.tensors,
        types.join(", "),
        summary.bytes as f64 / 1e6,
        summary.source_bytes as f64 / 1e6
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_short_and_long_names() {
        for (name, ty) in [
            ("q8", WeightType::Q8),
            ("q8_0", WeightType::Q8),
            ("q4", WeightType::Q4),
            ("f16", WeightType::F16),
        ] {
            assert_eq!(weight_type(name).unwrap(), ty);
        }
        assert!(weight_type("q5").unwrap_err().to_string().contains("known are f32, f16, q8, q4"));
    }
}
