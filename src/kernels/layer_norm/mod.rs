//! LayerNorm over the channels of each row.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    /// Invocations that share a row: 1, on adapters that are a CPU, or 16, 32 or 64.
    pub across: u32,
    /// Lanes of four channels that each of them holds, so that a row is read once; 0 where it is read twice.
    pub held: u32,
}

impl Spec {
    /// For rows of so many channels; `cpu`: the adapter is a CPU.
    pub fn new(elem: Elem, channels: u32, cpu: bool) -> Spec {
        if cpu {
            return Spec { elem, across: 1, held: 0 };
        }
        let lanes = channels / 4;
        let fitting = |across: &u32| lanes.div_ceil(*across) <= MOST_HELD;
        match ACROSS.into_iter().find(fitting) {
            Some(across) => Spec { elem, across, held: lanes.div_ceil(across) },
            None => Spec { elem, across: 64, held: 0 },
        }
    }
}

/// How many invocations may share a row.
const ACROSS: [u32; 3] = [16, 32, 64];
/// The most lanes that one of them holds.
const MOST_HELD: u32 = 8;

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
    grid::fold(params.rows.div_ceil(64 / spec.across))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for cpu in [true, false] {
            for lanes in 1..=64 * MOST_HELD + 1 {
                let spec = Spec::new(elem, 4 * lanes, cpu);
                if !specs.contains(&spec) {
                    specs.push(spec);
                }
            }
        }
    }
    specs
}
