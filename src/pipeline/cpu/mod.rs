//! The CPU path: the same pictures without a GPU, over candle's tensors.
//!
//! - [`model`]: candle-transformers' CLIP, and the two networks that take the time, written here: [`unet`], [`vae`];
//! - [`blocks`]: what both are built of, from [`layers`] and [`attention`];
//! - [`gemm`]: the one product under all of them, [`simd`]: its vectors;
//! - [`pipeline`]: the numbered stages of a run, [`study`]: one step of it, looked into.

mod attention;
mod blocks;
mod gemm;
pub(super) mod layers;
mod model;
mod pipeline;
mod simd;
mod study;
mod unet;
mod vae;

pub use blocks::LayerLooks;
pub use model::{CpuModel, text_config};
pub use pipeline::{CpuPipeline, Pause};
