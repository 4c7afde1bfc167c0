//! The oracle: candle-transformers' CLIP, UNet and autoencoder, built from our configuration and tensors. Nothing of it
//! is shared with our own networks; it is part of the native program alone.

mod run;

pub use run::{Differences, compare};

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{self, ClipTextTransformer};
use candle_transformers::models::stable_diffusion::unet_2d::{
    BlockConfig, UNet2DConditionModel, UNet2DConditionModelConfig,
};
use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};

use crate::config::{
    Activation, Autoencoder, ClipTextConfig, Denoiser, DownBlockType, ModelConfig, UnetConfig, UpBlockType,
    VaeConfig,
};
use crate::error::{Error, Result};

/// The epsilon of candle's layer norms in the text encoder.
const CANDLE_LAYER_NORM_EPS: f64 = 1e-5;
/// candle's UNet normalises its down and up blocks in this many groups, whatever its configuration says.
const CANDLE_NORM_GROUPS: usize = 32;

/// Text encoder, UNet and autoencoder, in f32.
pub struct Oracle {
    text: ClipTextTransformer,
    unet: UNet2DConditionModel,
    vae: AutoEncoderKL,
}

impl Oracle {
    /// Builds the model from f32 tensors with canonical names (`unet.conv_in.weight`, `text_encoder.text_model.…`).
    pub fn new(config: &ModelConfig, mut tensors: HashMap<String, Tensor>) -> Result<Oracle> {
        let (text, unet, vae) = known(config)?;
        encode_to_the_mean(vae, &mut tensors)?;
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let text_weights = weights.pp(ModelConfig::text_root(0)).pp("text_model");
        let unet_weights = weights.pp(config.denoiser.root());
        let (inputs, outputs) = (unet.in_channels, unet.out_channels);
        Ok(Oracle {
            text: ClipTextTransformer::new(text_weights, &text_config(text)?)?,
            unet: UNet2DConditionModel::new(unet_weights, inputs, outputs, false, unet_config(unet)?)?,
            vae: AutoEncoderKL::new(
                weights.pp(Autoencoder::ROOT),
                vae.in_channels,
                vae.out_channels,
                vae_config(vae),
            )?,
        })
    }

    /// Token ids, all of one length, to embeddings `[B, T, C]`.
    pub fn text_embeddings(&self, tokens: &[Vec<u32>]) -> Result<Tensor> {
        let rows = tokens
            .iter()
            .map(|ids| Tensor::new(ids.as_slice(), &Device::Cpu))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok(self.text.forward_with_mask(&Tensor::stack(&rows, 0)?, usize::MAX)?)
    }

    /// What the UNet says about latents `[B, 4, h, w]` under embeddings `[B, T, C]`.
    pub fn unet(&self, latents: &Tensor, timestep: f64, embeddings: &Tensor) -> Result<Tensor> {
        Ok(self.unet.forward(latents, timestep, embeddings)?)
    }

    /// Latents `[B, 4, h, w]`, already divided by the scaling factor, to pictures `[B, 3, H, W]` around -1..1.
    pub fn vae_decode(&self, latents: &Tensor) -> Result<Tensor> {
        one_by_one(latents, |latents| self.vae.decode(latents))
    }

    /// Pictures `[B, 3, H, W]` in -1..1 to the mean latents `[B, 4, h, w]`, not yet scaled.
    pub fn vae_encode(&self, image: &Tensor) -> Result<Tensor> {
        one_by_one(image, |image| self.vae.encode(image)?.sample())
    }
}

/// The parts that candle has, or the reason why it has not.
fn known(config: &ModelConfig) -> Result<(&ClipTextConfig, &UnetConfig, &VaeConfig)> {
    let Denoiser::Unet(unet) = &config.denoiser;
    match (config.texts.as_slice(), &config.vae) {
        ([text], Autoencoder::Kl(vae)) => Ok((text, unet, vae)),
        ([_], _) => Err(unsupported("AutoencoderTiny".to_string(), "candle knows AutoencoderKL")),
        _ => Err(unsupported("several text encoders".to_string(), "candle's oracle here reads one")),
    }
}

/// Runs each row of a batch alone: the attention in candle's autoencoder mixes the rows of a larger batch up
/// (candle-transformers 0.11.1; `tests/golden_candle.rs` would show it).
fn one_by_one(batch: &Tensor, stage: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Tensor> {
    let rows = (0..batch.dim(0)?).map(|row| stage(&batch.narrow(0, row, 1)?.contiguous()?));
    Ok(Tensor::cat(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
}

fn unsupported(what: String, message: &str) -> Error {
    Error::Unsupported { what: format!("{what} in candle"), message: message.to_string() }
}

/// candle's text configuration, or the reason why it has none for ours.
fn text_config(config: &ClipTextConfig) -> Result<text_model::ClipTextConfig> {
    let activation = match config.hidden_act {
        Activation::QuickGelu => text_model::Activation::QuickGelu,
        Activation::Gelu => {
            return Err(unsupported(
                "hidden_act gelu".to_string(),
                "candle's CLIP text encoder knows quick_gelu only",
            ));
        }
    };
    if config.layer_norm_eps != CANDLE_LAYER_NORM_EPS {
        return Err(unsupported(
            format!("layer_norm_eps {}", config.layer_norm_eps),
            "candle's CLIP text encoder always uses 1e-5",
        ));
    }
    Ok(text_model::ClipTextConfig {
        vocab_size: config.vocab_size,
        embed_dim: config.hidden_size,
        activation,
        intermediate_size: config.intermediate_size,
        max_position_embeddings: config.max_position_embeddings,
        pad_with: None,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        projection_dim: config.hidden_size,
    })
}

/// candle's UNet configuration, or the reason why it has none for ours.
fn unet_config(config: &UnetConfig) -> Result<UNet2DConditionModelConfig> {
    let blocks = config.block_out_channels.len();
    let groups = config.norm_num_groups;
    if groups != CANDLE_NORM_GROUPS {
        return Err(unsupported(
            format!("norm_num_groups {groups}"),
            "candle's UNet always normalises in 32 groups",
        ));
    }
    let layers = config.layers(0);
    if (1..blocks).any(|block| config.layers(block) != layers) {
        return Err(unsupported(
            "layers_per_block per block".to_string(),
            "candle's UNet has one number for all",
        ));
    }
    if config.mid_block_type.is_none() {
        return Err(unsupported("a UNet without a mid block".to_string(), "candle's UNet always has one"));
    }
    let attends = |block: usize| config.down_block_types.get(block) == Some(&DownBlockType::CrossAttnDown);
    let mirrored = config.up_block_types.iter().rev().enumerate();
    if mirrored.into_iter().any(|(block, kind)| (*kind == UpBlockType::CrossAttnUp) != attends(block)) {
        return Err(unsupported(
            "up_block_types that do not mirror down_block_types".to_string(),
            "candle's UNet derives one from the other",
        ));
    }
    let block = |(index, &out_channels): (usize, &usize)| BlockConfig {
        out_channels,
        use_cross_attn: attends(index).then(|| config.depth(index)),
        attention_head_dim: config.heads(index),
    };
    Ok(UNet2DConditionModelConfig {
        center_input_sample: false,
        flip_sin_to_cos: config.flip_sin_to_cos,
        freq_shift: config.freq_shift as f64,
        blocks: config.block_out_channels.iter().enumerate().map(block).collect(),
        layers_per_block: layers,
        downsample_padding: 1,
        mid_block_scale_factor: 1.0,
        norm_num_groups: groups,
        norm_eps: config.norm_eps,
        cross_attention_dim: config.cross_attention_dim,
        sliced_attention_size: None,
        use_linear_projection: config.use_linear_projection,
    })
}

/// candle's autoencoder configuration.
fn vae_config(config: &VaeConfig) -> AutoEncoderKLConfig {
    AutoEncoderKLConfig {
        block_out_channels: config.block_out_channels.clone(),
        layers_per_block: config.layers_per_block,
        latent_channels: config.latent_channels,
        norm_num_groups: config.norm_num_groups,
        use_quant_conv: true,
        use_post_quant_conv: true,
    }
}

/// Makes the encoder's distribution infinitely narrow: candle only lets us sample it, and we want its mean.
///
/// The upper half of `quant_conv`'s outputs is the logarithm of the variance; nothing else reads it.
fn encode_to_the_mean(config: &VaeConfig, tensors: &mut HashMap<String, Tensor>) -> Result<()> {
    const LOG_OF_NOTHING: f64 = -1e4;
    let n = config.latent_channels;
    for (name, value) in [("vae.quant_conv.weight", 0.0), ("vae.quant_conv.bias", LOG_OF_NOTHING)] {
        let Some(tensor) = tensors.get(name) else { continue };
        if tensor.dim(0)? != 2 * n {
            continue; // candle names the mismatch better
        }
        let mean = tensor.narrow(0, 0, n)?;
        let log_variance = tensor.narrow(0, n, n)?.affine(0.0, value)?;
        tensors.insert(name.to_string(), Tensor::cat(&[mean, log_variance], 0)?);
    }
    Ok(())
}
