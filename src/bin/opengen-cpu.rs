//! The page's module that computes on the CPU: the engine of the room `web`, for wasm32 alone.

// Nothing is called from here: linking the crate exports what JavaScript calls.
use opengen as _;

fn main() {}
