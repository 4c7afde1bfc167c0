//! A folder in the visitor's hands as one file, which takes the way of every other.

use std::collections::BTreeMap;

use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::browser::{get, set};
use super::error::to_js;
use crate::weights::{Gathered, Given, Joined, joined};
use crate::{Error, Result};

/// Takes `[{ path, bytes, length }]`, small files whole and weight files as far as their headers go, and answers with
/// `{ title, header, parts: [{ path, from, to }] }`: what to put together.
#[wasm_bindgen(js_name = joinFolder)]
pub fn join_folder(files: &Array, title: &str) -> std::result::Result<JsValue, JsValue> {
    let files = given(files).map_err(to_js)?;
    joined(&Gathered::new(files, title)).map(|joined| answer(&joined)).map_err(|error| to_js(as_model(error)))
}

/// Reads `[{ path, bytes, length }]`.
pub(super) fn given(files: &Array) -> Result<BTreeMap<String, Given>> {
    files.iter().map(|file| one(&file)).collect()
}

fn one(file: &JsValue) -> Result<(String, Given)> {
    let wrong =
        || Error::InvalidInput { field: "model", message: "has a file without path, bytes or length".into() };
    let path = get(file, "path").as_string().ok_or_else(wrong)?;
    let len = get(file, "length").as_f64().ok_or_else(wrong)? as u64;
    Ok((path, Given { bytes: Uint8Array::new(&get(file, "bytes")).to_vec(), len }))
}

/// A file that is missing from a folder is a fault of the folder, not of the browser's storage.
fn as_model(error: Error) -> Error {
    match error {
        Error::Io { path, message } => Error::BadFile { file: path, message },
        other => other,
    }
}

/// `{ title, header, parts: [{ path, from, to }] }`.
pub(super) fn answer(Joined { title, header, parts }: &Joined) -> JsValue {
    let object: JsValue = Object::new().into();
    set(&object, "title", title.as_str());
    set(&object, "header", Uint8Array::from(header.as_slice()));
    let parts = parts.iter().map(|(path, bytes)| {
        let part: JsValue = Object::new().into();
        set(&part, "path", path.as_str());
        set(&part, "from", bytes.start as f64);
        set(&part, "to", bytes.end as f64);
        part
    });
    set(&object, "parts", parts.collect::<Array>());
    object
}
