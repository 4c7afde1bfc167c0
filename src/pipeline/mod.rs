//! The story, top to bottom: prompt in, picture out. The only room that sees all others.
//!
//! - [`request`]: what is asked for and what comes back; [`limits`]: what may be asked for, and the defaults;
//! - [`run`]: the numbered stages of a run, told once, and [`study`]: a run taken apart, step by step, for looking at;
//! - [`start`]: how a run begins, from noise or from a picture; `picture`: what is asked of that; `canvas`: what it is drawn on,
//!   and which part of it anew; `latents`: what it begins from instead, a run that is gone on with among that;
//! - `conditioning`: what it reads of its prompts, and when;
//! - `regions`: where in the picture each prompt of several counts;
//! - `windows`: a picture larger than what the denoiser sees at once;
//! - `control`: maps that steer a run, each by a ControlNet;
//! - [`networks`]: what is merged into a model, as prompts name it and settings tell;
//! - `hires`: a second pass at a larger size; `enlarge`: a picture enlarged by a network of its own;
//! - [`engine`]: what computes them, the device or the processor; [`graphs`]: what both compute, [`plans`]: how the
//!   device does;
//! - `residency`: which weights are on the device while which stages work, within a limit of memory;
//! - `stock`: where weights come from again that have left the device for others;
//! - [`probe`]: which of the two is quicker where the GPU is a program;
//! - [`recall`]: a picture's metadata back into settings;
//! - [`stages`]: one stage at a time, for tests and tools.

#[cfg(test)]
mod behaviour;
mod canvas;
mod common;
mod conditioning;
mod control;
pub mod engine;
mod enlarge;
pub mod graphs;
mod hires;
mod latents;
mod layout;
mod limits;
pub mod networks;
mod picture;
#[cfg(feature = "gpu")]
pub mod plans;
pub mod probe;
pub mod recall;
mod regions;
mod request;
#[cfg(feature = "gpu")]
pub mod residency;
mod run;
pub mod stages;
pub mod start;
pub mod stock;
pub mod study;
mod tiling;
mod windows;

#[cfg(feature = "train")]
pub use common::time_embedding;
#[cfg(all(feature = "gpu", feature = "train"))]
pub(crate) use layout::{from_bytes, to_bytes};
#[cfg(feature = "train")]
pub use layout::{nchw_to_nhwc, nhwc_to_nchw};

pub use canvas::{Extend, Mask, MaskedContent};
pub use control::{Control, Importance, MAX_CONTROL_STRENGTH};
pub use engine::Engine;
pub use enlarge::{Enlarger, Progress, by_lanczos};
pub use hires::{Hires, Upscaler};
pub use latents::{Entry, Latents};
pub use limits::{
    DEFAULT_MASK_BLUR, DEFAULT_OVERLAP, DEFAULT_PADDING, Defaults, MAX_BATCH, MAX_GUIDANCE, MAX_MASK_BLUR,
    MAX_OVERLAP, MAX_PADDING, MAX_REGION_WEIGHT, SIZE_RANGE, SIZE_STEP, STEPS_RANGE, UPSCALE_RANGE,
};
pub use picture::{Encode, Picture, size_for};
pub use regions::{Place, Region, split as split_region};
pub use request::{Cancel, Dump, Event, Output, Request, Stage, Stats, Walk};
pub use run::Pipeline;
#[cfg(feature = "train")]
pub use run::learning::Resident;
pub use tiling::Tiling;
pub use windows::Windows;
