//! What removes the noise: one of several kinds of networks.

use serde::{Deserialize, Serialize};

use super::{SampleSize, UnetConfig};
use crate::error::Result;

/// The network that a run evaluates at every step: noisy latents, a time and text in; its prediction out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denoiser {
    /// diffusers' `UNet2DConditionModel`.
    Unet(UnetConfig),
}

impl Denoiser {
    /// Where its weights hang in the tree of names, and its folder's name.
    pub fn root(&self) -> &'static str {
        match self {
            Denoiser::Unet(_) => "unet",
        }
    }

    /// Channels of the latents that go in.
    pub fn in_channels(&self) -> usize {
        match self {
            Denoiser::Unet(config) => config.in_channels,
        }
    }

    /// Channels of the prediction.
    pub fn out_channels(&self) -> usize {
        match self {
            Denoiser::Unet(config) => config.out_channels,
        }
    }

    /// Width of the text's states, those of all text encoders side by side.
    pub fn text_channels(&self) -> usize {
        match self {
            Denoiser::Unet(config) => config.cross_attention_dim,
        }
    }

    /// Native width and height of the latents.
    pub fn sample_size(&self) -> SampleSize {
        match self {
            Denoiser::Unet(config) => config.sample_size,
        }
    }

    /// The sinusoidal embedding of a time.
    pub fn time(&self) -> Sinusoids {
        match self {
            Denoiser::Unet(config) => Sinusoids {
                channels: config.block_out_channels.first().copied().unwrap_or(0),
                cosines_first: config.flip_sin_to_cos,
                freq_shift: config.freq_shift,
            },
        }
    }

    /// Width of the embedding of the guidance scale, where the network follows one by itself: what others ask twice for, it
    /// answers at once.
    pub fn guidance_channels(&self) -> Option<usize> {
        match self {
            Denoiser::Unet(config) => config.time_cond_proj_dim,
        }
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self) -> Result<()> {
        match self {
            Denoiser::Unet(config) => config.check(),
        }
    }
}

/// How a time becomes sines and cosines (Vaswani et al. 2017; diffusers' `Timesteps`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sinusoids {
    /// Sines and cosines together.
    pub channels: usize,
    pub cosines_first: bool,
    /// Subtracted from the number of frequencies: 0 or 1.
    pub freq_shift: i64,
}
