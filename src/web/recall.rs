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
