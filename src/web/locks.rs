//! Web Locks: one tab at a time fetches a model.

use std::pin::pin;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use js_sys::{Function, Object, Promise};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::browser::{navigator, set};
use crate::{Error, Result};

// web-sys still calls this interface unstable, every browser has had it since 2022.
#[wasm_bindgen]
extern "C" {
    type LockManager;
    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, options: &JsValue, callback: &Function) -> Promise;
}

/// A lock that is held until this is dropped.
pub(super) struct Held {
    release: Option<Function>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.call0(&JsValue::NULL);
        }
    }
}

/// Takes the lock `name`; calls `waiting` first if another tab has it. Ends with [`Error::Aborted`] when `signal`
/// fires. Where the browser has no locks, nothing is locked.
pub(super) async fn take(name: &str, signal: &JsValue, waiting: impl FnOnce()) -> Result<Held> {
    let locks = navigator("locks");
    if locks.is_undefined() {
        return Ok(Held { release: None });
    }
    let manager: &LockManager = locks.unchecked_ref();
    let options = Object::new().into();
    set(&options, "ifAvailable", true);
    if let Some(held) = request(manager, name, &options).await? {
        return Ok(held);
    }
    waiting();
    let options = Object::new().into();
    set(&options, "signal", signal.clone());
    request(manager, name, &options).await?.ok_or(Error::Aborted)
}

/// Asks once; `None` when the lock was not available at once and that was asked for.
async fn request(manager: &LockManager, name: &str, options: &JsValue) -> Result<Option<Held>> {
    let mut release = None;
    // The lock is held until this promise resolves.
    let released = Promise::new(&mut |resolve, _| release = Some(resolve));
    let (sender, receiver) = oneshot::channel();
    let granted = Closure::once(move |lock: JsValue| -> JsValue {
        let available = !lock.is_null();
        let _ = sender.send(available);
        if available { released.into() } else { JsValue::UNDEFINED }
    });
    let answer = JsFuture::from(manager.request(name, options, granted.as_ref().unchecked_ref()));
    match select(pin!(receiver), pin!(answer)).await {
        Either::Left((Ok(true), _)) => Ok(Some(Held { release })),
        Either::Left(_) | Either::Right((Ok(_), _)) => Ok(None),
        Either::Right((Err(_), _)) => Err(Error::Aborted),
    }
}
