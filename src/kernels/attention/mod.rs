//! Attention in the manner of FlashAttention: softmax(scale · Q Kᵀ) V per head, without a matrix of scores.
//!
//! Queries, keys and values are columns of wider tensors (merged projections), found by stride and offset.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

/// How the work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Variant {
    /// An invocation per query, everything in registers: for adapters on a CPU. Head sizes up to 160.
    Rows,
    /// A workgroup per 16 queries that shares scores in workgroup memory. Head sizes up to 512.
    Tiled,
}

impl Variant {
    /// The largest head size the variant is made for.
    pub fn max_head_dim(self) -> u32 {
        match self {
            Variant::Rows => 160,
            Variant::Tiled => 512,
        }
    }
}

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    pub elem: Elem,
    pub variant: Variant,
    /// D, a multiple of 4
    pub head_dim: u32,
    /// Query t sees keys 0 ..= t only.
    pub causal: bool,
    /// Queries, keys and values lie in one tensor (one binding); otherwise queries in one, keys and values in another.
    pub shared_qkv: bool,
}

params! {
    /// What the shader is told per dispatch; strides and offsets in elements, all multiples of 4.
    pub struct Params {
        /// N
        pub batch: u32,
        pub heads: u32,
        /// Tq
        pub queries: u32,
        /// Tk, at least 1
        pub keys: u32,
        /// From one query to the next; images follow each other without a gap
        pub q_stride: u32,
        /// Where the first head of a query begins in its row
        pub q_offset: u32,
        /// From one key or value to the next
        pub kv_stride: u32,
        /// From one row of keys to the next, of which an image has one, or shares one
        pub kv_batch_stride: u32,
        /// Neighbouring images that share a row of keys and values, at least 1
        pub kv_images: u32,
        pub k_offset: u32,
        pub v_offset: u32,
        /// Usually 1 / √D
        pub scale: f32,
    }
}

impl Params {
    /// For self-attention over one merged tensor `[N, T, 3 · heads · D]` of queries, keys, values.
    pub fn merged(batch: u32, tokens: u32, heads: u32, head_dim: u32) -> Params {
        let inner = heads * head_dim;
        Params {
            q_stride: 3 * inner,
            kv_stride: 3 * inner,
            kv_batch_stride: tokens * 3 * inner,
            k_offset: inner,
            v_offset: 2 * inner,
            keys: tokens,
            ..Params::cross(batch, tokens, tokens, heads, head_dim)
        }
    }

    /// For cross-attention: queries `[N, Tq, heads · D]`, keys and values `[N, Tk, 2 · heads · D]`.
    pub fn cross(batch: u32, queries: u32, keys: u32, heads: u32, head_dim: u32) -> Params {
        let inner = heads * head_dim;
        Params {
            batch,
            heads,
            queries,
            keys,
            q_stride: inner,
            q_offset: 0,
            kv_stride: 2 * inner,
            kv_batch_stride: keys * 2 * inner,
            kv_images: 1,
            k_offset: 0,
            v_offset: inner,
            scale: 1.0 / (head_dim as f32).sqrt(),
        }
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("attention", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(spec: &Spec, params: &Params) -> [u32; 3] {
    let heads = params.batch * params.heads;
    grid::fold(match spec.variant {
        Variant::Rows => (heads * params.queries).div_ceil(64),
        Variant::Tiled => heads * params.queries.div_ceil(16),
    })
}

/// Head sizes of the models this crate knows or is tested with; every other multiple of 4 works as well.
const HEAD_DIMS: [u32; 14] = [4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 128, 160, 512];

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for elem in Elem::ALL {
        for variant in [Variant::Rows, Variant::Tiled] {
            for head_dim in HEAD_DIMS.into_iter().filter(|&dim| dim <= variant.max_head_dim()) {
                for (causal, shared_qkv) in [(false, false), (false, true), (true, true)] {
                    specs.push(Spec { elem, variant, head_dim, causal, shared_qkv });
                }
            }
        }
    }
    specs
}
