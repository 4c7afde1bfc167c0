//! Channels to pixels and back: PyTorch's `pixel_shuffle` and `pixel_unshuffle` of pictures of three channels.
//!
//! Channel `c · factor² + i · factor + j` of a pixel is channel c of the pixel in row i and column j of the `factor × factor`
//! that it becomes (Shi et al. 2016, <https://arxiv.org/abs/1609.05158>).

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Pixels to channels.
    pub back: bool,
    /// Adds a picture of the small map's size, enlarged by its nearest pixels; only of channels to pixels.
    pub base: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N
        pub images: u32,
        /// h, of the small map
        pub height: u32,
        /// w
        pub width: u32,
        /// C, its channels, a multiple of 4 and at least 3 · factor²
        pub channels: u32,
        pub factor: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("pixel_shuffle", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    let pixels = params.images * params.height * params.width;
    let invocations =
        if spec.back { pixels * params.channels } else { pixels * params.factor * params.factor };
    grid::fold(invocations.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let of =
        |elem| [(false, false), (false, true), (true, false)].map(|(back, base)| Spec { elem, back, base });
    Elem::ALL.into_iter().flat_map(of).collect()
}
