//! Elementwise map of a selection of channels: the scalings around the VAE, and conversions between f32 and f16.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// What becomes of `x · scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Op {
    /// It is the result.
    Affine,
    /// Three times the tanh of a third of it: TAESD's soft clamp of latents.
    TanhClamp,
}

/// The type of a tensor here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Precision {
    /// f32 always, as latents are.
    Single,
    /// The activations' type.
    Elem,
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    pub op: Op,
    pub input: Precision,
    pub output: Precision,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// N · HW
        pub pixels: u32,
        /// Cin
        pub input_channels: u32,
        /// The first input channel read
        pub input_offset: u32,
        /// Cout
        pub output_channels: u32,
        /// How many channels are read; the output's others become 0
        pub channels: u32,
        pub scale: f32,
        pub shift: f32,
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("affine", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.pixels * params.output_channels).div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for op in [Op::Affine, Op::TanhClamp] {
            for input in [Precision::Single, Precision::Elem] {
                for output in [Precision::Single, Precision::Elem] {
                    specs.push(Spec { elem, op, input, output });
                }
            }
        }
    }
    specs
}
