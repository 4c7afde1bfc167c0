//! The graph of nodes that ComfyUI keeps in its pictures, as far as it is of ordinary shape: a sampler, what is wired to it, and a
//! second one that draws on at a larger size. What no setting holds is named.

mod controls;
mod nodes;
mod second;
mod steps;
mod words;
mod write;

use super::{Settings, Used};
use crate::pipeline::Upscaler;
use crate::prompt::Dialect;
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
    settings.take_texts(&graph, first);
    settings.take_steps(&graph, first);
    settings.take_combined(&graph, first);
    settings.take_controls(&graph, first);
    settings.take_networks(&graph, first);
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
    /// What was asked for in words.
    fn take_texts<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let text = |input| graph.text(*graph.conditioning(sampler, input).last()?);
        self.prompt = text("positive").map(|text| self.take_prompt(&text));
        self.negative_prompt = text("negative").map(|text| self.take_prompt(&text));
        if self.prompt.is_none() {
            let text = "Its prompt is not wired plainly and could not be read; what is typed stays.";
            self.notices.push(text.to_string());
        }
    }

    /// By which model and LoRAs, and which layer of the text encoder.
    fn take_networks<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let positive = graph.conditioning(sampler, "positive");
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
}

/// A file's name without folders and ending.
fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_string()
}
