//! Configurations of a diffusers folder on disk.

use std::path::Path;

use serde_json::Value;

use super::scheduler::without_infinities;
use super::{
    Autoencoder, ClipTextConfig, Denoiser, ModelConfig, SampleSize, SchedulerConfig, Suggested, TaesdConfig,
    UnetConfig, check,
};
use crate::error::{Error, Result};

/// The largest `config.json` that is read; real ones have two kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a diffusers folder's `config.json` files and checks that they fit together. `model_index.json` may be missing.
pub fn from_folder(path: &Path) -> Result<ModelConfig> {
    refuse_other_pipelines(path)?;
    let (file, text) = read(path, "text_encoder/config.json")?;
    let text_config = ClipTextConfig::from_json(&file, &text)?;
    let (file, text) = read(path, "unet/config.json")?;
    let mut unet = UnetConfig::from_json(&file, &text)?;
    raise_old_sample_size(&mut unet, &check::parse(&file, &text)?);
    let (file, text) = read(path, "vae/config.json")?;
    let vae = Autoencoder::from_json(&file, &text)?;
    let preview = read_preview(path)?;
    let (file, text) = read(path, "scheduler/scheduler_config.json")?;
    let mut scheduler = SchedulerConfig::from_json(&file, &text)?;
    as_the_pipeline_has_it(&mut scheduler);
    let name = path.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "model".to_string());
    let suggested = Suggested::of_scheduler(&check::parse(&file, &without_infinities(&text))?);
    let (texts, denoiser) = (vec![text_config], Denoiser::Unet(unet));
    let config = ModelConfig { name, texts, denoiser, vae, preview, scheduler, suggested };
    config.check()?;
    Ok(config)
}

/// A folder `taesd` beside the others holds a tiny autoencoder for previews.
fn read_preview(path: &Path) -> Result<Option<TaesdConfig>> {
    let name = format!("{}/config.json", TaesdConfig::ROOT);
    if !path.join(&name).exists() {
        return Ok(None);
    }
    let (file, text) = read(path, &name)?;
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

/// `model_index.json` names a second text encoder (SDXL) or no UNet (SD 3, Flux): better said at once.
fn refuse_other_pipelines(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Err(Error::Io { path: path.display().to_string(), message: "no such folder".to_string() });
    }
    if !path.join("model_index.json").exists() {
        return Ok(());
    }
    let (file, text) = read(path, "model_index.json")?;
    let index = check::parse(&file, &text)?;
    let present =
        |field: &str| index.get(field).is_some_and(|v| v.get(0).is_some_and(|library| !library.is_null()));
    if present("text_encoder_2") || present("transformer") {
        let class = index.get("_class_name").and_then(Value::as_str).unwrap_or("this pipeline");
        return Err(Error::Unsupported {
            what: format!("{class} ({file})"),
            message: "models of the Stable Diffusion 1.x and 2.x family are".to_string(),
        });
    }
    Ok(())
}

/// A small text file of the folder, with the name errors use.
fn read(folder: &Path, name: &str) -> Result<(String, String)> {
    let path = folder.join(name);
    let file = path.display().to_string();
    let io = |message: String| Error::Io { path: file.clone(), message };
    let size = std::fs::metadata(&path)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => io(format!("missing; a diffusers folder has {name}")),
            _ => io(error.to_string()),
        })?
        .len();
    if size > MAX_BYTES {
        return Err(Error::BadFile {
            file,
            message: format!("{size} bytes long, at most {MAX_BYTES} expected"),
        });
    }
    let text = std::fs::read_to_string(&path).map_err(|error| io(error.to_string()))?;
    Ok((file, text))
}
