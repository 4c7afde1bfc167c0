//! `opengen bench`: where the time goes on this machine's GPU.

mod alone;
mod attention;
mod compare;
mod merging;
mod norms;
mod products;
mod quantization;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use opengen::error::Result;
use opengen::gpu::{Executable, Options};
use opengen::kernels::Circular;
use opengen::pipeline::engine::Network;
use opengen::pipeline::graphs::Controls;
use opengen::pipeline::plans::Shape;
use opengen::pipeline::{Cancel, Engine};
use opengen::plan::Tuning;

use crate::model;

/// Measure every stage and kernel.
#[derive(Parser)]
pub struct Args {
    /// `mini`, a diffusers folder, a checkpoint in one file or a GGUF.
    #[arg(long, default_value = "mini")]
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// Pixels; the model's own size if left out.
    #[arg(long)]
    size: Option<String>,
    /// Runs per stage; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Activations in f32 even where the GPU has f16.
    #[arg(long)]
    f32: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// An earlier report, as `--json` printed it: says how many times as long everything takes now.
    #[arg(long, value_name = "REPORT.json")]
    compare: Option<PathBuf>,
    /// Which variants of kernels plans take: cpu, gpu, matrices (a GPU's with matrix units) or tiled (a GPU's before outer
    /// products); by default those of the adapter.
    #[arg(long, value_parser = tuning)]
    tuning: Option<Tuning>,
    /// Measure matrix products and convolutions of Stable Diffusion's shapes in every variant, instead of a model.
    #[arg(long, group = "kernels")]
    products: bool,
    /// Measure attention of its shapes in every variant, instead of a model.
    #[arg(long, group = "kernels")]
    attention: bool,
    /// Measure norms of its shapes, as plans for a GPU and for a CPU have them, instead of a model.
    #[arg(long, group = "kernels")]
    norms: bool,
    /// Draw with a model in every type that weights are kept in, and time how they are made.
    #[arg(long, group = "kernels", conflicts_with = "only")]
    quantization: bool,
    /// Time how the LoRAs that are given are merged into the packed model, record by record, as a page does it: by the processor, and
    /// by the GPU where there is one.
    #[arg(long, group = "kernels", conflicts_with = "only")]
    merging: bool,
    /// Of products, attention or norms only those whose line has this in it, such as `conv 512x` or `f16`.
    #[arg(long, requires = "kernels")]
    only: Option<String>,
}

/// A tuning by its name.
pub fn tuning(name: &str) -> std::result::Result<Tuning, String> {
    let names = || Tuning::ALL.map(|tuning| tuning.name).join(", ");
    let found = Tuning::ALL.into_iter().find(|tuning| tuning.name == name);
    found.ok_or_else(|| format!("{name:?} is no tuning; there are {}", names()))
}

/// One line of the report.
#[derive(Default)]
struct Row {
    name: String,
    dispatches: usize,
    flops: u64,
    /// Bytes of all operands.
    bytes: u64,
    time: Duration,
    /// What the host takes to write the dispatches down; of stages.
    encoding: Duration,
}

impl Row {
    /// Microseconds of the host for each dispatch.
    fn encoding_us(&self) -> f64 {
        self.encoding.as_secs_f64() * 1e6 / self.dispatches.max(1) as f64
    }

    fn gflops(&self) -> f64 {
        self.flops as f64 / self.time.as_secs_f64().max(1e-9) / 1e9
    }
}

/// Runs the command.
pub async fn run(args: &Args) -> Result<()> {
    let only = args.only.as_deref().unwrap_or_default();
    let printing = compare::Printing::new(args.json, args.compare.as_deref())?;
    if args.products {
        return products::run(args.f32, only, &printing).await;
    }
    if args.attention {
        return attention::run(args.f32, only, &printing).await;
    }
    if args.norms {
        return norms::run(args.f32, only, &printing).await;
    }
    if args.quantization {
        return quantization::run(&args.model, &args.known.options()).await;
    }
    if args.merging {
        return merging::run(&args.model, &args.known.options(), args.runs).await;
    }
    let source = model::open(&args.model, &args.known.options())?;
    let options = Options {
        f16: args.f32.then_some(false),
        tuning: args.tuning,
        timestamps: true,
        ..Options::default()
    };
    let mut pipeline = model::on_gpu(&source, &options).await?;
    let config = pipeline.config().clone();
    let (width, height) = match &args.size {
        Some(text) => crate::generate::size(text).map_err(|m| crate::invalid("size", m))?,
        None => config.native_size().into(),
    };
    let scale = config.vae.scale();
    let shape = Shape {
        batch: 1,
        copies: 2,
        composed: false,
        h: height / scale,
        w: width / scale,
        chunks: 1,
        states: 1,
        vectors: 0,
        hides: false,
        skipped: 0,
        ancestral: false,
        history: 0,
        maps: false,
        previews: false,
        encodes: false,
        masked: false,
        controls: Controls::NONE,
        circular: Circular::NONE,
        windows: None,
    };
    let Engine::Gpu(engine) = pipeline.engine() else {
        return Err(crate::invalid("model", "was not loaded onto the GPU".to_string()));
    };
    let context = engine.context().clone();
    let prepared = engine.prepare(shape, &Cancel::default()).await?;
    let stages = [
        ("text encoder", Network::Text(0)),
        ("text keys and values", Network::KeysValues),
        ("denoiser, guided", Network::Denoiser),
        ("decoder", Network::Decoder),
    ];
    let mut stage_rows = Vec::new();
    let mut kernels: BTreeMap<String, Row> = BTreeMap::new();
    for (name, network) in stages {
        let executable = prepared.executable(network)?;
        stage_rows.push(time_stage(name, executable, args.runs, || context.finished()).await?);
        for measured in executable.profile().await? {
            let name = format!("{} {}", measured.kernel, measured.variant).trim_end().to_string();
            let row = kernels.entry(name.clone()).or_default();
            row.name = name;
            row.dispatches += 1;
            row.flops += measured.flops;
            row.bytes += measured.bytes;
            row.time += measured.time;
        }
    }
    let capabilities = context.capabilities();
    let kernels: Vec<Row> = kernels.into_values().collect();
    if !args.json {
        println!(
            "{} ({}), activations {}, tuning {}",
            capabilities.adapter,
            capabilities.backend,
            if capabilities.f16 { "f16" } else { "f32" },
            context.target().tuning.name
        );
        print("stage (median of whole runs)", &stage_rows);
        let how = if context.has_timestamps() { "the device's clock" } else { "waiting included" };
        print(&format!("kernel (each dispatch alone, {how})"), &kernels);
        let encoding: Vec<String> =
            stage_rows.iter().map(|row| format!("{} {:.2}", row.name, row.encoding_us())).collect();
        println!("encoding on the host, us a dispatch: {}", encoding.join(", "));
        println!("device memory {:.1} MB", context.counters().bytes as f64 / 1e6);
    }
    let rows = |rows: &[Row]| -> Vec<_> {
        rows.iter()
            .map(|r| {
                json!({ "name": r.name, "dispatches": r.dispatches, "gflop": r.flops as f64 / 1e9,
                        "bytes": r.bytes, "ms": r.time.as_secs_f64() * 1e3, "gflops_per_s": r.gflops() })
            })
            .collect()
    };
    let encoding: Vec<_> = stage_rows
        .iter()
        .map(|row| json!({ "name": row.name, "us_per_dispatch": row.encoding_us() }))
        .collect();
    let report = json!({ "adapter": capabilities, "tuning": context.target().tuning.name,
                         "timestamps": context.has_timestamps(), "stages": rows(&stage_rows), "kernels": rows(&kernels),
                         "encoding": encoding,
                         "device_bytes": context.counters().bytes });
    printing.end(report);
    Ok(())
}

/// The median time of whole runs, after some that compile and bring the device to its clock.
async fn time_stage<F: Future<Output = Result<()>>>(
    name: &str,
    executable: &Executable,
    runs: usize,
    finished: impl Fn() -> F,
) -> Result<Row> {
    let once = async || -> Result<Duration> {
        let start = Instant::now();
        executable.run(&|| false).await?;
        finished().await?;
        Ok(start.elapsed())
    };
    let begin = Instant::now();
    once().await?; // compiles
    while begin.elapsed() < alone::WARM {
        once().await?;
    }
    let mut times = Vec::new();
    for _ in 0..runs.max(1) {
        times.push(once().await?);
    }
    let encoding = (0..=runs).map(|_| executable.encoding()).min().unwrap_or_default();
    times.sort();
    Ok(Row {
        name: name.to_string(),
        dispatches: executable.dispatches(),
        flops: executable.flops(),
        bytes: executable.bytes(),
        time: times[times.len() / 2],
        encoding,
    })
}

fn print(title: &str, rows: &[Row]) {
    println!("\n{title:<48}{:>10} {:>10} {:>10} {:>10} {:>10}", "dispatches", "GFLOP", "MB", "ms", "GFLOP/s");
    for row in rows {
        println!(
            "{:<48}{:>10} {:>10.3} {:>10.1} {:>10.2} {:>10.2}",
            row.name,
            row.dispatches,
            row.flops as f64 / 1e9,
            row.bytes as f64 / 1e6,
            row.time.as_secs_f64() * 1e3,
            row.gflops()
        );
    }
}
