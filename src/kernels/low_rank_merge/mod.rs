//! A low-rank product added to a packed weight where it lies: `W[n, k] += Σ left[r, n] · right[r, k]`, which is how a LoRA is
//! merged (Hu et al. 2021, <https://arxiv.org/abs/2106.09685>).
//!
//! Blocks get a new scale, and codes up or down by chance, as [`blocks::dithered`](super::blocks) has them.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{WeightType, grid, template};

/// Rows that an invocation takes: of quantized weights, the scales of two share a word.
const ROWS: u32 = 2;

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    pub weight: WeightType,
}

params! {
    /// What the shader is told per dispatch.
    pub struct Params {
        /// Packed rows that are changed, a multiple of 2, and the first of them, another.
        pub rows: u32,
        pub first: u32,
        /// Packed rows of the whole weight, a multiple of 4.
        pub weight_n: u32,
        /// K / 4; where the weight is in blocks, a multiple of 8.
        pub k4: u32,
        pub rank: u32,
        /// Rows of half the tensor, where those of its two halves lie by turns (GEGLU); 0 where rows lie as they do there.
        pub half: u32,
        /// What chance depends on, besides the place in the tensor.
        pub seed: u32,
    }
}

impl Params {
    /// Values along K that an invocation takes / 4.
    fn groups(weight: WeightType) -> u32 {
        if weight.is_quantized() { 8 } else { 1 }
    }

    /// Floating point operations.
    pub fn flops(&self) -> u64 {
        8 * u64::from(self.rows) * u64::from(self.k4) * u64::from(self.rank)
    }
}

/// The template's view of a [`Spec`].
#[derive(Serialize)]
struct Context {
    weight: WeightType,
    quantized: bool,
    /// Values along K that an invocation takes / 4.
    groups: u32,
    rows: u32,
    /// The code of zero, and the lowest.
    zero: u32,
    low: u32,
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        let weight = self.weight;
        let (zero, low) = match weight {
            WeightType::Q5 => (16, 0),
            WeightType::Q4 => (8, 0),
            _ => (128, 1),
        };
        let quantized = weight.is_quantized();
        let context = Context { weight, quantized, groups: Params::groups(weight), rows: ROWS, zero, low };
        template::render("low_rank_merge", include_str!("kernel.wgsl"), &context)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    let invocations = params.rows / ROWS * params.k4.div_ceil(Params::groups(spec.weight));
    grid::fold(invocations.div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    WeightType::ALL.map(|weight| Spec { weight }).into()
}
