//! The autoencoder on the CPU, the twin of [`crate::model::vae`]; names and order as in diffusers' `AutoencoderKL`.

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::blocks::{Norm, PixelAttention, Resnet};
use super::layers::{Conv, GroupNorm, Linear, Window};
use crate::config::VaeConfig;

/// The epsilon of `AutoencoderKL`'s norms.
const NORM_EPS: f64 = 1e-6;

/// Residual blocks of one size, and the convolution to the next one.
struct Block {
    layers: Vec<Resnet>,
    sampler: Option<Conv>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x, None))
    }
}

/// What decoder and encoder have in common: everything between their first convolution and their last.
struct Body {
    conv_in: Conv,
    mid: (Resnet, PixelAttention, Resnet),
    norm_out: GroupNorm,
    conv_out: Conv,
}

impl Body {
    fn new(
        weights: &VarBuilder,
        [input, first, deepest, last, output]: [usize; 5],
        norm: Norm,
    ) -> Result<Body> {
        let mid = weights.pp("mid_block");
        let resnet = |name| Resnet::new(&mid.pp(name), [deepest, deepest], norm, None);
        Ok(Body {
            conv_in: Conv::new(&weights.pp("conv_in"), input, first, Window::SAME)?,
            mid: (
                resnet("resnets.0")?,
                PixelAttention::new(&mid.pp("attentions.0"), deepest, norm)?,
                resnet("resnets.1")?,
            ),
            norm_out: norm.silu(&weights.pp("conv_norm_out"), last)?,
            conv_out: Conv::new(&weights.pp("conv_out"), last, output, Window::SAME)?,
        })
    }

    fn middle(&self, x: &Tensor) -> Result<Tensor> {
        let (before, attention, after) = &self.mid;
        after.forward(&attention.forward(&before.forward(x, None)?)?, None)
    }

    fn end(&self, x: &Tensor) -> Result<Tensor> {
        self.conv_out.forward(&self.norm_out.forward(x)?)
    }
}

/// Latents to pictures and back.
pub struct Autoencoder {
    latent_channels: usize,
    post_quant: Linear,
    decoder: Body,
    up: Vec<Block>,
    encoder: Body,
    down: Vec<Block>,
    quant: Linear,
}

impl Autoencoder {
    /// Reads the weights below a path.
    pub fn new(weights: &VarBuilder, config: &VaeConfig) -> Result<Autoencoder> {
        let norm = Norm { groups: config.norm_num_groups, eps: NORM_EPS };
        let widths = &config.block_out_channels;
        let (Some(&first), Some(&deepest)) = (widths.first(), widths.last()) else {
            bail!("an autoencoder without blocks")
        };
        let (latents, last) = (config.latent_channels, widths.len() - 1);
        let block = |path: &VarBuilder,
                     layers: usize,
                     [mut input, width]: [usize; 2],
                     sampler: Option<(&str, Window)>| {
            let mut block = Block { layers: Vec::new(), sampler: None };
            for layer in 0..layers {
                block.layers.push(Resnet::new(&path.pp("resnets").pp(layer), [input, width], norm, None)?);
                input = width;
            }
            if let Some((name, window)) = sampler {
                block.sampler = Some(Conv::new(&path.pp(name), width, width, window)?);
            }
            Ok::<Block, candle_core::Error>(block)
        };
        let (encoder, decoder) = (weights.pp("encoder"), weights.pp("decoder"));
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for (i, &width) in widths.iter().enumerate() {
            let input = if i == 0 { first } else { widths[i - 1] };
            let sampler = (i < last).then_some(("downsamplers.0.conv", Window::HALF_ASYMMETRIC));
            down.push(block(
                &encoder.pp("down_blocks").pp(i),
                config.layers_per_block,
                [input, width],
                sampler,
            )?);
        }
        for (i, &width) in widths.iter().rev().enumerate() {
            let input = if i == 0 { deepest } else { widths[last + 1 - i] };
            let sampler = (i < last).then_some(("upsamplers.0.conv", Window::SAME));
            up.push(block(
                &decoder.pp("up_blocks").pp(i),
                config.layers_per_block + 1,
                [input, width],
                sampler,
            )?);
        }
        Ok(Autoencoder {
            latent_channels: latents,
            post_quant: Linear::new(&weights.pp("post_quant_conv"), latents, latents)?,
            decoder: Body::new(&decoder, [latents, deepest, deepest, first, config.out_channels], norm)?,
            up,
            encoder: Body::new(&encoder, [config.in_channels, first, deepest, deepest, 2 * latents], norm)?,
            down,
            quant: Linear::new(&weights.pp("quant_conv"), 2 * latents, 2 * latents)?,
        })
    }

    /// Latents `[N, h, w, C]`, not scaled, to pictures `[N, H, W, 3]` around -1..1.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let x = self.decoder.conv_in.forward(&self.post_quant.forward(latents)?)?;
        let mut x = self.decoder.middle(&x)?;
        for block in &self.up {
            x = block.forward(&x)?;
            if let Some(sampler) = &block.sampler {
                let (_, h, w, _) = x.dims4()?;
                x = sampler.forward_enlarged(&x, (2 * h, 2 * w))?;
            }
        }
        self.decoder.end(&x)
    }

    /// Pictures `[N, H, W, 3]` in -1..1 to the mean latents `[N, h, w, C]`, not scaled.
    pub fn encode(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut x = self.encoder.conv_in.forward(pictures)?;
        for block in &self.down {
            x = block.forward(&x)?;
            if let Some(sampler) = &block.sampler {
                x = sampler.forward(&x)?;
            }
        }
        let moments = self.quant.forward(&self.encoder.end(&self.encoder.middle(&x)?)?)?;
        moments.narrow(3, 0, self.latent_channels)?.contiguous()
    }
}
