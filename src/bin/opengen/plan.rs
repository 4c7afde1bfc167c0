//! `opengen plan`: what a model will do, printed without doing it.

mod train;

use clap::Parser;

use opengen::config::{BUILTIN, ModelConfig};
use opengen::error::Result;
use opengen::kernels::{Circular, Elem, WeightType};
use opengen::pipeline::graphs::Controls;
use opengen::pipeline::plans::{Plans, Shape};
use opengen::pipeline::residency::Residency;
use opengen::plan::{
    MemoryLimits, Target, Tuning, WeightDecl, scales_bytes, shared_slabs, stored_type, values_bytes,
};
use opengen::weights::packed::LayoutOptions;
use opengen::weights::{Placement, Sizes, kept_as};

use crate::bytes::bytes;
use crate::model;

/// Print what a model will do.
#[derive(Parser)]
pub struct Args {
    /// sd15, sd21 or sd-turbo (no weights needed), `mini`, a diffusers folder, a checkpoint in one file or a GGUF.
    #[arg(long)]
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// Pixels, such as 512x512.
    #[arg(long, default_value = "512x512")]
    size: String,
    /// Activations: f32 or f16.
    #[arg(long, default_value = "f32")]
    elem: String,
    /// Type of a built-in's weights: f32, f16, q8, small (five bits) or q4.
    #[arg(long, default_value = "q8", alias = "weights", value_parser = kept_as)]
    r#type: WeightType,
    /// Without guidance: the UNet runs at batch 1.
    #[arg(long)]
    unguided: bool,
    /// Which variants of kernels it takes: cpu, gpu, matrices (a GPU's with matrix units, which take f16) or tiled (a GPU's
    /// before outer products).
    #[arg(long, default_value = "gpu", value_parser = crate::bench::tuning)]
    tuning: Tuning,
    /// What of an adapter a plan keeps to: webgpu (its default limits, bindings of 128 MiB) or widest (2 GiB).
    #[arg(long, default_value = "widest", value_parser = limits)]
    limits: MemoryLimits,
    /// Only the totals.
    #[arg(long)]
    summary: bool,
    /// A training's step, forwards and back, instead of a picture.
    #[arg(long)]
    train: bool,
    #[command(flatten)]
    learnt: train::Learnt,
    /// Which weights are on the device when, within so much of its memory, such as 1GB; of a training what is kept for the way back.
    #[arg(long, value_parser = bytes)]
    memory: Option<u64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let (width, height) = crate::generate::size(&args.size).map_err(|m| crate::invalid("size", m))?;
    let elem = match args.elem.as_str() {
        "f32" => Elem::F32,
        "f16" => Elem::F16,
        other => return Err(crate::invalid("elem", format!("{other:?} is neither f32 nor f16"))),
    };
    let target = Target { elem, tuning: args.tuning, subgroup: 0, limits: args.limits };
    if args.train {
        return train::run(args, target, (width, height));
    }
    let [fast, small] = target.from_fast_to_small();
    let mut planned = plan(args, fast, (width, height))?;
    if planned.residency.as_ref().is_some_and(|residency| residency.excess() > 0) {
        planned = plan(args, small, (width, height))?;
    }
    print(args, &planned.config, &planned.plans, &planned.sizes);
    if let Some(residency) = planned.residency {
        print!("\n{residency}");
    }
    Ok(())
}

/// What a run takes on a target.
struct Planned {
    config: ModelConfig,
    plans: Plans,
    sizes: Sizes,
    /// Where there is a limit of memory.
    residency: Option<Residency>,
}

/// A model's description, how its weights are stored, and how many bytes its components have.
struct Model {
    config: ModelConfig,
    stored: Box<dyn Fn(&WeightDecl) -> WeightType>,
    sizes: Sizes,
}

impl Model {
    fn of(args: &Args) -> Result<Model> {
        if BUILTIN.contains(&args.model.as_str()) {
            let config = ModelConfig::builtin(&args.model)?;
            let wanted = args.r#type;
            let sizes = builtin_sizes(&config, wanted);
            return Ok(Model { config, stored: Box::new(move |decl| stored_type(decl, wanted)), sizes });
        }
        let source = model::open(&args.model, &args.known.options())?;
        let config = source.config().clone();
        let manifest = source.manifest(&opengen::model::weight_decls(&config), LayoutOptions::default())?;
        let sizes = Placement::of(&manifest).sizes();
        let stored = move |decl: &WeightDecl| {
            manifest.record(&decl.name).map_or(WeightType::F32, |record| record.weight_type)
        };
        Ok(Model { config, stored: Box::new(stored), sizes })
    }
}

fn plan(args: &Args, target: Target, (width, height): (usize, usize)) -> Result<Planned> {
    let Model { config, stored, sizes } = Model::of(args)?;
    let plans = Plans::new(&config, shape(&config, args, width, height), target, &*stored)?;
    let residency = args.memory.map(|limit| {
        let parts = plans.keyed(&config, shape(&config, args, width, height));
        Residency::of_run(&config, &parts, &sizes, limit)
    });
    Ok(Planned { config, plans, sizes, residency })
}

fn limits(name: &str) -> std::result::Result<MemoryLimits, String> {
    match name {
        "webgpu" => Ok(MemoryLimits::default()),
        "widest" => Ok(MemoryLimits::WIDEST),
        other => Err(format!("{other:?} is neither webgpu nor widest")),
    }
}

fn shape(config: &ModelConfig, args: &Args, width: usize, height: usize) -> Shape {
    let scale = config.vae.scale();
    let copies = if args.unguided { 1 } else { 2 };
    let (h, w) = (height / scale, width / scale);
    Shape {
        batch: 1,
        copies,
        composed: false,
        h,
        w,
        chunks: 1,
        states: 1,
        vectors: 0,
        hides: false,
        skipped: 0,
        ancestral: false,
        history: 1,
        maps: false,
        previews: true,
        encodes: false,
        masked: false,
        controls: Controls::NONE,
        circular: Circular::NONE,
        windows: None,
    }
}

/// Bytes of every component when matrices are `wanted`.
fn builtin_sizes(config: &ModelConfig, wanted: WeightType) -> Sizes {
    let decls = opengen::model::weight_decls(config);
    let stored = |decl: &WeightDecl| stored_type(decl, wanted);
    Sizes::of_records(decls.iter().map(|decl| {
        let stored = stored(decl);
        (decl.name.as_str(), values_bytes(decl, stored), scales_bytes(decl, stored))
    }))
}

fn print(args: &Args, config: &ModelConfig, plans: &Plans, sizes: &Sizes) {
    println!("{} at {}, activations {}", config.name, args.size, args.elem);
    print!("{}", args.tuning);
    for plan in plans.all() {
        if args.summary {
            println!("{:<22}{}", plan.name, plan.totals());
        } else {
            println!("\n{plan}");
        }
    }
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!("\nweights");
    for component in sizes.components().iter() {
        println!("      {:<22} {:>9.1} MB", component.to_string(), mb(sizes.of(component)));
    }
    println!("      {:<22} {:>9.1} MB", "in all", mb(sizes.total()));
    println!("\narena");
    for plan in plans.all().into_iter().filter(|plan| !plan.slabs.is_empty()) {
        println!("      {:<22} {:>9.1} MB", plan.name, mb(plan.arena_bytes()));
    }
    println!("      {:<22} {:>9.1} MB", "shared by all stages", mb(shared_slabs(&plans.all()).iter().sum()));
}
