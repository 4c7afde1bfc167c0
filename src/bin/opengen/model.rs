//! Finding and loading the model a command names.

use std::path::{Path, PathBuf};

use opengen::config::{ModelConfig, PredictionType};
use opengen::error::{Error, Result};
use opengen::gpu::{Context, Options};
use opengen::pipeline::engine::Widened;
use opengen::pipeline::stock::Files;
use opengen::pipeline::{Cancel, Defaults, Pipeline, Request, Tiling};
use opengen::prompt::{Dialect, Emphasis};
use opengen::sample::{NoiseSource, SamplerOptions};
use opengen::weights::packed::LayoutOptions;
use opengen::weights::{
    Bytes, ControlPart, ControlSource, LoraOption, Manifest, Merged, ModelSource, OpenOptions, Unused, Wider,
    load, stream,
};

use crate::models;

/// What the embedded model is called.
const EMBEDDED: &str = "mini";
/// The embedded model's place in the repository.
const MINI: &str = "www/models/mini/mini-q8_0.gguf";

/// Options of the commands that take a model: what it does not say of itself.
#[derive(clap::Args, Clone)]
pub struct Known {
    /// What the UNet predicts, whatever the model's files have: epsilon, v or sample. Without it what they say counts, and
    /// what is assumed is told.
    #[arg(long)]
    prediction: Option<PredictionType>,
    /// An autoencoder for a checkpoint in one file, in a file of its own: in the place of the one inside, or where there is
    /// none. A tiny one (TAESD) may come in two files, for which this is said twice.
    #[arg(long)]
    vae: Vec<PathBuf>,
    /// A LoRA (or LoCon, LoHa, LoKr; kohya's, LyCORIS's, diffusers' or PEFT's names) that is merged into the model, and how
    /// much of it, of the UNet's part and of the text encoder's; 1 if left out. Repeat it for several.
    #[arg(long = "lora", value_name = "FILE[:WEIGHT[:TEXT]]")]
    loras: Vec<LoraOption>,
    /// Take weights that are infinite or no numbers (NaN) as they are, which else are refused by name.
    #[arg(long)]
    allow_non_finite: bool,
}

impl Known {
    /// What is merged into the model.
    pub fn loras_mut(&mut self) -> &mut [LoraOption] {
        &mut self.loras
    }

    /// Where some count in a part of a run alone, all are merged into the model once it is loaded.
    fn merges_late(&self) -> bool {
        self.loras.iter().any(|lora| !lora.strength.during.is_whole())
    }

    pub fn options(&self) -> OpenOptions {
        if self.merges_late() {
            self.unmerged()
        } else {
            OpenOptions { loras: self.loras.clone(), ..self.unmerged() }
        }
    }

    fn unmerged(&self) -> OpenOptions {
        OpenOptions {
            prediction: self.prediction,
            vae: self.vae.clone(),
            loras: Vec::new(),
            allow_non_finite: self.allow_non_finite,
        }
    }
}

/// `mini`, a path to a diffusers folder, a checkpoint in one file or a GGUF, or the name of one in the folder of models. Says what of it is not used, and what is
/// assumed.
pub fn open(name: &str, known: &OpenOptions) -> Result<ModelSource> {
    let source = open_quietly(name, known)?;
    tell_unused(&source);
    tell_merged(source.merged());
    if let Some(assumed) = source.assumed() {
        eprintln!("note: {assumed} (--prediction)");
    }
    Ok(source)
}

/// What networks change of a model.
fn tell_merged(merged: &Merged) {
    for (file, changed, _) in merged.told() {
        eprintln!("note: {} changes {changed} tensors", file.name);
    }
    merged.notices().for_each(|notice| eprintln!("note: {notice}"));
}

/// The same, without a word.
pub fn open_quietly(name: &str, known: &OpenOptions) -> Result<ModelSource> {
    ModelSource::open_with(&path(name)?, known)
}

/// Tensors that the model does not read are left out, and named.
fn tell_unused(source: &ModelSource) {
    const NAMED: usize = 10;
    let Unused { leftovers, unknown } = source.unused(&opengen::model::weight_decls(source.config()));
    if let Some(first) = leftovers.first() {
        let count = leftovers.len();
        eprintln!(
            "note: {count} tensors that are no weights of the model are left out, the first is {first}"
        );
    }
    for name in unknown.iter().take(NAMED) {
        eprintln!("note: tensor {name} is not used");
    }
    if unknown.len() > NAMED {
        eprintln!("note: and {} more", unknown.len() - NAMED);
    }
}

/// What a run takes where the command line says nothing: the model's own settings, and no prompt.
pub fn usual(name: &str, config: &ModelConfig) -> Request {
    let defaults = if name == EMBEDDED { Defaults::MINI } else { Defaults::GENERAL };
    let Defaults { steps, guidance, sampler, schedule } = defaults.with(&config.suggested);
    let (width, height) = config.native_size().into();
    Request {
        prompt: String::new(),
        negative_prompt: String::new(),
        dialect: Dialect::default(),
        emphasis: Emphasis::default(),
        clip_skip: 1,
        templates: [None, None],
        embeddings: Vec::new(),
        steps,
        guidance,
        guidance_rescale: None,
        tiling: Tiling::default(),
        seed: 0,
        variation: None,
        rng: NoiseSource::default(),
        sampler,
        schedule,
        sampling: SamplerOptions::default(),
        width,
        height,
        batch: 1,
        windows: None,
        noise: None,
        latents: None,
        picture: None,
        regions: Vec::new(),
        controls: Vec::new(),
        hires: None,
        hires_network: None,
        preview_every: 0,
        walk: None,
    }
}

/// Where the model of a name, or at a path, lies.
pub fn path(name: &str) -> Result<PathBuf> {
    if name != EMBEDDED {
        let path = PathBuf::from(name);
        let is_path = path.exists() || path.components().count() > 1;
        return match is_path {
            true if path.exists() => Ok(path),
            true => Err(Error::Io { path: name.to_string(), message: "no such file or folder".to_string() }),
            false => models::find(name),
        };
    }
    let places = [Path::new(MINI).to_path_buf(), Path::new(env!("CARGO_MANIFEST_DIR")).join(MINI)];
    let found = places.iter().find(|path| path.exists());
    found.cloned().ok_or_else(|| Error::Io {
        path: MINI.to_string(),
        message: "the embedded model is not here; run inside the repository or give a path".to_string(),
    })
}

/// The best GPU's device; says where its matrix units are not used because they compute wrongly.
pub async fn device(options: &Options) -> Result<Context> {
    let context = Context::new(options).await?;
    if let Some(why) = context.refused() {
        eprintln!("note: {why}");
    }
    Ok(context)
}

/// The model on the processor, or on the best GPU, there within so many bytes of its memory if they are given.
pub async fn ready(
    (name, known): (&str, &Known),
    (source, controls): (&ModelSource, Vec<ControlSource>),
    options: &Options,
    (cpu, memory): (bool, Option<u64>),
) -> Result<Pipeline> {
    // What lies in few bits is read in more while something is merged into it, where there is room: of that the pipeline knows.
    let (own, ..) = steered(source, Vec::new())?;
    let is_narrow = !Wider::of(source.merged(), &own).is_empty();
    let plain = is_narrow.then(|| open_quietly(name, &known.unmerged())).transpose()?;
    let source = plain.as_ref().unwrap_or(source);
    let mut pipeline = match memory {
        _ if cpu => steered_on_cpu(source, controls)?,
        Some(bytes) => {
            let options_of = if is_narrow { known.unmerged() } else { known.options() };
            within(open_quietly(name, &options_of)?, controls, options, bytes).await?
        }
        None => steered_on_gpu(source, controls, options).await?,
    };
    if is_narrow || known.merges_late() {
        let source = open_quietly(name, &known.unmerged())?;
        let asked = known.loras.iter().map(LoraOption::open).collect::<Result<_>>()?;
        let merged = Merged::for_packed(asked, &own)?;
        if !is_narrow {
            tell_merged(&merged);
        }
        pipeline.set_stock(Box::new(Files::new(source, own, Vec::new())));
        pipeline.merge(merged.into(), &Cancel::default()).await?;
        tell_widened(&pipeline);
    }
    Ok(pipeline)
}

/// What few bits take while something is merged into them.
fn tell_widened(pipeline: &Pipeline) {
    if let Some(Widened { records, bytes, has_room: true }) = pipeline.widened() {
        let bytes = bytes as f64 / 1e6;
        eprintln!(
            "note: {records} weights of five and four bits that it changes are read in eight: {bytes:.1} MB more, if there is room"
        );
    }
}

/// What is merged into a model, with its files or once it was loaded.
pub fn merged<'a>(source: &'a ModelSource, pipeline: &'a Pipeline) -> &'a Merged {
    if pipeline.merged().is_empty() { source.merged() } else { pipeline.merged() }
}

/// Says what it takes to merge networks again on the way of a run.
pub fn tell_turns(pipeline: &Pipeline, request: &Request) -> Result<()> {
    let (merged, manifest) = (pipeline.merged(), pipeline.manifest());
    let steps = request.entered() + request.taken().count();
    for i in merged.turns(steps)? {
        let (before, after) = (merged.in_step(i - 1, steps), merged.in_step(i, steps));
        let changed = manifest.records.iter().filter(|record| !after.agrees_on(&before, record));
        let (count, bytes) = changed.fold((0, 0), |(count, bytes), record| (count + 1, bytes + record.len()));
        let operations = after.operations() as f64 / 1e9;
        eprintln!(
            "note: before step {} of {steps} the model changes: {count} weights of {:.1} MB, {operations:.2} GFLOP of products",
            i + 1,
            bytes as f64 / 1e6,
        );
    }
    Ok(())
}

/// The model's own manifest, that with ControlNets beside it, and these as its parts.
fn steered(
    source: &ModelSource,
    controls: Vec<ControlSource>,
) -> Result<(Manifest, Manifest, Vec<ControlPart>)> {
    let options = LayoutOptions::default();
    let own = source.manifest(&opengen::model::weight_decls(source.config()), options)?;
    let mut manifest = own.clone();
    let mut join =
        |control| ControlPart::join(control, &mut manifest, opengen::model::control_decls, options);
    let parts = controls.into_iter().map(&mut join).collect::<Result<Vec<_>>>()?;
    Ok((own, manifest, parts))
}

/// The model on the best GPU.
pub async fn on_gpu(source: &ModelSource, options: &Options) -> Result<Pipeline> {
    steered_on_gpu(source, Vec::new(), options).await
}

async fn steered_on_gpu(
    source: &ModelSource,
    controls: Vec<ControlSource>,
    options: &Options,
) -> Result<Pipeline> {
    let (own, manifest, parts) = steered(source, controls)?;
    let mut pipeline = Pipeline::new(device(options).await?, manifest).await?;
    let mut write = |slab, offset, bytes: Bytes<'_>| pipeline.write(slab, offset, bytes);
    stream(source, &own, &mut write)?;
    parts.iter().try_for_each(|part| part.stream_of(&|_| true, &mut write))?;
    Ok(pipeline)
}

/// The model on the best GPU, within `bytes` of its memory; its weights come from its files whenever they are needed.
async fn within(
    source: ModelSource,
    controls: Vec<ControlSource>,
    options: &Options,
    bytes: u64,
) -> Result<Pipeline> {
    let (own, manifest, parts) = steered(&source, controls)?;
    let stock = Box::new(Files::new(source, own, parts));
    Pipeline::within(device(options).await?, manifest, bytes, stock)
}

/// The model on the CPU.
pub fn on_cpu(source: &ModelSource) -> Result<Pipeline> {
    steered_on_cpu(source, Vec::new())
}

fn steered_on_cpu(source: &ModelSource, controls: Vec<ControlSource>) -> Result<Pipeline> {
    let (own, manifest, parts) = steered(source, controls)?;
    let mut slabs: Vec<Vec<u8>> = manifest.slabs.iter().map(|&len| vec![0; len as usize]).collect();
    let mut write = |slab: usize, offset: u64, bytes: Bytes<'_>| {
        bytes.copy_to(&mut slabs[slab][offset as usize..][..bytes.len()]);
        Ok(())
    };
    stream(source, &own, &mut write)?;
    parts.iter().try_for_each(|part| part.stream_of(&|_| true, &mut write))?;
    Pipeline::on_cpu(manifest, slabs)
}

/// The model's packed weights.
pub fn packed(source: &ModelSource) -> Result<(Manifest, Vec<Vec<u8>>)> {
    load(source, &opengen::model::weight_decls(source.config()), LayoutOptions::default())
}
