//! The JavaScript API: the only room, with the store's database, that knows the browser. For wasm32 alone.
//!
//! - [`Engine`] is what a worker talks to;
//! - `acquire` gets a model ready: from the store, or fetched, checked and stored first;
//! - `stock` reads a stored model's chunks, for the load and for weights that come back to the device;
//! - `repack` packs a stored model anew, that another version of the engine packed, or in a smaller type;
//! - `device` is what computes, the GPU or the CPU, and the pipeline on it;
//! - `controls` brings the ControlNets that a request names beside the model;
//! - `loras` reads the LoRAs that it names, which are merged into the model;
//! - `fetch`, `locks` and `room` wrap the browser's own interfaces;
//! - `study` answers the view that explains;
//! - `upscale` answers what enlarges pictures;
//! - `train` teaches the model in use from pictures;
//! - `plan` prints what a model costs;
//! - `folder` makes one file of a folder that the visitor chose;
//! - `sizes` tells from a file's header how large its model gets in the store;
//! - `parts` gives a stored model another autoencoder;
//! - `crew` is what the workers call that compute side by side;
//! - `recall` reads the settings in a picture's file;
//! - `request` and `values` read what comes from JavaScript and build what goes there; `error` converts errors.

#![deny(clippy::unwrap_used, clippy::expect_used)]

mod acquire;
mod browser;
mod controls;
#[cfg(target_feature = "atomics")]
mod crew;
mod device;
mod download;
mod engine;
mod error;
mod fetch;
mod folder;
mod locks;
mod loras;
mod parts;
#[cfg(feature = "gpu")]
mod plan;
mod recall;
mod repack;
mod request;
mod room;
mod run;
mod shelf;
mod sizes;
mod stock;
mod study;
#[cfg(feature = "train")]
mod train;
mod upscale;
mod values;

pub use engine::Engine;
pub use folder::join_folder;
pub use loras::{about_network, networks_in};
pub use recall::{comfyui_graph, read_settings};
pub use sizes::kept_sizes;

use wasm_bindgen::prelude::wasm_bindgen;

/// Runs once when the module is instantiated: a panic is a bug, and its message should reach the console.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}
