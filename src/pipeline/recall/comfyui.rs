//! The graph of nodes that ComfyUI keeps in its pictures, as far as it is of ordinary shape: a sampler, what is wired to it, and a
//! second one that draws on at a larger size. What no setting holds is named.

mod nodes;
mod words;
mod write;

use super::{Second, Settings, Steered, Used, brief};
use crate::image::maps::Preprocessor;
use crate::pipeline::{MAX_CONTROL_STRENGTH, Upscaler};
use crate::prompt::Dialect;
use crate::sample::{NoiseSource, SamplerOptions};
use crate::weights::Strength;
use nodes::{Graph, Node};

pub use write::{Written, graph};

/// How the second pass's latents are enlarged: ComfyUI's word, and the same here.
const LATENTS: [(&str, Upscaler); 3] = [
    ("bilinear", Upscaler::Latent),
    ("bicubic", Upscaler::LatentBicubic),
    ("nearest-exact", Upscaler::LatentNearestExact),
];

/// A sampler of more than this takes all of the noise away.
const WHOLE: f64 = 0.9999;

/// Bytes of a file's name that a tag is made of.
const LONGEST: usize = 255;

/// Nodes that change no picture, by what their names begin with.
const SILENT: [&str; 8] =
    ["Save", "Preview", "VAEDecode", "VAEEncode", "Primitive", "Reroute", "Note", "CheckpointLoader"];

/// Settings out of a text (`prompt:` stands before it in EXIF); `None` where it is no graph with a sampler.
pub(super) fn from_text(text: &str) -> Option<Settings> {
    let text = text.trim_start();
    let text = text.strip_prefix("prompt:").or_else(|| text.strip_prefix("Prompt:")).unwrap_or(text);
    // Python writes NaN, which is not JSON, where an input is none.
    let nodes = serde_json::from_str(&text.replace(": NaN", ": null")).ok()?;
    let graph = Graph::new(&nodes);
    let samplers: Vec<Node> = graph.samplers().collect();
    // Of several the one that starts from nothing, or else from none of the others: these refine its picture.
    let from_nothing = |sampler: &&Node| graph.origin(**sampler).is_some_and(|node| node.is_empty());
    let from_none = |sampler: &&Node| graph.origin(**sampler).is_none_or(|node| !node.is_sampler());
    let first =
        *samplers.iter().find(from_nothing).or(samplers.iter().find(from_none)).or(samplers.first())?;
    samplers.iter().for_each(|sampler| graph.hear(*sampler));

    let mut settings = Settings { dialect: Some(Dialect::ComfyUi), ..Settings::default() };
    settings
        .notices
        .push("Made by ComfyUI: read from the sampler of its graph and what is wired to it.".to_string());
    settings.take_prompts(&graph, first);
    settings.take_steps(&graph, first);
    let between = |sampler: &&Node| graph.origin(**sampler).is_some_and(|node| node.id == first.id);
    let second = samplers.iter().find(between).filter(|second| settings.take_larger(&graph, first, **second));
    let read = 1 + usize::from(second.is_some());
    if samplers.len() > read {
        let read = if read == 1 { "one was" } else { "two were" };
        settings.notices.push(format!("Its graph has {} samplers, of which {read} read.", samplers.len()));
    }
    let others = graph.unheard(|node| SILENT.iter().any(|name| node.class.starts_with(name)));
    settings.tell_unused(&others);
    Some(settings)
}

impl Settings {
    /// What was asked for in words, by which model and LoRAs, steered by what.
    fn take_prompts<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let positive = graph.conditioning(sampler, "positive");
        let negative = graph.conditioning(sampler, "negative");
        let text = |nodes: &[Node<'a>]| graph.text(*nodes.last()?);
        self.prompt = text(&positive).map(|text| self.take_prompt(&text));
        self.negative_prompt = text(&negative).map(|text| self.take_prompt(&text));
        if self.prompt.is_none() {
            let text = "Its prompt is not wired plainly and could not be read; what is typed stays.";
            self.notices.push(text.to_string());
        }
        self.take_combined(graph, sampler);
        positive.iter().rev().for_each(|node| self.take_apply(graph, *node));

        let models = graph.follow(graph.near(sampler, "model"), &["model"]);
        let clips = graph.follow(positive.last().and_then(|node| graph.wired(*node, "clip")), &["clip"]);
        let is_loader = |node: &&Node<'a>| node.class.starts_with("Lora");
        let in_clips = |node: &Node<'a>| clips.iter().any(|other| other.id == node.id);
        let only_clips = clips.iter().filter(|node| !models.iter().any(|other| other.id == node.id));
        // As they are applied: from the checkpoint on.
        let loaders: Vec<_> = models.iter().chain(only_clips).filter(is_loader).collect();
        for node in loaders.into_iter().rev() {
            let weight = |input| graph.number(*node, input).unwrap_or(1.0);
            let is_in_models = models.iter().any(|other| other.id == node.id);
            let has_clip = node.class != "LoraLoaderModelOnly" && in_clips(node);
            let strength = Strength {
                unet: if is_in_models { weight("strength_model") } else { 0.0 },
                text: if has_clip { weight("strength_clip") } else { 0.0 },
                ..Strength::of(0.0)
            };
            let Some(name) = graph.plain(*node, "lora_name").map(|name| stem(&name)) else { continue };
            if name.contains([':', '<', '>', '\n']) || name.len() > LONGEST || self.prompt.is_none() {
                continue; // it stays among what is not used
            }
            graph.hear(*node);
            let prompt = self.prompt.get_or_insert_default();
            prompt.push_str(&format!(" <lora:{name}:{}>", strength.tag()));
            self.loras.push(Used { name, hash: String::new() });
        }
        for node in clips.iter().filter(|node| node.class == "CLIPSetLastLayer") {
            graph.hear(*node);
            // Counted from the end, the last being -1. Behind one another the first met is the last to be set.
            let layer = graph.number(*node, "stop_at_clip_layer").filter(|layer| *layer < 0.0);
            self.clip_skip = self.clip_skip.or(layer.map(|layer| -layer as u32));
        }
        let name = |node: Node<'a>| graph.plain(node, "ckpt_name").or(graph.plain(node, "unet_name"));
        let model = models.last().copied().and_then(name).or_else(|| graph.all().find_map(name));
        self.model = model.map(|name| stem(&name));
    }

    /// A node on a conditioning's way: a map and by how much it steers, if it is one.
    fn take_apply<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) {
        if !matches!(node.class, "ControlNetApply" | "ControlNetApplyAdvanced" | "ControlNetApplySD3") {
            return;
        }
        let Some(loader) = graph.wired(node, "control_net") else { return };
        let Some(model) = graph.plain(loader, "control_net_name").map(|name| stem(&name)) else { return };
        graph.hear(node);
        graph.hear(loader);
        let map = graph.wired(node, "image");
        let preprocessor = map.and_then(|map| {
            let threshold = |input| graph.number(map, input).map(|value| value as u32);
            match map.class {
                "LoadImage" => Some(Preprocessor::None),
                "CannyEdgePreprocessor" => Some(Preprocessor::Canny {
                    low: threshold("low_threshold").unwrap_or(100),
                    high: threshold("high_threshold").unwrap_or(200),
                }),
                _ => None,
            }
        });
        match (map, preprocessor) {
            (Some(map), Some(_)) => {
                graph.hear(map);
                graph.wired(map, "image").into_iter().for_each(|image| graph.hear(image));
            }
            (Some(map), None) => {
                self.notices
                    .push(format!("There is no preprocessor “{}” here; give its map.", brief(map.class)));
            }
            _ => {}
        }
        self.notices
            .push(format!("It was steered by {} and a map, which its file does not hold.", brief(&model)));
        let strength = graph.number(node, "strength");
        if strength.is_some_and(|strength| strength > MAX_CONTROL_STRENGTH) {
            self.notices.push(format!("A map counts up to {MAX_CONTROL_STRENGTH} here."));
        }
        self.controls.push(Steered {
            model: Some(model),
            preprocessor: preprocessor.map(|kind| kind.to_string()),
            strength: strength.map(|strength| strength.min(MAX_CONTROL_STRENGTH)),
            start: graph.number(node, "start_percent"),
            end: graph.number(node, "end_percent"),
            importance: None,
            resize: None,
        });
    }

    /// How it was drawn, and from what.
    fn take_steps<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let guidance = graph.told(sampler, "cfg");
        self.guidance = guidance.and_then(|value| self.number("Guidance", &value));
        let seed = graph.seed(sampler).and_then(|value| self.number::<u64>("Seed", &value));
        self.seed = seed.map(|seed| seed.to_string());
        self.rng = self.seed.is_some().then_some(NoiseSource::Torch.name());
        if let Some(name) = graph.told(sampler, "sampler_name") {
            let own = graph.wired(sampler, "sigmas").and_then(|node| self.take_levels(graph, node));
            self.take_sampler(&name, graph.told(sampler, "scheduler").or(own).as_deref());
        }
        let steps = graph.told(sampler, "steps").and_then(|value| self.number::<u32>("Steps", &value));
        self.steps = steps;
        let share = steps.and_then(|steps| graph.share(sampler, steps));
        let denoise = graph.told(sampler, "denoise").and_then(|value| value.parse().ok());
        let ends = graph.number(sampler, "end_at_step");
        if ends.zip(steps).is_some_and(|(end, steps)| end < f64::from(steps)) {
            let text = "Its sampler stops before its last step, which is not done here: all are taken.";
            self.notices.push(text.to_string());
        }
        if graph.plain(sampler, "add_noise").is_some_and(|value| value == "disable") {
            self.notices.push("Its sampler adds no noise, which is not done here.".to_string());
        }

        let latents = graph.latents(sampler);
        for node in &latents {
            match node.class {
                class if class.starts_with("VAEEncode") || class == "LoadImage" => graph.hear(*node),
                "ImageScale" => {
                    graph.hear(*node);
                    self.take_sides(graph, *node);
                }
                _ => {}
            }
            if matches!(node.class, "VAEEncodeForInpaint" | "SetLatentNoiseMask" | "InpaintModelConditioning")
            {
                graph.hear(*node);
                let text =
                    "Only a part of it was drawn, where a mask is white, which its file does not hold.";
                self.notices.push(text.to_string());
            }
        }
        let from_nothing = latents.last().filter(|node| node.is_empty());
        if let Some(node) = from_nothing {
            graph.hear(*node);
            self.take_sides(graph, *node);
            let batch = graph.number(*node, "batch_size").unwrap_or(1.0);
            if batch > 1.0 {
                let text = format!(
                    "It is one of {batch} that ComfyUI draws from one seed; of these the first is drawn."
                );
                self.notices.push(text);
            }
        }
        let from_picture = from_nothing.is_none() && (share.is_some() || !latents.is_empty());
        match (share, steps) {
            (Some((taken, total)), _) if from_nothing.is_none() => {
                // As many of so many are the last ones there: the same are taken here.
                let strength = strength_of(taken, total, denoise);
                (self.steps, self.strength) = (Some(total), Some(strength));
                if total != taken {
                    self.notices.push(format!("Its {taken} steps are the last of {total}."));
                }
            }
            (Some((taken, total)), _) => self.notices.push(format!(
                "It takes the last {taken} of {total} steps from nothing, which is not done here: all are taken."
            )),
            (None, Some(_)) if from_picture => self.strength = Some(1.0),
            _ => {}
        }
        if from_picture {
            let text = "It was made from another picture, which its file does not hold.";
            self.notices.push(text.to_string());
        }
    }

    /// A node that makes levels by itself: the schedule's name, its bounds among the sampler's options.
    fn take_levels<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) -> Option<String> {
        let name = node.class.strip_suffix("Scheduler").filter(|name| *name != "Basic")?;
        let schedule = match name {
            "Karras" | "Exponential" | "Polyexponential" => name.to_lowercase(),
            "BetaSampling" => "beta".to_string(),
            "AlignYourSteps" => "align_your_steps".to_string(),
            other => other.to_string(),
        };
        let number = |input| graph.number(node, input).filter(|value| *value > 0.0);
        let bounds = ["sigma_min", "sigma_max", "rho"].map(number);
        if bounds.iter().any(Option::is_some) {
            let [sigma_min, sigma_max, rho] = bounds;
            self.sampler_options =
                Some(SamplerOptions { sigma_min, sigma_max, rho, ..SamplerOptions::default() });
        }
        Some(schedule)
    }

    fn take_sides<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) {
        let side = |name| graph.number(node, name).filter(|side| *side >= 1.0).map(|side| side as u32);
        if let (Some(width), Some(height)) = (side("width"), side("height")) {
            (self.width, self.height) = (Some(width), Some(height));
        }
    }

    /// A sampler that draws on what another made: whether it is a second pass at a larger size, which is taken then.
    fn take_larger<'a>(&mut self, graph: &Graph<'a>, first: Node<'a>, second: Node<'a>) -> bool {
        let (Some(width), Some(height), None) = (self.width, self.height, self.strength) else {
            return false;
        };
        let from = [f64::from(width), f64::from(height)];
        // From the second pass back: the nearest to it that names a size has the last word.
        let (mut size, mut by, mut told) = (None, 1.0, None);
        for node in graph.latents(second) {
            let number = |input| graph.number(node, input).filter(|value| *value > 0.0);
            let method = graph.plain(node, "upscale_method");
            match node.class {
                "LatentUpscale" | "ImageScale" if size.is_none() => {
                    size = Some([number("width"), number("height")]);
                }
                "LatentUpscaleBy" | "ImageScaleBy" if size.is_none() => {
                    by *= number("scale_by").unwrap_or(1.0)
                }
                "ImageUpscaleWithModel" => {
                    let loader = graph.wired(node, "upscale_model");
                    let name = loader.and_then(|loader| graph.plain(loader, "model_name"));
                    loader.into_iter().for_each(|loader| graph.hear(loader));
                    if size.is_none() {
                        by *= name.as_deref().map_or(1.0, factor);
                    }
                    graph.hear(node);
                    let name = name.unwrap_or_default();
                    self.notices.push(format!(
                        "It was enlarged by the network “{}”; give it, else Lanczos stands for it.",
                        brief(&name)
                    ));
                    told = Some(Upscaler::Lanczos);
                    continue;
                }
                _ => continue,
            }
            graph.hear(node);
            let of_latents = node.class.starts_with("Latent");
            let method = method.unwrap_or_default();
            let known = match of_latents {
                true => LATENTS.iter().find(|(name, _)| *name == method).map(|(_, upscaler)| *upscaler),
                false => (method == "lanczos").then_some(Upscaler::Lanczos),
            };
            // Behind a network a size only trims what it made.
            if told.is_none() {
                let stands = if of_latents { Upscaler::Latent } else { Upscaler::Lanczos };
                if known.is_none() {
                    self.notices.push(format!(
                        "There is no upscaler “{}” here; {} stands for it.",
                        brief(&method),
                        stands.a1111_name()
                    ));
                }
                told = known.or(Some(stands));
            }
        }
        let ratios = size.map(|size| [0, 1].map(|axis| size[axis].map(|side: f64| side / from[axis])));
        let scale = match ratios {
            Some([width, height]) => width.into_iter().chain(height).reduce(f64::max),
            None => Some(by),
        };
        let Some(scale) = scale.filter(|scale| told.is_some() && *scale > 1.0) else { return false };
        if let Some([Some(width), Some(height)]) = ratios
            && width != height
        {
            self.notices
                .push("Its second pass has another shape; here it keeps the first one's.".to_string());
        }
        let steps = graph.told(second, "steps").and_then(|value| self.number::<u32>("Steps", &value));
        let share = steps.and_then(|steps| graph.share(second, steps));
        let strength = share.map_or(1.0, |(taken, total)| {
            let denoise = graph.number(second, "denoise").filter(|denoise| *denoise > 0.0);
            denoise.unwrap_or(f64::from(taken) / f64::from(total))
        });
        let steps = share.map(|(taken, _)| taken).or(steps).filter(|steps| Some(*steps) != self.steps);
        self.hires =
            Some(Second { scale, strength: Some(strength), steps, upscaler: told.map(Upscaler::name) });
        let text = |input| graph.conditioning(second, input).last().and_then(|node| graph.text(*node));
        let same_text =
            |input| text(input) == graph.conditioning(first, input).last().and_then(|node| graph.text(*node));
        let same = |input| graph.told(first, input) == graph.told(second, input);
        let differ: Vec<&str> = [
            ("seed", graph.seed(first) == graph.seed(second)),
            ("guidance", same("cfg")),
            ("sampler", same("sampler_name")),
            ("schedule", same("scheduler")),
            ("prompt", same_text("positive") && same_text("negative")),
        ]
        .into_iter()
        .filter_map(|(name, same)| (!same).then_some(name))
        .collect();
        if !differ.is_empty() {
            let text =
                format!("Its second pass has another {}; here it has the first one's.", differ.join(", "));
            self.notices.push(text);
        }
        true
    }
}

/// The share of `total` steps of which the last `taken` are taken here: what it is called there, if that says the same.
fn strength_of(taken: u32, total: u32, denoise: Option<f64>) -> f64 {
    let takes = |share: &f64| (f64::from(total) * share) as u32 == taken;
    let least = f64::from(taken) / f64::from(total);
    denoise.filter(takes).unwrap_or((least * 1000.0).ceil() / 1000.0)
}

/// By how much a network of such a name enlarges: `4x_…`, `…_x4plus`.
fn factor(name: &str) -> f64 {
    let name = name.to_ascii_lowercase();
    let is = |digit: &u32| name.contains(&format!("{digit}x")) || name.contains(&format!("x{digit}"));
    [2, 3, 4, 8].iter().find(|digit| is(digit)).map_or(4.0, |digit| f64::from(*digit))
}

/// A file's name without folders and ending.
fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_string()
}
