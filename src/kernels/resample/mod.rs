//! The ways back through a stride of two and through enlargement by nearest pixels.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Sums of blocks of two by two pixels; otherwise each pixel at twice its place and zeros between them.
    pub pool: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Groups of four values of the output.
        pub groups: u32,
        /// Channels / 4.
        pub c4: u32,
        pub in_h: u32,
        pub in_w: u32,
        pub out_h: u32,
        pub out_w: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("resample", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.groups.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL.into_iter().flat_map(|elem| [false, true].map(|pool| Spec { elem, pool })).collect()
}
