//! A second sampler behind larger latents or pixels: a second pass.

use super::super::{Second, Settings, brief};
use super::LATENTS;
use super::nodes::{Graph, Node};
use crate::pipeline::Upscaler;

/// What is told on the way from one sampler to the next.
#[derive(Default)]
struct Enlarged {
    /// Width and height that are asked for, where they are.
    size: Option<[Option<f64>; 2]>,
    /// By how much, where no size is.
    by: Option<f64>,
    upscaler: Option<Upscaler>,
}

impl Enlarged {
    /// By how much latents of this size become larger; of two answers the larger one. With the shares of both sides.
    fn scale(&self, from: [f64; 2]) -> Option<(f64, Option<[f64; 2]>)> {
        let scale = match self.size {
            None => (self.by?, None),
            Some([Some(width), Some(height)]) => {
                let ratios = [width / from[0], height / from[1]];
                (ratios[0].max(ratios[1]), Some(ratios))
            }
            Some([width, height]) => (width.map(|w| w / from[0]).or(height.map(|h| h / from[1]))?, None),
        };
        Some(scale).filter(|(scale, _)| self.upscaler.is_some() && *scale > 1.0)
    }
}

impl Settings {
    /// A sampler that draws on what another made: whether it is a second pass at a larger size, which is taken then.
    pub(super) fn take_larger<'a>(&mut self, graph: &Graph<'a>, first: Node<'a>, second: Node<'a>) -> bool {
        let (Some(width), Some(height), None) = (self.width, self.height, self.strength) else {
            return false;
        };
        let mut enlarged = Enlarged::default();
        // From the second pass back: the nearest to it that names a size has the last word.
        for node in graph.latents(second) {
            self.take_enlarging(graph, node, &mut enlarged);
        }
        let Some((scale, ratios)) = enlarged.scale([f64::from(width), f64::from(height)]) else {
            return false;
        };
        if ratios.is_some_and(|[across, down]| across != down) {
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
        let upscaler = enlarged.upscaler.map(Upscaler::name);
        self.hires = Some(Second { scale, strength: Some(strength), steps, upscaler });
        self.tell_differences(graph, first, second);
        true
    }

    /// A node on the way, if it enlarges.
    fn take_enlarging<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>, enlarged: &mut Enlarged) {
        let number = |input| graph.number(node, input).filter(|value| *value > 0.0);
        let by = |by: Option<f64>| Some(by.unwrap_or(1.0));
        match node.class {
            "LatentUpscale" | "ImageScale" if enlarged.size.is_none() => {
                enlarged.size = Some([number("width"), number("height")]);
            }
            "LatentUpscaleBy" | "ImageScaleBy" if enlarged.size.is_none() => {
                enlarged.by = by(enlarged.by).zip(by(number("scale_by"))).map(|(a, b)| a * b);
            }
            "ImageUpscaleWithModel" => return self.take_network(graph, node, enlarged),
            _ => return,
        }
        graph.hear(node);
        // Behind a network a size only trims what it made.
        if enlarged.upscaler.is_some() {
            return;
        }
        let of_latents = node.class.starts_with("Latent");
        let method = graph.plain(node, "upscale_method").unwrap_or_default();
        let known = match of_latents {
            true => LATENTS.iter().find(|(name, _)| *name == method).map(|(_, upscaler)| *upscaler),
            false => (method == "lanczos").then_some(Upscaler::Lanczos),
        };
        let stands = if of_latents { Upscaler::Latent } else { Upscaler::Lanczos };
        if known.is_none() {
            self.notices.push(format!(
                "There is no upscaler “{}” here; {} stands for it.",
                brief(&method),
                stands.a1111_name()
            ));
        }
        enlarged.upscaler = known.or(Some(stands));
    }

    /// A network that enlarges, which no setting names.
    fn take_network<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>, enlarged: &mut Enlarged) {
        let loader = graph.wired(node, "upscale_model");
        let name = loader.and_then(|loader| graph.plain(loader, "model_name"));
        loader.into_iter().for_each(|loader| graph.hear(loader));
        graph.hear(node);
        if enlarged.size.is_none() {
            enlarged.by = Some(enlarged.by.unwrap_or(1.0) * name.as_deref().map_or(1.0, factor));
        }
        let name = name.unwrap_or_default();
        self.notices.push(format!(
            "It was enlarged by the network “{}”; give it, else Lanczos stands for it.",
            brief(&name)
        ));
        enlarged.upscaler = Some(Upscaler::Lanczos);
    }

    /// Says what of the second pass is other than of the first.
    fn tell_differences<'a>(&mut self, graph: &Graph<'a>, first: Node<'a>, second: Node<'a>) {
        let text =
            |sampler, input| graph.conditioning(sampler, input).last().and_then(|node| graph.text(*node));
        let same_text = |input| text(first, input) == text(second, input);
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
    }
}

/// By how much a network of such a name enlarges: `4x_…`, `…_x4plus`.
fn factor(name: &str) -> f64 {
    let name = name.to_ascii_lowercase();
    let is = |digit: &u32| name.contains(&format!("{digit}x")) || name.contains(&format!("x{digit}"));
    [2, 3, 4, 8].iter().find(|digit| is(digit)).map_or(4.0, |digit| f64::from(*digit))
}
