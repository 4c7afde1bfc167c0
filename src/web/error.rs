//! The one conversion of errors at the border, both ways.

use wasm_bindgen::JsValue;

use super::browser::{get, set};
use crate::Error;
use crate::error::{incomplete, list};

/// A JavaScript `Error` with `code`, `field` (the setting at fault or null), `retryable` and `detail` (what only the
/// curious want to know, or null).
pub(super) fn to_js(error: Error) -> JsValue {
    let js: JsValue = js_sys::Error::new(&message(&error)).into();
    set(&js, "code", error.code());
    set(&js, "field", field(&error).map_or(JsValue::NULL, JsValue::from));
    set(&js, "retryable", retryable(&error));
    set(&js, "detail", detail(&error).map_or(JsValue::NULL, JsValue::from));
    if let Error::OtherFile { kind: Some(kind), .. } = &error {
        set(&js, "kind", *kind);
    }
    js
}

/// The sentence for people. An invalid setting is shown at its field, so its name is not repeated.
fn message(error: &Error) -> String {
    match error {
        Error::InvalidInput { message, .. } => message.clone(),
        Error::Incomplete { file, bytes, needed, .. } => {
            format!("{file}: {}; download it again", incomplete(*bytes, *needed))
        }
        Error::Tensors { file, problems } => {
            let many = problems.len();
            let what = if many == 1 { "one tensor is".to_string() } else { format!("{many} tensors are") };
            format!("{file}: {what} not what its configuration asks for")
        }
        _ => error.to_string(),
    }
}

/// The setting's name as JavaScript writes it.
fn field(error: &Error) -> Option<String> {
    let Error::InvalidInput { field, .. } = error else { return None };
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    Some(words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name + &head.to_uppercase() + tail
    }))
}

/// The technical part of a message that says the same in a person's words.
fn detail(error: &Error) -> Option<String> {
    match error {
        Error::Incomplete { detail, .. } => Some(detail.clone()),
        Error::Tensors { problems, .. } => Some(list(problems)),
        _ => None,
    }
}

/// Whether the same call may succeed when it is made again.
fn retryable(error: &Error) -> bool {
    match error {
        Error::Network { retryable, .. } => *retryable,
        Error::BadFile { .. }
        | Error::Incomplete { .. }
        | Error::DamagedChunk { .. }
        | Error::Quota { .. }
        | Error::Storage { .. }
        | Error::OutOfMemory { .. }
        | Error::DeviceLost { .. }
        | Error::Aborted => true,
        _ => false,
    }
}

/// What a rejected promise of fetch means. Of another origin the browser does not say whether it refused the page or was
/// not there: `is_readable` is whether the page may read it for sure.
pub(super) fn from_fetch(url: &str, is_readable: bool, value: &JsValue) -> Error {
    if get(value, "name").as_string().as_deref() == Some("AbortError") {
        return Error::Aborted;
    }
    let reason = get(value, "message").as_string().unwrap_or_default();
    let cause = match is_readable {
        true => "is the network there?",
        false => "is the network there, and does that server let other sites read its files (CORS)?",
    };
    let message = format!("the connection failed ({reason}); {cause}");
    Error::Network { url: url.to_owned(), message, retryable: true }
}
