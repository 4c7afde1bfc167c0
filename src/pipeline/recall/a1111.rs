//! A1111's `parameters` text, which this engine and many others write too.

use std::collections::{BTreeMap, HashSet};

use super::{Extended, Placed, Rectangle, Second, Settings, Steered, Used, brief};
use crate::image::maps::Preprocessor;
use crate::image::{Parameters, Resize, TEMPLATES};
use crate::pipeline::control;
use crate::pipeline::hires::{self, RESIZE, UPSCALE, UPSCALER};
use crate::pipeline::latents;
use crate::pipeline::limits::{DEFAULT_OVERLAP, DEFAULT_PADDING, MAX_REGIONS};
use crate::pipeline::networks::HASHES;
use crate::pipeline::picture::{
    AREA, EXTEND, MASK_BLUR, MASKED_CONTENT, ONLY_MASKED, OVERLAP, PADDING, RESIZE_MODE,
};
use crate::pipeline::regions::{self, Place, Region};
use crate::pipeline::request::{CLIP_SKIP, DIALECT, EMBEDDINGS, EMPHASIS, RESCALE, STRENGTH};
use crate::pipeline::tiling::TILING;
use crate::pipeline::windows;
use crate::pipeline::{Importance, MaskedContent, Upscaler};
use crate::prompt::{Dialect, Emphasis};
use crate::sample::NoiseSource;

/// Recorded facts and things that are read elsewhere: nothing is lost when they are passed over.
const PASSED_OVER: [&str; 20] = [
    "Model hash",
    "VAE",
    "VAE hash",
    "Hashes",
    "Version",
    "User",
    "Batch size",
    "Batch pos",
    "Token merging ratio",
    "Schedule type",
    "Scheduler",
    "Created Date",
    "Civitai metadata",
    "Lora weights",
    "Raw prompt",
    "Raw negative prompt",
    DIALECT,
    AREA,
    PADDING,
    OVERLAP,
];

/// Settings out of the text's parts. Of two fields of one name the first counts.
pub fn from_parameters(parameters: &Parameters) -> Settings {
    let mut settings = Settings {
        dialect: parameters.get(DIALECT).and_then(|name| name.parse().ok()).or(dialect_of(parameters)),
        ..Settings::default()
    };
    settings.prompt = Some(settings.take_prompt(&parameters.prompt));
    settings.negative_prompt = Some(settings.take_prompt(&parameters.negative_prompt));
    let (mut seen, mut others) = (HashSet::new(), Vec::new());
    let schedule = parameters.get("Schedule type").or(parameters.get("Scheduler"));
    let twice = parameters.get(UPSCALE).or(parameters.get(RESIZE)).is_some();
    for (key, value) in parameters.fields.iter().filter(|(key, _)| seen.insert(key.as_str())) {
        match key.as_str() {
            "Steps" => settings.steps = settings.number(key, value),
            "CFG scale" => settings.guidance = settings.number(key, value),
            RESCALE => settings.guidance_rescale = settings.number(key, value),
            "Seed" => settings.seed = settings.number::<u64>(key, value).map(|seed| seed.to_string()),
            "Variation seed" => {
                settings.variation_seed = settings.number::<u64>(key, value).map(|seed| seed.to_string());
            }
            "Variation seed strength" => settings.variation_strength = settings.number(key, value),
            // Else it is that of a second pass.
            STRENGTH if !twice => {
                settings.strength = settings.number(key, value);
                let notice = "It was made from another picture, which its file does not hold.";
                settings.notices.push(notice.to_string());
            }
            latents::FIELD => {
                settings.latents_step = settings.number(key, value);
                let notice = "It was gone on with from latents, which its file does not hold.";
                settings.notices.push(notice.to_string());
            }
            RESIZE_MODE => match resize_of(value) {
                Some(resize) => settings.resize = Some(resize.name()),
                None => settings.notices.push(format!("There is no resize mode “{}” here.", brief(value))),
            },
            MASK_BLUR => settings.mask_blur = settings.number(key, value),
            MASKED_CONTENT => match MaskedContent::from_a1111_name(value) {
                Some(content) => settings.masked_content = Some(content.name()),
                None => settings.notices.push(format!("There is no masked content “{}” here.", brief(value))),
            },
            AREA if value == ONLY_MASKED => {
                let padding = parameters.get(PADDING).map(|padding| settings.number(PADDING, padding));
                settings.only_masked = padding.unwrap_or(Some(DEFAULT_PADDING as u32));
            }
            UPSCALE => {
                let scale = settings.number(UPSCALE, value);
                settings.take_second_pass(scale, parameters);
            }
            RESIZE if parameters.get(UPSCALE).is_none() => {
                let scale = settings.scale_to(value, parameters.get("Size"));
                settings.take_second_pass(scale, parameters);
            }
            TILING => settings.take_tiling(value),
            windows::FIELD => match value.parse() {
                Ok(windows) => settings.tiles = Some(windows),
                Err(told) => settings.notices.push(told),
            },
            regions::FIELD => settings.take_regions(value),
            EXTEND => settings.take_extension(value, parameters.get(OVERLAP)),
            key if is_control(key) => settings.take_control(value),
            EMPHASIS => match Emphasis::from_a1111_name(value) {
                Some(emphasis) => settings.emphasis = Some(emphasis),
                None => settings.notices.push(format!("There is no emphasis “{}” here.", brief(value))),
            },
            CLIP_SKIP => settings.clip_skip = settings.number(key, value),
            key if key == TEMPLATES[0] => settings.template = Some(value.clone()),
            key if key == TEMPLATES[1] => settings.negative_template = Some(value.clone()),
            EMBEDDINGS => settings.take_embeddings(value),
            HASHES => settings.loras = used(value),
            RESOURCES => settings.tell_resources(serde_json::from_str(value).ok().as_ref()),
            "Sampler" => {
                settings.take_sampler(value, schedule);
                settings.tell_other_levels(parameters.get("Schedule type"));
            }
            "Size" => settings.take_size(value),
            "Model" => settings.model = Some(value.clone()),
            "RNG" => match NoiseSource::from_a1111_name(value) {
                Some(source) => settings.rng = Some(source.name()),
                None => settings.notices.push(format!("There is no noise source “{}” here.", brief(value))),
            },
            STRENGTH | hires::STEPS | UPSCALER | RESIZE if twice => {}
            other if PASSED_OVER.contains(&other) => {}
            other if settings.take_option(other, value) => {}
            other => others.push(other),
        }
    }
    settings.take_hashes(parameters.get("Hashes"));
    // Fooocus names its LoRAs beside the prompt.
    for Used { name, hash: weight } in parameters.get("Lora weights").map(used).unwrap_or_default() {
        if let Some(weight) = settings.number("Lora weights", &weight) {
            settings.take_lora(&name, weight, "");
        }
    }
    if settings.seed.is_some() && parameters.get("RNG").is_none() {
        settings.rng = Some(unnamed_noise(parameters).name());
    }
    if parameters.fields.is_empty() {
        settings.notices.push("It names the prompt alone; the other settings stay.".to_string());
    }
    settings.tell_unused(&others);
    settings
}

/// `name: hash, other: hash`.
fn used(value: &str) -> Vec<Used> {
    let pairs = value.split(',').filter_map(|pair| pair.rsplit_once(':'));
    let used =
        |(name, hash): (&str, &str)| Used { name: name.trim().to_string(), hash: hash.trim().to_string() };
    pairs.map(used).take(MOST_USED).collect()
}

impl Settings {
    /// `{"model": "…", "lora:name": "…", "embed:name": "…"}`, which Civitai reads: what is not said elsewhere.
    fn take_hashes(&mut self, value: Option<&str>) {
        let Some(Ok(hashes)) = value.map(serde_json::from_str::<BTreeMap<String, String>>) else { return };
        let of = |kind: &str| -> Vec<Used> {
            let named = hashes.iter().filter_map(|(name, hash)| Some((name.strip_prefix(kind)?, hash)));
            named
                .map(|(name, hash)| Used { name: name.to_string(), hash: hash.clone() })
                .take(MOST_USED)
                .collect()
        };
        if self.loras.is_empty() {
            self.loras = of("lora:");
        }
        if self.embeddings.is_empty() {
            self.embeddings = of("embed:");
        }
    }

    fn take_embeddings(&mut self, value: &str) {
        self.embeddings = used(value);
        let names: Vec<String> =
            self.embeddings.iter().take(NAMED).map(|used| format!("“{}”", brief(&used.name))).collect();
        if !names.is_empty() {
            let more = self.embeddings.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.notices.push(format!(
                "Its words use embeddings, which belong beside them: {}{more}.",
                names.join(", ")
            ));
        }
    }

    /// A1111 has two schedules whose levels are others than those of the same name elsewhere and here, which have small letters in
    /// what this engine writes.
    fn tell_other_levels(&mut self, schedule: Option<&str>) {
        if let Some(name @ ("Beta" | "Align Your Steps")) = schedule {
            self.notices.push(format!(
                "A1111’s {name} has other levels than here: the picture will be alike, not the same."
            ));
        }
    }

    /// An option of sampler and schedule; whether the field is one.
    fn take_option(&mut self, key: &str, value: &str) -> bool {
        let mut options = self.sampler_options.unwrap_or_default();
        match options.take_a1111_field(key, value) {
            Some(true) => self.sampler_options = Some(options),
            Some(false) => {
                self.notices.push(format!("{key} is “{}”, which cannot be read.", brief(value)));
            }
            None => return false,
        }
        true
    }

    /// Hires fix: how much larger, and the fields beside it.
    fn take_second_pass(&mut self, scale: Option<f64>, parameters: &Parameters) {
        let Some(scale) = scale else { return };
        let strength = parameters.get(STRENGTH).and_then(|value| self.number(STRENGTH, value));
        let steps = parameters.get(hires::STEPS).and_then(|value| self.number(hires::STEPS, value));
        let name = parameters.get(UPSCALER);
        let upscaler = name.and_then(Upscaler::from_a1111_name).map(Upscaler::name);
        if let (Some(name), None) = (name, upscaler) {
            self.notices
                .push(format!("There is no upscaler “{}” here; the usual one stands for it.", brief(name)));
        }
        self.hires = Some(Second { scale, strength, steps, upscaler });
    }

    /// How much larger `WxH` is than the size before; of two answers the larger one, as A1111 crops what is too much.
    fn scale_to(&mut self, resized: &str, size: Option<&str>) -> Option<f64> {
        let sides = |text: &str| -> Option<[f64; 2]> {
            let (width, height) = text.split_once('x')?;
            Some([width.trim().parse::<u32>().ok()?.into(), height.trim().parse::<u32>().ok()?.into()])
        };
        let scale = sides(resized)
            .zip(size.and_then(sides))
            .map(|([w, h], [from_w, from_h])| (w / from_w).max(h / from_h));
        let scale = scale.filter(|scale| scale.is_finite() && *scale > 0.0);
        if scale.is_none() {
            self.notices.push(format!("{RESIZE} is “{}”, which says no size here.", brief(resized)));
        }
        scale
    }

    /// `Module: canny, Model: name [hash], Weight: 0.8, …`, as sd-webui-controlnet writes it.
    fn take_control(&mut self, value: &str) {
        let words: Vec<(&str, &str)> = value.split(", ").filter_map(|word| word.split_once(": ")).collect();
        let get = |key: &str| words.iter().find(|(name, _)| *name == key).map(|(_, value)| value.trim());
        let mut number =
            |key: &str| get(key).and_then(|value| self.number(&format!("{} {key}", control::FIELD), value));
        let (strength, start, end) = (number("Weight"), number("Guidance Start"), number("Guidance End"));
        let module = get("Module").or(get("preprocessor"));
        let thresholds = get("Threshold A").zip(get("Threshold B"));
        let thresholds = thresholds.and_then(|(low, high)| Some((whole(low)?, whole(high)?)));
        let preprocessor =
            module.and_then(Preprocessor::from_a1111_name).map(|kind| match (kind, thresholds) {
                (Preprocessor::Canny { .. }, Some((low, high))) => Preprocessor::Canny { low, high },
                (kind, _) => kind,
            });
        if let (Some(module), None) = (module, preprocessor) {
            self.notices.push(format!("There is no preprocessor “{}” here; give its map.", brief(module)));
        }
        // A1111 puts a part of the file's hash behind its name.
        let model =
            get("Model").or(get("model")).map(|name| name.split(" [").next().unwrap_or(name).to_string());
        let named = model.as_deref().unwrap_or("a ControlNet");
        self.notices
            .push(format!("It was steered by {} and a map, which its file does not hold.", brief(named)));
        let resize = get("Resize Mode").and_then(resize_of);
        self.controls.push(Steered {
            model,
            preprocessor: preprocessor.map(|kind| kind.to_string()),
            strength,
            start,
            end,
            importance: get("Control Mode").and_then(Importance::from_a1111_name).map(Importance::name),
            resize: resize.map(Resize::name),
        });
    }

    /// `1:0,0,0.5,1; 2:mask:0.8`, as this engine writes it.
    fn take_regions(&mut self, value: &str) {
        let placed = |text: &str| {
            let mask = || regions::split(text).filter(|(_, place, _)| *place == regions::MASK);
            match text.parse() {
                Ok(Region { part, place: Place::Rect([left, top, width, height]), weight }) => {
                    Some(Placed { part, rect: Some(Rectangle { left, top, width, height }), weight })
                }
                _ => mask().map(|(part, _, weight)| Placed { part, rect: None, weight }),
            }
        };
        let all: Option<Vec<Placed>> = value.split(regions::BETWEEN).take(MAX_REGIONS).map(placed).collect();
        let Some(all) = all else {
            self.notices.push(format!("{} are “{}”, which cannot be read.", regions::FIELD, brief(value)));
            return;
        };
        for region in all.iter().filter(|region| region.rect.is_none()) {
            self.notices.push(format!(
                "Part {} of the prompt was where a mask is white, which its file does not hold.",
                region.part
            ));
        }
        self.regions = all;
    }

    /// `LEFT,TOP,RIGHT,BOTTOM`, as this engine writes it.
    fn take_extension(&mut self, sides: &str, overlap: Option<&str>) {
        let numbers: Option<Vec<u32>> = sides.split(',').map(|side| side.trim().parse().ok()).collect();
        let Some(&[left, top, right, bottom]) = numbers.as_deref() else {
            self.notices.push(format!("{EXTEND} is “{}”, which is no four numbers.", brief(sides)));
            return;
        };
        let overlap = overlap.map_or(Some(DEFAULT_OVERLAP as u32), |overlap| self.number(OVERLAP, overlap));
        self.extend = overlap.map(|overlap| Extended { left, top, right, bottom, overlap });
    }
}

/// What Civitai adds about the files.
const RESOURCES: &str = "Civitai resources";
/// So many embeddings are taken from a text.
const MOST_USED: usize = 64;
/// So many are named.
const NAMED: usize = 5;

/// Those who save ComfyUI's pictures with A1111's words say whose they are.
fn dialect_of(parameters: &Parameters) -> Option<Dialect> {
    let version = parameters.get("Version").unwrap_or_default();
    version.eq_ignore_ascii_case("ComfyUI").then_some(Dialect::ComfyUi)
}

/// A threshold, which is written as 100 or as 100.0.
fn whole(text: &str) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    (0.0..=32767.0).contains(&value).then_some(value as u32)
}

/// A1111's and sd-webui-controlnet's words, which differ in their capitals.
fn resize_of(words: &str) -> Option<Resize> {
    Resize::ALL.into_iter().find(|kind| control::a1111_resize(*kind).eq_ignore_ascii_case(words))
}

/// `ControlNet 0`, and before there could be several `ControlNet`.
fn is_control(key: &str) -> bool {
    let number = key.strip_prefix(control::FIELD).map(str::trim_start);
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
}

/// A1111 names its noise only where it is not the graphics card's; ComfyUI and those built on it always take PyTorch's
/// of the processor, and name nothing.
fn unnamed_noise(parameters: &Parameters) -> NoiseSource {
    const OF_COMFYUI: [&str; 3] = ["comfyui", "swarmui", "fooocus"];
    let version = parameters.get("Version").unwrap_or_default().to_ascii_lowercase();
    match OF_COMFYUI.iter().any(|name| version.contains(name)) {
        true => NoiseSource::Torch,
        false => NoiseSource::Philox,
    }
}
