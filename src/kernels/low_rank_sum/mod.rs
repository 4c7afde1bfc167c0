//! The gradients of low-rank matrices: products over the rows of a map, never a gradient of the whole layer.
//!
//! A narrow matrix `[M, rank]` by a wide one, `[M, columns]` or the neighbourhoods of pixels. M is cut, as WebGPU has no sums
//! across workgroups; [`gemm_sum`](super::gemm_sum) adds the cuts to the gradient.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Rows of the wide side are neighbourhoods of pixels.
    pub conv: bool,
    /// In a map that is read as if enlarged twice.
    pub upsample: bool,
    /// The result is packed with the ranks in groups of four, `[rank / 4, columns]`; otherwise `[columns / 4, rank]`.
    pub by_rank: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// M
        pub rows: u32,
        /// Rank / 4.
        pub rank4: u32,
        /// Columns of the wide side / 4.
        pub wide4: u32,
        /// From one of its rows to the next / 4, and its first column / 4; of a map its channels / 4, and 0.
        pub row4: u32,
        pub first4: u32,
        /// Rows of a cut.
        pub cut: u32,
        /// By what the sums are multiplied.
        pub scale: f32,
        pub in_h: u32,
        pub in_w: u32,
        /// Rows and columns of the narrow side's map.
        pub out_h: u32,
        pub out_w: u32,
        /// Of the map that is convolved, enlarged or not.
        pub full_h: u32,
        pub full_w: u32,
        pub kernel_w: u32,
        pub stride: u32,
        pub pad_top: u32,
        pub pad_left: u32,
    }
}

impl Params {
    /// How many cuts there are.
    pub fn cuts(&self) -> u32 {
        self.rows.div_ceil(self.cut)
    }

    /// Values of the result.
    pub fn len(&self) -> u32 {
        16 * self.rank4 * self.wide4
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("low_rank_sum", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.wide4.div_ceil(16) * params.rank4 * params.cuts())
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for (conv, upsample) in [(false, false), (true, false), (true, true)] {
            specs.push(Spec { elem, conv, upsample, by_rank: false });
        }
        specs.push(Spec { elem, conv: false, upsample: false, by_rank: true });
    }
    specs
}
