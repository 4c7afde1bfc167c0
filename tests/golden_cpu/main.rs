//! The CPU path against diffusers: each stage, whole runs, steps looked into, attention maps.

#[path = "../common/mod.rs"]
mod common;
mod models;

mod course;
mod pictures;
mod runs;
mod stages;
