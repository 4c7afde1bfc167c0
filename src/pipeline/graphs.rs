//! The graphs of one run: text, keys and values, UNet, decoder; and the parameters of what runs between them.

use crate::config::ModelConfig;
use crate::kernels::{prepare, step};
use crate::model::{clip, unet, vae};
use crate::plan::{Graph, MemoryLimits, padded};
use crate::sample::Step;

/// What the shapes of a run's graphs depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub batch: usize,
    /// 2 when guided, else 1.
    pub copies: usize,
    /// Of the latents.
    pub h: usize,
    pub w: usize,
    /// Chunks of the prompt.
    pub chunks: usize,
    /// The sampler draws noise at every step.
    pub ancestral: bool,
    /// The UNet gives where its cross attentions look.
    pub maps: bool,
}

impl Shape {
    /// Pixels of the latents of all pictures.
    pub fn pixels(&self) -> usize {
        self.batch * self.h * self.w
    }
}

/// A run's networks, whatever computes them.
pub struct Graphs {
    pub text: Graph,
    pub keys_values: Graph,
    pub unet: Graph,
    pub decoder: Graph,
}

impl Graphs {
    /// The graphs of a shape, for memory of these limits.
    pub fn new(config: &ModelConfig, shape: Shape, limits: MemoryLimits) -> Graphs {
        let Shape { batch, copies, h, w, chunks, .. } = shape;
        let rows = copies * batch;
        let tokens = chunks * config.text.max_position_embeddings;
        let mut unet = unet::unet(&config.unet, rows, h, w, tokens);
        if shape.maps {
            unet::expose_cross_attentions(&mut unet, &config.unet);
        }
        Graphs {
            text: clip::text_encoder(&config.text, rows * chunks, 0),
            keys_values: unet::text_keys_values(&config.unet, rows, tokens),
            unet,
            decoder: vae::decoder_within(&config.vae, batch, h, w, limits),
        }
    }
}

/// The parameters that make the first UNet input.
pub fn prepare_params(config: &ModelConfig, shape: Shape, scale: f64) -> prepare::Params {
    prepare::Params {
        pixels: shape.pixels() as u32,
        copies: shape.copies as u32,
        latent_channels: config.vae.latent_channels as u32,
        input_channels: padded(config.unet.in_channels) as u32,
        scale: scale as f32,
    }
}

/// The parameters of one sampler step; `input_scale_next` prepares the next UNet input.
pub fn step_params(
    config: &ModelConfig,
    shape: Shape,
    guidance: f64,
    step: &Step,
    input_scale_next: f64,
) -> step::Params {
    step::Params {
        pixels: shape.pixels() as u32,
        latent_channels: config.vae.latent_channels as u32,
        model_channels: padded(config.unet.out_channels) as u32,
        input_channels: padded(config.unet.in_channels) as u32,
        guidance: guidance as f32,
        next_x: step.next.x as f32,
        next_model: step.next.model as f32,
        next_history: step.next.history as f32,
        next_noise: step.next.noise as f32,
        history_x: step.history.x as f32,
        history_model: step.history.model as f32,
        denoised_x: step.denoised.x as f32,
        denoised_model: step.denoised.model as f32,
        input_scale_next: input_scale_next as f32,
    }
}
