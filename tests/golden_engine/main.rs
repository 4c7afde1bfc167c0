//! The engine against diffusers, seam by seam, in f32 and (where the adapter has it) f16. See `tests/golden/README.md`.

#[path = "../common/mod.rs"]
mod common;
mod engine;
mod families;
#[path = "../left_out/mod.rs"]
mod left_out;

mod controls;
mod denoise;
mod faults;
mod loras;
mod pictures;
mod prompts;
mod residence;
mod study;
mod text;
mod unet;
mod upscalers;
mod vae;
