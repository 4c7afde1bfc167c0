//! How a sampler drew, and what it began with.

use super::super::{Settings, brief};
use super::nodes::{Graph, Node};
use crate::sample::{NoiseSource, SamplerOptions, ScheduleKind};

/// Nodes that are a sampler with options of its own, by ComfyUI's name of it.
const SAMPLERS: [(&str, &str); 7] = [
    ("SamplerEulerAncestral", "euler_ancestral"),
    ("SamplerLMS", "lms"),
    ("SamplerDPMPP_2S_Ancestral", "dpmpp_2s_ancestral"),
    ("SamplerDPMPP_SDE", "dpmpp_sde"),
    ("SamplerDPMPP_2M_SDE", "dpmpp_2m_sde"),
    ("SamplerDPMPP_3M_SDE", "dpmpp_3m_sde"),
    ("SamplerER_SDE", "er_sde"),
];

/// Options of these that are told elsewhere or always so here: which node, which input, and what it is here.
const FIXED: [(&str, &str, &str); 6] = [
    ("SamplerLMS", "order", "4"),
    ("SamplerDPMPP_SDE", "r", "0.5"),
    ("SamplerER_SDE", "solver_type", "ER-SDE"),
    ("SamplerER_SDE", "max_stage", "3"),
    ("BetaSamplingScheduler", "alpha", "0.6"),
    ("BetaSamplingScheduler", "beta", "0.6"),
];

/// What is said where a Brownian path is not the processor's.
const ON_CARD: &str =
    "Its fresh noise was drawn on the graphics card: the same seed gives another picture here.";

impl Settings {
    /// How it was drawn, and from what.
    pub(super) fn take_steps<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let guidance = graph.told(sampler, "cfg");
        self.guidance = guidance.and_then(|value| self.number("Guidance", &value));
        if let Some(guider) = graph.wired(sampler, "guider").filter(|node| node.class == "BasicGuider") {
            graph.hear(guider);
            self.guidance = Some(1.0); // its prompt alone
        }
        let seed = graph.seed(sampler).and_then(|value| self.number::<u64>("Seed", &value));
        self.seed = seed.map(|seed| seed.to_string());
        self.rng = self.seed.is_some().then_some(NoiseSource::Torch.name());
        if let Some(name) =
            graph.told(sampler, "sampler_name").or_else(|| self.take_sampler_node(graph, sampler))
        {
            let own = graph.levels(sampler).and_then(|node| self.take_levels(graph, node));
            // What is called so there takes Euler's steps (docs/behaviour.md).
            let taken = if name == "ddim" { "euler" } else { &name };
            self.take_sampler(taken, graph.told(sampler, "scheduler").or(own).as_deref());
            if name.ends_with("_gpu") {
                self.notices.push(ON_CARD.to_string());
            }
        }
        let steps = graph.told(sampler, "steps").and_then(|value| self.number::<u32>("Steps", &value));
        self.steps = steps;
        self.tell_partial(graph, sampler);
        let is_from_nothing = self.take_origin(graph, sampler);
        self.take_share(graph, sampler, is_from_nothing);
        // From nothing there is a little more noise than A1111's; what begins below the highest level has no more.
        if is_from_nothing
            && self.sampler.is_some()
            && self.schedule != Some(ScheduleKind::DdimUniform.name())
        {
            let options = self.sampler_options.unwrap_or_default();
            self.sampler_options = Some(SamplerOptions { sgm_noise_multiplier: Some(true), ..options });
        }
    }

    /// Says where its steps are not all that a run has.
    fn tell_partial<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) {
        let ends = graph.number(sampler, "end_at_step");
        if ends.zip(self.steps).is_some_and(|(end, steps)| end < f64::from(steps)) {
            let text = "Its sampler stops before its last step, which is not done here: all are taken.";
            self.notices.push(text.to_string());
        }
        let none = graph.wired(sampler, "noise").filter(|node| node.class == "DisableNoise");
        none.into_iter().for_each(|node| graph.hear(node));
        let is_off = |value: String| value == "disable" || value == "false";
        if none.is_some() || graph.plain(sampler, "add_noise").is_some_and(is_off) {
            self.notices.push("Its sampler adds no noise, which is not done here.".to_string());
        }
    }

    /// What its latents are made of; whether of nothing.
    fn take_origin<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) -> bool {
        let latents = graph.latents(sampler);
        for node in &latents {
            match node.class {
                "VAEEncodeForInpaint" | "SetLatentNoiseMask" | "InpaintModelConditioning" => {
                    graph.hear(*node);
                    let text =
                        "Only a part of it was drawn, where a mask is white, which its file does not hold.";
                    self.notices.push(text.to_string());
                }
                class if class.starts_with("VAEEncode") || class == "LoadImage" => graph.hear(*node),
                "ImageScale" => {
                    graph.hear(*node);
                    self.take_sides(graph, *node);
                }
                _ => {}
            }
        }
        let Some(node) = latents.last().filter(|node| node.is_empty()) else { return false };
        graph.hear(*node);
        self.take_sides(graph, *node);
        let batch = graph.number(*node, "batch_size").unwrap_or(1.0);
        if batch > 1.0 {
            let text = format!(
                "It is one of {batch} that ComfyUI draws from one seed; of these the first is drawn."
            );
            self.notices.push(text);
        }
        true
    }

    /// How many of its steps it took, and of a picture how much.
    fn take_share<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>, is_from_nothing: bool) {
        let share = self.steps.and_then(|steps| graph.share(sampler, steps));
        let denoise = graph.told(sampler, "denoise").and_then(|value| value.parse().ok());
        let from_picture = !is_from_nothing && (share.is_some() || !graph.latents(sampler).is_empty());
        match share {
            Some((taken, total)) if is_from_nothing => self.notices.push(format!(
                "It takes the last {taken} of {total} steps from nothing, which is not done here: all are taken."
            )),
            Some((taken, total)) => {
                // As many of so many are the last ones there: the same are taken here.
                let strength = strength_of(taken, total, denoise);
                (self.steps, self.strength) = (Some(total), Some(strength));
                if total != taken {
                    self.notices.push(format!("Its {taken} steps are the last of {total}."));
                }
            }
            None if from_picture && self.steps.is_some() => self.strength = Some(1.0),
            None => {}
        }
        if from_picture {
            let text = "It was made from another picture, which its file does not hold.";
            self.notices.push(text.to_string());
        }
    }

    /// A sampler that is a node with options of its own: its name, the options among the settings.
    fn take_sampler_node<'a>(&mut self, graph: &Graph<'a>, sampler: Node<'a>) -> Option<String> {
        let node = graph.wired(sampler, "sampler")?;
        let (_, name) = SAMPLERS.into_iter().find(|(class, _)| *class == node.class)?;
        graph.hear(node);
        // Each is 1 in ComfyUI's samplers, as here.
        let number = |input| graph.number(node, input).filter(|value| *value != 1.0);
        let (eta, s_noise) = (number("eta"), number("s_noise"));
        if eta.is_some() || s_noise.is_some() {
            let options = self.sampler_options.unwrap_or_default();
            self.sampler_options = Some(SamplerOptions { eta, s_noise, ..options });
        }
        self.tell_fixed(graph, node);
        if graph.plain(node, "noise_device").is_some_and(|device| device == "gpu") {
            self.notices.push(ON_CARD.to_string());
        }
        let is_heun = graph.plain(node, "solver_type").is_some_and(|kind| kind == "heun");
        Some(if is_heun { format!("{name}_heun") } else { name.to_string() })
    }

    /// Says which options of a node are other than here, where they are always the same.
    fn tell_fixed<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) {
        for (_, input, here) in FIXED.into_iter().filter(|(class, ..)| *class == node.class) {
            let told = graph.plain(node, input);
            if let Some(told) = told.filter(|told| told != here && told.parse() != here.parse::<f64>()) {
                let told = brief(&told);
                self.notices.push(format!("{}’s {input} is {told}; here it is always {here}.", node.class));
            }
        }
    }

    /// A node that makes levels by itself: the schedule's name, its bounds among the sampler's options.
    fn take_levels<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) -> Option<String> {
        let name = node.class.strip_suffix("Scheduler").filter(|name| *name != "Basic")?;
        let schedule = match name {
            "Karras" | "Exponential" | "Polyexponential" => name.to_lowercase(),
            "BetaSampling" => "beta".to_string(),
            "AlignYourSteps" => node.class.to_string(),
            other => other.to_string(),
        };
        if graph.plain(node, "model_type").is_some_and(|family| family != "SD1") {
            self.notices
                .push("Its levels are another family’s; here they are Stable Diffusion 1’s.".to_string());
        }
        self.tell_fixed(graph, node);
        let number = |input| graph.number(node, input).filter(|value| *value > 0.0);
        let bounds = ["sigma_min", "sigma_max", "rho"].map(number);
        if bounds.iter().any(Option::is_some) {
            let [sigma_min, sigma_max, rho] = bounds;
            let options = self.sampler_options.unwrap_or_default();
            self.sampler_options = Some(SamplerOptions { sigma_min, sigma_max, rho, ..options });
        }
        Some(schedule)
    }

    fn take_sides<'a>(&mut self, graph: &Graph<'a>, node: Node<'a>) {
        let side = |name| graph.number(node, name).filter(|side| *side >= 1.0).map(|side| side as u32);
        if let (Some(width), Some(height)) = (side("width"), side("height")) {
            (self.width, self.height) = (Some(width), Some(height));
        }
    }
}

/// The share of `total` steps of which the last `taken` are taken here: what it is called there, if that says the same.
fn strength_of(taken: u32, total: u32, denoise: Option<f64>) -> f64 {
    let takes = |share: &f64| (f64::from(total) * share) as u32 == taken;
    let least = f64::from(taken) / f64::from(total);
    denoise.filter(takes).unwrap_or((least * 1000.0).ceil() / 1000.0)
}
