//! SwarmUI's settings.

use serde_json::Value;

use super::super::{Fields, Settings, number, text, text_of};
use super::{MOST, counted_from_end, seed_of};
use crate::pipeline::Upscaler;
use crate::pipeline::recall::{Second, brief};

/// Takes what is its own.
pub fn swarm(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
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
    second_pass(fields, settings);
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
fn second_pass(fields: &Fields, settings: &mut Settings) {
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
