//! A file from the network as a stream, from its beginning or from where an earlier download stopped.

use js_sys::{Function, Object, Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Response};

use super::browser::{get, set};
use super::error::from_fetch;
use crate::store::content_range;
use crate::{Error, Result};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn js_fetch(url: &str, options: &JsValue) -> Promise;
}

/// Which bytes are wanted.
pub(super) struct Ask<'a> {
    pub url: &'a str,
    /// The first byte needed; the server may send the whole file all the same.
    pub offset: u64,
    /// Where it is not, the answer to a range says how long the file is, and comes uncompressed.
    pub is_length_known: bool,
    /// ETag or date of the file that was begun; a changed file then comes whole.
    pub validator: Option<&'a str>,
    /// Sent along.
    pub headers: &'a [(String, String)],
    /// A function in place of the browser's `fetch`, or `undefined`.
    pub fetch: &'a JsValue,
    /// An `AbortSignal`.
    pub signal: &'a JsValue,
}

/// A response whose body is being read.
pub(super) struct Download {
    url: String,
    reader: ReadableStreamDefaultReader,
    /// Whether more may come.
    is_open: bool,
    /// Where in the file the body begins: what was asked for, or 0.
    pub offset: u64,
    /// Length of the whole file, where the server says it and can be believed.
    pub total: Option<u64>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// A way to ask for a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From an offset on, if the file is still the same.
    RangeIfSame,
    /// From an offset on.
    Range,
    /// From its beginning.
    Whole,
}

impl Way {
    /// The ways to try before the whole file is asked for, those first that save or say most. A server that refuses one
    /// may take the next: some refuse the preflight of a range across origins, to which an address may be redirected,
    /// some answer nonsense.
    fn first(ask: &Ask<'_>) -> Vec<Way> {
        let is_on_network = ask.url.starts_with("http") || !ask.url.contains(':');
        let mut ways = Vec::new();
        // Across origins the header would need a preflight: there the answer is held against what is known.
        if ask.offset > 0 && ask.validator.is_some() && is_same_origin(ask.url) {
            ways.push(Way::RangeIfSame);
        }
        if ask.offset > 0 || !ask.is_length_known && is_on_network {
            ways.push(Way::Range);
        }
        ways
    }
}

/// Begins a download.
pub(super) async fn open(ask: &Ask<'_>) -> Result<Download> {
    for way in Way::first(ask) {
        let response = match request(ask, way).await {
            Err(Error::Aborted) => return Err(Error::Aborted),
            Err(_) => continue,
            Ok(response) => response,
        };
        let is_final = is_final(response.status());
        match Download::new(ask, way, response) {
            Err(_) if !is_final => {}
            answered => return answered,
        }
    }
    Download::new(ask, Way::Whole, request(ask, Way::Whole).await?)
}

/// Whether every way of asking would be answered in the same way.
fn is_final(status: u16) -> bool {
    matches!(status, 404 | 410 | 429 | 500..)
}

async fn request(ask: &Ask<'_>, way: Way) -> Result<Response> {
    let headers = Object::new().into();
    for (name, value) in ask.headers {
        set(&headers, name, value.as_str());
    }
    if way != Way::Whole {
        set(&headers, "Range", format!("bytes={}-", ask.offset));
    }
    if let (Way::RangeIfSame, Some(validator)) = (way, ask.validator) {
        set(&headers, "If-Range", validator);
    }
    let options = Object::new().into();
    set(&options, "headers", headers);
    set(&options, "signal", ask.signal.clone());
    // The model is stored by us; a second copy in the HTTP cache would be wasted room.
    set(&options, "cache", "no-store");
    let promise = match ask.fetch.dyn_ref::<Function>() {
        Some(own) => own.call2(&JsValue::UNDEFINED, &ask.url.into(), &options).map(Promise::from),
        None => Ok(js_fetch(ask.url, &options)),
    };
    let response = match promise {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    response.map(JsCast::unchecked_into).map_err(|error| from_fetch(ask.url, is_same_origin(ask.url), &error))
}

impl Download {
    fn new(ask: &Ask<'_>, way: Way, response: Response) -> Result<Download> {
        let failed = |message: String| Error::Network { url: ask.url.to_owned(), message, retryable: true };
        let header = |name: &str| response.headers().get(name).ok().flatten();
        let status = response.status();
        let is_range = status == 206 && way != Way::Whole;
        if status != 200 && !is_range {
            return Err(failed(refusal(status)));
        }
        if header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html")) {
            return Err(failed("the server answered with a web page instead of a model".into()));
        }
        let range = header("content-range").as_deref().and_then(content_range);
        if let (true, Some((from, _))) = (is_range, range)
            && from != ask.offset
        {
            return Err(failed(format!("the server sent bytes from {from} instead of {}", ask.offset)));
        }
        // Of a compressed answer the length says nothing, and across origins compression cannot be seen: there the file's
        // own header says where it ends. An answer that the program itself made ("default") says what it says.
        let plain = matches!(get(&response, "type").as_string().as_deref(), Some("basic" | "default"))
            && header("content-encoding").is_none_or(|encoding| encoding == "identity");
        let total = match is_range {
            true => range.and_then(|(_, total)| total),
            false => header("content-length").and_then(|length| length.parse().ok()).filter(|_| plain),
        };
        let body = response.body().ok_or_else(|| failed("the server sent nothing".into()))?;
        Ok(Download {
            url: ask.url.to_owned(),
            reader: body.get_reader().unchecked_into(),
            is_open: true,
            offset: if is_range { ask.offset } else { 0 },
            total,
            etag: header("etag"),
            last_modified: header("last-modified"),
        })
    }

    /// The next bytes, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let result = JsFuture::from(self.reader.read()).await;
        self.is_open = result.as_ref().is_ok_and(|result| !get(result, "done").is_truthy());
        let result = result.map_err(|error| from_fetch(&self.url, true, &error))?;
        Ok(get(&result, "value").dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec()))
    }
}

impl Drop for Download {
    /// Nobody reads on: lets the browser close the connection.
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.reader.cancel();
        }
    }
}

/// The file's length by what the catalogue and the server say; an error where they contradict each other.
pub(super) fn expect_total(download: &Download, expected: Option<u64>) -> Result<Option<u64>> {
    match (expected, download.total) {
        (Some(expected), Some(offered)) if expected != offered => Err(Error::Network {
            url: download.url.clone(),
            message: format!("wrong length: the server offers {offered} bytes, expected {expected}"),
            retryable: true,
        }),
        (expected, offered) => Ok(expected.or(offered)),
    }
}

/// What a status other than 200 and 206 means to a visitor.
fn refusal(status: u16) -> String {
    match status {
        404 | 410 => format!("the model is not there ({status})"),
        401 | 403 => format!("the server does not allow it ({status})"),
        429 => "the server is asked too often (429); try again a little later".into(),
        500.. => format!("the server has a problem ({status}); try again a little later"),
        _ => format!("the server answered with status {status}"),
    }
}

fn is_same_origin(url: &str) -> bool {
    let origin = get(&get(&js_sys::global(), "location"), "origin").as_string();
    match origin {
        Some(origin) => {
            !url.contains("://") || url.strip_prefix(&origin).is_some_and(|rest| rest.starts_with('/'))
        }
        None => false,
    }
}
