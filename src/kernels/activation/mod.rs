//! Activations on their own, and their slopes on the way back: where a network learns, products do not activate.

pub mod cpu;

use serde::Serialize;

use super::gemm::Act;
use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    pub act: Act,
    /// Columns of the input alternate value and gate; a value times the activated gate comes out. With [`Act::Gelu`].
    pub gated: bool,
    /// The gradient of the input from that of the output.
    pub back: bool,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Groups of four values of what was activated.
        pub groups: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("activation", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(params.groups.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for back in [false, true] {
            for act in [Act::Silu, Act::Gelu, Act::QuickGelu, Act::Relu, Act::LeakyRelu] {
                specs.push(Spec { elem, act, gated: false, back });
            }
            specs.push(Spec { elem, act: Act::Gelu, gated: true, back });
        }
    }
    specs
}
