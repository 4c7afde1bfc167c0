//! The denoising UNet on the CPU, the twin of [`crate::model::unet`]; names and order as in diffusers'
//! `UNet2DConditionModel`.

use candle_core::{Device, Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::blocks::{LayerLooks, Norm, Resnet, Transformer};
use super::layers::{Conv, GroupNorm, Linear, Window, silu};
use crate::config::{DownBlockType, UnetConfig, UpBlockType};
use crate::pipeline::common::time_embedding;

/// A residual block and the transformer behind it, where there is one.
type Layer = (Resnet, Option<Transformer>);

/// Layers of one size, and the convolution to the next one.
struct Block {
    layers: Vec<Layer>,
    sampler: Option<Conv>,
}

/// Noisy latents, a time and text in; predicted noise (or velocity) out.
pub struct Unet {
    config: UnetConfig,
    time: [Linear; 2],
    conv_in: Conv,
    down: Vec<Block>,
    mid: (Resnet, Transformer, Resnet),
    up: Vec<Block>,
    norm_out: GroupNorm,
    conv_out: Conv,
}

/// Reads blocks one after the other.
struct Reader<'a> {
    config: &'a UnetConfig,
    norm: Norm,
}

impl Reader<'_> {
    fn resnet(&self, weights: &VarBuilder, input: usize, output: usize) -> Result<Resnet> {
        Resnet::new(weights, [input, output], self.norm, Some(self.config.time_embed_dim()))
    }

    fn transformer(&self, weights: &VarBuilder, channels: usize, block: usize) -> Result<Transformer> {
        let UnetConfig { norm_num_groups, cross_attention_dim, .. } = *self.config;
        Transformer::new(weights, channels, self.config.heads(block), norm_num_groups, cross_attention_dim)
    }

    fn layer(
        &self,
        weights: &VarBuilder,
        layer: usize,
        [input, output]: [usize; 2],
        attends: Option<usize>,
    ) -> Result<Layer> {
        let resnet = self.resnet(&weights.pp("resnets").pp(layer), input, output)?;
        let path = weights.pp("attentions").pp(layer);
        let transformer = attends.map(|block| self.transformer(&path, output, block));
        Ok((resnet, transformer.transpose()?))
    }
}

impl Unet {
    /// Reads the weights below a path.
    pub fn new(weights: &VarBuilder, config: &UnetConfig) -> Result<Unet> {
        let read = Reader { config, norm: Norm { groups: config.norm_num_groups, eps: config.norm_eps } };
        let widths = &config.block_out_channels;
        let (Some(&first), Some(&deepest)) = (widths.first(), widths.last()) else {
            bail!("a UNet without blocks")
        };
        let last = widths.len() - 1;
        let (mut down, mut skips, mut input) = (Vec::new(), vec![first], first);
        for (block, &width) in widths.iter().enumerate() {
            let path = weights.pp("down_blocks").pp(block);
            let attends = config.down_block_types.get(block) == Some(&DownBlockType::CrossAttnDown);
            let mut layers = Vec::new();
            for layer in 0..config.layers(block) {
                layers.push(read.layer(&path, layer, [input, width], attends.then_some(block))?);
                skips.push(width);
                input = width;
            }
            let conv = path.pp("downsamplers.0.conv");
            let sampler = (block < last).then(|| Conv::new(&conv, width, width, Window::HALF)).transpose()?;
            if sampler.is_some() {
                skips.push(width);
            }
            down.push(Block { layers, sampler });
        }
        let path = weights.pp("mid_block");
        let mid = (
            read.resnet(&path.pp("resnets.0"), deepest, deepest)?,
            read.transformer(&path.pp("attentions.0"), deepest, last)?,
            read.resnet(&path.pp("resnets.1"), deepest, deepest)?,
        );
        let mut up = Vec::new();
        for block in 0..widths.len() {
            let path = weights.pp("up_blocks").pp(block);
            let mirror = last - block;
            let width = widths[mirror];
            let attends = config.up_block_types.get(block) == Some(&UpBlockType::CrossAttnUp);
            let mut layers = Vec::new();
            for layer in 0..config.layers(mirror) + 1 {
                let Some(skip) = skips.pop() else { bail!("the way up is longer than the way down") };
                layers.push(read.layer(&path, layer, [input + skip, width], attends.then_some(mirror))?);
                input = width;
            }
            let conv = path.pp("upsamplers.0.conv");
            let sampler = (mirror > 0).then(|| Conv::new(&conv, width, width, Window::SAME)).transpose()?;
            up.push(Block { layers, sampler });
        }
        let time = config.time_embed_dim();
        let embedding = weights.pp("time_embedding");
        Ok(Unet {
            time: [
                Linear::new(&embedding.pp("linear_1"), first, time)?,
                Linear::new(&embedding.pp("linear_2"), time, time)?,
            ],
            conv_in: Conv::new(&weights.pp("conv_in"), config.in_channels, first, Window::SAME)?,
            down,
            mid,
            up,
            norm_out: read.norm.silu(&weights.pp("conv_norm_out"), first)?,
            conv_out: Conv::new(&weights.pp("conv_out"), first, config.out_channels, Window::SAME)?,
            config: config.clone(),
        })
    }

    /// Latents `[N, h, w, in]` at one time under embeddings `[N, tokens, text]`. With `maps`, where the cross attentions
    /// looked is put there, in their order.
    pub fn forward(
        &self,
        latents: &Tensor,
        timestep: f64,
        text: &Tensor,
        mut maps: Option<&mut Vec<LayerLooks>>,
    ) -> Result<Tensor> {
        let sines = time_embedding(&self.config, timestep);
        let time = Tensor::from_vec(sines, (1, self.config.block_out_channels[0]), &Device::Cpu)?;
        let time = silu(&self.time[0].forward(&time)?)?;
        // Every block starts with SiLU of the embedding: applied once, here.
        let time = silu(&self.time[1].forward(&time)?)?;

        let mut x = self.conv_in.forward(latents)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            for (resnet, transformer) in &block.layers {
                x = resnet.forward(&x, Some(&time))?;
                if let Some(transformer) = transformer {
                    x = transformer.forward(&x, text, maps.as_deref_mut())?;
                }
                skips.push(x.clone());
            }
            if let Some(sampler) = &block.sampler {
                x = sampler.forward(&x)?;
                skips.push(x.clone());
            }
        }
        let (before, transformer, after) = &self.mid;
        x = before.forward(&x, Some(&time))?;
        x = transformer.forward(&x, text, maps.as_deref_mut())?;
        x = after.forward(&x, Some(&time))?;
        for block in &self.up {
            for (resnet, transformer) in &block.layers {
                let Some(skip) = skips.pop() else { bail!("the way up is longer than the way down") };
                x = resnet.forward(&Tensor::cat(&[&x, &skip], 3)?, Some(&time))?;
                if let Some(transformer) = transformer {
                    x = transformer.forward(&x, text, maps.as_deref_mut())?;
                }
            }
            // The next block's first skip tells the size: odd sizes lost a row or column on the way down.
            if let (Some(sampler), Some(skip)) = (&block.sampler, skips.last()) {
                x = sampler.forward_enlarged(&x, (skip.dim(1)?, skip.dim(2)?))?;
            }
        }
        self.conv_out.forward(&self.norm_out.forward(&x)?)
    }
}
