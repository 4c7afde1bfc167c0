//! What a sampler makes of one evaluation, with guidance: new latents, history and denoised estimate, and the next
//! denoiser input.
//!
//! Every sampler of this crate is linear in (latents x, model output m, history h1 … h3, noise z); what makes it DDIM or
//! DPM++ are the coefficients, which the host computes in f64 and writes into [`Params`] before each evaluation:
//!
//! ```text
//! m         = guided ? uncond + guidance · (cond − uncond) : model output
//!             (of several prompts uncond + guidance · Σ shareᵢ · (condᵢ − uncond))
//! x'        = next_x · x + next_model · m + Σ next_hᵢ · hᵢ + next_noise · z
//! hₖ'       = keepₖ_x · x + keepₖ_model · m + Σ keepₖ_hᵢ · hᵢ
//! denoised  = denoised_x · x + denoised_model · m
//! x'        = mask · x' + (1 − mask) · kept            (where only a part is drawn anew)
//! input     = x' · input_scale_next                    (once for each row of the model's batch)
//! ```
//!
//! History or noise of which nothing takes a share is not read at all, and of the history there is as much as the sampler
//! keeps: one that remembers nothing has none.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    /// Of the model's output and input; latents, history and noise are always f32.
    pub elem: Elem,
    /// Whether the model ran without (first) and with the condition.
    pub guided: bool,
    /// Whether there are several conditions, or one that has a share; shares are bound last, in one buffer behind the mask where
    /// there is one.
    pub composed: bool,
    /// Whether the sampler adds noise; then it is bound after the model's output.
    pub noise: bool,
    /// How many values the sampler keeps, 0 to [`MOST_HISTORY`]; where there are any, they are bound after the latents.
    pub history: usize,
    /// Whether only what a mask shows is drawn anew; then what is kept of a picture, at the level of what follows, and the mask
    /// are bound last.
    pub masked: bool,
}

/// The most values a sampler may keep.
pub const MOST_HISTORY: usize = 3;

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N · HW
        pub pixels: u32,
        /// C of latents, each value of the history, denoised and noise, a multiple of 4
        pub latent_channels: u32,
        /// C of the model's output, a multiple of 4
        pub model_channels: u32,
        /// C of the model's input, a multiple of 4; channels beyond the latents' are left alone
        pub input_channels: u32,
        /// Conditions, where guided
        pub prompts: u32,
        pub guidance: f32,
        pub next_x: f32,
        pub next_model: f32,
        pub next_h1: f32,
        pub next_h2: f32,
        pub next_h3: f32,
        pub next_noise: f32,
        pub keep1_x: f32,
        pub keep1_model: f32,
        pub keep1_h1: f32,
        pub keep1_h2: f32,
        pub keep1_h3: f32,
        pub keep2_x: f32,
        pub keep2_model: f32,
        pub keep2_h1: f32,
        pub keep2_h2: f32,
        pub keep2_h3: f32,
        pub keep3_x: f32,
        pub keep3_model: f32,
        pub keep3_h1: f32,
        pub keep3_h2: f32,
        pub keep3_h3: f32,
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
            for composed in [false, true].into_iter().filter(|composed| guided || !composed) {
                let spec = |history, masked| Spec { elem, guided, composed, noise, history, masked };
                specs.extend(
                    (0..=MOST_HISTORY).flat_map(|history| [spec(history, false), spec(history, true)]),
                );
            }
        }
    }
    specs
}
