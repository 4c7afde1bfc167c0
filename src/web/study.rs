//! Questions of the view that explains: one call, told apart by `what`. See `Study` in `www/protocol.d.ts`.

use js_sys::{Array, Float32Array, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::browser::{get, set};
use super::device::Backend;
use super::request;
use super::values::{picture, plain};
use crate::config::ModelConfig;
use crate::image::encode_apng;
use crate::pipeline::study::{self, AttentionMap, Start, StepTrace, Token};
use crate::pipeline::{Cancel, Request, SIZE_RANGE};
use crate::sample::{Forward, NoiseSource, Step};
use crate::{Error, Result, prompt};

/// Answers a question that needs no model: `film` (`frames`, `delay`) to the bytes of an animated PNG.
pub(super) fn film(ask: &JsValue) -> Result<JsValue> {
    let frames = Array::from(&get(ask, "frames"))
        .iter()
        .map(|frame| request::rgba(&frame, "image"))
        .collect::<Result<Vec<_>>>()?;
    let delay = request::whole(ask, "delay", Some(80))?;
    let delay = u16::try_from(delay).map_err(|_| invalid("delay", "at most 65535 milliseconds"))?;
    Ok(Uint8Array::from(encode_apng(&frames, delay)?.as_slice()).into())
}

/// Answers another such: `map` (`image`, `preprocessor`, `resize`, `width`, `height`) to what a ControlNet would read.
pub(super) fn control_map(ask: &JsValue) -> Result<JsValue> {
    let [width, height] = [request::whole(ask, "width", None)?, request::whole(ask, "height", None)?];
    for (field, side) in [("width", width), ("height", height)] {
        if !(1..=*SIZE_RANGE.end()).contains(&side) {
            return Err(invalid(field, &format!("expected 1 to {} pixels", SIZE_RANGE.end())));
        }
    }
    Ok(picture(&request::control(ask, 0)?.picture([width, height])?))
}

/// Answers a third such: `expand` (`prompt`, `negativePrompt`, `wildcards`, `seed`) to what the seed makes of templates.
pub(super) fn expanded(ask: &JsValue) -> Result<JsValue> {
    let texts = [request::text(ask, "prompt")?, request::text(ask, "negativePrompt")?];
    let wildcards = request::wildcards(&get(ask, "wildcards"))?.unwrap_or_default();
    let seed = request::seed(ask, "seed")?;
    let [prompt, negative] = prompt::expand(texts.each_ref().map(String::as_str), &wildcards, seed)?;
    let object = Object::new().into();
    set(&object, "prompt", prompt.as_str());
    set(&object, "negativePrompt", negative.as_str());
    Ok(object)
}

/// Answers a question about the loaded model.
pub(super) async fn answer(backend: &mut Backend, ask: &JsValue, cancel: &Cancel) -> Result<JsValue> {
    let what = get(ask, "what").as_string().unwrap_or_default();
    match what.as_str() {
        "schedule" => schedule(backend.config()),
        "noise" => noise(backend.config(), ask),
        "tokens" => {
            let prompt = request::text(ask, "prompt")?;
            Ok(backend
                .study_tokens(&prompt, &request::reading(ask)?)?
                .iter()
                .map(token)
                .collect::<Array>()
                .into())
        }
        "understood" => {
            let (prompt, steps) = (request::text(ask, "prompt")?, request::whole(ask, "steps", Some(20))?);
            Ok(plain(&backend.study_understood(&prompt, &request::reading(ask)?, steps)?))
        }
        "length" => {
            let [tokens, room] =
                backend.study_length(&request::text(ask, "prompt")?, &request::reading(ask)?)?;
            let length = Object::new().into();
            set(&length, "tokens", tokens as f64);
            set(&length, "room", room as f64);
            Ok(length)
        }
        "encode" => {
            let latents = backend.study_encode(&request::rgba(&get(ask, "image"), "image")?).await?;
            Ok(Float32Array::from(latents.as_slice()).into())
        }
        "decode" => {
            let (latents, [w, h]) = (floats(ask, "latents")?, size(backend.config(), ask)?);
            Ok(picture(&backend.study_decode(&latents, h, w).await?))
        }
        "begin" => {
            let wanted = steered_by_nothing(request::generate(&get(ask, "request"))?)?;
            begin(backend.config(), &wanted, ask)
        }
        "step" => {
            let wanted = steered_by_nothing(request::generate(&get(ask, "request"))?)?;
            let (index, latents) = (request::whole(ask, "index", None)?, floats(ask, "latents")?);
            let maps = get(ask, "maps").is_truthy();
            let trace = backend.study_step(&wanted, index, &latents, maps, cancel).await?;
            step(backend.config(), &wanted, &trace)
        }
        _ => Err(invalid(
            "what",
            "is none of schedule, noise, tokens, length, understood, encode, decode, begin, step, film, map, expand",
        )),
    }
}

/// The noise schedule in numbers; index 0 is the clean picture, T the last training timestep.
fn schedule(config: &ModelConfig) -> Result<JsValue> {
    let forward = Forward::new(&config.scheduler)?;
    let shares = (0..=forward.last()).map(|t| forward.shares(t)).collect::<Result<Vec<_>>>()?;
    let of = |value: fn(&crate::sample::Shares) -> f32| {
        Float32Array::from(shares.iter().map(value).collect::<Vec<f32>>().as_slice())
    };
    let object = Object::new().into();
    set(&object, "last", forward.last() as f64);
    set(&object, "signal", of(|shares| shares.signal));
    set(&object, "noise", of(|shares| shares.noise));
    set(&object, "prediction", plain(&config.scheduler.prediction_type));
    set(&object, "latentChannels", config.vae.latent_channels() as f64);
    set(&object, "latentScale", config.vae.scale() as f64);
    Ok(object)
}

/// `image` or `latents` (with `width` and `height` of the picture) on their way into noise: time `t`, noise `seed`.
fn noise(config: &ModelConfig, ask: &JsValue) -> Result<JsValue> {
    let forward = Forward::new(&config.scheduler)?;
    let t = request::whole(ask, "t", None)?;
    let seed = request::seed(ask, "seed")?;
    let given = get(ask, "image");
    let object: JsValue = Object::new().into();
    if given.is_undefined() {
        let (latents, [w, h]) = (floats(ask, "latents")?, size(config, ask)?);
        let noise = NoiseSource::Torch.noise(seed, [1, config.vae.latent_channels(), h, w]);
        let noised = forward.add_noise(&latents, &noise, t)?;
        set(&object, "image", picture(&study::latent_preview(config, &noised, h, w)?));
        set(&object, "latents", Float32Array::from(noised.as_slice()));
    } else {
        let image = request::rgba(&given, "image")?;
        let planes = study::planes(config, &image)?;
        let noise = NoiseSource::Torch.noise(seed, [1, 3, image.height, image.width]);
        let noised = forward.add_noise(&planes, &noise, t)?;
        set(&object, "image", picture(&study::picture(&noised, image.width, image.height)?));
    }
    Ok(object)
}

/// A run laid out: its steps' numbers, the first step and what enters it. `clean` and `t`: from a noised picture.
fn begin(config: &ModelConfig, wanted: &Request, ask: &JsValue) -> Result<JsValue> {
    let start = match get(ask, "clean").is_undefined() {
        true => Start::Noise,
        false => Start::Noised { clean: floats(ask, "clean")?, t: request::whole(ask, "t", None)? },
    };
    let path = study::begin(config, wanted, &start)?;
    let [_, _, h, w] = wanted.latents_shape(config);
    let input_scale = path.trajectory.steps[path.first].first().input_scale as f32;
    let input: Vec<f32> = path.latents.iter().map(|x| x * input_scale).collect();
    let object = Object::new().into();
    set(&object, "first", path.first as f64);
    set(&object, "latents", Float32Array::from(path.latents.as_slice()));
    set(&object, "image", picture(&study::latent_preview(config, &input, h, w)?));
    set(&object, "steps", path.trajectory.steps.iter().map(numbers).collect::<Array>());
    Ok(object)
}

fn step(config: &ModelConfig, wanted: &Request, trace: &StepTrace) -> Result<JsValue> {
    let [_, _, h, w] = wanted.latents_shape(config);
    let shown = |values: &[f32]| -> Result<JsValue> {
        let object = Object::new().into();
        set(&object, "latents", Float32Array::from(values));
        set(&object, "image", picture(&study::latent_preview(config, values, h, w)?));
        Ok(object)
    };
    let object = numbers(&trace.step);
    set(&object, "signal", trace.shares.signal);
    set(&object, "noiseShare", trace.shares.noise);
    set(&object, "input", shown(&trace.input)?);
    set(&object, "noise", shown(&trace.noise)?);
    set(&object, "clean", shown(&trace.clean)?);
    set(&object, "after", shown(&trace.next_input)?);
    set(&object, "next", Float32Array::from(trace.next.as_slice()));
    set(&object, "maps", trace.maps.iter().map(map).collect::<Array>());
    Ok(object)
}

/// A step's noise level and coefficients: next = x · latents + Σ models · outputs + Σ noises · fresh noise, one of each per
/// evaluation of the denoiser. A step that reads what others kept has no such sum.
fn numbers(step: &Step) -> JsValue {
    let first = step.first();
    let object = Object::new().into();
    set(&object, "timestep", first.timestep);
    set(&object, "sigma", first.sigma);
    set(&object, "inputScale", first.input_scale);
    set(&object, "cleanX", first.denoised.x);
    set(&object, "cleanModel", first.denoised.model);
    let whole = step.whole();
    set(&object, "nextX", whole.x);
    set(&object, "nextModels", whole.models.into_iter().map(JsValue::from).collect::<Array>());
    set(&object, "nextNoises", whole.noises.into_iter().map(JsValue::from).collect::<Array>());
    object
}

fn map(map: &AttentionMap) -> JsValue {
    let object = Object::new().into();
    set(&object, "layer", map.layer.as_str());
    set(&object, "width", map.w as f64);
    set(&object, "height", map.h as f64);
    set(&object, "tokens", map.tokens as f64);
    set(&object, "values", Float32Array::from(map.values.as_slice()));
    object
}

fn token(token: &Token) -> JsValue {
    let object = Object::new().into();
    set(&object, "id", token.id);
    set(&object, "text", token.text.as_str());
    object
}

fn floats(value: &JsValue, name: &'static str) -> Result<Vec<f32>> {
    let field = get(value, name);
    let array = field.dyn_ref::<Float32Array>().ok_or_else(|| invalid(name, "must be a Float32Array"))?;
    Ok(array.to_vec())
}

/// Width and height of the latents of a picture of `width` × `height` pixels.
fn size(config: &ModelConfig, ask: &JsValue) -> Result<[usize; 2]> {
    let scale = config.vae.scale();
    Ok([request::whole(ask, "width", None)? / scale, request::whole(ask, "height", None)? / scale])
}

fn invalid(field: &'static str, message: &str) -> Error {
    Error::InvalidInput { field, message: message.to_string() }
}

/// ControlNets come with whole runs.
fn steered_by_nothing(request: Request) -> Result<Request> {
    match request.controls.is_empty() {
        true => Ok(request),
        false => {
            let message = "steps are looked into without ControlNets; leave them out".to_string();
            Err(Error::InvalidInput { field: "controls", message })
        }
    }
}
