//! The way back through [`layer_norm`](super::layer_norm); moments are computed again.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// Invocations of a workgroup, and how many of them share a row.
const THREADS: u32 = 64;
const ACROSS: u32 = 16;

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
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
        template::render("layer_norm_grad", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.rows.div_ceil(THREADS / ACROSS))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL.into_iter().map(|elem| Spec { elem }).collect()
}
