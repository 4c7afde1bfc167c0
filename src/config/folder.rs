//! Configurations of a diffusers folder.

use serde_json::Value;

use super::files::Files;
use super::index::Index;
use super::scheduler::without_infinities;
use super::{
    Autoencoder, ClipTextConfig, Denoiser, MAX_TEXT_ENCODERS, ModelConfig, SampleSize, SchedulerConfig,
    Suggested, TaesdConfig, TimestepSpacing, UnetConfig, check,
};
use crate::error::{Error, Result};

/// The largest `config.json` that is read; real ones have two kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the `config.json` files of a diffusers folder on disk. See [`from_files`].
#[cfg(not(target_arch = "wasm32"))]
pub fn from_folder(path: &std::path::Path) -> Result<ModelConfig> {
    if !path.is_dir() {
        return Err(Error::Io { path: path.display().to_string(), message: "no such folder".to_string() });
    }
    from_files(&super::Disk(path))
}

/// Reads a diffusers folder's `config.json` files and checks that they fit together: one text encoder or two, as its
/// `model_index.json` says; where that is missing, as many as are there.
pub fn from_files(folder: &dyn Files) -> Result<ModelConfig> {
    let texts = read_texts(folder, &Index::read(folder)?)?;
    let (file, text) = read(folder, "unet/config.json")?;
    let mut unet = UnetConfig::from_json(&file, &text)?;
    raise_old_sample_size(&mut unet, &check::parse(&file, &text)?);
    let (file, text) = read(folder, "vae/config.json")?;
    let vae = Autoencoder::from_json(&file, &text)?;
    let preview = read_preview(folder)?;
    let (file, text) = read(folder, "scheduler/scheduler_config.json")?;
    let mut scheduler = SchedulerConfig::from_json(&file, &text)?;
    as_the_pipeline_has_it(&mut scheduler);
    let name = folder.title();
    let named = Suggested::of_name(&name);
    if named.steps.is_some() && scheduler.timestep_spacing != Some(TimestepSpacing::Trailing) {
        scheduler = scheduler.of_few_steps(); // the scheduler is that of the model it was distilled from
    }
    let suggested = Suggested::of_scheduler(&check::parse(&file, &without_infinities(&text))?);
    let suggested = suggested.of_distilled(unet.time_cond_proj_dim.is_some()).or(&named);
    let denoiser = Denoiser::Unet(unet);
    let config = ModelConfig {
        name,
        texts,
        denoiser,
        vae,
        preview,
        controls: Vec::new(),
        scheduler,
        suggested,
        asks_prediction: false,
    };
    config.check()?;
    Ok(config)
}

/// A folder `taesd` beside the others holds a tiny autoencoder for previews.
fn read_preview(folder: &dyn Files) -> Result<Option<TaesdConfig>> {
    let name = format!("{}/config.json", TaesdConfig::ROOT);
    if !folder.has(&name) {
        return Ok(None);
    }
    let (file, text) = read(folder, &name)?;
    TaesdConfig::from_json(&file, &text).map(Some)
}

/// UNets saved before diffusers 0.9 may give 32 where they were trained on 64: `StableDiffusionPipeline` raises what
/// is smaller.
fn raise_old_sample_size(unet: &mut UnetConfig, value: &Value) {
    const TRAINED_ON: usize = 64;
    let version = value.get("_diffusers_version").and_then(Value::as_str).unwrap_or_default();
    let mut numbers = version.split('.').map(str::parse);
    let is_old = matches!((numbers.next(), numbers.next()), (Some(Ok(0u32)), Some(Ok(0..9u32))));
    if is_old && matches!(unet.sample_size, SampleSize::Square(size) if size < TRAINED_ON) {
        unet.sample_size = SampleSize::Square(TRAINED_ON);
    }
}

/// `StableDiffusionPipeline` corrects schedulers that were saved wrongly: `steps_offset` is 1 (at 0 its samplers would
/// start one timestep early) and `clip_sample` false (latents have no bounds to clip to), whatever the file says.
fn as_the_pipeline_has_it(scheduler: &mut SchedulerConfig) {
    scheduler.steps_offset = 1;
    scheduler.refused.clip_sample = None;
}

/// Whether a diffusers folder has a component, such as `tokenizer_2`: as its index says, else whether it is there.
pub fn folder_has(folder: &dyn Files, component: &str) -> Result<bool> {
    Ok(Index::read(folder)?.has(folder, component))
}

/// The text encoders' configurations; the first is always there.
fn read_texts(folder: &dyn Files, index: &Index) -> Result<Vec<ClipTextConfig>> {
    let roots = (0..MAX_TEXT_ENCODERS).map(ModelConfig::text_root).enumerate();
    let listed = roots.filter(|(number, root)| *number == 0 || index.has(folder, root));
    let read_one = |(number, root): (usize, String)| {
        let (file, text) = read(folder, &format!("{root}/config.json"))?;
        let classes = check::parse(&file, &text)?;
        let classes = classes.get("architectures").and_then(Value::as_array).into_iter().flatten();
        // A second one with a projection is there for the sake of that; of a first one it is left over.
        if number > 0 && classes.into_iter().any(|class| class == "CLIPTextModelWithProjection") {
            return Err(Error::Unsupported {
                what: format!("CLIPTextModelWithProjection ({file})"),
                message: "the projection of its text has no path yet".to_string(),
            });
        }
        ClipTextConfig::from_json(&file, &text)
    };
    listed.map(read_one).collect()
}

/// What is said of a file that is not there.
fn missing(folder: &dyn Files, path: &str) -> Error {
    let message = match path.split_once('/') {
        Some((component, _)) if folder.has("model_index.json") => {
            format!("missing; model_index.json lists {component}")
        }
        _ => format!("missing; a diffusers folder has {path}"),
    };
    Error::Io { path: folder.name(path), message }
}

/// A small text file of the folder, with the name errors use.
pub(super) fn read(folder: &dyn Files, path: &str) -> Result<(String, String)> {
    let text = folder.text(path, MAX_BYTES)?.ok_or_else(|| missing(folder, path))?;
    Ok((folder.name(path), text))
}
