//! Stable Diffusion in the browser: one Rust engine on wgpu, compiled to WebAssembly and natively.
//!
//! The rooms, in reading order; each may use those above it (`docs/architecture.md` draws the flow):
//!
//! - [`error`]: one typed error.
//! - [`config`]: what a model is, in parts, with every constant; read from a checkpoint or built in.
//! - [`prompt`]: text to weighted chunks to token ids.
//! - [`sample`]: noise, schedules and samplers; scalar mathematics.
//! - [`image`]: RGBA pictures and PNG files.
//! - [`kernels`]: the WGSL kernels, each with its parameters and its CPU twin.
//! - [`plan`]: a model as data: ops with static shapes, memory, dispatches.
//! - [`weights`]: safetensors and GGUF files, names, dtypes, quantizing and packing for the GPU.
//! - [`store`]: where packed models rest: IndexedDB in the browser, a folder natively.
//! - [`model`]: CLIP, UNet, VAE, TAESD and upscalers written as graphs, and the choice among them.
//! - [`gpu`]: the device's executor of plans, the only importer of wgpu: adapter, pipelines, upload, execution.
//! - [`cpu`]: the processor's, an interpreter of the same graphs.
//! - [`pipeline`]: prompt in, picture out; the only room that sees all others.
//! - `train`: a LoRA or an embedding from pictures: gradients, optimizer, recipe, file.
//! - `oracle`: candle's Stable Diffusion over the same weights, to compare with (the native program only).
//! - `web`: the JavaScript API (wasm32 only).
//!
//! Two cargo features say how it can compute: `gpu` (wgpu) and `cpu`. Natively both are there; the page has a
//! module for each, of which a visitor fetches the one that is needed.

pub mod config;
#[cfg(feature = "cpu")]
pub mod cpu;
pub mod error;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod image;
pub mod kernels;
pub mod model;
#[cfg(feature = "cli")]
pub mod oracle;
pub mod pipeline;
pub mod plan;
pub mod prompt;
pub mod sample;
pub mod store;
#[cfg(feature = "train")]
pub mod train;
#[cfg(target_arch = "wasm32")]
pub mod web;
pub mod weights;

pub use error::{Error, Result, TensorProblem};
