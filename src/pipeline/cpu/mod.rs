//! The CPU path: the same pictures without a GPU, through candle-transformers.

mod model;
mod pipeline;
mod study;

pub use model::CpuModel;
pub use pipeline::{CpuPipeline, Pause};
