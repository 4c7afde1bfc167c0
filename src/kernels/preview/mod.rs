//! A small picture of the latents through a linear map: `[N, HW, 4]` becomes RGBA8.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{grid, template};

/// What the shader is specialised for: nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {}

params! {
    /// What the shader is told per dispatch: the pixels and a 4 × 3 matrix with its bias.
    pub struct Params {
        /// N · HW
        pub pixels: u32,
        pub r0: f32,
        pub r1: f32,
        pub r2: f32,
        pub r3: f32,
        pub r_bias: f32,
        pub g0: f32,
        pub g1: f32,
        pub g2: f32,
        pub g3: f32,
        pub g_bias: f32,
        pub b0: f32,
        pub b1: f32,
        pub b2: f32,
        pub b3: f32,
        pub b_bias: f32,
    }
}

impl Params {
    /// From `latent_rgb_factors` (a row per latent channel) and `latent_rgb_bias`, which give colours in [-1, 1].
    pub fn new(pixels: u32, factors: [[f32; 3]; 4], bias: [f32; 3]) -> Params {
        let [[r0, g0, b0], [r1, g1, b1], [r2, g2, b2], [r3, g3, b3]] = factors;
        let [r_bias, g_bias, b_bias] = bias;
        Params { pixels, r0, r1, r2, r3, r_bias, g0, g1, g2, g3, g_bias, b0, b1, b2, b3, b_bias }
    }
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
