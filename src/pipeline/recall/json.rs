//! Settings in one JSON object, as SwarmUI, Fooocus, InvokeAI, NovelAI and Draw Things write them.

use serde_json::{Map, Value};

use super::Settings;
use crate::pipeline::Tiling;
use crate::sample::NoiseSource;

/// What each setting is called, by any of them.
const PROMPT: [&str; 4] = ["prompt", "positive_prompt", "Prompt", "c"];
const NEGATIVE: [&str; 5] = ["negativeprompt", "negative_prompt", "negativePrompt", "uc", "Negative Prompt"];
const STEPS: [&str; 3] = ["steps", "num_inference_steps", "Steps"];
const GUIDANCE: [&str; 5] = ["cfgscale", "cfg_scale", "guidance_scale", "scale", "Guidance Scale"];
const SEED: [&str; 2] = ["seed", "Seed"];
const SAMPLER: [&str; 3] = ["sampler", "sampler_name", "Sampler"];
const SCHEDULE: [&str; 2] = ["scheduler", "Scheduler"];
const WIDTH: [&str; 1] = ["width"];
const HEIGHT: [&str; 1] = ["height"];
const SIZE: [&str; 3] = ["size", "resolution", "Resolution"];
/// InvokeAI's tiling: true along an axis whose borders meet.
const SEAMLESS: [&str; 2] = ["seamless_x", "seamless_y"];
const MODEL: [&str; 3] = ["model", "base_model", "Base Model"];

/// Settings out of a text; `None` where it is no object with a prompt.
pub(super) fn from_text(text: &str) -> Option<Settings> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    let of_swarm = value.get("sui_image_params").and_then(Value::as_object);
    let fields = of_swarm.or(value.as_object())?;
    let prompt = text_of(fields, &PROMPT)?;
    let mut settings = Settings::default();
    settings.prompt = Some(settings.take_prompt(&prompt));
    settings.negative_prompt = Some(settings.take_prompt(&text_of(fields, &NEGATIVE).unwrap_or_default()));
    settings.steps = text_of(fields, &STEPS).and_then(|value| settings.number("Steps", &value));
    settings.guidance = text_of(fields, &GUIDANCE).and_then(|value| settings.number("Guidance", &value));
    let seed = text_of(fields, &SEED).and_then(|value| settings.number::<u64>("Seed", &value));
    settings.seed = seed.map(|seed| seed.to_string());
    settings.width = text_of(fields, &WIDTH).and_then(|value| settings.number("Width", &value));
    settings.height = text_of(fields, &HEIGHT).and_then(|value| settings.number("Height", &value));
    if let Some(size) = text_of(fields, &SIZE).filter(|_| settings.width.is_none()) {
        // Fooocus writes `(1152, 896)`.
        let size = size.trim_matches(['(', ')']).replace([',', '×'], "x");
        settings.take_size(&size);
    }
    let schedule = text_of(fields, &SCHEDULE);
    match (text_of(fields, &SAMPLER), &schedule) {
        (Some(sampler), _) => settings.take_sampler(&sampler, schedule.as_deref()),
        // InvokeAI calls its samplers schedulers.
        (None, Some(sampler)) => settings.take_sampler(sampler, None),
        (None, None) => {}
    }
    settings.model = text_of(fields, &MODEL);
    let axes = SEAMLESS.map(|name| fields.get(name).and_then(Value::as_bool));
    settings.tiling = match axes {
        [None, None] => None,
        [x, y] => Some(Tiling::of(x == Some(true), y == Some(true)).name()),
    };
    // All of them draw their noise with PyTorch on the processor.
    settings.rng = settings.seed.is_some().then_some(NoiseSource::Torch.name());
    let known = [
        &PROMPT[..],
        &NEGATIVE,
        &STEPS,
        &GUIDANCE,
        &SEED,
        &SAMPLER,
        &SCHEDULE,
        &WIDTH,
        &HEIGHT,
        &SIZE,
        &MODEL,
        &SEAMLESS,
    ];
    let unused = |name: &&str| !known.iter().any(|names| names.contains(name));
    let others: Vec<&str> = fields.keys().map(String::as_str).filter(unused).collect();
    settings.tell_unused(&others);
    Some(settings)
}

/// The first of these fields that is a text, a number, or a model with a name.
fn text_of(fields: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match fields.get(*name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(model) => {
            let name = model.get("name").or(model.get("model_name"))?.as_str()?;
            Some(name.to_string())
        }
        _ => None,
    })
}
