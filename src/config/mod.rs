//! Every constant of a model family, read from a checkpoint's `config.json` files or built in.
//!
//! Field names and defaults are those of diffusers and transformers; each file names where its numbers come from.

mod autoencoder;
mod builtin;
mod check;
mod clip;
mod control;
mod denoiser;
mod files;
mod folder;
mod index;
mod scheduler;
mod suggested;
mod taesd;
mod unet;
mod upscaler;
mod vae;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use autoencoder::Autoencoder;
pub use builtin::BUILTIN;
pub use clip::{Activation, ClipTextConfig};
pub use control::ControlNetConfig;
pub use denoiser::{Denoiser, Sinusoids};
#[cfg(not(target_arch = "wasm32"))]
pub use files::Disk;
pub use files::Files;
#[cfg(not(target_arch = "wasm32"))]
pub use folder::from_folder;
pub use folder::{folder_has, from_files};
pub use scheduler::{BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig, TimestepSpacing};
pub use suggested::Suggested;
pub use taesd::TaesdConfig;
pub use unet::{DownBlockType, MidBlockType, PerBlock, SampleSize, UnetConfig, UpBlockType};
pub use upscaler::{CompactConfig, RrdbConfig, UpscalerConfig};
pub use vae::VaeConfig;

use crate::error::{Error, Result};

/// The most text encoders whose states the denoiser's linear layers can read side by side.
pub const MAX_TEXT_ENCODERS: usize = 2;

/// The most ControlNets that a model is drawn with at once.
pub const MAX_CONTROLS: usize = 4;

/// A whole model in numbers: text encoders, denoiser, autoencoder, extras, noise schedule.
///
/// As JSON it is a map of its parts, named as a diffusers folder's are but for `text`: one text encoder, or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// What people call it: a folder's name, or the name of a built-in configuration.
    pub name: String,
    /// At least one; their states stand side by side in this order.
    #[serde(rename = "text", serialize_with = "one_or_list", deserialize_with = "list_or_one")]
    pub texts: Vec<ClipTextConfig>,
    #[serde(flatten)]
    pub denoiser: Denoiser,
    pub vae: Autoencoder,
    /// The tiny autoencoder that decodes previews, where the model brings one.
    #[serde(rename = "taesd", default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<TaesdConfig>,
    /// What steers the denoiser beside the text, where it was given some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<ControlNetConfig>,
    pub scheduler: SchedulerConfig,
    #[serde(default, skip_serializing_if = "Suggested::is_empty")]
    pub suggested: Suggested,
    /// Nothing said what the denoiser predicts: it is asked itself before the first run, and the scheduler's type counts no
    /// longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_prediction: bool,
}

impl ModelConfig {
    /// Somebody says what the denoiser predicts, whatever its files have.
    pub fn set_prediction(&mut self, prediction: PredictionType) {
        self.scheduler.prediction_type = prediction;
        self.asks_prediction = false;
    }

    /// Reads what [`serde_json`] writes for this type (a GGUF's `opengen.config`), and checks it.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let value = check::parse(file, text)?;
        // What is refused by name is refused before the types are looked at.
        if let Some(unet) = value.get("unet") {
            unet::refuse_unsupported(file, unet)?;
        }
        if let Some(vae) = value.get("vae") {
            Autoencoder::from_value(file, vae.clone())?;
        }
        let config: ModelConfig = check::typed(file, value)?;
        config.check()?;
        Ok(config)
    }

    /// Where the weights of text encoder `index` hang in the tree of names, and its folder's name: `text_encoder`,
    /// `text_encoder_2`, …
    pub fn text_root(index: usize) -> String {
        if index == 0 { "text_encoder".to_string() } else { format!("text_encoder_{}", index + 1) }
    }

    /// Tokens of one chunk of a prompt, begin and end included: as many as every text encoder takes.
    pub fn chunk_tokens(&self) -> usize {
        self.texts.first().map_or(0, |text| text.max_position_embeddings)
    }

    /// The latents' channels, the text width and the model's inner numbers fit together and the engine's kernels.
    pub fn check(&self) -> Result<()> {
        const FILE: &str = "model configuration";
        check::within(FILE, "the number of text encoders", self.texts.len(), 1, MAX_TEXT_ENCODERS)?;
        self.texts.iter().try_for_each(ClipTextConfig::check)?;
        self.denoiser.check()?;
        self.vae.check()?;
        self.preview.iter().try_for_each(TaesdConfig::check)?;
        for text in &self.texts {
            let (tokens, first) = (text.max_position_embeddings, self.chunk_tokens());
            if tokens != first {
                let field = "text_encoder_2.max_position_embeddings";
                return Err(check::mismatch(FILE, (field, tokens), ("text_encoder's", first)));
            }
        }
        let (root, width) = (self.denoiser.root(), self.denoiser.text_channels());
        let hidden = self.texts.iter().map(|text| text.hidden_size).sum();
        if width != hidden {
            let field = format!("{root}.cross_attention_dim");
            return Err(check::mismatch(FILE, (&field, width), ("text_encoder.hidden_size", hidden)));
        }
        self.check_latents(FILE)?;
        check::within(FILE, "the number of ControlNets", self.controls.len(), 0, MAX_CONTROLS)?;
        self.controls.iter().try_for_each(|control| control.check(self))?;
        self.scheduler.check()
    }

    /// All parts know the same latents.
    fn check_latents(&self, file: &str) -> Result<()> {
        let (root, channels) = (self.denoiser.root(), self.vae.latent_channels());
        let (inputs, outputs) = (self.denoiser.in_channels(), self.denoiser.out_channels());
        if inputs != channels && !self.is_inpainting() {
            return Err(Error::Unsupported {
                what: format!("{root}.in_channels {inputs}"),
                message: format!(
                    "the vae has latent_channels {channels}; UNets that read other pictures beside have no path yet"
                ),
            });
        }
        if outputs != channels {
            let left = format!("{root}.out_channels");
            return Err(check::mismatch(file, (&left, outputs), ("vae.latent_channels", channels)));
        }
        match &self.preview {
            Some(preview) if preview.latent_channels != channels => {
                let left = ("taesd.latent_channels", preview.latent_channels);
                Err(check::mismatch(file, left, ("vae.latent_channels", channels)))
            }
            _ => Ok(()),
        }
    }

    /// How far guided predictions are brought back to the spread of the prompt's own, 0 to 1, where a run says nothing of it:
    /// 0.7 where the last noise level is noise alone, as <https://arxiv.org/abs/2305.08891> has it, else not at all.
    pub fn guidance_rescale(&self) -> f64 {
        if self.scheduler.rescale_betas_zero_snr { 0.7 } else { 0.0 }
    }

    /// What its ControlNets are called.
    pub fn control_names(&self) -> Vec<&str> {
        self.controls.iter().map(|control| control.name.as_str()).collect()
    }

    /// Whether the denoiser paints into a picture: beside the latents it reads a mask and what is outside of it.
    pub fn is_inpainting(&self) -> bool {
        self.denoiser.in_channels() == 2 * self.vae.latent_channels() + 1
    }

    /// Width and height of the pictures the model was trained on, in pixels.
    pub fn native_size(&self) -> [usize; 2] {
        let size = self.denoiser.sample_size();
        [size.width() * self.vae.scale(), size.height() * self.vae.scale()]
    }
}

/// One configuration as itself, as every version of the format had it; several as a list.
fn one_or_list<S: Serializer>(
    texts: &[ClipTextConfig],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match texts {
        [one] => one.serialize(serializer),
        several => several.serialize(serializer),
    }
}

/// A list, or its only entry by itself.
fn list_or_one<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<ClipTextConfig>, D::Error> {
    let list = match Value::deserialize(deserializer)? {
        Value::Array(list) => list,
        one => vec![one],
    };
    let texts = list.into_iter().map(serde_json::from_value).collect::<std::result::Result<_, _>>();
    texts.map_err(D::Error::custom)
}

#[cfg(test)]
mod tests;
