//! A model on the CPU, built from our configuration and tensors: candle-transformers' CLIP, our UNet and autoencoder.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{self, ClipTextTransformer};

use super::blocks::LayerLooks;
use super::unet::Unet;
use super::vae::Autoencoder;
use crate::config::{Activation, ClipTextConfig, ModelConfig};
use crate::error::{Error, Result};

/// The epsilon of candle's layer norms in the text encoder.
const CANDLE_LAYER_NORM_EPS: f64 = 1e-5;

/// Text encoder, UNet and autoencoder on the CPU, in f32. Stage by stage the twin of the GPU engine.
pub struct CpuModel {
    text: ClipTextTransformer,
    unet: Unet,
    vae: Autoencoder,
}

impl CpuModel {
    /// Builds the model from f32 tensors with canonical names (`unet.conv_in.weight`, `text_encoder.text_model.…`).
    pub fn new(config: &ModelConfig, tensors: HashMap<String, Tensor>) -> Result<CpuModel> {
        let text_config = text_config(&config.text)?;
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        Ok(CpuModel {
            text: ClipTextTransformer::new(weights.pp("text_encoder.text_model"), &text_config)?,
            unet: Unet::new(&weights.pp("unet"), &config.unet)?,
            vae: Autoencoder::new(&weights.pp("vae"), &config.vae)?,
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

    /// What the UNet says about latents `[B, C, h, w]` under embeddings `[B, T, W]`.
    pub fn unet(&self, latents: &Tensor, timestep: f64, embeddings: &Tensor) -> Result<Tensor> {
        self.unet_looking(latents, timestep, embeddings, None)
    }

    /// The same; with `maps`, where the cross attentions looked is put there.
    pub fn unet_looking(
        &self,
        latents: &Tensor,
        timestep: f64,
        embeddings: &Tensor,
        maps: Option<&mut Vec<LayerLooks>>,
    ) -> Result<Tensor> {
        let embeddings = embeddings.contiguous()?;
        channels_first(&self.unet.forward(&channels_last(latents)?, timestep, &embeddings, maps)?)
    }

    /// Latents `[B, C, h, w]`, already divided by the scaling factor, to pictures `[B, 3, H, W]` around -1..1.
    pub fn vae_decode(&self, latents: &Tensor) -> Result<Tensor> {
        channels_first(&self.vae.decode(&channels_last(latents)?)?)
    }

    /// Pictures `[B, 3, H, W]` in -1..1 to the mean latents `[B, C, h, w]`, not yet scaled.
    pub fn vae_encode(&self, image: &Tensor) -> Result<Tensor> {
        channels_first(&self.vae.encode(&channels_last(image)?)?)
    }
}

fn channels_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 2, 3, 1))?.contiguous()?)
}

fn channels_first(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 3, 1, 2))?.contiguous()?)
}

fn unsupported(what: String, message: &str) -> Error {
    Error::Unsupported { what: format!("{what} on the CPU path"), message: message.to_string() }
}

/// candle's text configuration, or the reason why it has none for ours.
pub fn text_config(config: &ClipTextConfig) -> Result<text_model::ClipTextConfig> {
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
