//! The autoencoder of a model: one of several kinds between pictures and latents.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TaesdConfig, VaeConfig, check};
use crate::error::{Error, Result};

/// How SD 1's scaled latents look as RGB, by linear regression.
/// <https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204>
const SD1_LATENT_RGB: [[f32; 3]; 4] =
    [[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473]];

/// What makes pictures of latents, and latents of pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "_class_name")]
pub enum Autoencoder {
    /// diffusers' `AutoencoderKL`.
    #[serde(rename = "AutoencoderKL")]
    Kl(VaeConfig),
    /// diffusers' `AutoencoderTiny`, as a model's own.
    #[serde(rename = "AutoencoderTiny")]
    Tiny(TaesdConfig),
}

impl<'de> Deserialize<'de> for Autoencoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Autoencoder::from_value("vae", value).map_err(D::Error::custom)
    }
}

impl Autoencoder {
    /// Where its weights hang in the tree of names, and its folder's name.
    pub const ROOT: &str = "vae";

    /// Reads diffusers' `config.json` of either class; one that names none is an `AutoencoderKL`.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Autoencoder::from_value(file, check::parse(file, text)?)
    }

    pub(super) fn from_value(file: &str, value: Value) -> Result<Self> {
        match value.get("_class_name").and_then(Value::as_str) {
            None | Some("AutoencoderKL") => VaeConfig::from_value(file, value).map(Autoencoder::Kl),
            Some("AutoencoderTiny") => TaesdConfig::from_value(file, value).map(Autoencoder::Tiny),
            Some(other) => Err(Error::Unsupported {
                what: format!("_class_name {other:?} ({file})"),
                message: "known autoencoders are AutoencoderKL and AutoencoderTiny".to_string(),
            }),
        }
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        match self {
            Autoencoder::Kl(config) => config.latent_channels,
            Autoencoder::Tiny(config) => config.latent_channels,
        }
    }

    /// Pixels per latent along one side.
    pub fn scale(&self) -> usize {
        match self {
            Autoencoder::Kl(config) => config.scale(),
            Autoencoder::Tiny(config) => config.scale(),
        }
    }

    /// Whether it can stand in the place of another: the same latents, as far as their shape tells.
    pub fn stands_for(&self, other: &Autoencoder) -> bool {
        (self.latent_channels(), self.scale()) == (other.latent_channels(), other.scale())
    }

    /// Latents of unit variance, as the denoiser knows them, = encoder output · this.
    pub fn scaling_factor(&self) -> f64 {
        match self {
            Autoencoder::Kl(config) => config.scaling_factor,
            Autoencoder::Tiny(config) => config.scaling_factor,
        }
    }

    /// How latents look, in [-1, 1]: the RGB of each latent channel, and what is added to their sum. Stable Diffusion 1's
    /// where the file has none; channels beyond its four then do not show.
    pub fn latent_rgb(&self) -> (Vec<[f32; 3]>, [f32; 3]) {
        let (factors, bias) = match self {
            Autoencoder::Kl(config) => (config.latent_rgb_factors.clone(), config.latent_rgb_bias),
            Autoencoder::Tiny(_) => (None, None),
        };
        let mut factors = factors.unwrap_or_else(|| SD1_LATENT_RGB.to_vec());
        factors.resize(self.latent_channels(), [0.0; 3]);
        (factors, bias.unwrap_or_default())
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self) -> Result<()> {
        match self {
            Autoencoder::Kl(config) => config.check(),
            Autoencoder::Tiny(config) => config.check(),
        }
    }
}
