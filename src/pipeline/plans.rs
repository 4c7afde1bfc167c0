//! The plans of one run: text, keys and values, UNet, sampler, decoder, sharing one memory.

use std::collections::BTreeMap;
use std::fmt;

pub use super::graphs::Shape;
use super::graphs::{Controls, Key, Network, prepare_params, preview_size, step_params, waiting};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::kernels::{Circular, Elem, Kernel, WeightType, prepare, preview, step};
use crate::plan::{
    Dispatch, External, MemoryLimits, Outside, Plan, Target, Tuning, WeightDecl, lower, padded, stored_type,
};
use crate::sample::Evaluation;

/// A run's plans as data.
pub struct Plans {
    /// Of a run that begins from a picture.
    pub encoder: Option<Plan>,
    /// Of each control network the part that reads its map,
    pub hints: Vec<Plan>,
    /// In the model's order.
    pub texts: Vec<Plan>,
    pub keys_values: Plan,
    /// the one that reads the text,
    pub control_keys_values: Vec<Plan>,
    pub prepare: Plan,
    /// and itself.
    pub controls: Vec<Plan>,
    pub denoiser: Plan,
    pub step: Plan,
    pub preview: Plan,
    pub decoder: Plan,
}

impl Plans {
    /// Plans for a target, with weights of the given types, previews among them. Needs no device.
    pub fn new(
        config: &ModelConfig,
        shape: Shape,
        target: Target,
        weight_types: &dyn Fn(&WeightDecl) -> WeightType,
    ) -> Result<Plans> {
        let mut plans = BTreeMap::new();
        for key in (Shape { previews: true, ..shape }).keys(config) {
            plans.insert(key.network(), plan_of(config, key, target, weight_types)?);
        }
        let encoder = plans.remove(&Network::Encoder);
        let mut take = |network: Network| plans.remove(&network).unwrap_or_default();
        let mut each = |network: fn(usize) -> Network, count| (0..count).map(|i| take(network(i))).collect();
        let controls = shape.controls.count();
        Ok(Plans {
            encoder,
            hints: each(Network::Hint, controls),
            texts: each(Network::Text, config.texts.len()),
            control_keys_values: each(Network::ControlKeysValues, controls),
            controls: each(Network::Control, controls),
            keys_values: take(Network::KeysValues),
            denoiser: take(Network::Denoiser),
            prepare: take(Network::Prepare),
            step: take(Network::Step),
            preview: take(Network::Preview),
            decoder: take(Network::Decoder),
        })
    }

    /// Plans without a checkpoint: every matrix of type `wanted` where it can be.
    pub fn without_weights(
        config: &ModelConfig,
        shape: Shape,
        target: Target,
        wanted: WeightType,
    ) -> Result<Plans> {
        Plans::new(config, shape, target, &|decl| stored_type(decl, wanted))
    }

    /// All of them, in the order of a run.
    pub fn all(&self) -> Vec<&Plan> {
        let Plans { encoder, hints, texts, keys_values, control_keys_values, prepare, controls, .. } = self;
        let Plans { denoiser, step, preview, decoder, .. } = self;
        let first = encoder.iter().chain(hints).chain(texts).chain([keys_values]).chain(control_keys_values);
        first.chain([prepare]).chain(controls).chain([denoiser, step, preview, decoder]).collect()
    }

    /// The same, each with what it depends on.
    pub fn keyed(&self, config: &ModelConfig, shape: Shape) -> Vec<(Key, &Plan)> {
        (Shape { previews: true, ..shape }).keys(config).into_iter().zip(self.all()).collect()
    }
}

impl fmt::Display for Plans {
    /// Every plan, a line per dispatch, in the order of a run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().into_iter().try_for_each(|plan| writeln!(f, "{plan}"))
    }
}

/// What a guided run of a built-in configuration costs on an adapter of the widest bindings: f32, Q8 weights, one chunk
/// of prompt. Needs neither weights nor a device.
pub fn of_builtin(model: &str, width: usize, height: usize) -> Result<Plans> {
    let config = ModelConfig::builtin(model)?;
    let scale = config.vae.scale();
    let shape = Shape {
        batch: 1,
        copies: 2,
        composed: false,
        h: height / scale,
        w: width / scale,
        chunks: 1,
        states: 1,
        vectors: 0,
        hides: false,
        skipped: 0,
        ancestral: false,
        history: 1, // as many as the general default sampler keeps
        maps: false,
        previews: true,
        encodes: false,
        masked: false,
        controls: Controls::NONE,
        circular: Circular::NONE,
        windows: None,
    };
    let target = Target { elem: Elem::F32, tuning: Tuning::GPU, subgroup: 0, limits: MemoryLimits::WIDEST };
    Plans::without_weights(&config, shape, target, WeightType::Q8)
}

/// A part of a run as a plan for a target.
pub fn plan_of(
    config: &ModelConfig,
    key: Key,
    target: Target,
    weight_types: &dyn Fn(&WeightDecl) -> WeightType,
) -> Result<Plan> {
    if let Some(graph) = key.graph(config, target.limits) {
        let mut plan = lower(&graph, target, weight_types)?;
        let of = |external: &External| {
            let bytes = external.bytes;
            waiting(key, external.outside).map(move |outside| External { outside, bytes })
        };
        let waiting: Vec<External> = plan.externals.iter().flat_map(of).collect();
        plan.externals.extend(waiting);
        return Ok(plan);
    }
    let between = |pixels, copies| Between { config, pixels, copies, elem: target.elem };
    Ok(match key {
        Key::Prepare { pixels, copies, history } => between(pixels, copies).prepare(history),
        Key::Step { pixels, copies, composed, ancestral, history, masked } => {
            between(pixels, copies).step(composed, ancestral, history, masked)
        }
        Key::Preview { h, w, .. } => between(h * w, 1).preview(),
        Key::Encoder { .. }
        | Key::Hint { .. }
        | Key::Text { .. }
        | Key::KeysValues { .. }
        | Key::ControlKeysValues { .. }
        | Key::Control { .. }
        | Key::Denoiser { .. }
        | Key::Decoder { .. } => Plan::default(),
    })
}

/// What the host reads of a part's result each time it has run, and how many bytes.
pub fn read_back(config: &ModelConfig, key: Key) -> Option<(Outside, u64)> {
    let read = |outside, pixels: usize| Some((outside, (pixels * 4) as u64));
    match key {
        Key::Preview { h, w, .. } => read(Outside::Preview, preview_size(config, h, w).iter().product()),
        Key::Decoder { batch, h, w, .. } => {
            let scale = config.vae.scale();
            read(Outside::Rgba, batch * h * scale * w * scale)
        }
        _ => None,
    }
}

/// The kernels between the networks as plans of one dispatch each; their parameters change from step to step.
struct Between<'a> {
    config: &'a ModelConfig,
    /// Of the latents of all pictures.
    pixels: usize,
    copies: usize,
    elem: Elem,
}

impl Between<'_> {
    fn latents(&self, outside: Outside) -> External {
        External { outside, bytes: (self.pixels * self.config.vae.latent_channels() * 4) as u64 }
    }

    /// What the sampler keeps, where it keeps anything.
    fn history(&self, values: usize) -> Option<External> {
        let External { bytes, .. } = self.latents(Outside::History);
        (values > 0).then_some(External { outside: Outside::History, bytes: values as u64 * bytes })
    }

    /// A value of `channels` elements for every pixel of every model evaluation.
    fn model(&self, outside: Outside, channels: usize) -> External {
        let bytes = self.copies * self.pixels * padded(channels) * self.elem.size();
        External { outside, bytes: bytes as u64 }
    }

    fn sample(&self) -> External {
        self.model(Outside::Sample, self.config.denoiser.in_channels())
    }

    fn prepare(&self, history: usize) -> Plan {
        let spec = prepare::Spec { elem: self.elem };
        let params = prepare_params(self.config, [self.pixels, self.copies], 1.0);
        let workgroups = prepare::workgroups(&spec, &params);
        let values = vec![self.latents(Outside::Latents), self.sample()];
        let mut plan = single("prepare", spec.into(), params.bytes(), workgroups, values);
        // Every run begins here.
        if let Some(history) = self.history(history) {
            plan.clears.push(plan.externals.len());
            plan.externals.push(history);
        }
        plan
    }

    fn step(&self, composed: bool, ancestral: bool, history: usize, masked: bool) -> Plan {
        let spec = step::Spec {
            elem: self.elem,
            guided: self.copies > 1,
            composed,
            noise: ancestral,
            history,
            masked,
        };
        let params = step_params(self.config, [self.pixels, self.copies], 1.0, &Evaluation::default(), 1.0);
        let workgroups = step::workgroups(&spec, &params);
        let mut values = vec![self.model(Outside::Prediction, self.config.denoiser.out_channels())];
        values.extend(ancestral.then(|| self.latents(Outside::Noise)));
        values.push(self.latents(Outside::Latents));
        values.extend(self.history(history));
        values.extend([self.latents(Outside::Denoised), self.sample()]);
        values.extend(masked.then(|| self.latents(Outside::Kept)));
        let masks = usize::from(masked) + if composed { self.copies - 1 } else { 0 };
        if masks > 0 {
            values.push(External { outside: Outside::Masks, bytes: (masks * self.pixels * 4) as u64 });
        }
        single("step", spec.into(), params.bytes(), workgroups, values)
    }

    /// Of the first picture, by a colour for each channel.
    fn preview(&self) -> Plan {
        let channels = self.config.vae.latent_channels();
        let spec = preview::Spec {};
        let params = preview::Params { pixels: self.pixels as u32, channels: channels as u32 };
        let workgroups = preview::workgroups(&spec, &params);
        let colours = External { outside: Outside::Colours, bytes: ((channels + 1) * 16) as u64 };
        let picture = External { outside: Outside::Preview, bytes: (self.pixels * 4) as u64 };
        let values = vec![self.latents(Outside::Denoised), colours, picture];
        single("preview", spec.into(), params.bytes(), workgroups, values)
    }
}

/// A plan of one dispatch over values outside the arena.
pub(super) fn single(
    name: &str,
    kernel: Kernel,
    params: &[u8],
    workgroups: [u32; 3],
    externals: Vec<External>,
) -> Plan {
    let dispatch = Dispatch::over(name, kernel, params, workgroups, &externals);
    Plan {
        name: name.to_string(),
        dispatches: vec![dispatch],
        slabs: Vec::new(),
        externals,
        clears: Vec::new(),
    }
}
