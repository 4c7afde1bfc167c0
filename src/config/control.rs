//! A ControlNet's configuration (`config.json` of its folder).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{self, Only};
use super::unet::{self, UnetConfig};
use super::{Denoiser, ModelConfig};
use crate::error::{Error, Result};

/// diffusers' `ControlNetModel`, as far as Stable Diffusion 1.x and 2.x use it: the way down of a UNet and its mid block once
/// more, and what makes a map of the size of the latents of one of the size of the picture.
///
/// Zhang, Rao and Agrawala 2023, <https://arxiv.org/abs/2302.05543>. Defaults:
/// <https://huggingface.co/docs/diffusers/api/models/controlnet>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlNetConfig {
    /// What people call it: the name of its folder or file.
    pub name: String,
    /// Without a way up.
    pub unet: UnetConfig,
    /// Channels of the map.
    pub conditioning_channels: usize,
    /// Widths of the convolutions over the map, each but the first at half the size of the one before.
    pub conditioning_embedding_out_channels: Vec<usize>,
}

impl ControlNetConfig {
    /// Where the weights of ControlNet `index` hang in the tree of names: `control`, `control_2`, …
    pub fn root(index: usize) -> String {
        if index == 0 { "control".to_string() } else { format!("control_{}", index + 1) }
    }

    /// Reads diffusers' `config.json`, refusing what the engine has no kernels for.
    pub fn from_json(name: &str, file: &str, text: &str) -> Result<Self> {
        let mut value = check::parse(file, text)?;
        refuse_unsupported(file, &value)?;
        // Its own words; all others are a UNet's.
        let own: Own = check::typed(file, value.clone())?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("_class_name");
            fields.insert("up_block_types".to_string(), Value::Array(Vec::new()));
        }
        unet::refuse_unsupported(file, &value)?;
        Ok(ControlNetConfig {
            name: name.to_string(),
            unet: check::typed(file, value)?,
            conditioning_channels: own.conditioning_channels,
            conditioning_embedding_out_channels: own.conditioning_embedding_out_channels,
        })
    }

    /// How many pixels of the map along a side become one of the latents.
    pub fn scale(&self) -> usize {
        1 << self.conditioning_embedding_out_channels.len().saturating_sub(1).min(16)
    }

    /// How many residuals it gives: one for each skip connection of the UNet and one for its mid block.
    pub fn residuals(&self) -> usize {
        let blocks = self.unet.block_out_channels.len();
        let layers: usize = (0..blocks).map(|block| self.unet.layers(block)).sum();
        1 + layers + blocks.saturating_sub(1) + 1
    }

    /// The same with what shapes of tensors do not show as the model has it, a copy of whose UNet it began as.
    pub fn like(self, model: &ModelConfig) -> ControlNetConfig {
        let Denoiser::Unet(unet) = &model.denoiser;
        let UnetConfig { attention_head_dim, norm_num_groups, norm_eps, .. } = unet.clone();
        let UnetConfig { flip_sin_to_cos, freq_shift, .. } = *unet;
        let unet = UnetConfig {
            attention_head_dim,
            norm_num_groups,
            norm_eps,
            flip_sin_to_cos,
            freq_shift,
            ..self.unet
        };
        ControlNetConfig { unet, ..self }
    }

    /// It fits the kernels, and the model that it is to steer.
    pub fn check(&self, model: &ModelConfig) -> Result<()> {
        let file = &self.name;
        let widths = &self.conditioning_embedding_out_channels;
        check::within(file, "conditioning_channels", self.conditioning_channels, 3, 3)?;
        check::channels(file, "conditioning_embedding_out_channels", widths, 1)?;
        check::within(file, "the length of up_block_types", self.unet.up_block_types.len(), 0, 0)?;
        self.unet.check_down()?;
        let Denoiser::Unet(unet) = &model.denoiser;
        let layers = |unet: &UnetConfig| -> Vec<usize> {
            (0..unet.block_out_channels.len()).map(|block| unet.layers(block)).collect()
        };
        let numbers = |widths: &[usize]| widths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let one = |number: usize| number.to_string();
        let own = &self.unet;
        for (what, mine, theirs) in [
            ("blocks of these widths", numbers(&own.block_out_channels), numbers(&unet.block_out_channels)),
            ("blocks of so many layers", numbers(&layers(own)), numbers(&layers(unet))),
            ("texts of this width", one(own.cross_attention_dim), one(unet.cross_attention_dim)),
            ("latents of so many channels", one(own.in_channels), one(model.vae.latent_channels())),
            ("maps so many times as large as latents", one(self.scale()), one(model.vae.scale())),
            ("times as sines and cosines in this order", time(own), time(unet)),
        ] {
            if mine != theirs {
                return Err(Error::Unsupported {
                    what: format!("the ControlNet {} with the model {}", self.name, model.name),
                    message: format!(
                        "it was made for another family: the ControlNet has {what}: {mine}, the model has {theirs}"
                    ),
                });
            }
        }
        Ok(())
    }
}

/// How a time is told to a UNet.
fn time(unet: &UnetConfig) -> String {
    let order = if unet.flip_sin_to_cos { "cosines first" } else { "sines first" };
    format!("{order}, shifted by {}", unet.freq_shift)
}

/// What a ControlNet says beside what a UNet does.
#[derive(Deserialize)]
#[serde(default)]
struct Own {
    conditioning_channels: usize,
    conditioning_embedding_out_channels: Vec<usize>,
}

impl Default for Own {
    fn default() -> Self {
        Own { conditioning_channels: 3, conditioning_embedding_out_channels: vec![16, 32, 96, 256] }
    }
}

/// Refuses fields that ask for another topology than the ControlNets of Stable Diffusion 1.x and 2.x have.
fn refuse_unsupported(file: &str, value: &Value) -> Result<()> {
    const CLASS: &str = "ControlNets of Stable Diffusion 1.x and 2.x can be drawn with";
    const POOLED: &str = "what it gives is averaged over the picture (shuffle), which has no path yet";
    const TABLE: &[Only] = &[
        Only { field: "_class_name", accepted: &["\"ControlNetModel\""], why: CLASS },
        Only { field: "global_pool_conditions", accepted: &["false"], why: POOLED },
        Only { field: "controlnet_conditioning_channel_order", accepted: &["\"rgb\""], why: CLASS },
    ];
    check::refuse(file, value, TABLE)
}
