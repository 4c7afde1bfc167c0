//! The only importer of wgpu: the device, its buffers, and the loop that runs plans.
//!
//! Knows plans and kernels, never models.

mod clock;
mod context;
mod executable;
mod memory;
mod queue;
mod readback;

pub use context::{Capabilities, Context, Counters, Options, buffer_bytes};
pub use executable::{Executable, Measured};
pub use memory::{Memory, Weights};
pub use readback::Readback;
