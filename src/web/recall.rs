//! The settings in a picture's file, for the page.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::to_js;
use super::values::plain;
use crate::pipeline::recall;

/// Reads what a PNG, JPEG or WebP file says it was made with; `www/protocol.d.ts` describes the answer.
#[wasm_bindgen(js_name = readSettings)]
pub fn read_settings(file: &[u8]) -> std::result::Result<JsValue, JsValue> {
    recall::from_file(file).map(|settings| plain(&settings)).map_err(to_js)
}

/// The settings in a picture's file as a graph of ComfyUI's, `{ graph, notices }`: JSON as text, and what was not read or is not
/// written, as sentences.
#[wasm_bindgen(js_name = comfyuiGraph)]
pub fn comfyui_graph(file: &[u8]) -> std::result::Result<JsValue, JsValue> {
    let settings = recall::from_file(file).map_err(to_js)?;
    let mut written = recall::graph(&settings);
    drop(written.notices.splice(0..0, settings.notices));
    Ok(plain(&written))
}
