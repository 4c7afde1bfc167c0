//! `opengen doctor`: everything about a model and this machine that a bug report needs, in one report.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;

use opengen::error::Result;
use opengen::gpu::Options;
use opengen::image::{MadeOf, Rgba, encode_made};
use opengen::oracle;
use opengen::pipeline::engine::Engine;
use opengen::pipeline::{Cancel, Dump, Event, Output, Pipeline, Request, Stage};

use crate::bytes::bytes;
use crate::{generate, inspect, model};

/// A first picture that took longer is not made again.
const WORTH_AGAIN: Duration = Duration::from_secs(60);

/// Look into a model, load it, make a picture, and say how all of it went, in a report to paste into a bug report.
#[derive(Parser)]
pub struct Args {
    /// A file, a diffusers folder, or `mini`.
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// What the picture shows.
    #[arg(long, default_value = "a photograph of an astronaut riding a horse")]
    prompt: String,
    /// Denoising steps; the model's own if left out.
    #[arg(long)]
    steps: Option<usize>,
    /// Pixels, such as 512x512; the model's own size if left out.
    #[arg(long, value_parser = generate::size)]
    size: Option<(usize, usize)>,
    /// Use the CPU path instead of the GPU.
    #[arg(long)]
    cpu: bool,
    /// Activations in f32 even where the GPU has f16.
    #[arg(long)]
    f32: bool,
    /// Keep within so much of the GPU's memory, such as 1GB.
    #[arg(long, value_parser = bytes, conflicts_with = "cpu")]
    memory: Option<u64>,
    /// Make the picture with candle's Stable Diffusion too, from the same weights, and say how far both are apart.
    #[arg(long)]
    candle: bool,
    /// Where the picture goes.
    #[arg(short, long, default_value = "doctor.png")]
    out: PathBuf,
}

/// Runs the command. Where something fails, the report up to there is printed all the same.
pub async fn run(args: &Args) -> Result<()> {
    examine(args, &mut |line| println!("{line}")).await
}

/// Says line by line what is found.
async fn examine(args: &Args, say: &mut dyn FnMut(String)) -> Result<()> {
    say(machine());
    let begin = Instant::now();
    let source = model::open_quietly(&args.model, &args.known.options())?;
    let decls = opengen::model::weight_decls(source.config());
    say(inspect::text(&source, source.unused(&decls)).trim_end().to_string());
    source.manifest(&decls, Default::default())?;
    say(row("header", format!("complete, read in {}", seconds(begin.elapsed()))));

    let begin = Instant::now();
    let options = Options { f16: args.f32.then_some(false), ..Options::default() };
    let named = (args.model.as_str(), &args.known);
    let mut pipeline = model::ready(named, (&source, Vec::new()), &options, (args.cpu, args.memory)).await?;
    let read = source.header().tensors.iter().map(|info| info.len).sum::<u64>() as f64 / 1e6;
    let took = begin.elapsed();
    let rate = read / took.as_secs_f64().max(1e-9);
    say(row("loaded", format!("{read:.0} MB in {} ({rate:.0} MB/s), adapter included", seconds(took))));
    say(row("runs on", device(&mut pipeline)));

    let request = request(args, &pipeline);
    say(row("asked for", settings(&request)));
    let mut dump = args.candle.then(Dump::default);
    let (output, times) = drawn(&mut pipeline, &request, dump.as_mut()).await?;
    output.notices.iter().for_each(|notice| say(row("note", notice.clone())));
    say(row("first", times.text(&request)));
    if times.whole() < WORTH_AGAIN {
        let (_, times) = drawn(&mut pipeline, &request, None).await?;
        say(row("again", times.text(&request)));
    }
    if output.stats.gpu_peak_bytes > 0 {
        let stats = output.stats;
        let peak = stats.gpu_peak_bytes as f64 / 1e6;
        say(row("device", format!("{peak:.1} MB at most, {} dispatches a step", stats.dispatches_per_step)));
    }
    if let Some(image) = output.images.first() {
        write(image, &request.parameters(&pipeline.config().name, &[], 0).to_string(), &args.out)?;
        say(row("picture", format!("{}, {}", args.out.display(), look(image))));
    }
    if let Some(dump) = &dump {
        let (manifest, slabs) = model::packed(&source)?;
        let (_, differences) = oracle::compare((&manifest, &slabs), &request, (&output, dump))?;
        say(format!("beside candle's Stable Diffusion:\n{differences}"));
    }
    Ok(())
}

/// A line of the report.
fn row(name: &str, what: String) -> String {
    format!("{name:<10}{what}")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// The program and what it runs on.
fn machine() -> String {
    use std::env::consts::{ARCH, OS};
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let build = if cfg!(debug_assertions) { ", a build for development (slow)" } else { "" };
    format!("opengen {} on {OS}, {ARCH}, {cores} cores{build}", env!("CARGO_PKG_VERSION"))
}

fn device(pipeline: &mut Pipeline) -> String {
    let Engine::Gpu(engine) = pipeline.engine() else { return "the processor, f32".to_string() };
    let context = engine.context();
    let can = context.capabilities();
    format!(
        "{} ({}), activations {}, subgroups of {}, bindings of {} MiB, buffers of {} MiB, tuning {}",
        can.adapter,
        can.backend,
        if can.f16 { "f16" } else { "f32" },
        can.subgroup,
        can.max_binding >> 20,
        can.max_buffer >> 20,
        context.target().tuning.name
    )
}

fn request(args: &Args, pipeline: &Pipeline) -> Request {
    let usual = model::usual(&args.model, pipeline.config());
    let (width, height) = args.size.unwrap_or((usual.width, usual.height));
    Request { prompt: args.prompt.clone(), steps: args.steps.unwrap_or(usual.steps), width, height, ..usual }
}

fn settings(request: &Request) -> String {
    let Request { width, height, steps, sampler, schedule, guidance, seed, .. } = request;
    format!("{width}×{height}, {steps} steps, {sampler} {schedule}, guidance {guidance}, seed {seed}")
}

/// How long a run's parts took.
#[derive(Default)]
struct Times {
    text: Duration,
    steps: Duration,
    decoding: Duration,
}

impl Times {
    fn whole(&self) -> Duration {
        self.text + self.steps + self.decoding
    }

    fn text(&self, request: &Request) -> String {
        let each = self.steps.as_secs_f64() * 1e3 / request.steps.max(1) as f64;
        format!(
            "{}: text {}, steps {} ({each:.1} ms each), decoding {}",
            seconds(self.whole()),
            seconds(self.text),
            seconds(self.steps),
            seconds(self.decoding)
        )
    }
}

/// Makes the picture, and says when each part of it began.
async fn drawn(
    pipeline: &mut Pipeline,
    request: &Request,
    dump: Option<&mut Dump>,
) -> Result<(Output, Times)> {
    let start = Instant::now();
    let mut begun: Vec<(Stage, Duration)> = Vec::new();
    let mut listen = |event: Event| {
        if let Event::Stage(stage) = event {
            begun.push((stage, start.elapsed()));
        }
    };
    let output = pipeline.generate_with(request, &mut listen, &Cancel::default(), dump).await?;
    let end = start.elapsed();
    let at = |wanted: Stage| begun.iter().find(|(stage, _)| *stage == wanted).map_or(end, |(_, at)| *at);
    let (denoise, decode) = (at(Stage::Denoise), at(Stage::Decode));
    let times =
        Times { text: denoise, steps: decode.saturating_sub(denoise), decoding: end.saturating_sub(decode) };
    Ok((output, times))
}

/// What can be told of a picture without eyes.
fn look(image: &Rgba) -> String {
    let values: Vec<f64> =
        image.pixels.chunks_exact(4).flat_map(|pixel| &pixel[..3]).map(|value| f64::from(*value)).collect();
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let judged = match spread {
        ..4.0 => " — flat: damaged weights, or another prediction than the UNet's (--prediction)",
        _ => "",
    };
    format!("mean {mean:.0}, spread {spread:.0} of 255{judged}")
}

fn write(image: &Rgba, settings: &str, out: &Path) -> Result<()> {
    let png = encode_made(image, MadeOf::Words, Some(settings))?;
    std::fs::write(out, png).map_err(|error| generate::io(out, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(model: &str, more: &[&str]) -> (Result<()>, String) {
        let mut lines = String::new();
        let args = Args::parse_from(["doctor", model, "--cpu"].iter().chain(more));
        let result = pollster::block_on(examine(&args, &mut |line| lines.extend([line.as_str(), "\n"])));
        (result, lines)
    }

    #[test]
    fn a_report_tells_of_file_machine_and_picture() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.png");
        let (result, report) =
            report("mini", &["--steps", "2", "--candle", "--size", "64x64", "--out", out.to_str().unwrap()]);
        result.unwrap();
        for words in [
            concat!("opengen ", env!("CARGO_PKG_VERSION")),
            "a GGUF of OpenGen",
            "header    complete",
            "loaded    15 MB",
            "runs on   the processor",
            "asked for 64×64, 2 steps, ddim",
            "first     ",
            "again     ",
            "spread",
            "beside candle",
        ] {
            assert!(report.contains(words), "{words}: {report}");
        }
        assert!(out.exists());
    }

    #[test]
    fn what_fails_leaves_the_report_up_to_there() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("missing/a.png");
        let (result, report) =
            report("mini", &["--steps", "1", "--size", "32x32", "--out", out.to_str().unwrap()]);
        assert!(result.unwrap_err().to_string().contains("missing"));
        assert!(report.contains("again     ") && !report.contains("spread"), "{report}");
    }

    #[test]
    fn a_flat_picture_is_called_flat() {
        let image = |values: [u8; 2]| Rgba {
            width: 2,
            height: 1,
            pixels: values.iter().flat_map(|value| [*value, *value, *value, 255]).collect(),
        };
        assert!(look(&image([127, 128])).contains("flat"));
        assert_eq!(look(&image([0, 200])), "mean 100, spread 100 of 255");
    }
}
