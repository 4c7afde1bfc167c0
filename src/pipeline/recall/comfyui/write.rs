//! Settings as a graph of ComfyUI's nodes. Their names and inputs are ComfyUI's; none was at hand to run what is written.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::Settings;
use super::LATENTS;
use super::nodes::ALIGNED;
use crate::pipeline::limits::DEFAULT_HIRES;
use crate::pipeline::picture::Taken;
use crate::pipeline::{Upscaler, networks};
use crate::prompt::{Dialect, LoraTag, lora_tags};
use crate::sample::{NoiseSource, SamplerKind, SamplerOptions, ScheduleKind};

/// A graph in the format of ComfyUI's API, and what it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// JSON. Text, for JavaScript's numbers do not hold all of a seed.
    pub graph: String,
    /// As sentences.
    pub notices: Vec<String>,
}

/// Nodes by number, and what is said of them.
struct Writer {
    nodes: Map<String, Value>,
    notices: Vec<String>,
}

/// An output of a node.
fn wire(node: &str, output: u32) -> Value {
    json!([node, output])
}

impl Writer {
    fn add(&mut self, class: &str, inputs: impl IntoIterator<Item = (&'static str, Value)>) -> String {
        let id = (self.nodes.len() + 1).to_string();
        let inputs: Map<String, Value> =
            inputs.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        let node = Map::from_iter([
            ("class_type".to_string(), Value::from(class)),
            ("inputs".to_string(), Value::Object(inputs)),
        ]);
        self.nodes.insert(id.clone(), Value::Object(node));
        id
    }

    fn say(&mut self, text: String) {
        self.notices.push(text);
    }
}

/// Writes the graph of a picture's settings, with ComfyUI's own nodes. A file is named as it is called here, ending in
/// `.safetensors`; what the settings do not say is as ComfyUI's nodes have it. Read again it gives these settings, where nothing
/// is said to be otherwise.
pub fn graph(settings: &Settings) -> Written {
    let mut writer = Writer { nodes: Map::new(), notices: Vec::new() };
    tell_left_out(settings, &mut writer);
    let loaded = load(settings, &mut writer);
    let texts = texts(settings, &mut writer, loaded.clip);
    let conditioning = steer(settings, &mut writer, texts);
    let from = begin(settings, &mut writer, &loaded.vae);
    let (sampler, schedule) = sampler_of(settings, &mut writer);
    let sampling = Sampling { settings, model: loaded.model, conditioning, sampler, schedule };
    let steps = settings.steps.unwrap_or(20);
    let mut last = sampling.pass(&mut writer, &from, (steps, settings.strength));
    if let Some(hires) = &settings.hires {
        let (scale, upscaler) = (hires.scale, hires.upscaler.and_then(|name| name.parse().ok()));
        let latents = enlarged(&mut writer, &last, (scale, upscaler), &loaded.vae);
        let strength = hires.strength.unwrap_or(DEFAULT_HIRES.strength);
        last = sampling.second(&mut writer, &latents, (hires.steps.unwrap_or(steps), strength));
    }
    let decoded = writer.add("VAEDecode", [("samples", wire(&last, 0)), ("vae", loaded.vae)]);
    writer.add("SaveImage", [("images", wire(&decoded, 0)), ("filename_prefix", "OpenGen".into())]);
    let graph = format!("{:#}", Value::Object(writer.nodes));
    Written { graph, notices: writer.notices }
}

/// A file as it is called here.
fn file(name: &str) -> Value {
    format!("{name}.safetensors").into()
}

/// Wires to what checkpoint, LoRAs and clip skip give.
struct Loaded {
    model: Value,
    clip: Value,
    vae: Value,
}

/// The LoRAs of a prompt; diffusers has none in its words.
fn tags(settings: &Settings) -> Vec<LoraTag> {
    let prompt = settings.prompt.as_deref().unwrap_or_default();
    if settings.dialect == Some(Dialect::Diffusers) { Vec::new() } else { lora_tags(prompt) }
}

/// The nodes that load what a picture is made by.
fn load(settings: &Settings, writer: &mut Writer) -> Loaded {
    let checkpoint = settings.model.as_deref().unwrap_or("model");
    let checkpoint = writer.add("CheckpointLoaderSimple", [("ckpt_name", file(checkpoint))]);
    let (mut model, mut clip, vae) = (wire(&checkpoint, 0), wire(&checkpoint, 1), wire(&checkpoint, 2));
    for tag in &tags(settings) {
        let strength = networks::strength(tag);
        if !strength.blocks.is_empty() {
            writer.say(format!("ComfyUI’s nodes weigh no blocks of a LoRA: “{}” counts in all.", tag.name));
        }
        if !strength.during.is_whole() {
            writer.say(format!(
                "A LoRA’s first and last step are not written: “{}” counts in all of ComfyUI’s.",
                tag.name
            ));
        }
        let loader = writer.add(
            "LoraLoader",
            [
                ("model", model),
                ("clip", clip),
                ("lora_name", file(&tag.name)),
                ("strength_model", strength.unet.into()),
                ("strength_clip", strength.text.into()),
            ],
        );
        (model, clip) = (wire(&loader, 0), wire(&loader, 1));
    }
    if let Some(skip) = settings.clip_skip.filter(|skip| *skip > 1) {
        let layer = -i64::from(skip);
        let last = writer.add("CLIPSetLastLayer", [("clip", clip), ("stop_at_clip_layer", layer.into())]);
        clip = wire(&last, 0);
    }
    Loaded { model, clip, vae }
}

/// Prompt and negative prompt.
fn texts(settings: &Settings, writer: &mut Writer, clip: Value) -> [Value; 2] {
    let prompt = settings.prompt.as_deref().unwrap_or_default();
    let has_tags = !tags(settings).is_empty();
    let prompt = if has_tags { networks::without(prompt, |_| true) } else { prompt.to_string() };
    let negative = settings.negative_prompt.clone().unwrap_or_default();
    [prompt, negative].map(|text| {
        let encoder = writer.add("CLIPTextEncode", [("text", text.into()), ("clip", clip.clone())]);
        wire(&encoder, 0)
    })
}

/// Maps that steer, one behind the other.
fn steer(settings: &Settings, writer: &mut Writer, mut conditioning: [Value; 2]) -> [Value; 2] {
    for (number, steered) in settings.controls.iter().enumerate() {
        let name = steered.model.as_deref().unwrap_or("controlnet");
        let loader = writer.add("ControlNetLoader", [("control_net_name", file(name))]);
        let map = writer.add("LoadImage", [("image", format!("map{}.png", number + 1).into())]);
        let [positive, negative] = conditioning;
        let apply = writer.add(
            "ControlNetApplyAdvanced",
            [
                ("positive", positive),
                ("negative", negative),
                ("control_net", wire(&loader, 0)),
                ("image", wire(&map, 0)),
                ("strength", steered.strength.unwrap_or(1.0).into()),
                ("start_percent", steered.start.unwrap_or(0.0).into()),
                ("end_percent", steered.end.unwrap_or(1.0).into()),
            ],
        );
        conditioning = [wire(&apply, 0), wire(&apply, 1)];
    }
    conditioning
}

/// The latents that a run begins with: none, or those of a picture.
fn begin(settings: &Settings, writer: &mut Writer, vae: &Value) -> String {
    let [width, height] = [settings.width, settings.height].map(|side| side.unwrap_or(512));
    if settings.strength.is_none() {
        let inputs = [("width", width.into()), ("height", height.into()), ("batch_size", 1.into())];
        return writer.add("EmptyLatentImage", inputs);
    }
    let image = writer.add("LoadImage", [("image", "picture.png".into())]);
    let scaled = writer.add(
        "ImageScale",
        [
            ("image", wire(&image, 0)),
            ("upscale_method", "lanczos".into()),
            ("width", width.into()),
            ("height", height.into()),
            ("crop", "center".into()),
        ],
    );
    writer.add("VAEEncode", [("pixels", wire(&scaled, 0)), ("vae", vae.clone())])
}

/// What every pass is told.
struct Sampling<'a> {
    settings: &'a Settings,
    model: Value,
    conditioning: [Value; 2],
    sampler: &'static str,
    schedule: &'static str,
}

impl Sampling<'_> {
    /// The first pass: so many steps, of a picture by this strength.
    fn pass(&self, writer: &mut Writer, latents: &str, (steps, strength): (u32, Option<f64>)) -> String {
        let taken = strength.map_or((steps, 1.0), |strength| taken_of(steps, strength));
        match self.schedule {
            ALIGNED => self.in_parts(writer, latents, (steps, f64::from(taken.0) / f64::from(steps))),
            _ => self.whole(writer, latents, taken),
        }
    }

    /// The second one, whose steps are those that it takes.
    fn second(&self, writer: &mut Writer, latents: &str, (steps, strength): (u32, f64)) -> String {
        match self.schedule {
            ALIGNED => {
                let all = (f64::from(steps) / strength.max(f64::MIN_POSITIVE)) as u32;
                self.in_parts(writer, latents, (all, f64::from(steps) / f64::from(all.max(1))))
            }
            _ => self.whole(writer, latents, (steps, strength)),
        }
    }

    fn seed(&self) -> Value {
        let seed = self.settings.seed.as_deref().and_then(|seed| seed.parse::<u64>().ok());
        seed.unwrap_or_default().into()
    }

    /// What every sampler is wired to and told.
    fn inputs(&self, latents: &str) -> [(&'static str, Value); 5] {
        let [positive, negative] = self.conditioning.clone();
        let guidance = self.settings.guidance.unwrap_or(8.0);
        [
            ("model", self.model.clone()),
            ("positive", positive),
            ("negative", negative),
            ("latent_image", wire(latents, 0)),
            ("cfg", guidance.into()),
        ]
    }

    fn whole(&self, writer: &mut Writer, latents: &str, (steps, denoise): (u32, f64)) -> String {
        let own = [
            ("seed", self.seed()),
            ("steps", steps.into()),
            ("sampler_name", self.sampler.into()),
            ("scheduler", self.schedule.into()),
            ("denoise", denoise.into()),
        ];
        writer.add("KSampler", self.inputs(latents).into_iter().chain(own))
    }

    /// A schedule that is a node: of so many steps the last, by this share.
    fn in_parts(&self, writer: &mut Writer, latents: &str, (steps, denoise): (u32, f64)) -> String {
        let select = writer.add("KSamplerSelect", [("sampler_name", self.sampler.into())]);
        let levels = [("model_type", "SD1".into()), ("steps", steps.into()), ("denoise", denoise.into())];
        let levels = writer.add(self.schedule, levels);
        let own = [
            ("add_noise", true.into()),
            ("noise_seed", self.seed()),
            ("sampler", wire(&select, 0)),
            ("sigmas", wire(&levels, 0)),
        ];
        writer.add("SamplerCustom", self.inputs(latents).into_iter().chain(own))
    }
}

/// The larger latents of a second pass.
fn enlarged(
    writer: &mut Writer,
    from: &str,
    (scale, upscaler): (f64, Option<Upscaler>),
    vae: &Value,
) -> String {
    let upscaler = upscaler.unwrap_or_default();
    if upscaler == Upscaler::Lanczos {
        let decoded = writer.add("VAEDecode", [("samples", wire(from, 0)), ("vae", vae.clone())]);
        let scaled = writer.add(
            "ImageScaleBy",
            [("image", wire(&decoded, 0)), ("upscale_method", "lanczos".into()), ("scale_by", scale.into())],
        );
        return writer.add("VAEEncode", [("pixels", wire(&scaled, 0)), ("vae", vae.clone())]);
    }
    let known = LATENTS.iter().find(|(_, known)| *known == upscaler).map(|(name, _)| *name);
    let method = known.unwrap_or(match upscaler {
        Upscaler::LatentBicubicAntialiased => "bicubic",
        Upscaler::LatentNearest => "nearest-exact",
        _ => "bilinear",
    });
    if known.is_none() {
        writer.say(format!("ComfyUI has no upscaler “{}”; {method} stands for it.", upscaler.a1111_name()));
    }
    let inputs = [("samples", wire(from, 0)), ("upscale_method", method.into()), ("scale_by", scale.into())];
    writer.add("LatentUpscaleBy", inputs)
}

/// As ComfyUI counts: so many steps, which are the last of those that their share says.
fn taken_of(steps: u32, strength: f64) -> (u32, f64) {
    let taken = Taken::last(steps as usize, strength, false).count().max(1) as u32;
    let is_all = |share: &f64| *share >= 1.0 || (f64::from(taken) / share) as u32 == steps;
    let share = f64::from(taken) / f64::from(steps);
    (taken, Some(strength).filter(is_all).unwrap_or((share * 1e6).floor() / 1e6))
}

/// ComfyUI's names of sampler and schedule.
fn sampler_of(settings: &Settings, writer: &mut Writer) -> (&'static str, &'static str) {
    let kind: Option<SamplerKind> = settings.sampler.and_then(|name| name.parse().ok());
    let schedule: Option<ScheduleKind> = settings.schedule.and_then(|name| name.parse().ok());
    let known = |name: &&str| *name != "–";
    let usual = (SamplerKind::Euler, ScheduleKind::Normal);
    let comfyui = |names: [&'static str; 2]| Some(names[1]).filter(known);
    let sampler = kind.map_or(comfyui(usual.0.names_elsewhere()), |kind| comfyui(kind.names_elsewhere()));
    if let (Some(kind), None) = (kind, sampler) {
        writer.say(format!("ComfyUI has no sampler {}; euler stands for it.", kind.title()));
    }
    if kind == Some(SamplerKind::Ddim) {
        writer.say("What ComfyUI calls ddim takes Euler’s steps: another picture.".to_string());
    }
    // What counts the training's timesteps has its schedule under this name there.
    let counts = kind.is_some_and(|kind| !kind.has_levels()) && schedule == Some(ScheduleKind::Default);
    let named = match counts {
        true => comfyui(ScheduleKind::DdimUniform.names_elsewhere()),
        false => comfyui(schedule.unwrap_or(usual.1).names_elsewhere()),
    };
    if let (Some(schedule), None) = (schedule, named) {
        writer.say(format!("ComfyUI has no schedule {}; normal stands for it.", schedule.name()));
    }
    (sampler.unwrap_or("euler"), named.unwrap_or("normal"))
}

/// Says which settings the graph does not hold.
fn tell_left_out(settings: &Settings, writer: &mut Writer) {
    let prompts = [&settings.prompt, &settings.negative_prompt];
    let is_weighed = prompts.into_iter().flatten().any(|text| {
        let text = networks::without(text, |_| true);
        text.contains(['(', '[', '{']) || text.contains("BREAK") || text.contains(" AND ")
    });
    if settings.dialect != Some(Dialect::ComfyUi) && is_weighed {
        writer.say(
            "The prompt’s brackets are read in ComfyUI’s way there, which weighs otherwise.".to_string(),
        );
    }
    if !settings.embeddings.is_empty() && settings.dialect != Some(Dialect::ComfyUi) {
        writer.say("Embeddings are named as `embedding:name` there.".to_string());
    }
    if settings.rng.is_some_and(|rng| rng != NoiseSource::Torch.name()) {
        let text = "Noise is PyTorch’s of the processor there: the same seed gives another picture.";
        writer.say(text.to_string());
    }
    if settings.strength.is_some() {
        writer.say("Put the picture that it was made from into its LoadImage.".to_string());
    }
    if !settings.controls.is_empty() {
        writer.say(
            "Put the maps that steered it into their LoadImage; they are taken as they are.".to_string(),
        );
    }
    let options = settings.sampler_options.unwrap_or_default();
    if settings.strength.is_none() && options.sgm_noise_multiplier != Some(true) {
        let text = "It begins with noise of size √(1 + σ²) there, which this picture did not: a slightly other picture.";
        writer.say(text.to_string());
    }
    let left_out = [
        ("variation seed", settings.variation_strength.is_some_and(|strength| strength != 0.0)),
        ("latents that it went on from", settings.latents_step.is_some()),
        ("mask", settings.mask_blur.is_some() || settings.only_masked.is_some()),
        ("extension", settings.extend.is_some()),
        ("tiling", settings.tiling.is_some_and(|name| name != "none")),
        ("tiles", settings.tiles.is_some()),
        ("regions", !settings.regions.is_empty()),
        (
            "sampler’s options",
            SamplerOptions { sgm_noise_multiplier: None, ..options } != SamplerOptions::default(),
        ),
        ("emphasis mode", settings.emphasis.is_some_and(|mode| mode != Default::default())),
    ];
    let named: Vec<&str> = left_out.into_iter().filter_map(|(name, set)| set.then_some(name)).collect();
    if !named.is_empty() {
        writer.say(format!("The graph has nothing for: {}.", named.join(", ")));
    }
    let unsaid = [
        ("model", settings.model.is_none()),
        ("steps", settings.steps.is_none()),
        ("guidance", settings.guidance.is_none()),
        ("seed", settings.seed.is_none()),
        ("sampler", settings.sampler.is_none()),
        ("size", settings.width.is_none() || settings.height.is_none()),
    ];
    let named: Vec<&str> = unsaid.into_iter().filter_map(|(name, unsaid)| unsaid.then_some(name)).collect();
    if !named.is_empty() {
        writer
            .say(format!("The picture does not say its {}; ComfyUI’s usual stands there.", named.join(", ")));
    }
}
