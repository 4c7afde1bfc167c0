//! Settings in one JSON object, as SwarmUI, Fooocus, InvokeAI, NovelAI, Draw Things and Civitai's generator write them.
//!
//! What a field is called is theirs; each name stands here once, whoever uses it. What one tool alone has is in [`tools`].

mod tools;

use serde_json::{Map, Value};

use super::names::file_name;
use super::{Settings, Used};
use crate::pipeline::Tiling;
use crate::prompt::lora_tags;
use tools::Tool;

pub(super) use tools::from_dream;

/// An object's fields.
type Fields = Map<String, Value>;

/// What each setting is called, by any of them.
const PROMPT: [&str; 4] = ["prompt", "positive_prompt", "Prompt", "c"];
const NEGATIVE: [&str; 5] = ["negativeprompt", "negative_prompt", "negativePrompt", "uc", "Negative Prompt"];
const STEPS: [&str; 3] = ["steps", "num_inference_steps", "Steps"];
const GUIDANCE: [&str; 6] =
    ["cfgscale", "cfg_scale", "cfgScale", "guidance_scale", "scale", "Guidance Scale"];
const RESCALE: [&str; 3] = ["cfg_rescale_multiplier", "rescalecfgmultiplier", "cfg_rescale"];
const SEED: [&str; 2] = ["seed", "Seed"];
const SAMPLER: [&str; 4] = ["sampler", "sampler_name", "comfyuisampler", "Sampler"];
const SCHEDULE: [&str; 4] = ["scheduler", "comfyuischeduler", "noise_schedule", "Scheduler"];
const WIDTH: [&str; 1] = ["width"];
const HEIGHT: [&str; 1] = ["height"];
const SIZE: [&str; 3] = ["size", "resolution", "Resolution"];
const MODEL: [&str; 4] = ["model", "base_model", "use_stable_diffusion_model", "Base Model"];
/// Facts about the file or the run, which no setting holds and none needs.
const FACTS: [&str; 21] = [
    "app_version",
    "app_id",
    "version",
    "swarm_version",
    "date",
    "generation_time",
    "generation_mode",
    "metadata_scheme",
    "metadata_version",
    "created_by",
    "User",
    "vae",
    "base_model_hash",
    "model_hash",
    "automaticvae",
    "images",
    "n_samples",
    "request_type",
    "signed_hash",
    "profile",
    "workflowId",
];

/// Settings out of a text; `None` where it is no object with a prompt.
pub(super) fn from_text(text: &str) -> Option<Settings> {
    from_value(&serde_json::from_str(text.trim()).ok()?)
}

/// The same of NovelAI's first pictures, whose prompt stands in a text beside.
pub(super) fn from_text_with(text: &str, prompt: &str) -> Option<Settings> {
    let mut value: Value = serde_json::from_str(text.trim()).ok()?;
    let fields = value.as_object_mut()?;
    let is_settings = fields.contains_key("uc") && fields.contains_key("steps");
    fields.entry("prompt").or_insert_with(|| prompt.into());
    if is_settings { from_value(&value) } else { None }
}

fn from_value(value: &Value) -> Option<Settings> {
    let (tool, fields) = Tool::of(value)?;
    let prompt = tool.prompt(&fields).or_else(|| text_of(&fields, &PROMPT))?;
    let mut settings = Settings { dialect: tool.dialect(), ..Settings::default() };
    settings.prompt = Some(settings.take_prompt(&tool.written(prompt)));
    let negative = tool.negative(&fields).or_else(|| text_of(&fields, &NEGATIVE)).unwrap_or_default();
    settings.negative_prompt = Some(settings.take_prompt(&tool.written(negative)));
    settings.steps = settings.whole_of(&fields, "Steps", &STEPS);
    settings.guidance = settings.number_of(&fields, "Guidance", &GUIDANCE);
    let rescale = settings.number_of(&fields, "Guidance rescale", &RESCALE);
    settings.guidance_rescale = rescale.filter(|by| *by > 0.0);
    let seed: Option<u64> = text_of(&fields, &SEED).and_then(|value| settings.number("Seed", &value));
    settings.seed = seed.map(|seed| seed.to_string());
    settings.width = settings.whole_of(&fields, "Width", &WIDTH);
    settings.height = settings.whole_of(&fields, "Height", &HEIGHT);
    if let Some(size) = text_of(&fields, &SIZE).filter(|_| settings.width.is_none()) {
        // Fooocus writes `(1152, 896)`.
        settings.take_size(&size.trim_matches(['(', ')']).replace([',', '×'], "x"));
    }
    // NovelAI's word for the sampler's own.
    let schedule = text_of(&fields, &SCHEDULE).filter(|name| name != "native");
    match (text_of(&fields, &SAMPLER), &schedule) {
        (Some(sampler), _) => settings.take_sampler(&sampler, schedule.as_deref()),
        // InvokeAI calls its samplers schedulers.
        (None, Some(sampler)) => settings.take_sampler(sampler, None),
        (None, None) => {}
    }
    settings.model = text_of(&fields, &MODEL).map(|name| file_name(&name).to_string());
    let own = tool.take(&fields, &mut settings);
    let known = [
        &PROMPT[..],
        &NEGATIVE,
        &STEPS,
        &GUIDANCE,
        &RESCALE,
        &SEED,
        &SAMPLER,
        &SCHEDULE,
        &WIDTH,
        &HEIGHT,
        &SIZE,
        &MODEL,
        &FACTS,
        own,
    ];
    let unused = |(name, value): &(&String, &Value)| {
        !is_off(value) && !known.iter().any(|names| names.contains(&name.as_str()))
    };
    let others: Vec<&str> = fields.iter().filter(unused).map(|(name, _)| name.as_str()).collect();
    settings.tell_unused(&others);
    Some(settings)
}

/// Whether a field says that there is nothing of what it is called.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "None" | "none" | "[]"),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

/// The first of these fields that is a text, a number, or a model with a name.
fn text_of(fields: &Fields, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| text(fields.get(*name)?))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(model) => {
            let names = ["name", "model_name", "file"];
            Some(names.iter().find_map(|name| model.get(*name)?.as_str())?.to_string())
        }
        _ => None,
    }
}

/// A number of a field, which may be written as text.
fn number(fields: &Fields, name: &str) -> Option<f64> {
    let number: f64 = text_of(fields, &[name])?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

impl Settings {
    fn number_of(&mut self, fields: &Fields, key: &str, names: &[&str]) -> Option<f64> {
        text_of(fields, names).and_then(|value| self.number(key, &value))
    }

    fn whole_of(&mut self, fields: &Fields, key: &str, names: &[&str]) -> Option<u32> {
        text_of(fields, names).and_then(|value| self.number(key, &value))
    }

    /// Along which axes borders meet.
    fn take_axes(&mut self, [x, y]: [Option<bool>; 2]) {
        if x.is_some() || y.is_some() {
            self.tiling = Some(Tiling::of(x == Some(true), y == Some(true)).name());
        }
    }

    /// How much was taken from another picture.
    fn take_strength(&mut self, strength: Option<f64>) {
        self.strength = strength;
        self.notices.push("It was made from another picture, which its file does not hold.".to_string());
    }

    /// A LoRA that stands beside the prompt: a tag, unless the prompt has it.
    pub(super) fn take_lora(&mut self, name: &str, weight: f64, hash: &str) {
        let name = file_name(name);
        let prompt = self.prompt.get_or_insert_default();
        if name.is_empty() || name.contains([':', '<', '>', '\n']) {
            let told = super::brief(name);
            self.notices.push(format!("It used the LoRA “{told}”, whose name no tag can hold."));
            return;
        }
        if !lora_tags(prompt).iter().any(|tag| tag.name == name) {
            prompt.push_str(&format!(" <lora:{name}:{weight}>"));
        }
        if !self.loras.iter().any(|used| used.name == name) {
            self.loras.push(Used { name: name.to_string(), hash: hash.to_string() });
        }
    }
}
