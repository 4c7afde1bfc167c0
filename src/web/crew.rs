//! What the workers of `www/crew.js` call, of the module that is compiled over shared memory.

use js_sys::Array;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::cpu::crew;

/// What a worker makes an instance of its own from: `[module, memory]`.
#[wasm_bindgen(js_name = shared)]
pub fn shared() -> Array {
    Array::of2(&wasm_bindgen::module(), &wasm_bindgen::memory())
}

/// Computes for the worker that owns the engine; never returns.
#[wasm_bindgen(js_name = joinCrew)]
pub fn join_crew() {
    crew::join();
}

/// Says that a worker broke off in [`join_crew`].
#[wasm_bindgen(js_name = brokeOff)]
pub fn broke_off() {
    crew::broke_off();
}
