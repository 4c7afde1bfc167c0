//! The graphs of one run: text, keys and values, UNet, decoder; and the parameters of what runs between them.

use crate::config::{ModelConfig, TaesdConfig};
use crate::kernels::{prepare, step};
use crate::model::{self, autoencoder, denoiser};
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
    /// The denoiser gives where its cross attentions look.
    pub maps: bool,
}

impl Shape {
    /// Pixels of the latents of all pictures.
    pub fn pixels(&self) -> usize {
        self.batch * self.h * self.w
    }
}

/// Width and height of a preview of latents of `h` × `w`, in pixels.
pub fn preview_size(config: &ModelConfig, h: usize, w: usize) -> [usize; 2] {
    let scale = config.preview.as_ref().map_or(1, TaesdConfig::scale);
    [w * scale, h * scale]
}

/// A run's networks, whatever computes them.
pub struct Graphs {
    /// In the model's order.
    pub texts: Vec<Graph>,
    pub keys_values: Graph,
    pub denoiser: Graph,
    /// The model's tiny decoder for previews, where it has one.
    pub preview: Option<Graph>,
    pub decoder: Graph,
}

impl Graphs {
    /// The graphs of a shape, for memory of these limits.
    pub fn new(config: &ModelConfig, shape: Shape, limits: MemoryLimits) -> Graphs {
        let Shape { batch, copies, h, w, chunks, .. } = shape;
        let rows = copies * batch;
        let tokens = chunks * config.chunk_tokens();
        let mut denoiser = denoiser::denoiser(&config.denoiser, rows, h, w, tokens);
        if shape.maps {
            denoiser::expose_cross_attentions(&mut denoiser, &config.denoiser);
        }
        let text = |index| model::text_encoder(config, index, rows * chunks, 0);
        Graphs {
            texts: (0..config.texts.len()).filter_map(text).collect(),
            keys_values: denoiser::text_keys_values(config, rows, tokens),
            denoiser,
            preview: model::preview(config, h, w),
            decoder: autoencoder::decoder(&config.vae, batch, h, w, limits),
        }
    }
}

/// The parameters that make the first UNet input.
pub fn prepare_params(config: &ModelConfig, shape: Shape, scale: f64) -> prepare::Params {
    prepare::Params {
        pixels: shape.pixels() as u32,
        copies: shape.copies as u32,
        latent_channels: config.vae.latent_channels() as u32,
        input_channels: padded(config.denoiser.in_channels()) as u32,
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
        latent_channels: config.vae.latent_channels() as u32,
        model_channels: padded(config.denoiser.out_channels()) as u32,
        input_channels: padded(config.denoiser.in_channels()) as u32,
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
