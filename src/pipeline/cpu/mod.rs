//! The CPU path: the same pictures without a GPU, through candle-transformers.

mod model;

pub use model::CpuModel;
