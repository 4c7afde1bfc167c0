//! What goes to JavaScript: plain objects as `www/protocol.d.ts` describes them.

use js_sys::{Array, Object, Uint8Array, Uint8ClampedArray};
use serde::Serialize;
use wasm_bindgen::JsValue;

use super::browser::{heap_bytes, set};
use crate::config::{PredictionType, Suggested};
use crate::image::Rgba;
use crate::pipeline::{Event, Stage};
use crate::store::idb::{GivenPart, Listed};
use crate::store::{Progress, State};
use crate::weights::License;

/// Which path is in use.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Capabilities {
    /// webgpu or cpu.
    pub engine: &'static str,
    pub adapter: String,
    pub backend: String,
    pub is_fallback_adapter: bool,
    pub f16: bool,
    pub max_buffer_bytes: u64,
    pub memory_limit: Option<u64>,
}

/// One line of the list of stored models.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredModel {
    pub id: String,
    name: String,
    url: String,
    license: Option<License>,
    bytes: u64,
    width: Option<usize>,
    height: Option<usize>,
    suggested: Suggested,
    prediction: Option<PredictionType>,
    asks_prediction: bool,
    autoencoder: Option<GivenPart>,
    weights: Option<String>,
    complete: bool,
    format_ok: bool,
    damaged: bool,
}

impl From<Listed> for StoredModel {
    fn from(listed: Listed) -> Self {
        StoredModel {
            id: listed.id,
            name: listed.name,
            url: listed.url,
            license: listed.license,
            bytes: listed.bytes,
            width: listed.native_size.map(|[width, _]| width),
            height: listed.native_size.map(|[_, height]| height),
            suggested: listed.suggested,
            prediction: listed.prediction,
            asks_prediction: listed.asks_prediction,
            autoencoder: listed.autoencoder,
            weights: listed.weights.map(|kind| kind.name().to_lowercase()),
            complete: listed.state == State::Complete,
            format_ok: listed.format_ok,
            damaged: listed.state == State::Damaged,
        }
    }
}

/// What is stored and how much room there is.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StorageReport {
    pub usage: u64,
    pub quota: u64,
    pub persisted: bool,
    pub models: Vec<StoredModel>,
}

/// The answer to `loadModel`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadedModel {
    pub id: String,
    pub name: String,
    pub bytes: u64,
    pub from_store: bool,
    pub in_memory_only: bool,
    /// What the visitor should know, such as why the model is not kept.
    pub notice: Option<String>,
    /// Native size in pixels.
    pub width: usize,
    pub height: usize,
    /// Values of a token's vector in its first text encoder.
    pub text_width: usize,
}

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Another tab is fetching.
    Wait,
    Download,
    Verify,
    Upload,
}

/// A report to `onProgress`.
pub(super) fn progress(phase: Phase, progress: &Progress, resumed_from: u64) -> JsValue {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Report {
        phase: Phase,
        loaded: u64,
        total: u64,
        rate: f64,
        seconds_left: Option<f64>,
        tensors: Option<[u64; 2]>,
        resumed_from: u64,
    }
    let Progress { loaded, total, rate, seconds_left, tensors } = *progress;
    plain(&Report { phase, loaded, total, rate, seconds_left, tensors, resumed_from })
}

/// A report to `onEvent`.
pub(super) fn event(event: &Event) -> JsValue {
    let object = Object::new().into();
    match event {
        Event::Stage(stage) => {
            set(&object, "type", "stage");
            set(&object, "stage", stage_name(*stage));
        }
        Event::Step { step, steps, preview } => {
            set(&object, "type", "step");
            set(&object, "step", *step as f64);
            set(&object, "steps", *steps as f64);
            set(&object, "preview", preview.as_ref().map_or(JsValue::NULL, picture));
        }
    }
    object
}

/// `{ width, height, data: Uint8ClampedArray }`, as `ImageData` takes it.
pub(super) fn picture(image: &Rgba) -> JsValue {
    let object = Object::new().into();
    set(&object, "width", image.width as f64);
    set(&object, "height", image.height as f64);
    set(&object, "data", Uint8ClampedArray::from(image.pixels.as_slice()));
    object
}

/// Milliseconds per stage.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timings {
    pub text_ms: f64,
    pub denoise_ms: f64,
    pub decode_ms: f64,
    pub total_ms: f64,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    pub dispatches_per_step: usize,
    pub new_buffers_per_step: f64,
    pub new_bind_groups_per_step: f64,
    pub gpu_bytes: u64,
    pub gpu_peak_bytes: u64,
    pub widened_bytes: u64,
    pub wasm_heap_bytes: f64,
}

/// The answer to `generate`.
pub(super) struct Pictures<'a> {
    pub images: &'a [Rgba],
    pub png: &'a [Vec<u8>],
    pub seed: u64,
    pub timings: Timings,
    pub notices: &'a [String],
    pub stats: Stats,
}

impl Pictures<'_> {
    pub(super) fn to_js(&self) -> JsValue {
        let object = Object::new().into();
        set(&object, "images", self.images.iter().map(picture).collect::<Array>());
        let files = self.png.iter().map(|bytes| JsValue::from(Uint8Array::from(bytes.as_slice())));
        set(&object, "png", files.collect::<Array>());
        set(&object, "seed", seed(self.seed));
        set(&object, "timings", plain(&self.timings));
        set(&object, "notices", self.notices.iter().map(JsValue::from).collect::<Array>());
        set(&object, "stats", plain(&Stats { wasm_heap_bytes: heap_bytes(), ..self.stats }));
        object
    }
}

/// A plain JavaScript object; `None` becomes null.
pub(super) fn plain(value: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    // The types of this file hold numbers, texts and lists: there is nothing to fail.
    value.serialize(&serializer).unwrap_or(JsValue::NULL)
}

/// A number as far as a double is exact, else digits as text.
fn seed(seed: u64) -> JsValue {
    const EXACT: u64 = (1 << 53) - 1;
    if seed <= EXACT { (seed as f64).into() } else { seed.to_string().into() }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Encode => "encode",
        Stage::Text => "text",
        Stage::Denoise => "denoise",
        Stage::Decode => "decode",
    }
}
