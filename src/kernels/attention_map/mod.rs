//! Where attention looks: softmax(scale · Q Kᵀ), the mean over the heads. Only for plans that were asked for it.
//!
//! The attention kernel never stores its scores; this one computes them again, for people to look at. It reads the
//! same operands in the same places.

pub mod cpu;

use serde::Serialize;

use super::params::params;
use super::{Elem, attention, grid, template};

/// What the shader is specialised for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Spec {
    /// Of queries and keys; the map is always f32.
    pub elem: Elem,
}

params! {
    /// What the shader is told per dispatch; strides and offsets in elements, all multiples of 4.
    pub struct Params {
        /// N
        pub batch: u32,
        pub heads: u32,
        /// D, a multiple of 4
        pub head_dim: u32,
        /// Tq
        pub queries: u32,
        /// Tk, at least 1
        pub keys: u32,
        /// From one query to the next; images follow each other without a gap
        pub q_stride: u32,
        /// Where the first head of a query begins in its row
        pub q_offset: u32,
        /// From one key to the next
        pub kv_stride: u32,
        /// From one row of keys to the next, of which an image has one, or shares one
        pub kv_batch_stride: u32,
        /// Neighbouring images that share a row of keys and values, at least 1
        pub kv_images: u32,
        pub k_offset: u32,
        /// Usually 1 / √D
        pub scale: f32,
    }
}

impl Params {
    /// For the operands of an attention with heads of `head_dim`.
    pub fn of(attention: &attention::Params, head_dim: u32) -> Params {
        let &attention::Params { batch, heads, queries, keys, q_stride, q_offset, kv_stride, .. } = attention;
        let &attention::Params { kv_batch_stride, kv_images, k_offset, scale, .. } = attention;
        Params {
            batch,
            heads,
            head_dim,
            queries,
            keys,
            q_stride,
            q_offset,
            kv_stride,
            kv_batch_stride,
            kv_images,
            k_offset,
            scale,
        }
    }
}

impl Spec {
    /// The specialised WGSL.
    pub fn source(&self) -> String {
        template::render("attention_map", include_str!("kernel.wgsl"), self)
    }
}

/// How many workgroups to dispatch.
pub fn workgroups(_spec: &Spec, params: &Params) -> [u32; 3] {
    grid::fold((params.batch * params.queries).div_ceil(64))
}

/// Every specialisation that can occur.
pub fn all_specs() -> Vec<Spec> {
    Elem::ALL.into_iter().map(|elem| Spec { elem }).collect()
}
