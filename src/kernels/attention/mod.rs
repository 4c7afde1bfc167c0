//! Attention in the manner of FlashAttention: softmax(scale · Q Kᵀ) V per head, without a matrix of scores.
//!
//! Queries, keys and values are columns of wider tensors (merged projections), found by stride and offset.

pub mod cpu;
mod tile;

use std::fmt;

use serde::Serialize;

use super::params::params;
use super::{Elem, grid, template};

pub use tile::{Tile, candidates};

/// The largest heads there are kernels for.
pub const MAX_HEAD_DIM: u32 = 512;

/// How the work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Variant {
    /// An invocation per query, everything in registers: for adapters on a CPU. Head sizes up to 160.
    Rows,
    /// A workgroup per 16 queries that shares scores in workgroup memory: for large heads on those adapters. Head sizes
    /// up to 512.
    Tiled,
    /// A workgroup per 16 to 64 queries that shares queries, keys, values and scores in workgroup memory. Head sizes up
    /// to 512.
    Blocked(Tile),
}

impl Variant {
    /// The variant for heads of so many channels. On an adapter that is a CPU, `cpu`, workgroup memory and barriers cost
    /// more than they save; `subgroup` is how many invocations a subgroup has at least, 0 without subgroups. `None`
    /// where heads are too large for all of them.
    pub fn choose(head_dim: u32, elem: Elem, cpu: bool, subgroup: u32) -> Option<Variant> {
        match (cpu, head_dim) {
            (true, ..=160) => Some(Variant::Rows),
            (true, ..=MAX_HEAD_DIM) => Some(Variant::Tiled),
            (true, _) => None,
            (false, _) => tile::choose(head_dim, elem, subgroup).map(Variant::Blocked),
        }
    }

    /// The largest head size the variant is made for.
    pub fn max_head_dim(self) -> u32 {
        match self {
            Variant::Rows => 160,
            Variant::Tiled | Variant::Blocked(_) => MAX_HEAD_DIM,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variant::Rows => f.write_str("rows"),
            Variant::Tiled => f.write_str("tiled"),
            Variant::Blocked(tile) => tile.fmt(f),
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
    /// Keys are not seen where another binding, u32 `[rows, Tk]`, is not 0.
    pub hides: bool,
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
        Variant::Blocked(tile) => heads * params.queries.div_ceil(tile.queries()),
    })
}

/// Head sizes of the models this crate knows or is tested with; every other multiple of 4 works as well.
const HEAD_DIMS: [u32; 14] = [4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 128, 160, 512];

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for (elem, head_dim) in Elem::ALL.into_iter().flat_map(|elem| HEAD_DIMS.map(|dim| (elem, dim))) {
        let smallest_subgroups = [0, 8, 32];
        let chosen = smallest_subgroups.map(|subgroup| tile::choose(head_dim, elem, subgroup));
        let mut variants = vec![Variant::Rows, Variant::Tiled];
        for variant in chosen.into_iter().flatten().map(Variant::Blocked) {
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        let mut push = |variant, [causal, shared_qkv, hides]: [bool; 3]| {
            if head_dim <= Variant::max_head_dim(variant) {
                specs.push(Spec { elem, variant, head_dim, causal, shared_qkv, hides });
            }
        };
        for variant in &variants {
            push(*variant, [false, false, false]);
            push(*variant, [false, true, false]);
            // text encoders
            push(*variant, [true, true, false]);
            push(*variant, [true, true, true]);
        }
        // what benchmarks choose among
        for tile in [true, false].map(|shuffles| candidates(head_dim, elem, shuffles)).concat() {
            if !variants.contains(&Variant::Blocked(tile)) {
                push(Variant::Blocked(tile), [false, true, false]);
            }
        }
    }
    specs
}
