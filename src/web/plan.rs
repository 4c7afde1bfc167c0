//! What a model costs, as text: for tests and for whoever looks into the engine.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::to_js;
use crate::pipeline::plans;

/// What `opengen plan` prints natively of a built-in configuration's dispatches; see [`plans::of_builtin`].
#[wasm_bindgen(js_name = planText)]
pub fn plan_text(model: &str, width: usize, height: usize) -> std::result::Result<String, JsValue> {
    plans::of_builtin(model, width, height).map(|plans| plans.to_string()).map_err(to_js)
}
