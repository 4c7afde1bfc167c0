//! One sampler step with guidance: new latents, history and denoised estimate, and the next denoiser input.
//!
//! Every sampler of this crate is linear in (latents x, model output m, history h, noise z); what makes it DDIM or
//! DPM++ are the coefficients, which the host computes in f64 and writes into [`Params`] before each step:
//!
//! ```text
//! m         = guided ? uncond + guidance · (cond − uncond) : model output
//! x'        = next_x · x + next_model · m + next_history · h + next_noise · z
//! h'        = history_x · x + history_model · m
//! denoised  = denoised_x · x + denoised_model · m
//! input     = x' · input_scale_next                    (twice when guided)
//! ```
//!
//! A history or noise with the coefficient 0 is not read at all.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    /// Of the model's output and input; latents, history and noise are always f32.
    pub elem: Elem,
    /// Whether the model ran twice, without (first) and with the condition.
    pub guided: bool,
    /// Whether the sampler adds noise; then it is bound after the model's output.
    pub noise: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N · HW
        pub pixels: u32,
        /// C of latents, history, denoised and noise, a multiple of 4
        pub latent_channels: u32,
        /// C of the model's output, a multiple of 4
        pub model_channels: u32,
        /// C of the model's input, a multiple of 4; channels beyond the latents' are left alone
        pub input_channels: u32,
        pub guidance: f32,
        pub next_x: f32,
        pub next_model: f32,
        pub next_history: f32,
        pub next_noise: f32,
        pub history_x: f32,
        pub history_model: f32,
        pub denoised_x: f32,
        pub denoised_model: f32,
        pub input_scale_next: f32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("step", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.pixels * params.latent_channels / 4).div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for (guided, noise) in [(false, false), (false, true), (true, false), (true, true)] {
            specs.push(Spec { elem, guided, noise });
        }
    }
    specs
}
