//! The autoencoder's configuration (`vae/config.json`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{self, Only};
use crate::error::Result;

const FILE: &str = "vae/config.json";

/// diffusers' `AutoencoderKL`.
///
/// Defaults: <https://huggingface.co/docs/diffusers/api/models/autoencoderkl>. `latent_rgb_factors` and
/// `latent_rgb_bias` are ours, for previews; diffusers ignores them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    pub block_out_channels: Vec<usize>,
    /// ResNet layers per encoder block; decoder blocks have one more.
    pub layers_per_block: usize,
    pub norm_num_groups: usize,
    /// Latents of unit variance = encoder output · this.
    pub scaling_factor: f64,
    /// Native width and height of the pictures.
    pub sample_size: usize,
    /// Scaled latents to RGB in -1..1, one row `[r, g, b]` per latent channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent_rgb_factors: Option<Vec<[f32; 3]>>,
    /// Added after [`VaeConfig::latent_rgb_factors`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent_rgb_bias: Option<[f32; 3]>,
}

impl Default for VaeConfig {
    fn default() -> Self {
        VaeConfig {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            layers_per_block: 1,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            sample_size: 32,
            latent_rgb_factors: None,
            latent_rgb_bias: None,
        }
    }
}

impl VaeConfig {
    /// Reads diffusers' `config.json`, refusing what the engine has no kernels for.
    pub(super) fn from_value(file: &str, value: Value) -> Result<Self> {
        refuse_unsupported(file, &value)?;
        let config: VaeConfig = check::typed(file, value)?;
        config.check()?;
        Ok(config)
    }

    /// Pixels per latent along one side.
    pub fn scale(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self) -> Result<()> {
        check::within(FILE, "in_channels", self.in_channels, 3, 3)?;
        check::within(FILE, "out_channels", self.out_channels, 3, 3)?;
        check::within(FILE, "latent_channels", self.latent_channels, 4, 64)?;
        check::multiple(FILE, "latent_channels", self.latent_channels, "the vector width", 4)?;
        check::within(FILE, "layers_per_block", self.layers_per_block, 1, check::MAX_LAYERS)?;
        check::within(FILE, "norm_num_groups", self.norm_num_groups, 1, 1024)?;
        check::within(FILE, "sample_size", self.sample_size, 1, 1 << 15)?;
        check::positive(FILE, "scaling_factor", self.scaling_factor, 1e4)?;
        check::channels(FILE, "block_out_channels", &self.block_out_channels, self.norm_num_groups)?;
        if let Some(rows) = &self.latent_rgb_factors
            && rows.len() != self.latent_channels
        {
            let left = ("the length of latent_rgb_factors", rows.len());
            return Err(check::mismatch(FILE, left, ("latent_channels", self.latent_channels)));
        }
        Ok(())
    }
}

/// Refuses fields of `vae/config.json` that the engine does not implement.
fn refuse_unsupported(file: &str, value: &Value) -> Result<()> {
    const LATENTS: &str = "latents are only scaled by scaling_factor";
    const TOPOLOGY: &str = "only the autoencoder of Stable Diffusion 1.x and 2.x is implemented";
    const TABLE: &[Only] = &[
        Only { field: "_class_name", accepted: &["\"AutoencoderKL\""], why: TOPOLOGY },
        Only { field: "act_fn", accepted: &["\"silu\"", "\"swish\""], why: "ResNet blocks use SiLU" },
        Only { field: "shift_factor", accepted: &["0", "0.0"], why: LATENTS },
        Only { field: "latents_mean", accepted: &[], why: LATENTS },
        Only { field: "latents_std", accepted: &[], why: LATENTS },
        Only { field: "use_quant_conv", accepted: &["true"], why: TOPOLOGY },
        Only { field: "use_post_quant_conv", accepted: &["true"], why: TOPOLOGY },
        Only { field: "mid_block_add_attention", accepted: &["true"], why: TOPOLOGY },
    ];
    check::refuse(file, value, TABLE)?;
    check::refuse_blocks(file, value, "down_block_types", &["DownEncoderBlock2D"])?;
    check::refuse_blocks(file, value, "up_block_types", &["UpDecoderBlock2D"])
}
