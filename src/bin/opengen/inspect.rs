//! `opengen inspect`: what a file or folder holds, from its header alone.

use clap::Parser;

use opengen::config::{ModelConfig, PredictionType};
use opengen::error::Result;
use opengen::weights::{Family, Header, License, ModelSource, SourceType, Unused};

use crate::model;

/// Say what a file or folder holds: family, tensors, types, what is missing. No weights are read.
#[derive(Parser)]
pub struct Args {
    /// A file, a diffusers folder, or `mini`.
    model: String,
    #[command(flatten)]
    known: model::Known,
}

/// Runs the command. What is no model that can be drawn with is an error, which says what it is.
pub fn run(args: &Args) -> Result<()> {
    let source = model::open_quietly(&args.model, &args.known.options())?;
    let decls = opengen::model::weight_decls(source.config());
    print!("{}", text(&source, source.unused(&decls)));
    // Missing and mis-shaped tensors, all of them.
    source.manifest(&decls, Default::default()).map(drop)?;
    println!("complete: every tensor that the model needs is there");
    Ok(())
}

/// The report.
pub fn text(source: &ModelSource, Unused { leftovers, unknown }: Unused) -> String {
    let config = source.config();
    let rows = [
        ("family", family(source.family(), config)),
        ("text", config.texts.iter().map(text_encoder).collect::<Vec<_>>().join(" and ")),
        ("denoiser", denoiser(config)),
        ("predicts", predicts(source)),
        ("tensors", tensors(source)),
        ("licence", licence(source)),
        ("not read", not_read(&leftovers, &unknown)),
    ];
    let rows = rows.iter().map(|(name, value)| format!("{name:<10}{value}\n"));
    format!("{}\n{}", config.name, rows.collect::<String>())
}

/// What a model is, and what it came in.
pub fn family(family: Family, config: &ModelConfig) -> String {
    let of = match family {
        Family::Opengen => return "a GGUF of OpenGen".to_string(),
        Family::Diffusers => return "a folder in diffusers' layout".to_string(),
        Family::Single => "in one file, its configuration told from names and shapes",
    };
    let linear =
        matches!(&config.denoiser, opengen::config::Denoiser::Unet(unet) if unet.use_linear_projection);
    format!("Stable Diffusion {} {of}", if linear { 2 } else { 1 })
}

fn text_encoder(text: &opengen::config::ClipTextConfig) -> String {
    format!("{} layers, {} wide, {} tokens", text.num_hidden_layers, text.hidden_size, text.vocab_size)
}

fn denoiser(config: &ModelConfig) -> String {
    let size = config.denoiser.sample_size();
    let scale = config.vae.scale();
    let opengen::config::Denoiser::Unet(unet) = &config.denoiser;
    format!(
        "UNet, blocks of {:?} channels, text {} wide, made for {}×{} pixels",
        unet.block_out_channels,
        unet.cross_attention_dim,
        size.width() * scale,
        size.height() * scale
    )
}

fn predicts(source: &ModelSource) -> String {
    let scheduler = &source.config().scheduler;
    let what = match scheduler.prediction_type {
        PredictionType::Epsilon => "the noise (epsilon)",
        PredictionType::VPrediction => "the velocity (v)",
        PredictionType::Sample => "the clean latents (sample)",
    };
    let snr = if scheduler.rescale_betas_zero_snr { ", noise alone at the last level" } else { "" };
    match source.assumed() {
        Some(assumed) => format!("{what}{snr}: {assumed} (--prediction)"),
        None => format!("{what}{snr}"),
    }
}

fn licence(source: &ModelSource) -> String {
    source.license().map_or(License::UNKNOWN.to_string(), License::to_string)
}

/// How many there are of each type, and how large they are.
fn tensors(source: &ModelSource) -> String {
    let header = source.header();
    let types = types(header);
    let each = types
        .iter()
        .map(|(dtype, count, bytes)| format!("{count} {} ({:.2} MB)", dtype.name(), *bytes as f64 / 1e6));
    let others = match header.others.len() {
        0 => String::new(),
        count => format!(", {count} of types that hold no weights"),
    };
    format!("{}{others}", each.collect::<Vec<_>>().join(", "))
}

/// How many tensors there are of each type, and how many bytes; what takes most comes first.
pub fn types(header: &Header) -> Vec<(SourceType, usize, u64)> {
    let mut types: Vec<(SourceType, usize, u64)> = Vec::new();
    for info in &header.tensors {
        match types.iter_mut().find(|(dtype, ..)| *dtype == info.dtype) {
            Some((_, count, bytes)) => (*count, *bytes) = (*count + 1, *bytes + info.len),
            None => types.push((info.dtype, 1, info.len)),
        }
    }
    types.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    types
}

fn not_read(leftovers: &[String], unknown: &[String]) -> String {
    const NAMED: usize = 5;
    if leftovers.is_empty() && unknown.is_empty() {
        return "nothing".to_string();
    }
    let named = unknown.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if unknown.len() > NAMED { ", …" } else { "" };
    format!("{} leftovers of training, {} unknown {named}{more}", leftovers.len(), unknown.len())
}

#[cfg(test)]
mod tests {
    use opengen::weights::OpenOptions;

    use super::*;

    fn report(name: &str) -> String {
        let source = model::open_quietly(name, &OpenOptions::default()).unwrap();
        let decls = opengen::model::weight_decls(source.config());
        text(&source, source.unused(&decls))
    }

    #[test]
    fn what_is_said_of_a_model() {
        let mini = report("mini");
        for words in [
            "family    a GGUF of OpenGen",
            "made for 128×128 pixels",
            "predicts  the velocity (v)\n",
            "licence   unknown: yours to check\n",
            "Q8_0 (",
        ] {
            assert!(mini.contains(words), "{words}: {mini}");
        }
        let folder = report(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/models/sd1"));
        for words in [
            "a folder in diffusers' layout",
            "3 layers, 32 wide",
            "the noise (epsilon)",
            "blocks of [32, 32, 32]",
        ] {
            assert!(folder.contains(words), "{words}: {folder}");
        }
    }

    #[test]
    fn what_is_not_read_is_counted() {
        assert_eq!(not_read(&[], &[]), "nothing");
        let names: Vec<String> = (0..6).map(|i| format!("x.{i}")).collect();
        assert_eq!(
            not_read(&names[..2], &names),
            "2 leftovers of training, 6 unknown x.0, x.1, x.2, x.3, x.4, …"
        );
    }
}
