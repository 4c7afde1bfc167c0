//! What each tool has of its own: who wrote an object, and its fields that no other has.

mod civitai;
mod draw_things;
mod invoke;
mod novel_ai;
mod swarm;

use std::borrow::Cow;

use serde_json::Value;

use super::{Fields, Settings, number, text_of};
use crate::prompt::Dialect;
use crate::sample::NoiseSource;
use invoke::{old_prompt, split};

pub(in crate::pipeline::recall) use invoke::from_dream;

/// At most so many LoRAs or maps are taken from a file.
const MOST: usize = 64;

/// Who wrote an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Swarm,
    Fooocus,
    Invoke,
    /// InvokeAI up to version 2.
    OldInvoke,
    NovelAi,
    DrawThings,
    /// Its generator, which keeps its settings beside a graph of ComfyUI's.
    Civitai,
    Other,
}

impl Tool {
    /// The tool, and the fields that have its settings.
    pub fn of(value: &Value) -> Option<(Tool, Cow<'_, Fields>)> {
        let all = value.as_object()?;
        if let Some(own) = all.get("extraMetadata") {
            // As text in it.
            let own: Value = match own {
                Value::String(text) => serde_json::from_str(text).ok()?,
                own => own.clone(),
            };
            return Some((Tool::Civitai, Cow::Owned(own.as_object()?.clone())));
        }
        if let Some(fields) = all.get("sui_image_params").and_then(Value::as_object) {
            return Some((Tool::Swarm, Cow::Borrowed(fields)));
        }
        if let Some(image) = all.get("image").and_then(Value::as_object) {
            let mut fields = image.clone();
            // Its web page's word, and its command line's.
            let names = ["model_weights", "model_id"];
            if let Some(model) =
                names.iter().find_map(|name| all.get(*name).filter(|model| model.is_string()))
            {
                fields.insert("model".to_string(), model.clone());
            }
            return Some((Tool::OldInvoke, Cow::Owned(fields)));
        }
        let has = |name: &str| all.contains_key(name);
        let tool = match () {
            () if has("c") && has("uc") => Tool::DrawThings,
            () if has("uc") => Tool::NovelAi,
            () if has("positive_prompt") => Tool::Invoke,
            () if has("base_model") || has("Base Model") => Tool::Fooocus,
            () => Tool::Other,
        };
        Some((tool, Cow::Borrowed(all)))
    }

    /// How it reads brackets.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Tool::Swarm | Tool::Fooocus => Some(Dialect::ComfyUi),
            Tool::Invoke | Tool::OldInvoke => Some(Dialect::Compel),
            _ => None,
        }
    }

    /// The prompt, where it is no plain field.
    pub fn prompt(self, fields: &Fields) -> Option<String> {
        match self {
            // With the words that its styles brought, put together as Fooocus itself does for others.
            Tool::Fooocus => joined(fields.get("full_prompt")?),
            Tool::OldInvoke => Some(split(&old_prompt(fields)?).0),
            _ => None,
        }
    }

    pub fn negative(self, fields: &Fields) -> Option<String> {
        match self {
            Tool::Fooocus => joined(fields.get("full_negative_prompt")?),
            Tool::OldInvoke => Some(split(&old_prompt(fields)?).1),
            _ => None,
        }
    }

    /// A prompt in the words of the dialect that it is read in here.
    pub fn written(self, prompt: String) -> String {
        if self == Tool::NovelAi { novel_ai::in_round_brackets(&prompt) } else { prompt }
    }

    /// Takes what is its own; the names of the fields that were read.
    pub fn take(self, fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
        let noise = match self {
            Tool::Invoke => match text_of(fields, &["rand_device"]).as_deref() {
                None | Some("cpu") => Some(NoiseSource::Torch),
                Some("cuda") => Some(NoiseSource::Philox),
                Some(_) => None,
            },
            Tool::OldInvoke => Some(NoiseSource::Philox),
            Tool::NovelAi => None,
            Tool::DrawThings => draw_things::noise(fields),
            Tool::Swarm | Tool::Fooocus | Tool::Civitai | Tool::Other => Some(NoiseSource::Torch),
        };
        if settings.seed.is_some() {
            settings.rng = noise.map(NoiseSource::name);
            if noise.is_none() {
                let text = "Whose noise it was is not known: the same seed gives another picture here.";
                settings.notices.push(text.to_string());
            }
        }
        match self {
            Tool::Swarm => swarm::swarm(fields, settings),
            Tool::Fooocus => fooocus(fields, settings),
            Tool::Invoke => invoke::invoke(fields, settings),
            Tool::OldInvoke => invoke::old_invoke(fields, settings),
            Tool::NovelAi => novel_ai::novel_ai(fields, settings),
            Tool::DrawThings => draw_things::draw_things(fields, settings),
            Tool::Civitai => civitai::civitai(fields, settings),
            Tool::Other => other(fields, settings),
        }
    }
}

/// Texts of a list, as one.
fn joined(value: &Value) -> Option<String> {
    match value {
        Value::Array(list) => {
            let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(", "))
        }
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn list<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a Fields> {
    let list = fields.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object).take(MOST)
}

/// A layer counted from the end, the last being 1 or -1.
fn counted_from_end(fields: &Fields, name: &str) -> Option<u32> {
    number(fields, name)
        .map(f64::abs)
        .filter(|layer| (1.0..=1000.0).contains(layer))
        .map(|layer| layer as u32)
}

/// A seed that is written as a number.
fn seed_of(number: f64) -> Option<String> {
    (0.0..=u64::MAX as f64).contains(&number).then(|| format!("{}", number as u64))
}

fn fooocus(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    settings.clip_skip = counted_from_end(fields, "clip_skip");
    let hash = |name: &str| {
        let loras = fields.get("loras").and_then(Value::as_array).into_iter().flatten();
        let named =
            loras.filter_map(Value::as_array).find(|lora| lora.first().and_then(Value::as_str) == Some(name));
        named.and_then(|lora| lora.get(2)?.as_str()).unwrap_or_default()
    };
    // `name : 0.5`, later `True : name : 0.5`.
    let lora = |value: &Value| -> Option<(String, f64)> {
        let parts: Vec<&str> = value.as_str()?.split(" : ").collect();
        match parts.as_slice() {
            [name, weight] | ["True", name, weight] => {
                Some(((*name).to_string(), weight.trim().parse().ok()?))
            }
            _ => None,
        }
    };
    let combined =
        fields.iter().filter(|(key, _)| key.starts_with("lora_combined_") || key.starts_with("LoRA "));
    for (name, weight) in
        combined.filter_map(|(_, value)| lora(value)).filter(|(name, _)| name != "None").take(MOST)
    {
        settings.take_lora(&name, weight, hash(&name));
    }
    &[
        "clip_skip",
        "CLIP Skip",
        "full_prompt",
        "full_negative_prompt",
        "styles",
        "Styles",
        "performance",
        "Performance",
        "loras",
        "lora_combined_1",
        "lora_combined_2",
        "lora_combined_3",
        "lora_combined_4",
        "lora_combined_5",
        "image_number",
        "adm_guidance",
        "refiner_switch",
    ]
}

fn other(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    settings.clip_skip = match fields.get("clip_skip") {
        // Easy Diffusion's switch.
        Some(Value::Bool(skip)) => Some(1 + u32::from(*skip)),
        _ => counted_from_end(fields, "clip_skip"),
    };
    settings.take_axes(["seamless_x", "seamless_y"].map(|axis| fields.get(axis).and_then(Value::as_bool)));
    &["clip_skip", "seamless_x", "seamless_y"]
}
