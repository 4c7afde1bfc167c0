//! The only importer of wgpu: the device, its buffers, and the loop that runs plans.
//!
//! Knows plans and kernels, never models.

mod clock;
mod context;
mod executable;
#[cfg(not(target_arch = "wasm32"))]
pub mod matrices;
mod memory;
mod merge;
#[cfg(not(target_arch = "wasm32"))]
mod passed;
mod queue;
mod readback;

pub use context::{Capabilities, Context, Counters, Options, buffer_bytes};
pub use executable::{Executable, Measured};
pub use memory::{Memory, Weights};
pub use readback::Readback;
