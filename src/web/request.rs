//! What JavaScript asks for, read field by field, so that an error names the field.

use std::sync::Arc;

use js_sys::{Array, Float32Array, Object, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::{JsCast, JsValue};

use super::browser::get;
use super::controls::ControlFile;
use super::loras::LoraAsk;
use crate::config::PredictionType;
use crate::image::{Resize, Rgba};
use crate::pipeline::{
    self, Control, Defaults, Encode, Entry, Extend, Hires, Importance, Latents, Mask, MaskedContent, Picture,
    Place, Region, Tiling, Upscaler, Windows,
};
use crate::plan::Types;
use crate::prompt::{Dialect, Embedding, Embeddings, Emphasis, Reading, Wildcards};
use crate::sample::{NoiseSource, SamplerKind, SamplerOptions, ScheduleKind, Variation};
use crate::store::Origin;
use crate::weights::{License, MAX_EMBEDDING, kept_as, read_embedding};
use crate::{Error, Result};

/// The largest whole number up to which a double is exact.
const EXACT: f64 = 9_007_199_254_740_991.0;

/// The model to make ready.
#[derive(Debug, Clone)]
pub(super) struct ModelRequest {
    pub id: String,
    pub origin: Origin,
    /// What the caller knows of its licence.
    pub license: Option<License>,
    /// Sent along when the file is fetched; never stored.
    pub headers: Vec<(String, String)>,
    /// A function in place of the browser's `fetch`, or `undefined`.
    pub fetch: JsValue,
    /// The merges of CLIP's tokenizer, where an earlier call was told that the file needs them.
    pub clip: Option<String>,
    /// What its UNet predicts, where somebody knows.
    pub prediction: Option<PredictionType>,
    /// What its matrices are rounded to on their way into the store; nothing leaves them as they are.
    pub weights: Option<Types>,
    /// Weights that are infinite or no numbers are taken as they are.
    pub allow_non_finite: bool,
}

impl ModelRequest {
    /// The file's name, for messages about its content.
    pub(super) fn file(&self) -> String {
        if self.origin.url.starts_with("blob:") {
            // A file of the visitor's: its address says nothing, its id is its name and its date.
            return self.id.rsplit_once(' ').map_or(self.id.as_str(), |(name, _)| name).to_owned();
        }
        let path = self.origin.url.split(['?', '#']).next().unwrap_or_default();
        let path = path.trim_end_matches('/'); // a folder's
        path.rsplit('/').next().unwrap_or(path).to_owned()
    }
}

/// Reads `{ id, url, bytes, sha256, license, headers, fetch, clip, prediction, weights, allowNonFinite }`; 0 bytes and an empty hash mean unknown.
pub(super) fn model(value: &JsValue) -> Result<ModelRequest> {
    let text = |name| get(value, name).as_string().filter(|text| !text.is_empty());
    let id = text("id").ok_or_else(|| invalid("id", "the model has no id"))?;
    let url = text("url").ok_or_else(|| invalid("url", "the model has no url"))?;
    let bytes = get(value, "bytes").as_f64().filter(|&bytes| bytes >= 1.0).map(|bytes| bytes as u64);
    let sha256 = text("sha256").map(|hash| hash.to_lowercase());
    if sha256
        .as_ref()
        .is_some_and(|hash| hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(invalid("sha256", "must be 64 hexadecimal digits"));
    }
    let origin = Origin { url, bytes, sha256, ..Origin::default() };
    Ok(ModelRequest {
        id,
        origin,
        license: license(&get(value, "license"))?,
        headers: headers(&get(value, "headers"))?,
        fetch: get(value, "fetch"),
        clip: text("clip"),
        prediction: text("prediction")
            .map(|text| text.parse().map_err(|message: String| invalid("prediction", message)))
            .transpose()?,
        weights: text("weights").map(|text| kept_as(&text).map(Types::of)).transpose()?,
        allow_non_finite: get(value, "allowNonFinite").is_truthy(),
    })
}

/// Reads `{ name, url, revision, accepted }`, or nothing.
fn license(value: &JsValue) -> Result<Option<License>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let text = |name| get(value, name).as_string().filter(|text| !text.is_empty());
    let name =
        text("name").ok_or_else(|| invalid("license", "must be its name, or an object that has one"))?;
    Ok(Some(License { name, url: text("url"), revision: text("revision"), accepted: text("accepted") }))
}

/// Reads how many bytes of the graphics device may be used; nothing is no limit.
pub(super) fn memory_limit(value: &JsValue) -> Result<Option<u64>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let whole = |bytes: &f64| bytes.fract() == 0.0 && (1.0..=EXACT).contains(bytes);
    let refused = || invalid("memoryLimit", "must be a whole number of bytes, 1 or more");
    value.as_f64().filter(whole).map(|bytes| Some(bytes as u64)).ok_or_else(refused)
}

/// The request for a model that is stored.
pub(super) fn stored(id: &str) -> ModelRequest {
    ModelRequest {
        id: id.to_owned(),
        origin: Origin::default(),
        license: None,
        headers: Vec::new(),
        fetch: JsValue::UNDEFINED,
        clip: None,
        prediction: None,
        weights: None,
        allow_non_finite: false,
    }
}

/// Reads a list of names and values, or nothing.
fn headers(value: &JsValue) -> Result<Vec<(String, String)>> {
    if value.is_undefined() || value.is_null() {
        return Ok(Vec::new());
    }
    let pair = |entry: JsValue| {
        let texts = Array::from(&entry).iter().map(|text| text.as_string()).collect::<Option<Vec<_>>>()?;
        texts.try_into().ok().map(|[name, value]: [String; 2]| (name, value))
    };
    let pairs = Array::from(value).iter().map(pair).collect::<Option<_>>();
    pairs.ok_or_else(|| invalid("headers", "must be pairs of a name and a value"))
}

/// Reads the settings of a picture. Ranges are the pipeline's business; here only types are checked.
pub(super) fn generate(value: &JsValue) -> Result<pipeline::Request> {
    let request = asked(value)?;
    match wildcards(&get(value, "wildcards"))? {
        Some(wildcards) => request.expanded(&wildcards),
        None => Ok(request),
    }
}

/// Reads lists of lines by name, or nothing.
pub(super) fn wildcards(value: &JsValue) -> Result<Option<Wildcards>> {
    let Some(lists) = value.dyn_ref::<Object>() else { return Ok(None) };
    let mut wildcards = Wildcards::default();
    for entry in Object::entries(lists).iter() {
        let pair = Array::from(&entry);
        let lines: Option<Vec<String>> = match Array::is_array(&pair.get(1)) {
            true => Array::from(&pair.get(1)).iter().map(|line| line.as_string()).collect(),
            false => None,
        };
        let name = pair.get(0).as_string().unwrap_or_default();
        let lines = lines.ok_or_else(|| invalid("wildcards", format!("{name} must be a list of texts")))?;
        wildcards.insert(name, &lines.join("\n"));
    }
    Ok(Some(wildcards))
}

/// Reads `{ prompt, negativePrompt }`, what the prompts were made of where somebody else expanded it, or nothing.
fn templates(value: &JsValue) -> [Option<String>; 2] {
    ["prompt", "negativePrompt"].map(|name| get(value, name).as_string())
}

fn asked(value: &JsValue) -> Result<pipeline::Request> {
    let Defaults { sampler, schedule, .. } = Defaults::GENERAL;
    Ok(pipeline::Request {
        regions: regions(value)?,
        controls: controls(value)?,
        prompt: LoraAsk::without(&LoraAsk::all(value)?, &text(value, "prompt")?),
        negative_prompt: text(value, "negativePrompt")?,
        dialect: dialect(value)?,
        emphasis: emphasis(value)?,
        clip_skip: whole(value, "clipSkip", Some(1))?,
        templates: templates(&get(value, "templates")),
        embeddings: embeddings(value)?,
        steps: whole(value, "steps", None)?,
        guidance: number(value, "guidance", None)?,
        guidance_rescale: optional(value, "guidanceRescale")?,
        seed: seed(value, "seed")?,
        variation: variation(value)?,
        rng: choice(value, "rng", &NoiseSource::ALL.map(|kind| (kind.name(), kind)), NoiseSource::default())?,
        sampler: choice(value, "sampler", &SamplerKind::ALL.map(|kind| (kind.name(), kind)), sampler)?,
        schedule: choice(value, "schedule", &ScheduleKind::ALL.map(|kind| (kind.name(), kind)), schedule)?,
        sampling: sampling(&get(value, "samplerOptions"))?,
        width: whole(value, "width", None)?,
        height: whole(value, "height", None)?,
        batch: whole(value, "batch", Some(1))?,
        tiling: tiling(value)?,
        windows: tiles(&get(value, "tiles"))?,
        noise: None,
        latents: latents(value)?,
        picture: picture(value)?,
        hires: hires(&get(value, "hires"))?,
        hires_network: None,
        preview_every: previews(&get(value, "previews"))?,
        walk: walk(&get(value, "walk"))?,
    })
}

fn dialect(value: &JsValue) -> Result<Dialect> {
    choice(value, "dialect", &Dialect::ALL.map(|kind| (kind.name(), kind)), Dialect::default())
}

fn emphasis(value: &JsValue) -> Result<Emphasis> {
    choice(value, "emphasis", &Emphasis::ALL.map(|kind| (kind.name(), kind)), Emphasis::default())
}

/// How a request's prompts are read.
pub(super) fn reading(value: &JsValue) -> Result<Reading> {
    let embeddings = Embeddings::new(&embeddings(value)?);
    Ok(Reading { dialect: dialect(value)?, emphasis: emphasis(value)?, embeddings })
}

/// Reads a list of `{ name, bytes }`, whole files, or nothing.
fn embeddings(value: &JsValue) -> Result<Vec<Arc<Embedding>>> {
    let list = get(value, "embeddings");
    let files = if Array::is_array(&list) { Array::from(&list).to_vec() } else { Vec::new() };
    let one = |file: JsValue| {
        let name = get(&file, "name").as_string().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("embeddings", "an embedding has no name"))?;
        let bytes = get(&file, "bytes");
        let bytes = bytes.dyn_ref::<Uint8Array>().ok_or_else(|| invalid("embeddings", "must have bytes"))?;
        if bytes.length() as usize > MAX_EMBEDDING {
            let message =
                format!("{name} has {} bytes, an embedding has {MAX_EMBEDDING} at most", bytes.length());
            return Err(invalid("embeddings", message));
        }
        read_embedding(&name, &bytes.to_vec()).map(Arc::new)
    };
    files.into_iter().map(one).collect()
}

/// Reads a list of `{ part, rect: { left, top, width, height } | mask, weight }`, or nothing.
fn regions(value: &JsValue) -> Result<Vec<Region>> {
    let list = get(value, "regions");
    let all = if Array::is_array(&list) { Array::from(&list).to_vec() } else { Vec::new() };
    let one = |value: JsValue| {
        let place = match (is_given(&value, "rect"), is_given(&value, "mask")) {
            (true, false) => {
                let rect = get(&value, "rect");
                let side = |name| number(&rect, name, None);
                Place::Rect([side("left")?, side("top")?, side("width")?, side("height")?])
            }
            (false, true) => Place::Mask(rgba(&get(&value, "mask"), "regions")?.into()),
            _ => return Err(invalid("regions", "a region has a rect or a mask, one of the two")),
        };
        Ok(Region { part: whole(&value, "part", None)?, place, weight: optional(&value, "weight")? })
    };
    all.into_iter().map(one).collect()
}

/// The ControlNets that a request names, each once: its controls count among these.
pub(super) fn control_files(value: &JsValue) -> Result<Vec<ControlFile>> {
    let mut files: Vec<ControlFile> = Vec::new();
    for control in listed(value) {
        let file = control_file(&control)?;
        if !files.contains(&file) {
            files.push(file);
        }
    }
    Ok(files)
}

fn listed(value: &JsValue) -> Vec<JsValue> {
    let controls = get(value, "controls");
    if Array::is_array(&controls) { Array::from(&controls).to_vec() } else { Vec::new() }
}

/// Reads `{ model: { id, url, name } }`.
fn control_file(value: &JsValue) -> Result<ControlFile> {
    let model = get(value, "model");
    let text = |name| get(&model, name).as_string().filter(|text| !text.is_empty());
    let missing = || invalid("controls", "a control has no model to read its map");
    let (id, url) = text("id").zip(text("url")).ok_or_else(missing)?;
    Ok(ControlFile { name: text("name").unwrap_or_else(|| id.clone()), id, url })
}

/// Reads a list of `{ model, image, strength, start, end, preprocessor, importance, resize }`, or nothing.
fn controls(value: &JsValue) -> Result<Vec<Control>> {
    let files = control_files(value)?;
    let one = |value: JsValue| {
        let file = control_file(&value)?;
        control(&value, files.iter().position(|other| *other == file).unwrap_or_default())
    };
    listed(value).into_iter().map(one).collect()
}

/// Reads one of them but for its model, which is number `model` of the run's.
pub(super) fn control(value: &JsValue, model: usize) -> Result<Control> {
    let image = rgba(&get(value, "image"), "controls")?;
    let usual = Control::new(model, image, number(value, "strength", Some(1.0))?);
    let preprocessor = get(value, "preprocessor").as_string();
    let preprocessor = preprocessor.map_or(Ok(usual.preprocessor), |name| name.parse());
    let importance = Importance::ALL.map(|kind| (kind.name(), kind));
    Ok(Control {
        start: number(value, "start", Some(usual.start))?,
        end: number(value, "end", Some(usual.end))?,
        preprocessor: preprocessor.map_err(|message: String| invalid("preprocessor", message))?,
        importance: choice(value, "importance", &importance, usual.importance)?,
        resize: choice(value, "resize", &Resize::ALL.map(|kind| (kind.name(), kind)), usual.resize)?,
        ..usual
    })
}

/// What a run takes of a picture where nobody says how much: A1111's.
const STRENGTH: f64 = 0.75;

/// Reads `latents: { values, step }`, with `strength` and `exactSteps` beside it, or nothing.
fn latents(value: &JsValue) -> Result<Option<Latents>> {
    if !is_given(value, "latents") {
        return Ok(None);
    }
    let given = get(value, "latents");
    let values = get(&given, "values");
    let values = values
        .dyn_ref::<Float32Array>()
        .ok_or_else(|| invalid("latents", "must have values, a Float32Array"))?;
    let entry = match (is_given(value, "strength"), is_given(&given, "step")) {
        (true, true) => {
            return Err(invalid(
                "latents",
                "enter a step, or are drawn on with a strength, not both; leave one out",
            ));
        }
        (true, false) => Entry::Clean {
            strength: number(value, "strength", None)?,
            exact_steps: get(value, "exactSteps").is_truthy(),
        },
        (false, _) => Entry::Step(whole(&given, "step", Some(0))?),
    };
    Ok(Some(Latents { values: values.to_vec(), entry }))
}

/// Reads `image`, `strength`, `exactSteps`, `resize`, `encode`, `extend`, `onlyMasked` and the mask's fields, or nothing
/// where there is no image.
fn picture(value: &JsValue) -> Result<Option<Picture>> {
    if !is_given(value, "image") {
        let orphan = ["mask", "extend", "onlyMasked", "strength"]
            .into_iter()
            .filter(|name| *name != "strength" || !is_given(value, "latents"))
            .find(|name| is_given(value, name));
        return orphan.map_or(Ok(None), |name| {
            Err(invalid(name, "belongs to an image to begin with, and there is none"))
        });
    }
    let strength = number(value, "strength", Some(STRENGTH))?;
    Ok(Some(Picture {
        exact_steps: get(value, "exactSteps").is_truthy(),
        resize: choice(value, "resize", &Resize::ALL.map(|kind| (kind.name(), kind)), Resize::default())?,
        encode: choice(value, "encode", &Encode::ALL.map(|kind| (kind.name(), kind)), Encode::default())?,
        mask: mask(value)?,
        extend: extend(&get(value, "extend"))?,
        only_masked: if is_given(value, "onlyMasked") {
            Some(whole(value, "onlyMasked", None)?)
        } else {
            None
        },
        ..Picture::new(rgba(&get(value, "image"), "image")?, strength)
    }))
}

/// Reads `mask`, `maskBlur`, `maskedContent` and `differential`, or nothing where there is no mask.
fn mask(value: &JsValue) -> Result<Option<Mask>> {
    if !is_given(value, "mask") {
        return Ok(None);
    }
    let content = MaskedContent::ALL.map(|kind| (kind.name(), kind));
    Ok(Some(Mask {
        blur: number(value, "maskBlur", Some(pipeline::DEFAULT_MASK_BLUR))?,
        content: choice(value, "maskedContent", &content, MaskedContent::default())?,
        differential: get(value, "differential").is_truthy(),
        ..Mask::new(rgba(&get(value, "mask"), "mask")?)
    }))
}

/// Reads `{ scale, strength, steps, upscaler }`, or nothing.
fn hires(value: &JsValue) -> Result<Option<Hires>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let Hires { scale, strength, upscaler, .. } = Hires::default();
    Ok(Some(Hires {
        scale: number(value, "scale", Some(scale))?,
        strength: number(value, "strength", Some(strength))?,
        steps: if is_given(value, "steps") { Some(whole(value, "steps", None)?) } else { None },
        upscaler: choice(value, "upscaler", &Upscaler::ALL.map(|kind| (kind.name(), kind)), upscaler)?,
    }))
}

/// Reads `{ size, overlap }`, or nothing.
fn tiles(value: &JsValue) -> Result<Option<Windows>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let usual = Windows::of(whole(value, "size", None)?);
    Ok(Some(Windows { overlap: whole(value, "overlap", Some(usual.overlap))?, ..usual }))
}

/// Reads what a sampler and its schedule are told beside, or nothing.
fn sampling(value: &JsValue) -> Result<SamplerOptions> {
    if value.is_undefined() || value.is_null() {
        return Ok(SamplerOptions::default());
    }
    let switch = |name| match get(value, name) {
        given if given.is_undefined() => Ok(None),
        given => given.as_bool().map(Some).ok_or_else(|| invalid(name, "must be true or false")),
    };
    let delta = "etaNoiseSeedDelta";
    Ok(SamplerOptions {
        eta: optional(value, "eta")?,
        s_churn: optional(value, "sChurn")?,
        s_tmin: optional(value, "sTmin")?,
        s_tmax: optional(value, "sTmax")?,
        s_noise: optional(value, "sNoise")?,
        sigma_min: optional(value, "sigmaMin")?,
        sigma_max: optional(value, "sigmaMax")?,
        rho: optional(value, "rho")?,
        discard_next_to_last_sigma: switch("discardNextToLastSigma")?,
        sgm_noise_multiplier: switch("sgmNoiseMultiplier")?,
        dynamic_thresholding_ratio: optional(value, "dynamicThresholdingRatio")?,
        sample_max_value: optional(value, "sampleMaxValue")?,
        eta_noise_seed_delta: if is_given(value, delta) {
            Some(whole(value, delta, None)? as u64)
        } else {
            None
        },
    })
}

/// Reads `{ left, top, right, bottom, overlap }`, or nothing.
fn extend(value: &JsValue) -> Result<Option<Extend>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let mut sides = [0; 4];
    for (side, name) in sides.iter_mut().zip(["left", "top", "right", "bottom"]) {
        *side = whole(value, name, Some(0))?;
    }
    Ok(Some(Extend { sides, overlap: whole(value, "overlap", Some(pipeline::DEFAULT_OVERLAP))? }))
}

fn is_given(value: &JsValue, name: &str) -> bool {
    let field = get(value, name);
    !field.is_undefined() && !field.is_null()
}

/// Reads `{ width, height, data }` as a canvas gives it: RGBA, row by row from the top.
pub(super) fn rgba(value: &JsValue, name: &'static str) -> Result<Rgba> {
    let data = get(value, "data");
    let data = data.dyn_ref::<Uint8ClampedArray>().ok_or_else(|| invalid(name, "must have pixels"))?;
    let (width, height) = (whole(value, "width", None)?, whole(value, "height", None)?);
    Rgba::new(width, height, data.to_vec())
}

/// Reads `true`, `false` or `{ every }`: every how many steps one reports a picture.
fn previews(value: &JsValue) -> Result<usize> {
    if !value.is_object() {
        return Ok(usize::from(value.is_truthy()));
    }
    match whole(value, "every", Some(1))? {
        0 => Err(invalid("every", "must be a whole number of steps, 1 or more")),
        every => Ok(every),
    }
}

/// Reads `{ prompt, seed, share }`: what the run is on the way to, and how far.
fn walk(value: &JsValue) -> Result<Option<pipeline::Walk>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let given = |name| !get(value, name).is_undefined();
    let prompt = if given("prompt") { Some(text(value, "prompt")?) } else { None };
    let seed = if given("seed") { Some(seed(value, "seed")?) } else { None };
    Ok(Some(pipeline::Walk { prompt, seed, share: number(value, "share", None)? }))
}

/// A text; empty when it was left out.
pub(super) fn text(value: &JsValue, name: &'static str) -> Result<String> {
    let field = get(value, name);
    if field.is_undefined() || field.is_null() {
        return Ok(String::new());
    }
    field.as_string().ok_or_else(|| invalid(name, "must be text"))
}

/// A number, which may be NaN: the pipeline says what it thinks of that.
fn number(value: &JsValue, name: &'static str, default: Option<f64>) -> Result<f64> {
    let field = get(value, name);
    if field.is_undefined()
        && let Some(default) = default
    {
        return Ok(default);
    }
    field.as_f64().ok_or_else(|| invalid(name, "must be a number"))
}

/// A number, or nothing.
pub(super) fn optional(value: &JsValue, name: &'static str) -> Result<Option<f64>> {
    if get(value, name).is_undefined() { Ok(None) } else { number(value, name, None).map(Some) }
}

/// A whole number that fits its type.
pub(super) fn whole(value: &JsValue, name: &'static str, default: Option<usize>) -> Result<usize> {
    let number = number(value, name, default.map(|default| default as f64))?;
    if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
        return Err(invalid(name, format!("must be a whole number, not {number}")));
    }
    Ok(number as usize)
}

/// `variationSeed` and `variationStrength`; a strength of 0 is no variation.
fn variation(value: &JsValue) -> Result<Option<Variation>> {
    let strength = number(value, "variationStrength", Some(0.0))?;
    if strength == 0.0 {
        return Ok(None);
    }
    Ok(Some(Variation { seed: seed(value, "variationSeed")?, strength }))
}

/// 0 to 2^64 − 1: a number as far as a double is exact, beyond that a text of digits.
pub(super) fn seed(value: &JsValue, name: &'static str) -> Result<u64> {
    let field = get(value, name);
    if let Some(text) = field.as_string() {
        return text.trim().parse().map_err(|_| {
            invalid(name, format!("must be a whole number from 0 to {}, not {text:?}", u64::MAX))
        });
    }
    let number = field.as_f64().ok_or_else(|| invalid(name, "must be a number, or digits as text"))?;
    if number.fract() != 0.0 || !(0.0..=EXACT).contains(&number) {
        return Err(invalid(
            name,
            format!("must be a whole number from 0 to {EXACT}; pass a larger one as text"),
        ));
    }
    Ok(number as u64)
}

/// Along which axes borders meet.
pub(super) fn tiling(value: &JsValue) -> Result<Tiling> {
    choice(value, "tiling", &Tiling::ALL.map(|kind| (kind.name(), kind)), Tiling::default())
}

/// One of several names.
fn choice<T: Copy>(value: &JsValue, name: &'static str, kinds: &[(&str, T)], default: T) -> Result<T> {
    let field = get(value, name);
    let names = || kinds.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = match field.as_string() {
        Some(text) => kinds.iter().find(|(kind, _)| *kind == text).map(|&(_, kind)| kind),
        None if field.is_undefined() => Some(default),
        None => None,
    };
    found.ok_or_else(|| {
        let given = field.as_string().unwrap_or_else(|| "that".into());
        invalid(name, format!("{given} is none of {}", names()))
    })
}

pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Error {
    Error::InvalidInput { field, message: message.into() }
}
