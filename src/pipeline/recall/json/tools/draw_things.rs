//! Draw Things' settings.

use serde_json::Value;

use super::super::{Fields, Settings, number, text_of};
use super::{counted_from_end, list};
use crate::pipeline::recall::{Second, Steered, brief};
use crate::sample::NoiseSource;

/// Takes what its pictures say, as its own writer has it: what is off is not written, and `v2` is the whole configuration once more.
pub fn draw_things(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    let all = fields.get("v2").and_then(Value::as_object);
    let within = || all.and_then(|all| counted_from_end(all, "clipSkip"));
    settings.clip_skip = counted_from_end(fields, "clip_skip").or_else(within);
    for lora in list(fields, "lora") {
        if let Some(name) = text_of(lora, &["model"]) {
            settings.take_lora(&name, number(lora, "weight").unwrap_or(1.0), "");
        }
    }
    for control in list(fields, "control") {
        let model = text_of(control, &["file"]);
        let named = model.as_deref().map_or_else(|| "a ControlNet".to_string(), brief);
        settings.notices.push(format!("It was steered by {named} and a map, which its file does not hold."));
        settings.controls.push(Steered {
            model,
            preprocessor: None,
            strength: number(control, "weight"),
            start: number(control, "guidance_start"),
            end: number(control, "guidance_end"),
            importance: None,
            resize: None,
        });
    }
    if let Some(strength) = number(fields, "strength").filter(|strength| *strength < 1.0) {
        settings.take_strength(Some(strength));
    }
    second_pass(fields, settings);
    &[
        "v2",
        "lora",
        "control",
        "clip_skip",
        "strength",
        "seed_mode",
        "mask_blur",
        "mask_blur_outset",
        "preserve_original_after_inpaint",
        "hires_fix",
        "first_stage_size",
        "second_stage_strength",
    ]
}

/// Its size is the second pass's, the first one's stands beside.
fn second_pass(fields: &Fields, settings: &mut Settings) {
    let (Some(width), Some(height)) = (settings.width, settings.height) else { return };
    let first = text_of(fields, &["first_stage_size"]);
    let sides = first.as_deref().and_then(|size| size.split_once('x'));
    let Some((Ok(w), Ok(h))) = sides.map(|(w, h)| (w.parse::<u32>(), h.parse::<u32>())) else { return };
    let scale = (f64::from(width) / f64::from(w)).max(f64::from(height) / f64::from(h));
    if !scale.is_finite() || scale <= 1.0 {
        return;
    }
    (settings.width, settings.height) = (Some(w), Some(h));
    let strength = number(fields, "second_stage_strength");
    settings.hires = Some(Second { scale, strength, steps: None, upscaler: None });
    settings
        .notices
        .push("How its second pass was enlarged is not known: the usual way stands for it.".to_string());
}

/// Whose noise it took; its own ways are known to nobody else.
pub fn noise(fields: &Fields) -> Option<NoiseSource> {
    let mode = text_of(fields, &["seed_mode"])?.to_ascii_lowercase();
    match () {
        () if mode.contains("torch") => Some(NoiseSource::Torch),
        () if mode.contains("nvidia") => Some(NoiseSource::Philox),
        () => None,
    }
}
