//! The page's module that computes on the CPU on several threads: the engine of the room `web`, for wasm32 with atomics alone.

// Nothing is called from here: linking the crate exports what JavaScript calls.
use opengen as _;

fn main() {}
