//! What a prediction is off by, weighed place by place: where the way back begins.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    /// Of the prediction and of the output; target and weights are f32.
    pub elem: Elem,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Groups of four values.
        pub groups: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("difference", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.groups.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL.into_iter().map(|elem| Spec { elem }).collect()
}
