//! The story, top to bottom: prompt in, picture out. The only room that sees all others.
//!
//! - [`request`]: what is asked for and what comes back; [`limits`]: what may be asked for, and the defaults;
//! - [`gpu`]: the pipeline on the device, as numbered stages; [`plans`] is what it replays;
//! - [`cpu`]: the same pictures through candle, where there is no device;
//! - [`probe`]: which of the two is quicker where the GPU is a program;
//! - [`study`]: a run taken apart, step by step, for looking at;
//! - [`recall`]: a picture's metadata back into settings;
//! - [`stages`]: one stage at a time, for tests and tools.

mod common;
#[cfg(feature = "cpu")]
pub mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "gpu")]
mod layout;
mod limits;
#[cfg(feature = "gpu")]
pub mod plans;
pub mod probe;
pub mod recall;
mod request;
#[cfg(feature = "gpu")]
pub mod stages;
pub mod study;

#[cfg(feature = "cpu")]
pub use cpu::CpuPipeline;
#[cfg(feature = "gpu")]
pub use gpu::Pipeline;
pub use limits::{Defaults, MAX_BATCH, MAX_GUIDANCE, SIZE_RANGE, SIZE_STEP, STEPS_RANGE};
pub use request::{Cancel, Dump, Event, Output, Request, Stage, Stats, Walk};
