//! How much room the browser gives, and whether it promises to keep what is stored.

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::browser::{get, navigator};

#[wasm_bindgen]
extern "C" {
    type StorageManager;
    #[wasm_bindgen(method, catch)]
    fn estimate(this: &StorageManager) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn persist(this: &StorageManager) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn persisted(this: &StorageManager) -> Result<Promise, JsValue>;
}

/// Bytes this origin has stored and may store; both 0 where the browser does not say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    pub usage: u64,
    pub quota: u64,
}

impl Room {
    /// Asks the browser. Safari and private windows may know nothing.
    pub(super) async fn estimate() -> Room {
        let Some(answer) = ask(StorageManager::estimate).await else { return Room::default() };
        let bytes = |name| get(&answer, name).as_f64().unwrap_or(0.0) as u64;
        Room { usage: bytes("usage"), quota: bytes("quota") }
    }

    /// Bytes left, or `None` where the browser does not say.
    pub(super) fn free(self) -> Option<u64> {
        (self.quota > 0).then(|| self.quota.saturating_sub(self.usage))
    }
}

/// Whether the browser promised to keep what is stored; only a window may ask it to, not a worker.
pub(super) async fn is_persisted() -> bool {
    ask(StorageManager::persisted).await.is_some_and(|answer| answer.is_truthy())
}

async fn ask(question: fn(&StorageManager) -> Result<Promise, JsValue>) -> Option<JsValue> {
    let storage = navigator("storage");
    if storage.is_undefined() {
        return None;
    }
    let promise = question(storage.unchecked_ref()).ok()?;
    JsFuture::from(promise).await.ok()
}
