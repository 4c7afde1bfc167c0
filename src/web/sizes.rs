//! How large a file's model gets in the store, told from its header.

use js_sys::Object;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::browser::set;
use super::error::to_js;
use crate::Result;
use crate::kernels::WeightType;
use crate::model::weight_decls;
use crate::plan::Types;
use crate::weights::{Header, Hints, LayoutOptions, Parse, Source, SourceType, without_tokenizer};

/// Takes the beginning of a file of `length` bytes. Answers with the bytes that its model takes where its matrices are
/// rounded to each type, `{ f16, q8_0, q5_0, q4_0 }`, or with `{ more }`: how many bytes of the beginning it takes to tell.
#[wasm_bindgen(js_name = keptSizes)]
pub fn kept_sizes(file: &str, beginning: &[u8], length: f64) -> std::result::Result<JsValue, JsValue> {
    sizes(file, beginning, length as u64).map_err(to_js)
}

fn sizes(file: &str, beginning: &[u8], length: u64) -> Result<JsValue> {
    let object: JsValue = Object::new().into();
    let header = match Header::parse(file, beginning, length)? {
        Parse::Done(header) => header,
        Parse::NeedMore(bytes) => {
            set(&object, "more", bytes as f64);
            return Ok(object);
        }
    };
    let recognised = without_tokenizer(&header, Hints::default())?;
    let decls = weight_decls(&recognised.config);
    for kept in WeightType::ALL.into_iter().filter(|kept| *kept != WeightType::F32) {
        let options = LayoutOptions { narrowed: Some(Types::of(kept)), ..LayoutOptions::default() };
        let manifest = recognised.manifest(&decls, &header, Source::default(), options)?;
        set(&object, &SourceType::of(kept).name().to_lowercase(), manifest.bytes() as f64);
    }
    Ok(object)
}
