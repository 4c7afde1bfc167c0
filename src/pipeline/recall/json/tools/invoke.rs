//! InvokeAI's settings, of version 3 and of those before.

use serde_json::Value;

use super::super::{Fields, Settings, number, text, text_of};
use super::{list, seed_of};
use crate::image::Resize;
use crate::pipeline::Importance;
use crate::pipeline::recall::Steered;

/// Takes what version 3 and later have.
pub fn invoke(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
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
pub fn old_prompt(fields: &Fields) -> Option<String> {
    match fields.get("prompt")? {
        Value::Array(prompts) => text_of(prompts.first()?.as_object()?, &["prompt"]),
        prompt => text(prompt),
    }
}

/// Takes what versions 1 and 2 have.
pub fn old_invoke(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
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
        settings.take_strength(number(fields, "strength").or(number(fields, "strength_steps")));
    }
    &[
        "type",
        "seamless",
        "variations",
        "strength",
        "strength_steps",
        "init_image_path",
        "orig_hash",
        "init_mask",
        "step_number",
    ]
}

/// The one variation: `[{"seed": seed, "weight": weight}]` of its command line, `[[seed, weight]]` of its web page, or
/// `seed:weight` of the command itself.
fn variation(value: Option<&Value>) -> Option<[f64; 2]> {
    if let Value::String(text) = value? {
        let (seed, weight) = text.split_once(':')?;
        return Some([seed.parse().ok()?, weight.parse().ok()?]);
    }
    let [only] = value?.as_array()?.as_slice() else { return None };
    match only {
        Value::Object(fields) => Some([number(fields, "seed")?, number(fields, "weight")?]),
        only => match only.as_array()?.as_slice() {
            [seed, weight] => Some([seed.as_f64()?, weight.as_f64()?]),
            _ => None,
        },
    }
}

/// InvokeAI up to version 2 has what shall not be there in square brackets.
pub fn split(prompt: &str) -> (String, String) {
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

/// InvokeAI's first text: `"a cat [ugly]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`, later without quotation marks.
pub(in crate::pipeline::recall) fn from_dream(text: &str) -> Option<Settings> {
    let quoted = text.trim().strip_prefix('"').and_then(|rest| rest.rsplit_once('"'));
    let (prompt, options) = match quoted {
        Some(parts) => parts,
        None => text.split_at(text.find(" -s ").filter(|_| text.contains(" -S "))?),
    };
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
            "-V" | "--with_variations" => "variations",
            "--seamless" => "seamless",
            other => other,
        };
        let value = value.map_or(Value::Bool(true), Value::from);
        fields.insert(name.to_string(), value);
    }
    fields.contains_key("steps").then_some(())?;
    let image = Value::Object(fields);
    super::super::from_value(&serde_json::json!({ "image": image }))
}
