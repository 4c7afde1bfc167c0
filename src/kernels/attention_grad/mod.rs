//! The way back through [`attention`](super::attention), in three passes over scores that are computed again: what each query's
//! softmax sums to, the gradient of queries, that of keys and values (Dao et al. 2022, <https://arxiv.org/abs/2205.14135>,
//! appendix B).

pub mod cpu;

use serde::Serialize;

pub use super::attention::Params;
use super::{Elem, grid, template};

/// Queries and keys of a workgroup's block of scores.
const BLOCK: u32 = 16;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Of each query and head the logarithm of its softmax's sum, and the sum over keys of probability times gradient.
    Sums,
    /// The gradient of queries.
    Queries,
    /// The gradient of keys and values.
    Keys,
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    pub pass: Pass,
    /// D, a multiple of 4
    pub head_dim: u32,
    /// Query t sees keys 0 ..= t only.
    pub causal: bool,
    /// Queries, keys and values lie in one tensor.
    pub shared_qkv: bool,
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("attention_grad", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold(match spec.pass {
        Pass::Sums | Pass::Queries => params.batch * params.heads * params.queries.div_ceil(BLOCK),
        Pass::Keys => params.batch / params.kv_images * params.heads * params.keys.div_ceil(BLOCK),
    })
}

/// Every specialisation that can occur, with heads of the models this crate knows.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for pass in [Pass::Sums, Pass::Queries, Pass::Keys] {
            for head_dim in [4, 8, 16, 32, 40, 64, 80, 160] {
                for (causal, shared_qkv) in [(false, false), (false, true), (true, true)] {
                    specs.push(Spec { elem, pass, head_dim, causal, shared_qkv });
                }
            }
        }
    }
    specs
}
