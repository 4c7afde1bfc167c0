//! Small things every part of this room asks the browser for.

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

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

/// Bytes of wasm memory in use; it never shrinks.
pub(super) fn heap_bytes() -> f64 {
    get(&get(&wasm_bindgen::memory(), "buffer"), "byteLength").as_f64().unwrap_or(0.0)
}
