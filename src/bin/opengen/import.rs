//! `opengen import`: a diffusers folder or a checkpoint in one file as a GGUF that says all of itself.

use std::path::{Path, PathBuf};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use opengen::config::Suggested;
use opengen::error::{Error, Result};
use opengen::kernels::WeightType;
use opengen::plan::Types;
use opengen::sample::{SamplerKind, ScheduleKind};
use opengen::weights::{KEPT, License, Rounding, kept_as, quantize_source};

use crate::fetch::Address;
use crate::{generate, model, models};

/// Where in the folder of models fetched files lie until they are imported.
const FETCHED: &str = "fetched";

/// Write a diffusers folder or a checkpoint in one file as a GGUF that says all of itself.
#[derive(Parser)]
pub struct Args {
    /// The diffusers folder, or the file; or the address of a .safetensors or .gguf file, which is fetched with curl. A transfer that
    /// was cut goes on with the same command; HF_TOKEN is shown to huggingface.co.
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// f32, f16, q8, small (five bits) or q4: the type of matrices; vectors stay f32.
    #[arg(long, default_value = "q8", value_parser = kept_as)]
    r#type: WeightType,
    /// The same for the autoencoder alone.
    #[arg(long, value_parser = kept_as)]
    vae_type: Option<WeightType>,
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
    /// You have read the model's licence, where its files state one that asks for more than to keep its notice, and agree.
    #[arg(long)]
    accept_licence: bool,
    /// Where the file goes; without it, into the folder of models (`opengen models`), where the model's name is then enough.
    #[arg(short, long)]
    out: Option<PathBuf>,
}

/// What is said of a model's licence; an error where it is to be agreed to first.
fn licence(found: Option<&License>, accepted: bool) -> Result<String> {
    let Some(license) = found else { return Ok(format!("licence: {}", License::UNKNOWN)) };
    if license.is_free() || accepted {
        return Ok(format!("licence: {license}"));
    }
    let message = format!(
        "this model is under {license}, which asks for more than to keep its notice: read it, and say --accept-licence"
    );
    Err(Error::InvalidInput { field: "licence", message })
}

/// The model's place in a folder of models, which is free.
fn place(folder: &Path, model: &Path, ty: WeightType) -> Result<PathBuf> {
    let short = KEPT.iter().find(|(kept, ..)| *kept == ty).map_or("", |(_, short, _)| *short);
    let out = folder.join(format!("{}-{short}.gguf", models::name_of(model)));
    if out.exists() {
        let message =
            format!("{} is there already: delete it, or say where the file goes (--out)", out.display());
        return Err(Error::InvalidInput { field: "out", message });
    }
    std::fs::create_dir_all(folder).map_err(|error| generate::io(folder, &error))?;
    Ok(out)
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let types = Types::of(args.r#type);
    let types = Types { vae: args.vae_type.unwrap_or(types.vae), ..types };
    let address = Address::of(&args.model)?;
    let (model, card) = match &address {
        Some(address) => {
            let card = address.license()?;
            licence(card.as_ref(), args.accept_licence)?;
            (address.fetch(&models::folder()?.join(FETCHED))?, card)
        }
        None => (model::path(&args.model)?, None),
    };
    let mut source = model::open(&model.to_string_lossy(), &args.known.options())?;
    source.under(card);
    println!("{}", licence(source.license(), args.accept_licence)?);
    let out = match &args.out {
        Some(out) => out.clone(),
        None => place(&models::folder()?, &model, args.r#type)?,
    };
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
    let summary = quantize_source(&source, &decls, types, Rounding::Fitted, &out, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let types: Vec<_> = summary.by_type.iter().map(|(ty, count)| format!("{count} {}", ty.name())).collect();
    println!(
        "{}: {} tensors ({}), {:.2} MB from {:.2} MB",
        out.display(),
        summary.tensors,
        types.join(", "),
        summary.bytes as f64 / 1e6,
        summary.source_bytes as f64 / 1e6
    );
    if address.is_some() {
        drop(source); // it is open
        std::fs::remove_file(&model).map_err(|error| generate::io(&model, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_nowhere_else_goes_into_the_folder_of_models_once() {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("a/models");
        let of = |model: &str, ty| place(&models, Path::new(model), ty).map_err(|error| error.to_string());
        assert_eq!(of("x/dog.v2.safetensors", WeightType::Q8), Ok(models.join("dog.v2-q8.gguf")));
        let out = of("dog.safetensors", WeightType::Q5).unwrap();
        assert_eq!(out, models.join("dog-small.gguf"));
        std::fs::write(&out, "").unwrap();
        let error = of("dog.safetensors", WeightType::Q5).unwrap_err();
        assert!(error.contains("is there already") && error.contains("--out"), "{error}");
    }

    #[test]
    fn a_licence_is_said_and_one_that_asks_for_something_is_agreed_to() {
        let of = |text: &str| License::of_readme(&format!("---\nlicense: {text}\n---\n"));
        let said =
            |text: &str, accepted| licence(of(text).as_ref(), accepted).map_err(|error| error.to_string());
        assert_eq!(said("", false).as_deref(), Ok("licence: unknown: yours to check"));
        assert_eq!(said("apache-2.0", false).as_deref(), Ok("licence: apache-2.0"));
        assert_eq!(said("openrail++", true).as_deref(), Ok("licence: openrail++"));
        let refused = said("openrail++", false).unwrap_err();
        assert!(refused.contains("openrail++") && refused.contains("--accept-licence"), "{refused}");
    }
}
