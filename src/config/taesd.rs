//! The tiny autoencoder's configuration (TAESD, diffusers' `AutoencoderTiny`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{self, Only};
use crate::error::Result;

const FILE: &str = "taesd/config.json";

/// diffusers' `AutoencoderTiny`.
///
/// Defaults: <https://huggingface.co/docs/diffusers/api/models/autoencoder_tiny>, those of
/// <https://huggingface.co/madebyollin/taesd>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaesdConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    pub encoder_block_out_channels: Vec<usize>,
    pub decoder_block_out_channels: Vec<usize>,
    pub latent_channels: usize,
    pub num_encoder_blocks: Vec<usize>,
    pub num_decoder_blocks: Vec<usize>,
    /// Latents span −magnitude … magnitude when stored in 0 … 1.
    pub latent_magnitude: f64,
    pub latent_shift: f64,
    pub scaling_factor: f64,
}

impl Default for TaesdConfig {
    fn default() -> Self {
        TaesdConfig {
            in_channels: 3,
            out_channels: 3,
            encoder_block_out_channels: vec![64; 4],
            decoder_block_out_channels: vec![64; 4],
            latent_channels: 4,
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            latent_magnitude: 3.0,
            latent_shift: 0.5,
            scaling_factor: 1.0,
        }
    }
}

impl TaesdConfig {
    /// Where its weights hang in the tree of names where it shows previews beside a model's own autoencoder, and its
    /// folder's name there.
    pub const ROOT: &str = "taesd";

    /// Reads diffusers' `config.json`, refusing what the engine has no kernels for.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        TaesdConfig::from_value(file, check::parse(file, text)?)
    }

    pub(super) fn from_value(file: &str, value: Value) -> Result<Self> {
        const WHY: &str = "only TAESD's own topology is implemented";
        const TABLE: &[Only] = &[
            Only { field: "_class_name", accepted: &["\"AutoencoderTiny\""], why: WHY },
            Only { field: "act_fn", accepted: &["\"relu\""], why: WHY },
            Only { field: "upsample_fn", accepted: &["\"nearest\""], why: WHY },
            Only { field: "upsampling_scaling_factor", accepted: &["2"], why: WHY },
            Only { field: "shift_factor", accepted: &["0", "0.0"], why: WHY },
        ];
        check::refuse(file, &value, TABLE)?;
        let config: TaesdConfig = check::typed(file, value)?;
        config.check()?;
        Ok(config)
    }

    /// Pixels per latent along one side.
    pub fn scale(&self) -> usize {
        1 << self.decoder_block_out_channels.len().saturating_sub(1)
    }

    /// The numbers fit the kernels and stay within sane bounds.
    pub fn check(&self) -> Result<()> {
        check::within(FILE, "in_channels", self.in_channels, 3, 3)?;
        check::within(FILE, "out_channels", self.out_channels, 3, 3)?;
        check::within(FILE, "latent_channels", self.latent_channels, 4, 64)?;
        check::multiple(FILE, "latent_channels", self.latent_channels, "the vector width", 4)?;
        check::positive(FILE, "scaling_factor", self.scaling_factor, 1e4)?;
        check::positive(FILE, "latent_magnitude", self.latent_magnitude, 1e4)?;
        let sides = [
            ("encoder_block_out_channels", &self.encoder_block_out_channels, &self.num_encoder_blocks),
            ("decoder_block_out_channels", &self.decoder_block_out_channels, &self.num_decoder_blocks),
        ];
        for (field, channels, blocks) in sides {
            check::channels(FILE, field, channels, 1)?;
            if channels.len() != self.decoder_block_out_channels.len() {
                let right =
                    ("the length of decoder_block_out_channels", self.decoder_block_out_channels.len());
                return Err(check::mismatch(FILE, (field, channels.len()), right));
            }
            if channels.len() != blocks.len() {
                let left = (field, channels.len());
                return Err(check::mismatch(FILE, left, ("its number of blocks", blocks.len())));
            }
            for &count in blocks {
                check::within(FILE, "a number of blocks", count, 1, check::MAX_LAYERS)?;
            }
        }
        Ok(())
    }
}
