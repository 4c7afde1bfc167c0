//! A step of a training, printed without taking it.

use clap::Args as Options;
use opengen::error::Result;
use opengen::model;
use opengen::plan::train::{Learnt as Learns, parts};
use opengen::plan::{Graph, Plan, Target, lower, padded};
use opengen::train::learner::{Asked, graph, within};
use opengen::train::{Layers, Preset, Recipe};
use opengen::weights::Component;

use super::{Args, Model};

/// What of a model learns.
#[derive(Options)]
pub struct Learnt {
    /// Rank of what is learnt of each layer.
    #[arg(long, requires = "train")]
    rank: Option<usize>,
    #[arg(long, requires = "train", help = "Which layers of the UNet learn: attention, linear, all or none")]
    layers: Option<Layers>,
    /// So many vectors of a word learn instead of layers.
    #[arg(long, requires = "train")]
    vectors: Option<usize>,
    /// The text encoder learns too.
    #[arg(long, requires = "train")]
    text_encoder: bool,
}

/// A step without its way back: what drawing computes.
fn forwards(plan: &Plan) -> u64 {
    let back = plan.dispatches.iter().position(|dispatch| dispatch.label == "loss");
    let nodes = &plan.dispatches[..back.unwrap_or(plan.dispatches.len())];
    nodes.iter().filter(|dispatch| !dispatch.label.contains(".lora_")).map(|dispatch| dispatch.flops).sum()
}

/// Prints the plan and its totals.
pub fn run(args: &Args, target: Target, (width, height): (usize, usize)) -> Result<()> {
    let Model { config, stored, sizes } = Model::of(args)?;
    let usual = Recipe::of(Preset::Thing, &config);
    let learnt = &args.learnt;
    let vectors = learnt.vectors.unwrap_or(0);
    let usual = if vectors > 0 { Recipe::of(Preset::Word, &config) } else { usual };
    let mut recipe = Recipe {
        layers: learnt.layers.unwrap_or(usual.layers),
        rank: learnt.rank.unwrap_or(usual.rank),
        text_encoder: learnt.text_encoder || usual.text_encoder,
        vectors,
        ..usual
    };
    recipe.begin_as("*"); // whichever word
    recipe.check()?;
    let scale = config.vae.scale();
    let size = [height / scale, width / scale];
    let layers = |layer: &str| recipe.learns(layer);
    let asked = Asked {
        sizes: &[size],
        tokens: config.chunk_tokens(),
        encodes: recipe.text_encoder,
        rank: recipe.rank,
        alpha: recipe.alpha,
        memory: args.memory,
        pictures: 1,
        vectors,
        layers: &layers,
    };
    let (whole, mut learns): (Graph, Learns) = graph(&config, &asked, (size, padded(recipe.rank)))?;
    let all = parts(&whole);
    let bytes = |graph: &Graph| Ok(lower(graph, target, &*stored)?.arena_bytes());
    let (kept, _) = within(whole.clone(), args.memory, &bytes)?;
    let plan = lower(&kept, target, &*stored)?;
    println!(
        "{} at {}, a training's step, {}, activations f32",
        config.name,
        args.size,
        match vectors {
            0 => format!("rank {}, {}", recipe.rank, recipe.layers),
            count => format!("{count} vectors of a word"),
        }
    );
    if !args.summary {
        println!("\n{plan}");
    }
    let again = kept.nodes.iter().filter(|node| node.path.ends_with(".again")).count();
    let forwards = forwards(&plan);
    println!("{}", plan.totals());
    println!(
        "      {} of {} nodes are computed twice, the network has {all} parts",
        again,
        whole.nodes.len()
    );
    println!(
        "      {:.3} GFLOP forwards, {:.2} times that in all",
        forwards as f64 / 1e9,
        plan.flops() as f64 / forwards.max(1) as f64
    );

    // Values, their gradients, and two running means: the plan has the first two.
    let optimizer = 8 * learns.lengths().sum::<usize>() as u64;
    // On a device ranks are filled up to a multiple of 4 with zeros.
    learns.adapters.iter_mut().for_each(|adapter| adapter.rank = recipe.rank);
    let values: usize = learns.lengths().sum();
    let encodes = recipe.text_encoder || vectors > 0;
    let text = |component: &Component| matches!(component, Component::Text(_)) && encodes;
    let reads = |component: &Component| text(component) || *component == Component::Denoiser;
    let weights: u64 = sizes.components().iter().filter(reads).map(|component| sizes.of(component)).sum();
    let outside: u64 = plan.externals.iter().map(|external| external.bytes).sum();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!("\nmemory of the device");
    for (what, bytes) in [
        ("weights that it reads", weights),
        ("kept and in between", plan.arena_bytes()),
        ("inputs, learnt, gradients", outside),
        ("the optimizer's", optimizer),
        ("in all", weights + plan.arena_bytes() + outside + optimizer),
    ] {
        println!("      {what:<26} {:>9.1} MB", mb(bytes));
    }
    println!(
        "\n{} layers learn, {values} numbers, of {} weights",
        learns.adapters.len(),
        model::weight_decls(&config).len()
    );
    Ok(())
}
