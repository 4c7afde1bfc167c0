//! `opengen generate`: prompts in, PNG files out.

mod begin;
mod control;
mod latents;
mod lora;
mod region;
mod sampling;
mod wildcards;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;

use opengen::config::ModelConfig;
use opengen::error::{Error, Result};
use opengen::gpu::Options;
use opengen::image::encode_made;
use opengen::oracle;
use opengen::pipeline::{
    Cancel, Dump, Event, Output, Picture, Pipeline, Request, Tiling, Windows, networks, size_for,
};
use opengen::plan::Tuning;
use opengen::prompt::{Dialect, Embedding, Emphasis};
use opengen::sample::{NoiseSource, SamplerKind, ScheduleKind, Variation};
use opengen::weights::{MAX_EMBEDDING, Merged, ModelSource, read_embedding};

use crate::bytes::bytes;
use crate::{model, upscale};

/// Make pictures from a prompt.
#[derive(Parser, Clone)]
pub struct Args {
    /// `mini` (the embedded model), a diffusers folder, a checkpoint of Stable Diffusion 1 or 2 in one file (safetensors or
    /// GGUF), or a GGUF made by `opengen import`.
    #[arg(long, default_value = "mini")]
    model: String,
    #[command(flatten)]
    known: model::Known,
    /// What the picture shows.
    #[arg(long, required_unless_present = "prompts_file")]
    prompt: Option<String>,
    /// What it shall not show; has an effect when guidance is above 1.
    #[arg(long, default_value = "")]
    negative: String,
    /// Whose way prompts are read: a1111 (weights, parts, words that change on the way, text cleaned as original CLIP cleans
    /// it), comfyui (weights from the empty prompt on), diffusers (every character is text) or compel (`word++`, `(phrase)1.3`,
    /// `.blend()`, `.and()`).
    #[arg(long, default_value = "a1111")]
    dialect: Dialect,
    /// What brackets do in A1111's prompts: original (weigh, and the mean is restored), no-norm (weigh), ignore (nothing) or none
    /// (they are text).
    #[arg(long, default_value = "original")]
    emphasis: Emphasis,
    /// Which of the text encoder's layers is read, counted from its last one, 1, as A1111 does. Anime models are mostly drawn with 2.
    #[arg(long, default_value_t = 1)]
    clip_skip: usize,
    /// An embedding (textual inversion) as safetensors, which prompts use by its file's name: `name` in A1111's,
    /// `embedding:name` in ComfyUI's, its `<token>` in diffusers'. Repeat it for several.
    #[arg(long = "embedding", value_name = "FILE")]
    embeddings: Vec<PathBuf>,
    /// Prompts are templates, of which the seed makes prompts: `{a|b}` is one of the two, `{2$$a|b|c}` two of three, `{0.5::a|b}`
    /// weighs, `__name__` is a line of `name.txt` in this folder, if one is given; `\\{` is a brace.
    #[arg(long, value_name = "FOLDER", num_args = 0..=1)]
    wildcards: Option<Option<PathBuf>>,
    #[arg(skip)]
    templates: [Option<String>; 2],
    /// Denoising steps; the model's own if left out.
    #[arg(long)]
    steps: Option<usize>,
    /// Classifier-free guidance scale; the model's own if left out.
    #[arg(long)]
    guidance: Option<f64>,
    /// How far guidance is kept from spreading the colours, 0 to 1; the model's own if left out.
    #[arg(long)]
    guidance_rescale: Option<f64>,
    /// Same seed, same picture; picture i of a batch has seed + i.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go part of the way from the seed's noise to this seed's (A1111's variation seed); picture i of a batch then has
    /// variation seed + i and the seed stays.
    #[arg(long, default_value_t = 0)]
    variation_seed: u64,
    /// How far, from 0 (not at all) to 1 (all the way).
    #[arg(long, default_value_t = 0.0)]
    variation_strength: f64,
    /// Where the noise comes from: torch (diffusers, ComfyUI) or philox (A1111).
    #[arg(long, default_value = "torch")]
    rng: NoiseSource,
    #[arg(long, help = format!("{}; the model's own if left out", SamplerKind::list(|_| true)))]
    sampler: Option<SamplerKind>,
    #[arg(long, help = format!("Spacing of the noise levels: {}; the model's own if left out", ScheduleKind::list()))]
    schedule: Option<ScheduleKind>,
    #[command(flatten)]
    sampling: sampling::Sampling,
    #[command(flatten)]
    from: begin::Begin,
    #[command(flatten)]
    second: begin::Second,
    #[command(flatten)]
    regions: region::Regions,
    #[command(flatten)]
    controls: control::Controls,
    /// Pixels, such as 512x512; if left out the model's own size, with a whole picture its shape at about as many pixels.
    #[arg(long, value_parser = size)]
    size: Option<(usize, usize)>,
    #[arg(long, value_name = "AXES", num_args = 0..=1, default_value = "none", default_missing_value = "both", help = format!(
        "Make a tile without seams: borders meet along {}; along both if no axes are named",
        Tiling::ALL.map(Tiling::name).join(", ")))]
    tiling: Tiling,
    /// Draw what is larger than a model or the memory holds in overlapping tiles (MultiDiffusion): at every step the denoiser sees one
    /// window of so many pixels after the other, and where they overlap their answers are averaged; half a window overlaps if no
    /// number is given. Every window has the whole prompt: for landscapes and patterns, or with regions.
    #[arg(long, value_name = "SIZE[:OVERLAP]")]
    tiles: Option<Windows>,
    /// Pictures at once, 1 to 8; the files are numbered from the second on.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// A safetensors file whose tensor `latents` [B, C, h, w] is the unit noise to start from instead of the seed's: what
    /// diffusers' pipelines take under that name.
    #[arg(long, value_name = "FILE", conflicts_with = "latents")]
    noise: Option<PathBuf>,
    /// Write every intermediate value to this safetensors file.
    #[arg(long)]
    dump: Option<PathBuf>,
    /// Use the CPU path instead of the GPU.
    #[arg(long)]
    cpu: bool,
    /// candle: draw with candle's Stable Diffusion over the same weights, and print how far this engine's run is from it.
    #[arg(long, value_enum, default_value = "opengen", conflicts_with_all = ["prompts_file", "hires", "controls", "tiling", "tiles"])]
    engine: Drawn,
    /// Activations in f32 even where the GPU has f16.
    #[arg(long)]
    f32: bool,
    /// Which variants of kernels plans take, as of `opengen bench`; by default those of the adapter.
    #[arg(long, value_parser = crate::bench::tuning, conflicts_with = "cpu")]
    tuning: Option<Tuning>,
    /// Keep within so much of the GPU's memory, such as 1GB: weights leave it while other stages need the room and come again
    /// from the model's files. `opengen plan` with the same option prints what that means. The CPU path has no such limit.
    #[arg(long, value_parser = bytes, conflicts_with = "cpu")]
    memory: Option<u64>,
    /// Where the picture goes.
    #[arg(long, required_unless_present = "prompts_file")]
    out: Option<PathBuf>,
    /// Leave prompt and settings out of the file. That a model made the picture is said in it all the same.
    #[arg(long)]
    no_settings: bool,
    /// Many pictures with one model: a JSON object per line with `prompt`, `out` and optionally `negative`, `seed`,
    /// `steps`, `guidance`, `sampler`.
    #[arg(long, conflicts_with_all = ["prompt", "out", "dump", "noise", "latents"])]
    prompts_file: Option<PathBuf>,
}

/// Whose networks draw.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Drawn {
    Opengen,
    Candle,
}

/// One line of `--prompts-file`; what is left out comes from the command line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: String,
    out: PathBuf,
    negative: Option<String>,
    seed: Option<u64>,
    steps: Option<usize>,
    guidance: Option<f64>,
    sampler: Option<SamplerKind>,
}

/// `WIDTHxHEIGHT` in pixels.
pub fn size(text: &str) -> std::result::Result<(usize, usize), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed.ok_or_else(|| format!("{text:?} is no size; expected WIDTHxHEIGHT such as 512x512"))
}

/// Makes the pictures of a request, with a bar for the steps.
async fn made(pipeline: &mut Pipeline, request: &Request, dump: Option<&mut Dump>) -> Result<Output> {
    let bar = ProgressBar::new(request.all_steps() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} step {pos} of {len} · {eta} left") {
        bar.set_style(style);
    }
    let mut listen = |event: Event| {
        if let Event::Step { step, .. } = event {
            bar.set_position(step as u64);
        }
    };
    let output = pipeline.generate_with(request, &mut listen, &Cancel::default(), dump).await;
    bar.finish_and_clear();
    output
}

/// Runs the command.
pub async fn run(mut args: Args) -> Result<()> {
    wildcards::expand(&mut args)?;
    args.prompt = args.prompt.take().map(|prompt| lora::take(&prompt, args.known.loras_mut()));
    let source = model::open(&args.model, &args.known.options())?;
    let options = Options { f16: args.f32.then_some(false), tuning: args.tuning, ..Options::default() };
    let named = (args.model.as_str(), &args.known);
    let controls = args.controls.sources()?;
    let mut pipeline = model::ready(named, (&source, controls), &options, (args.cpu, args.memory)).await?;
    if let Some(file) = args.second.network() {
        pipeline.set_enlarger(Some(upscale::open(file, &options, args.cpu).await?));
    }
    match &args.prompts_file {
        None => one(&args, &source, &mut pipeline).await,
        Some(file) => many(&args, &source, file, &mut pipeline).await,
    }
}

async fn one(args: &Args, source: &ModelSource, pipeline: &mut Pipeline) -> Result<()> {
    let mut request = request(args, pipeline)?;
    request.take_words(model::merged(source, pipeline).words()?);
    model::tell_turns(pipeline, &request)?;
    let out = args.out.clone().unwrap_or_default();
    let mut dump = (args.dump.is_some() || args.engine == Drawn::Candle).then(Dump::default);
    let mut output = made(pipeline, &request, dump.as_mut()).await?;
    output.notices.iter().for_each(|notice| eprintln!("note: {notice}"));
    if let (Drawn::Candle, Some(dump)) = (args.engine, &dump) {
        let (manifest, slabs) = model::packed(source)?;
        let (pictures, differences) = oracle::compare((&manifest, &slabs), &request, (&output, dump))?;
        println!("{differences}");
        output.images = pictures;
    }
    write_pictures(
        &output,
        &request,
        (pipeline.config(), model::merged(source, pipeline)),
        !args.no_settings,
        &out,
    )?;
    if let (Some(path), Some(dump)) = (&args.dump, dump) {
        write_dump(path, &dump)?;
    }
    Ok(())
}

async fn many(args: &Args, source: &ModelSource, file: &Path, pipeline: &mut Pipeline) -> Result<()> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| io(file, &e))?;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|e| Error::Json {
            file: format!("{name} line {}", number + 1),
            message: e.to_string(),
        })?;
        let mut args = Args {
            prompt: Some(line.prompt),
            negative: line.negative.unwrap_or_else(|| args.negative.clone()),
            seed: line.seed.unwrap_or(args.seed),
            steps: line.steps.or(args.steps),
            guidance: line.guidance.or(args.guidance),
            sampler: line.sampler.or(args.sampler),
            ..args.clone()
        };
        wildcards::expand(&mut args)?;
        let mut request = request(&args, pipeline)?;
        request.take_words(model::merged(source, pipeline).words()?);
        let output = made(pipeline, &request, None).await?;
        write_pictures(
            &output,
            &request,
            (pipeline.config(), model::merged(source, pipeline)),
            !args.no_settings,
            &line.out,
        )?;
    }
    Ok(())
}

fn request(args: &Args, pipeline: &Pipeline) -> Result<Request> {
    let config = pipeline.config();
    let usual = model::usual(&args.model, config);
    let picture = args.from.picture()?;
    let (latents, size) = args.from.latents(config)?.unzip();
    if let (Some(asked), Some(size)) = (args.size, size) {
        latents::check_size(asked.into(), size)?;
    }
    let (width, height) = match (args.size.or(size.map(Into::into)), &picture) {
        (Some(size), _) => size,
        (None, Some(picture @ Picture { only_masked: None, .. })) => size_for(config, picture.size()).into(),
        (None, _) => (usual.width, usual.height),
    };
    Ok(Request {
        prompt: args.prompt.clone().unwrap_or_default(),
        negative_prompt: args.negative.clone(),
        dialect: args.dialect,
        emphasis: args.emphasis,
        clip_skip: args.clip_skip,
        templates: args.templates.clone(),
        embeddings: args.embeddings.iter().map(|file| embedding(file)).collect::<Result<_>>()?,
        steps: args.steps.unwrap_or(usual.steps),
        guidance: args.guidance.unwrap_or(usual.guidance),
        guidance_rescale: args.guidance_rescale,
        seed: args.seed,
        variation: (args.variation_strength != 0.0)
            .then_some(Variation { seed: args.variation_seed, strength: args.variation_strength }),
        rng: args.rng,
        sampler: args.sampler.unwrap_or(usual.sampler),
        schedule: args.schedule.unwrap_or(usual.schedule),
        sampling: args.sampling.options(),
        width,
        height,
        batch: args.batch,
        tiling: args.tiling,
        windows: args.tiles,
        picture,
        hires: args.second.hires(),
        regions: args.regions.read()?,
        controls: args.controls.read()?,
        hires_network: pipeline.enlarger().map(|enlarger| enlarger.name().to_string()),
        noise: args
            .noise
            .as_deref()
            .map(|path| latents::read_noise(path, [args.batch, height, width], config))
            .transpose()?,
        latents,
        ..usual
    })
}

/// Reads an embedding's file.
fn embedding(path: &Path) -> Result<Arc<Embedding>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // What is longer is none; to say what it is its beginning will do.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| io(path, &e))?;
    file.take(MAX_EMBEDDING as u64 + 1).read_to_end(&mut bytes).map_err(|e| io(path, &e))?;
    read_embedding(&name, &bytes).map(Arc::new)
}

fn write_pictures(
    output: &Output,
    request: &Request,
    (config, merged): (&ModelConfig, &Merged),
    settings: bool,
    out: &Path,
) -> Result<()> {
    let controls = config.control_names();
    for (index, image) in output.images.iter().enumerate() {
        let path = numbered(out, index);
        let mut parameters = request.parameters(&config.name, &controls, index);
        if settings {
            networks::tell(merged, &mut parameters)?; // reads whole files
        }
        output.tell(&mut parameters);
        let settings = settings.then(|| parameters.to_string());
        let png = encode_made(image, request.made_of(), settings.as_deref())?;
        std::fs::write(&path, png).map_err(|e| io(&path, &e))?;
        eprintln!("{} (seed {})", path.display(), request.seed_of(index));
    }
    Ok(())
}

/// `a.png`, then `a-2.png`, `a-3.png`.
fn numbered(out: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return out.to_path_buf();
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let ending = out.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
    out.with_file_name(format!("{stem}-{}{ending}", index + 1))
}

fn write_dump(path: &Path, dump: &Dump) -> Result<()> {
    let bad = |e: safetensors::SafeTensorError| Error::Io {
        path: path.display().to_string(),
        message: e.to_string(),
    };
    let mut views = HashMap::new();
    for (name, (shape, values)) in &dump.0 {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).map_err(bad)?;
        views.insert(name.clone(), view);
    }
    safetensors::serialize_to_file(views, None, path).map_err(bad)
}

pub fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::Io { path: path.display().to_string(), message: error.to_string() }
}
