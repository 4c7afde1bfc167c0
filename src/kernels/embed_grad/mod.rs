//! What a run's own vectors learn: the gradients of the places where a text encoder read them.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    /// Of the gradient that comes in; sums are f32.
    pub elem: Elem,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N · T
        pub tokens: u32,
        /// C / 4
        pub c4: u32,
        /// E, rows of the run's own table
        pub own: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("embed_grad", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.own * params.c4).div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL.into_iter().map(|elem| Spec { elem }).collect()
}
