//! `opengen plan`: what a model will do, printed without doing it.

use clap::Parser;

use opengen::config::{Autoencoder, BUILTIN, ModelConfig, TaesdConfig};
use opengen::error::Result;
use opengen::kernels::{Elem, WeightType};
use opengen::pipeline::plans::{Plans, Shape};
use opengen::plan::{MemoryLimits, Target, scales_bytes, shared_slabs, stored_type, values_bytes};
use opengen::weights::packed::LayoutOptions;

use crate::model;

/// Print what a model will do.
#[derive(Parser)]
pub struct Args {
    /// sd15, sd21 or sd-turbo (no weights needed), `mini`, a diffusers folder or a GGUF.
    #[arg(long)]
    model: String,
    /// Pixels, such as 512x512.
    #[arg(long, default_value = "512x512")]
    size: String,
    /// Activations: f32 or f16.
    #[arg(long, default_value = "f32")]
    elem: String,
    /// Weights of a built-in: f32, f16, q8_0 or q4_0.
    #[arg(long, default_value = "q8_0")]
    weights: String,
    /// Without guidance: the UNet runs at batch 1.
    #[arg(long)]
    unguided: bool,
    /// Only the totals.
    #[arg(long)]
    summary: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let (width, height) = crate::generate::size(&args.size).map_err(|m| crate::invalid("size", m))?;
    let elem = match args.elem.as_str() {
        "f32" => Elem::F32,
        "f16" => Elem::F16,
        other => return Err(crate::invalid("elem", format!("{other:?} is neither f32 nor f16"))),
    };
    let target = Target { elem, cpu: false, limits: MemoryLimits::WIDEST };
    let (config, plans, weight_bytes) = if BUILTIN.contains(&args.model.as_str()) {
        let config = ModelConfig::builtin(&args.model)?;
        let wanted = crate::quantize::weight_type(&args.weights)?;
        let shape = shape(&config, args, width, height);
        let plans = Plans::without_weights(&config, shape, target, wanted)?;
        let bytes = builtin_bytes(&config, wanted);
        (config, plans, bytes)
    } else {
        let source = model::open(&args.model)?;
        let config = source.config().clone();
        let manifest = source.manifest(&opengen::model::weight_decls(&config), LayoutOptions::default())?;
        let stored = |decl: &opengen::plan::WeightDecl| {
            manifest.record(&decl.name).map_or(WeightType::F32, |record| record.weight_type)
        };
        let plans = Plans::new(&config, shape(&config, args, width, height), target, &stored)?;
        let bytes = manifest
            .records
            .iter()
            .map(|r| (r.decl.name.clone(), r.values.len + r.scales.map_or(0, |s| s.len)));
        (config, plans, bytes.collect())
    };
    print(args, &config, &plans, &weight_bytes);
    Ok(())
}

fn shape(config: &ModelConfig, args: &Args, width: usize, height: usize) -> Shape {
    let scale = config.vae.scale();
    let copies = if args.unguided { 1 } else { 2 };
    let (h, w) = (height / scale, width / scale);
    Shape { batch: 1, copies, h, w, chunks: 1, ancestral: false, maps: false, previews: true }
}

/// Name and bytes of every weight when matrices are `wanted`.
fn builtin_bytes(config: &ModelConfig, wanted: WeightType) -> Vec<(String, u64)> {
    let decls = opengen::model::weight_decls(config);
    let bytes = |decl: &opengen::plan::WeightDecl| {
        let stored = stored_type(decl.kind, wanted);
        values_bytes(decl, stored) + scales_bytes(decl, stored)
    };
    decls.iter().map(|decl| (decl.name.clone(), bytes(decl))).collect()
}

/// Where a model's weights hang in the tree of names.
fn components(config: &ModelConfig) -> Vec<String> {
    let mut components: Vec<String> = (0..config.texts.len()).map(ModelConfig::text_root).collect();
    components.extend([config.denoiser.root().to_string()]);
    components.extend(["decoder", "encoder"].map(|half| format!("{}.{half}", Autoencoder::ROOT)));
    components.extend(config.preview.iter().map(|_| TaesdConfig::ROOT.to_string()));
    components
}

fn print(args: &Args, config: &ModelConfig, plans: &Plans, weight_bytes: &[(String, u64)]) {
    println!("{} at {}, activations {}", config.name, args.size, args.elem);
    for plan in plans.all() {
        if args.summary {
            println!("{:<22}{}", plan.name, plan.totals());
        } else {
            println!("\n{plan}");
        }
    }
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!("\nweights");
    for component in components(config) {
        let root = format!("{component}.");
        let of = weight_bytes.iter().filter(|(name, _)| name.starts_with(&root));
        println!("      {:<22} {:>9.1} MB", component, mb(of.map(|(_, bytes)| bytes).sum()));
    }
    println!("      {:<22} {:>9.1} MB", "in all", mb(weight_bytes.iter().map(|(_, bytes)| bytes).sum()));
    println!("\narena");
    for plan in plans.all().into_iter().filter(|plan| !plan.slabs.is_empty()) {
        println!("      {:<22} {:>9.1} MB", plan.name, mb(plan.arena_bytes()));
    }
    println!("      {:<22} {:>9.1} MB", "shared by all stages", mb(shared_slabs(&plans.all()).iter().sum()));
}
