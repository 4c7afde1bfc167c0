//! Small things every part of this room asks the browser for.

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::{Error, Result};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// Milliseconds since the worker started.
pub(super) fn now_ms() -> f64 {
    performance_now()
}

/// A property, or `undefined` where it does not exist.
pub(super) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a property of an object that was made here.
pub(super) fn set(object: &JsValue, name: &str, value: impl Into<JsValue>) {
    // Plain objects made here are neither frozen nor proxies: setting cannot fail.
    let _ = Reflect::set(object, &name.into(), &value.into());
}

/// `navigator.NAME`, or `undefined`.
pub(super) fn navigator(name: &str) -> JsValue {
    get(&get(&js_sys::global(), "navigator"), name)
}

/// Calls back, if a function was given. A callback that throws does not stop the engine.
pub(super) fn call(callback: &JsValue, argument: &JsValue) {
    if let Some(function) = callback.dyn_ref::<Function>() {
        let _ = function.call1(&JsValue::NULL, argument);
    }
}

/// The bytes that a function promises, of the file of that name.
pub(super) async fn read_bytes(read: &JsValue, name: &str) -> Result<Vec<u8>> {
    let failed = |error: JsValue| {
        let message = get(&error, "message").as_string().unwrap_or_else(|| "did not arrive".to_string());
        Error::Network { url: name.to_string(), message, retryable: true }
    };
    let read = read
        .dyn_ref::<Function>()
        .ok_or_else(|| Error::InvalidInput { field: "model", message: format!("{name} has no file") })?;
    let promised = read.call0(&JsValue::NULL).map_err(failed)?;
    let bytes = JsFuture::from(Promise::resolve(&promised)).await.map_err(failed)?;
    Ok(Uint8Array::new(&bytes).to_vec())
}

/// Bytes of wasm memory in use; it never shrinks.
pub(super) fn heap_bytes() -> f64 {
    get(&get(&wasm_bindgen::memory(), "buffer"), "byteLength").as_f64().unwrap_or(0.0)
}
