//! Token and position embeddings of a text encoder, gathered and added.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, WeightType, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// How the token table is stored: F32 or F16.
    pub tokens: WeightType,
    /// How the position table is stored: F32 or F16.
    pub positions: WeightType,
    /// Whether an id with the highest bit is a row of the run's own table; then that is bound behind them.
    pub own: bool,
}

/// The bit of an id that is a row of the run's own table.
pub const OWN: u32 = 1 << 31;

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N
        pub batch: u32,
        /// T
        pub tokens: u32,
        /// C, a multiple of 4
        pub channels: u32,
        /// V; ids beyond it read its last row
        pub vocabulary: u32,
        /// E, rows of the run's own table
        pub own: u32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("embed", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.batch * params.tokens * params.channels / 4).div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for tokens in [WeightType::F32, WeightType::F16] {
            for positions in [WeightType::F32, WeightType::F16] {
                specs.extend([false, true].map(|own| Spec { elem, tokens, positions, own }));
            }
        }
    }
    specs
}
