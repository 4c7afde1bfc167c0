//! SwarmUI's settings.

use serde_json::Value;

use super::super::{Fields, Settings, number, text, text_of};
use super::{MOST, counted_from_end, seed_of};
use crate::pipeline::Upscaler;
use crate::pipeline::recall::names::file_name;
use crate::pipeline::recall::{Second, Steered, brief};
use crate::sample::SamplerOptions;

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
    controls(fields, settings);
    let [sigma_min, sigma_max, rho] = ["samplersigmamin", "samplersigmamax", "samplerrho"]
        .map(|name| number(fields, name).filter(|value| *value > 0.0));
    if [sigma_min, sigma_max, rho].iter().any(Option::is_some) {
        settings.sampler_options =
            Some(SamplerOptions { sigma_min, sigma_max, rho, ..SamplerOptions::default() });
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
        "samplersigmamin",
        "samplersigmamax",
        "samplerrho",
        "controlnetmodel",
        "controlnetstrength",
        "controlnetstart",
        "controlnetend",
        "controlnettwomodel",
        "controlnettwostrength",
        "controlnettwostart",
        "controlnettwoend",
        "controlnetthreemodel",
        "controlnetthreestrength",
        "controlnetthreestart",
        "controlnetthreeend",
    ]
}

/// Its three ControlNets, whose fields have a number in words.
fn controls(fields: &Fields, settings: &mut Settings) {
    for which in ["", "two", "three"] {
        let name = |what: &str| format!("controlnet{which}{what}");
        let model = text_of(fields, &[&name("model")]).filter(|model| !model.is_empty() && model != "(None)");
        let Some(model) = model else { continue };
        let model = file_name(&model).to_string();
        let named = brief(&model);
        settings.notices.push(format!("It was steered by {named} and a map, which its file does not hold."));
        settings.controls.push(Steered {
            model: Some(model),
            preprocessor: None,
            strength: number(fields, &name("strength")),
            start: number(fields, &name("start")),
            end: number(fields, &name("end")),
            importance: None,
            resize: None,
        });
    }
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
