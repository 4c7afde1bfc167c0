//! What each tool has of its own.

use std::borrow::Cow;

use serde_json::Value;

use super::{Fields, Settings, number, text, text_of};
use crate::image::Resize;
use crate::pipeline::recall::{Second, Steered, brief};
use crate::pipeline::{Importance, Upscaler};
use crate::prompt::Dialect;
use crate::sample::NoiseSource;

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
            if let Some(model) = all.get("model_weights") {
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
        if self == Tool::NovelAi { in_round_brackets(&prompt) } else { prompt }
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
            Tool::DrawThings => draw_things_noise(fields),
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
            Tool::Swarm => swarm(fields, settings),
            Tool::Fooocus => fooocus(fields, settings),
            Tool::Invoke => invoke(fields, settings),
            Tool::OldInvoke => old_invoke(fields, settings),
            Tool::NovelAi => novel_ai(fields, settings),
            Tool::DrawThings => draw_things(fields, settings),
            Tool::Civitai => civitai(fields, settings),
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

fn swarm(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    settings.clip_skip = counted_from_end(fields, "clipstopatlayer");
    let texts = |name: &str| -> Vec<String> {
        match fields.get(name) {
            Some(Value::Array(list)) => list.iter().filter_map(text).take(MOST).collect(),
            Some(Value::String(list)) => {
                list.split(',').map(|part| part.trim().to_string()).take(MOST).collect()
            }
            Some(Value::Number(number)) => vec![number.to_string()],
            _ => Vec::new(),
        }
    };
    let weights = texts("loraweights");
    for (at, name) in texts("loras").iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let weight = weights.get(at).and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
        settings.take_lora(name, weight, "");
    }
    settings.variation_seed = number(fields, "variationseed").and_then(seed_of);
    settings.variation_strength = number(fields, "variationseedstrength");
    if let Some(creativity) = number(fields, "initimagecreativity").filter(|creativity| *creativity > 0.0) {
        settings.take_strength(Some(creativity));
    }
    if let Some(axes) = text_of(fields, &["seamlesstileable"]) {
        let axes = axes.to_ascii_lowercase();
        settings
            .take_axes([axes != "y-only" && axes != "false", axes != "x-only" && axes != "false"].map(Some));
    }
    swarm_second_pass(fields, settings);
    &[
        "clipstopatlayer",
        "loras",
        "loraweights",
        "variationseed",
        "variationseedstrength",
        "initimagecreativity",
        "seamlesstileable",
        "refinerupscale",
        "refinercontrolpercentage",
        "refinersteps",
        "refinerupscalemethod",
        "refinermethod",
        "aspectratio",
        "sidelength",
    ]
}

/// Its refiner without a model of its own draws on at a larger size.
fn swarm_second_pass(fields: &Fields, settings: &mut Settings) {
    let Some(scale) = number(fields, "refinerupscale").filter(|scale| *scale > 1.0) else { return };
    let method = text_of(fields, &["refinerupscalemethod"]).unwrap_or_default();
    let upscaler = match method.as_str() {
        "latent-bilinear" => Some(Upscaler::Latent),
        "latent-bicubic" => Some(Upscaler::LatentBicubic),
        "latent-nearest-exact" => Some(Upscaler::LatentNearestExact),
        "pixel-lanczos" => Some(Upscaler::Lanczos),
        _ => None,
    };
    if upscaler.is_none() && !method.is_empty() {
        let method = brief(&method);
        settings.notices.push(format!("There is no upscaler “{method}” here; Lanczos stands for it."));
    }
    settings.notices.push("Its second pass drew its noise from another seed than here.".to_string());
    settings.hires = Some(Second {
        scale,
        strength: number(fields, "refinercontrolpercentage").filter(|share| *share > 0.0),
        steps: number(fields, "refinersteps").filter(|steps| *steps >= 1.0).map(|steps| steps as u32),
        upscaler: Some(upscaler.unwrap_or(Upscaler::Lanczos).name()),
    });
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

fn invoke(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    // How many are left out.
    let skipped = number(fields, "clip_skip").filter(|skipped| (0.0..1000.0).contains(skipped));
    settings.clip_skip = skipped.map(|skipped| 1 + skipped as u32);
    settings.take_axes(["seamless_x", "seamless_y"].map(|axis| fields.get(axis).and_then(Value::as_bool)));
    for lora in list(fields, "loras") {
        let name = text_of(lora, &["model", "lora"]);
        if let Some(name) = name {
            settings.take_lora(&name, number(lora, "weight").unwrap_or(1.0), "");
        }
    }
    for control in list(fields, "controlnets") {
        settings.controls.push(invoke_control(control));
        let text = "It was steered by a map, which its file does not hold.".to_string();
        if !settings.notices.contains(&text) {
            settings.notices.push(text);
        }
    }
    let from_words = text_of(fields, &["generation_mode"]).is_none_or(|mode| mode.ends_with("txt2img"));
    if !from_words || fields.contains_key("init_image") {
        settings.take_strength(number(fields, "strength"));
    }
    &[
        "clip_skip",
        "seamless_x",
        "seamless_y",
        "loras",
        "controlnets",
        "strength",
        "init_image",
        "rand_device",
    ]
}

fn invoke_control(control: &Fields) -> Steered {
    let importance = match text_of(control, &["control_mode"]).as_deref() {
        Some("more_prompt") => Some(Importance::Prompt),
        Some("more_control" | "unbalanced") => Some(Importance::Control),
        Some("balanced") => Some(Importance::Balanced),
        _ => None,
    };
    let resize = match text_of(control, &["resize_mode"]).as_deref() {
        Some("just_resize" | "just_resize_simple") => Some(Resize::Just),
        Some("crop_resize") => Some(Resize::Crop),
        Some("fill_resize") => Some(Resize::Fill),
        _ => None,
    };
    Steered {
        model: text_of(control, &["control_model"]),
        preprocessor: None,
        strength: number(control, "control_weight"),
        start: number(control, "begin_step_percent"),
        end: number(control, "end_step_percent"),
        importance: importance.map(Importance::name),
        resize: resize.map(Resize::name),
    }
}

/// The prompt of InvokeAI's first versions: a text, or texts with weights.
fn old_prompt(fields: &Fields) -> Option<String> {
    match fields.get("prompt")? {
        Value::Array(prompts) => text_of(prompts.first()?.as_object()?, &["prompt"]),
        prompt => text(prompt),
    }
}

fn old_invoke(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    if fields.get("prompt").and_then(Value::as_array).is_some_and(|prompts| prompts.len() > 1) {
        let text = "It was mixed of several prompts, of which the first is taken.";
        settings.notices.push(text.to_string());
    }
    let seamless = fields.get("seamless").and_then(Value::as_bool).filter(|seamless| *seamless);
    settings.take_axes([seamless, seamless]);
    if let Some([seed, strength]) = variation(fields.get("variations")) {
        settings.variation_seed = seed_of(seed);
        settings.variation_strength = Some(strength);
    }
    if fields.contains_key("init_image_path") || text_of(fields, &["type"]).as_deref() == Some("img2img") {
        settings.take_strength(number(fields, "strength"));
    }
    &["type", "seamless", "variations", "strength", "init_image_path", "orig_hash"]
}

/// The one variation, `[[seed, weight]]`.
fn variation(value: Option<&Value>) -> Option<[f64; 2]> {
    let [only] = value?.as_array()?.as_slice() else { return None };
    let [seed, strength] = only.as_array()?.as_slice() else { return None };
    Some([seed.as_f64()?, strength.as_f64()?])
}

/// InvokeAI up to version 2 has what shall not be there in square brackets.
fn split(prompt: &str) -> (String, String) {
    let (mut with, mut without, mut inside) = (String::new(), Vec::new(), None::<String>);
    let mut escaped = false;
    for c in prompt.chars() {
        match (c, &mut inside) {
            ('[', None) if !escaped => inside = Some(String::new()),
            (']', Some(text)) if !escaped => {
                without.push(text.trim().to_string());
                inside = None;
            }
            (c, Some(text)) => text.push(c),
            (c, None) => with.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    // One that is left open is text.
    with.extend(inside.map(|text| format!("[{text}")));
    (with.trim().to_string(), without.join(", "))
}

/// InvokeAI's first text: `"a cat [ugly]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`.
pub(in crate::pipeline::recall) fn from_dream(text: &str) -> Option<Settings> {
    let rest = text.trim().strip_prefix('"')?;
    let (prompt, options) = rest.rsplit_once('"')?;
    let mut fields = Fields::new();
    fields.insert("prompt".to_string(), prompt.into());
    let mut words = options.split_whitespace().peekable();
    while let Some(word) = words.next() {
        // A number that follows may be below nought.
        let value = words.next_if(|next| !next.starts_with('-') || next.parse::<f64>().is_ok());
        let name = match word {
            "-s" | "--steps" => "steps",
            "-S" | "--seed" => "seed",
            "-W" | "--width" => "width",
            "-H" | "--height" => "height",
            "-C" | "--cfg_scale" => "cfg_scale",
            "-A" | "--sampler" => "sampler",
            "-f" | "--strength" => "strength",
            "-I" | "--init_img" => "init_image_path",
            "--seamless" => "seamless",
            other => other,
        };
        let value = value.map_or(Value::Bool(true), Value::from);
        fields.insert(name.to_string(), value);
    }
    fields.contains_key("steps").then_some(())?;
    let image = Value::Object(fields);
    super::from_value(&serde_json::json!({ "image": image }))
}

fn novel_ai(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    let from_words = text_of(fields, &["request_type"]).is_none_or(|kind| kind == "PromptGenerateRequest");
    if !from_words {
        settings.take_strength(number(fields, "strength"));
    }
    &[
        "strength",
        "hide_debug_overlay",
        "legacy",
        "legacy_v3_extend",
        "controlnet_strength",
        "dynamic_thresholding_percentile",
        "dynamic_thresholding_mimic_scale",
        "uncond_scale",
        "cfg_sched_eligibility",
        "explike_fine_detail",
        "minimize_sigma_inf",
        "uncond_per_vibe",
        "wonky_vibe_correlation",
        "deliberate_euler_ancestral_bug",
        "prefer_brownian",
    ]
}

/// NovelAI's brackets as A1111's: curly ones multiply by 1.05, square ones divide by it; round ones are text there.
fn in_round_brackets(prompt: &str) -> String {
    /// 1.05, and what divides by it.
    const WEIGHTS: [&str; 2] = [":1.05)", ":0.952381)"];
    let mut text = String::with_capacity(prompt.len());
    let mut open = Vec::new();
    for c in prompt.chars() {
        match (c, open.last()) {
            ('{' | '[', _) => {
                open.push(c);
                text.push('(');
            }
            ('}', Some('{')) | (']', Some('[')) => {
                open.pop();
                text.push_str(WEIGHTS[usize::from(c == ']')]);
            }
            ('(' | ')' | '\\', _) => {
                text.push('\\');
                text.push(c);
            }
            ('}' | ']', _) => {}
            _ => text.push(c),
        }
    }
    // What is open at the end weighs to it.
    for c in open.into_iter().rev() {
        text.push_str(WEIGHTS[usize::from(c == '[')]);
    }
    text
}

fn draw_things(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    let all = fields.get("v2").and_then(Value::as_object);
    settings.clip_skip = all.and_then(|all| counted_from_end(all, "clipSkip"));
    for lora in list(fields, "lora") {
        if let Some(name) = text_of(lora, &["model"]) {
            settings.take_lora(&name, number(lora, "weight").unwrap_or(1.0), "");
        }
    }
    if let Some(strength) = number(fields, "strength").filter(|strength| *strength < 1.0) {
        settings.take_strength(Some(strength));
    }
    &[
        "v2",
        "lora",
        "strength",
        "seed_mode",
        "mask_blur",
        "mask_blur_outset",
        "preserve_original_after_inpaint",
    ]
}

/// Whose noise Draw Things took; its own ways are known to nobody else.
fn draw_things_noise(fields: &Fields) -> Option<NoiseSource> {
    let mode = text_of(fields, &["seed_mode"])?.to_ascii_lowercase();
    match () {
        () if mode.contains("torch") => Some(NoiseSource::Torch),
        () if mode.contains("nvidia") => Some(NoiseSource::Philox),
        () => None,
    }
}

fn civitai(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    settings.clip_skip = counted_from_end(fields, "clipSkip");
    settings.tell_resources(fields.get("resources"));
    &[
        "clipSkip",
        "resources",
        "baseModel",
        "priority",
        "quantity",
        "transformations",
        "sourceImage",
        "workflow",
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

impl Settings {
    /// What Civitai lists of the files that a picture used: checkpoints, LoRAs and embeddings by name and weight, where it says them,
    /// else by numbers of its own.
    pub(in crate::pipeline::recall) fn tell_resources(&mut self, resources: Option<&Value>) {
        let resources = resources.and_then(Value::as_array).into_iter().flatten();
        let mut numbers = Vec::new();
        for resource in resources.filter_map(Value::as_object).take(MOST) {
            let kind = text_of(resource, &["type"]).unwrap_or_default().to_ascii_lowercase();
            let weight = number(resource, "weight").or(number(resource, "strength"));
            match (text_of(resource, &["modelName"]), kind.as_str()) {
                (Some(name), "checkpoint") => {
                    let version = text_of(resource, &["modelVersionName"]);
                    let version = version.map_or_else(String::new, |version| format!(" {version}"));
                    self.model.get_or_insert_with(|| format!("{name}{version}"));
                }
                (Some(name), "lora" | "lycoris" | "locon" | "dora") => {
                    // As a tag cannot hold it.
                    let name = name.replace([':', '<', '>', '\n'], " ");
                    self.take_lora(&name, weight.unwrap_or(1.0), "");
                }
                (Some(name), "embed" | "textualinversion") => {
                    let name = brief(&name);
                    self.notices.push(format!("It used the embedding “{name}” of Civitai."));
                }
                (Some(name), _) => {
                    let name = brief(&name);
                    self.notices.push(format!("It used “{name}” of Civitai, which is not used here."));
                }
                (None, _) => numbers.extend(text_of(resource, &["modelVersionId"])),
            }
        }
        if !numbers.is_empty() {
            self.notices.push(format!(
                "Its files are named by Civitai’s numbers alone: civitai.com/model-versions/{}.",
                brief(&numbers.join(", "))
            ));
        }
    }
}
