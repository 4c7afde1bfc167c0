//! The graph of nodes that ComfyUI keeps in its pictures, as far as it is a plain one: a sampler and what it is wired to.

use serde_json::{Map, Value};

use super::Settings;
use crate::prompt::Dialect;
use crate::sample::NoiseSource;

/// How many wires are followed from the sampler to a text; ordinary graphs need two.
const FAR: usize = 16;

type Graph = Map<String, Value>;

/// Settings out of a text (`prompt:` stands before it in EXIF); `None` where it is no graph with a sampler.
pub(super) fn from_text(text: &str) -> Option<Settings> {
    let text = text.trim_start();
    let text = text.strip_prefix("prompt:").or_else(|| text.strip_prefix("Prompt:")).unwrap_or(text);
    // Python writes NaN, which is not JSON, where an input is none.
    let graph: Graph = serde_json::from_str(&text.replace(": NaN", ": null")).ok()?;
    let samplers: Vec<&Value> =
        graph.values().filter(|node| class_of(node).starts_with("KSampler")).collect();
    // Of several the one that starts from nothing: the others refine its picture.
    let from_nothing =
        |node: &&&Value| wired(&graph, node, "latent_image").is_some_and(|node| empty_size(node).is_some());
    let sampler = samplers.iter().find(from_nothing).or(samplers.first())?;

    let mut settings = Settings { dialect: Some(Dialect::ComfyUi), ..Settings::default() };
    settings
        .notices
        .push("Made by ComfyUI: read from the sampler of its graph and what is wired to it.".to_string());
    if samplers.len() > 1 {
        settings.notices.push(format!("Its graph has {} samplers, of which one was read.", samplers.len()));
    }
    settings.prompt = prompt(&graph, sampler, "positive").map(|text| settings.take_prompt(&text));
    settings.negative_prompt = prompt(&graph, sampler, "negative").map(|text| settings.take_prompt(&text));
    let number = |names: &[&str]| names.iter().find_map(|name| scalar(&graph, sampler, name));
    let (steps, guidance) = (number(&["steps"]), number(&["cfg"]));
    let (seed, denoise) = (number(&["seed", "noise_seed"]), number(&["denoise"]));
    let (name, schedule) = (number(&["sampler_name"]), number(&["scheduler"]));
    settings.steps = steps.and_then(|value| settings.number("Steps", &value));
    settings.guidance = guidance.and_then(|value| settings.number("Guidance", &value));
    settings.seed =
        seed.and_then(|value| settings.number::<u64>("Seed", &value)).map(|seed| seed.to_string());
    settings.rng = settings.seed.is_some().then_some(NoiseSource::Torch.name());
    if let Some(name) = name {
        settings.take_sampler(&name, schedule.as_deref());
    }
    if let Some((width, height)) = wired(&graph, sampler, "latent_image").and_then(empty_size) {
        (settings.width, settings.height) = (Some(width), Some(height));
    }
    settings.model = model(&graph);
    settings.tell_rest(&graph, denoise.as_deref());
    Some(settings)
}

impl Settings {
    /// What of the graph is not honoured.
    fn tell_rest(&mut self, graph: &Graph, denoise: Option<&str>) {
        if self.prompt.is_none() {
            self.notices.push(
                "Its prompt is not wired plainly and could not be read; what is typed stays.".to_string(),
            );
        }
        if denoise.and_then(|value| value.parse::<f64>().ok()).is_some_and(|share| share < 1.0) {
            self.notices.push("It was drawn over another picture, which is not done here.".to_string());
        }
        let others = |node: &&Value| {
            let class = class_of(node);
            ["Lora", "ControlNet", "IPAdapter", "Upscale", "Hypernetwork"]
                .iter()
                .any(|part| class.contains(part))
        };
        let mut names: Vec<&str> = graph.values().filter(others).map(class_of).collect();
        names.sort_unstable();
        names.dedup();
        self.tell_unused(&names);
    }
}

fn class_of(node: &Value) -> &str {
    node.get("class_type").and_then(Value::as_str).unwrap_or_default()
}

/// The node that an input is wired to: `["6", 0]` is output 0 of node 6.
fn wired<'a>(graph: &'a Graph, node: &Value, input: &str) -> Option<&'a Value> {
    graph.get(node.get("inputs")?.get(input)?.get(0)?.as_str()?)
}

/// A number or text at an input, or at the node it is wired to.
fn scalar(graph: &Graph, node: &Value, input: &str) -> Option<String> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let value = node.get("inputs")?.get(input)?;
    plain(value).or_else(|| {
        let from = wired(graph, node, input)?.get("inputs")?;
        ["value", input, "text", "string", "int", "float"].iter().find_map(|name| plain(from.get(name)?))
    })
}

/// The text behind a sampler's conditioning.
fn prompt(graph: &Graph, sampler: &Value, input: &str) -> Option<String> {
    let mut node = wired(graph, sampler, input)?;
    for _ in 0..FAR {
        if class_of(node).starts_with("CLIPTextEncode") {
            return ["text", "text_g", "text_l"].iter().find_map(|name| scalar(graph, node, name));
        }
        // Nodes that change a conditioning on its way pass it on.
        node = [input, "conditioning", "conditioning_1"].iter().find_map(|name| wired(graph, node, name))?;
    }
    None
}

/// Width and height of the empty latents that a node makes.
fn empty_size(node: &Value) -> Option<(u32, u32)> {
    if !class_of(node).contains("Empty") {
        return None;
    }
    let side = |name: &str| u32::try_from(node.get("inputs")?.get(name)?.as_u64()?).ok();
    Some((side("width")?, side("height")?))
}

/// The checkpoint's file, without its ending.
fn model(graph: &Graph) -> Option<String> {
    let name = graph.values().find_map(|node| {
        let inputs = node.get("inputs")?;
        ["ckpt_name", "unet_name"].iter().find_map(|name| inputs.get(name)?.as_str())
    })?;
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    Some(stem.to_string())
}
