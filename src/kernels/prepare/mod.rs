//! The denoiser's first input: the latents scaled, once per copy; later inputs are written by the step kernel.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N · HW
        pub pixels: u32,
        /// 2 when guided (without and with the condition), else 1
        pub copies: u32,
        /// C, a multiple of 4
        pub latent_channels: u32,
        /// Cin, a multiple of 4; channels beyond C are left alone
        pub input_channels: u32,
        pub scale: f32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("prepare", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.pixels * params.latent_channels / 4).div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL.map(|elem| Spec { elem }).to_vec()
}
