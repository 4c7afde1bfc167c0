//! A small picture of the latents through a linear map: `[N, HW, C]` becomes RGBA8.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{grid, template};

/// What the shader is specialised for: nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N · HW
        pub pixels: u32,
        /// C, a multiple of 4
        pub channels: u32,
    }
}

/// The map as the shader reads it, `[C + 1, 4]`: the RGB of each latent channel, then what is added; a fourth 0 each.
pub fn colours(factors: &[[f32; 3]], bias: [f32; 3]) -> Vec<f32> {
    factors.iter().chain([&bias]).flat_map(|&[r, g, b]| [r, g, b, 0.0]).collect()
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("preview", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.pixels.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    vec![Spec {}]
}
