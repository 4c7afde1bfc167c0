//! The way back through [`group_norm`](super::group_norm), with SiLU if that follows; moments are computed again.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Channels that are read at once, as [`width`](super::group_norm::width) says.
    pub width: u32,
    /// Invocations that share a group of an image.
    pub threads: u32,
    /// The input's channels come from two maps.
    pub concat: bool,
    pub silu: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        pub batch: u32,
        /// Pixels of an image.
        pub rows: u32,
        /// Channels of both maps; the second has none where there is one map.
        pub channels1: u32,
        pub channels2: u32,
        pub groups: u32,
        pub eps: f32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("group_norm_grad", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.batch * params.groups)
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for width in [1, 2, 4] {
            for (concat, silu) in [(false, false), (false, true), (true, false), (true, true)] {
                for threads in [4, 256] {
                    specs.push(Spec { elem, width, threads, concat, silu });
                }
            }
        }
    }
    specs
}
