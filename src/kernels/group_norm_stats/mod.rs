//! The first half of a GroupNorm over large images: mean and spread of each (image, group, chunk of rows).

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Channels read at once, see [`group_norm::width`](super::group_norm::width).
    pub width: u32,
    /// Invocations per workgroup.
    pub threads: u32,
    /// Whether a second tensor follows the first along C.
    pub concat: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N
        pub batch: u32,
        /// H · W
        pub rows: u32,
        /// C of the first tensor, a multiple of 4
        pub channels1: u32,
        /// C of the second tensor, a multiple of 4; 0 without one
        pub channels2: u32,
        /// Divides the sum of both
        pub groups: u32,
        /// Parts each image is cut into, row-wise
        pub chunks: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("group_norm_stats", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.batch * params.groups * params.chunks)
}

/// Floats in the result, `[N, groups, chunks, 4]`: mean, sum of squared deviations, count, unused.
pub fn partial_len(params: &Params) -> usize {
    4 * params.batch as usize * params.groups as usize * params.chunks as usize
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for width in [1, 2, 4] {
            for concat in [false, true] {
                specs.push(Spec { elem, width, threads: 256, concat });
            }
        }
    }
    specs
}
