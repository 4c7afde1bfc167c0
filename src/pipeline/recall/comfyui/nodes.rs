//! Nodes and their wires, and which of them were heard.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How many wires are followed one behind the other; ordinary graphs need a handful.
const FAR: usize = 32;

/// Where a sampler in parts has what others are told themselves.
const PARTS: [&str; 4] = ["sigmas", "sampler", "noise", "guider"];

/// The node of the levels of Align Your Steps.
pub(super) const ALIGNED: &str = "AlignYourStepsScheduler";

/// What is wired to what, as ComfyUI's API takes it: inputs by name, each a value or `[node, output]`.
pub(super) struct Graph<'a> {
    nodes: &'a Map<String, Value>,
    heard: RefCell<BTreeSet<String>>,
}

/// A node: its number, what it does, and all of it.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub id: &'a str,
    pub class: &'a str,
    node: &'a Value,
}

impl<'a> Node<'a> {
    fn of((id, node): (&'a String, &'a Value)) -> Self {
        Node { id, class: node.get("class_type").and_then(Value::as_str).unwrap_or_default(), node }
    }

    pub fn is_sampler(self) -> bool {
        ["KSampler", "SamplerCustom"].iter().any(|name| self.class.starts_with(name))
            && self.class != "KSamplerSelect"
    }

    /// Whether it makes latents of nothing.
    pub fn is_empty(self) -> bool {
        self.class.contains("Empty")
    }

    fn input(self, name: &str) -> Option<&'a Value> {
        self.node.get("inputs")?.get(name)
    }
}

/// A number, a text, or whether.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

impl<'a> Graph<'a> {
    pub fn new(nodes: &'a Map<String, Value>) -> Self {
        Graph { nodes, heard: RefCell::default() }
    }

    pub fn all(&self) -> impl Iterator<Item = Node<'a>> {
        self.nodes.iter().map(Node::of)
    }

    pub fn samplers(&self) -> impl Iterator<Item = Node<'a>> {
        self.all().filter(|node| node.is_sampler())
    }

    /// Notes that a setting holds what the node does.
    pub fn hear(&self, node: Node<'a>) {
        self.heard.borrow_mut().insert(node.id.to_string());
    }

    /// What the others do that are not `silent`, each kind once.
    pub fn unheard(&self, silent: impl Fn(&Node<'a>) -> bool) -> Vec<&'a str> {
        let heard = self.heard.borrow();
        let others = self.all().filter(|node| !heard.contains(node.id) && !silent(node));
        others
            .map(|node| node.class)
            .filter(|class| !class.is_empty())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The node that an input is wired to: `["6", 0]` is output 0 of node 6.
    pub fn wired(&self, node: Node<'a>, input: &str) -> Option<Node<'a>> {
        self.nodes.get_key_value(node.input(input)?.get(0)?.as_str()?).map(Node::of)
    }

    /// What is wired to a sampler, or to the part of it that has its guidance.
    pub fn near(&self, sampler: Node<'a>, input: &str) -> Option<Node<'a>> {
        self.wired(sampler, input).or_else(|| {
            let guider = self.wired(sampler, "guider")?;
            self.hear(guider);
            self.wired(guider, input)
        })
    }

    /// A number or text at an input, or at the node it is wired to.
    pub fn plain(&self, node: Node<'a>, input: &str) -> Option<String> {
        plain(node.input(input)?).or_else(|| {
            let from = self.wired(node, input)?;
            let names = ["value", input, "seed", "text", "string", "int", "float"];
            let found = names.iter().find_map(|name| plain(from.input(name)?));
            found.inspect(|_| self.hear(from))
        })
    }

    pub fn number(&self, node: Node<'a>, input: &str) -> Option<f64> {
        self.plain(node, input)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// What a sampler or one of its parts is told, or what these are made of.
    pub fn told(&self, sampler: Node<'a>, input: &str) -> Option<String> {
        let of = |node: &Node<'a>| self.plain(*node, input).inspect(|_| self.hear(*node));
        self.plain(sampler, input).or_else(|| {
            PARTS.iter().find_map(|part| self.follow(self.wired(sampler, part), &[part]).iter().find_map(of))
        })
    }

    /// The node that makes a sampler's levels, where that is one of its own.
    pub fn levels(&self, sampler: Node<'a>) -> Option<Node<'a>> {
        self.follow(self.wired(sampler, "sigmas"), &["sigmas"]).pop()
    }

    pub fn seed(&self, sampler: Node<'a>) -> Option<String> {
        self.told(sampler, "seed").or_else(|| self.told(sampler, "noise_seed"))
    }

    /// How many steps a sampler of so many takes, and of how many they are the last, where it does not take them all.
    pub fn share(&self, sampler: Node<'a>, steps: u32) -> Option<(u32, u32)> {
        if let Some(start) = self.number(sampler, "start_at_step") {
            let taken = steps.checked_sub(start as u32).filter(|taken| *taken > 0)?;
            return (taken < steps).then_some((taken, steps));
        }
        let denoise: f64 = self.told(sampler, "denoise")?.parse().ok()?;
        // Aligned levels are counted otherwise: so many in all, of which the last are taken.
        if self.levels(sampler).is_some_and(|node| node.class == ALIGNED) {
            let taken = (f64::from(steps) * denoise).round() as u32;
            return (taken > 0 && taken < steps).then_some((taken, steps));
        }
        (steps > 0 && denoise > 0.0 && denoise <= super::WHOLE)
            .then(|| (steps, (f64::from(steps) / denoise) as u32))
    }

    /// The nodes from one on, by the first of these inputs that is wired.
    pub fn follow(&self, from: Option<Node<'a>>, inputs: &[&str]) -> Vec<Node<'a>> {
        let next = |node: &Node<'a>| inputs.iter().find_map(|input| self.wired(*node, input));
        std::iter::successors(from, next).take(FAR).collect()
    }

    /// The nodes behind a sampler's latents, up to another sampler or to where they come from.
    pub fn latents(&self, sampler: Node<'a>) -> Vec<Node<'a>> {
        let inputs = ["samples", "latent", "latent_image", "pixels", "image", "images"];
        let mut nodes = self.follow(self.wired(sampler, "latent_image"), &inputs);
        if let Some(end) = nodes.iter().position(|node| node.is_sampler()) {
            nodes.truncate(end + 1);
        }
        nodes
    }

    /// Where its latents come from.
    pub fn origin(&self, sampler: Node<'a>) -> Option<Node<'a>> {
        self.latents(sampler).pop()
    }

    /// What is wired to a sampler's conditioning.
    pub fn start(&self, sampler: Node<'a>, input: &str) -> Option<Node<'a>> {
        let guider = if input == "positive" { "conditioning" } else { input };
        self.near(sampler, input).or_else(|| self.near(sampler, guider))
    }

    /// The nodes behind a sampler's conditioning, up to the one that reads a text; none where there is no such.
    pub fn conditioning(&self, sampler: Node<'a>, input: &str) -> Vec<Node<'a>> {
        let from = self.start(sampler, input);
        let inputs = [input, "conditioning", "conditioning_1", "conditioning_to"];
        let mut nodes = self.follow(from, &inputs);
        match nodes.iter().position(|node| node.class.starts_with("CLIPTextEncode")) {
            Some(end) => nodes.truncate(end + 1),
            None => nodes.clear(),
        }
        nodes
    }

    /// The text that a node reads.
    pub fn text(&self, encoder: Node<'a>) -> Option<String> {
        self.hear(encoder);
        ["text", "text_g", "text_l"].iter().find_map(|name| self.plain(encoder, name))
    }
}
