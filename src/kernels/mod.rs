//! The WGSL kernels: one folder each, with its parameters, its dispatch size and its CPU twin.

mod types;

pub use types::{BLOCK, Elem, WeightType};
