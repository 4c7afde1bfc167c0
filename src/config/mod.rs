//! Every constant of a model family, read from a checkpoint's `config.json` files or built in.
//!
//! Field names and defaults are those of diffusers and transformers; each file names where its numbers come from.

mod builtin;
mod check;
mod clip;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
mod scheduler;
mod suggested;
mod taesd;
mod unet;
mod vae;

use serde::{Deserialize, Serialize};

pub use builtin::BUILTIN;
pub use clip::{Activation, ClipTextConfig};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::from_folder;
pub use scheduler::{BetaSchedule, FinalSigmas, PredictionType, SchedulerConfig, TimestepSpacing};
pub use suggested::Suggested;
pub use taesd::TaesdConfig;
pub use unet::{DownBlockType, MidBlockType, PerBlock, SampleSize, UnetConfig, UpBlockType};
pub use vae::VaeConfig;

use crate::error::{Error, Result};

/// A whole Stable Diffusion model in numbers: text encoder, UNet, autoencoder, noise schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// What people call it: a folder's name, or the name of a built-in configuration.
    pub name: String,
    pub text: ClipTextConfig,
    pub unet: UnetConfig,
    pub vae: VaeConfig,
    pub scheduler: SchedulerConfig,
    #[serde(default, skip_serializing_if = "Suggested::is_empty")]
    pub suggested: Suggested,
}

impl ModelConfig {
    /// Reads what [`serde_json`] writes for this type (a GGUF's `opengen.config`), and checks it.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let value: serde_json::Value = check::parse(file, text)?;
        if let Some(unet) = value.get("unet") {
            unet::refuse_unsupported(file, unet)?;
        }
        if let Some(vae) = value.get("vae") {
            vae::refuse_unsupported(file, vae)?;
        }
        let config: ModelConfig = check::typed(file, value)?;
        config.check()?;
        Ok(config)
    }

    /// The latents' channels, the text width and the model's inner numbers fit together and the engine's kernels.
    pub fn check(&self) -> Result<()> {
        const FILE: &str = "model configuration";
        self.text.check()?;
        self.unet.check()?;
        self.vae.check()?;
        if self.unet.cross_attention_dim != self.text.hidden_size {
            return Err(check::mismatch(
                FILE,
                ("unet.cross_attention_dim", self.unet.cross_attention_dim),
                ("text_encoder.hidden_size", self.text.hidden_size),
            ));
        }
        if self.unet.in_channels != self.vae.latent_channels {
            return Err(Error::Unsupported {
                what: format!("unet.in_channels {}", self.unet.in_channels),
                message: format!(
                    "the vae has latent_channels {}, and inpainting or image-conditioned UNets have no path yet",
                    self.vae.latent_channels
                ),
            });
        }
        if self.unet.out_channels != self.unet.in_channels {
            return Err(check::mismatch(
                FILE,
                ("unet.out_channels", self.unet.out_channels),
                ("unet.in_channels", self.unet.in_channels),
            ));
        }
        self.scheduler.check()
    }

    /// Width and height of the pictures the model was trained on, in pixels.
    pub fn native_size(&self) -> [usize; 2] {
        let size = self.unet.sample_size;
        [size.width() * self.vae.scale(), size.height() * self.vae.scale()]
    }
}

#[cfg(test)]
mod tests;
