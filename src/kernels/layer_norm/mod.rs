//! LayerNorm over the channels of each row.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// A workgroup per row; otherwise an invocation per row and no workgroup memory, for adapters on a CPU.
    pub cooperative: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        pub rows: u32,
        /// C, a multiple of 4
        pub channels: u32,
        pub eps: f32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("layer_norm", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(if spec.cooperative { params.rows } else { params.rows.div_ceil(64) })
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL
        .into_iter()
        .flat_map(|elem| [true, false].map(|cooperative| Spec { elem, cooperative }))
        .collect()
}
