//! A model as data: ops with static shapes, the memory they need, the dispatches they become.
//!
//! [`builder`] writes a [`graph`] layer by layer; [`lower`] turns it into a [`program::Plan`]: [`launch`] picks the
//! kernels, `bands` takes what passes one binding apart, [`memory`] picks the places. Nothing here needs a device; `opengen plan` prints the result.
//! `train` takes a graph to one that learns.

mod bands;
pub mod builder;
pub mod graph;
mod launch;
pub mod lower;
pub mod memory;
mod outside;
pub mod program;
#[cfg(feature = "train")]
pub mod train;
mod tuning;
mod weight;
mod winograd;

pub use builder::{Builder, ConvLayer, Epilogue, NormLayer, Path, padded};
pub use graph::{
    Conv, Convert, ElemKind, Factor, Gemm, Graph, GroupNorm, Node, Op, Section, Shape, Slice, ValueId,
    WeightId,
};
pub use lower::{Target, lower, scales_bytes, stored_type, values_bytes};
pub use memory::MemoryLimits;
pub use outside::Outside;
pub use program::{Binding, Dispatch, External, Plan, Shared, shared_slabs};
pub use tuning::{Cuts, MatrixProducts, Products, Tuning, Wide, Winograd};
pub use weight::{Part, Rows, Types, WeightDecl, WeightKind};
