//! The page's module that computes and learns on the GPU: the engine of the room `web`, for wasm32 alone.

// Nothing is called from here: linking the crate exports what JavaScript calls.
use opengen as _;

fn main() {}
