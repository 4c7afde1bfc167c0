//! The plans of one run: text, keys and values, UNet, sampler, decoder, sharing one memory.

use std::fmt;

pub use super::graphs::Shape;
use super::graphs::{Graphs, prepare_params, preview_size, step_params};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::{Elem, Kernel, WeightType, prepare, preview, step};
use crate::plan::{
    Binding, Dispatch, External, Graph, MemoryLimits, Outside, Plan, Target, WeightDecl, lower, padded,
    stored_type,
};

/// A run's plans as data.
pub struct Plans {
    /// In the model's order.
    pub texts: Vec<Plan>,
    pub keys_values: Plan,
    pub denoiser: Plan,
    pub prepare: Plan,
    pub step: Plan,
    pub preview: Plan,
    pub decoder: Plan,
}

impl Plans {
    /// Plans for a target, with weights of the given types. Needs no device.
    pub fn new(
        config: &ModelConfig,
        shape: Shape,
        target: Target,
        weight_types: &dyn Fn(&WeightDecl) -> WeightType,
    ) -> Result<Plans> {
        let Graphs { texts, keys_values, denoiser, preview, decoder } =
            Graphs::new(config, shape, target.limits);
        let sampler = SamplerPlans { config, shape, elem: target.elem };
        let lowered = |graph: &Graph| lower(graph, target, weight_types);
        Ok(Plans {
            texts: texts.iter().map(lowered).collect::<Result<_>>()?,
            keys_values: lowered(&keys_values)?,
            denoiser: lowered(&denoiser)?,
            prepare: sampler.prepare(),
            step: sampler.step(),
            preview: preview.as_ref().map_or_else(|| Ok(sampler.preview()), lowered)?,
            decoder: lowered(&decoder)?,
        })
    }

    /// Plans without a checkpoint: every matrix of type `wanted` where it can be.
    pub fn without_weights(
        config: &ModelConfig,
        shape: Shape,
        target: Target,
        wanted: WeightType,
    ) -> Result<Plans> {
        Plans::new(config, shape, target, &|decl| stored_type(decl.kind, wanted))
    }

    /// All of them, in the order of a run.
    pub fn all(&self) -> Vec<&Plan> {
        let Plans { texts, keys_values, denoiser, prepare, step, preview, decoder } = self;
        texts.iter().chain([keys_values, prepare, denoiser, step, preview, decoder]).collect()
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
        h: height / scale,
        w: width / scale,
        chunks: 1,
        ancestral: false,
        maps: false,
    };
    let target = Target { elem: Elem::F32, cpu: false, limits: MemoryLimits::WIDEST };
    Plans::without_weights(&config, shape, target, WeightType::Q8)
}

/// The sampler's kernels as plans of one dispatch each; their parameters change from step to step.
struct SamplerPlans<'a> {
    config: &'a ModelConfig,
    shape: Shape,
    elem: Elem,
}

impl SamplerPlans<'_> {
    fn latents(&self, outside: Outside) -> External {
        External { outside, bytes: (self.shape.pixels() * self.config.vae.latent_channels() * 4) as u64 }
    }

    /// A value of `channels` elements for every pixel of every model evaluation.
    fn model(&self, outside: Outside, channels: usize) -> External {
        let bytes = self.shape.copies * self.shape.pixels() * padded(channels) * self.elem.size();
        External { outside, bytes: bytes as u64 }
    }

    fn sample(&self) -> External {
        self.model(Outside::Sample, self.config.denoiser.in_channels())
    }

    fn prepare(&self) -> Plan {
        let spec = prepare::Spec { elem: self.elem };
        let params = prepare_params(self.config, self.shape, 1.0);
        let workgroups = prepare::workgroups(&spec, &params);
        let values = vec![self.latents(Outside::Latents), self.sample()];
        let mut plan = single("prepare", spec.into(), params.bytes(), workgroups, values);
        // Every run begins here.
        plan.clears.push(plan.externals.len());
        plan.externals.push(self.latents(Outside::History));
        plan
    }

    fn step(&self) -> Plan {
        let spec =
            step::Spec { elem: self.elem, guided: self.shape.copies == 2, noise: self.shape.ancestral };
        let params = step_params(self.config, self.shape, 1.0, &crate::sample::Step::default(), 1.0);
        let workgroups = step::workgroups(&spec, &params);
        let mut values = vec![self.model(Outside::Prediction, self.config.denoiser.out_channels())];
        values.extend(self.shape.ancestral.then(|| self.latents(Outside::Noise)));
        values
            .extend([Outside::Latents, Outside::History, Outside::Denoised].map(|state| self.latents(state)));
        values.push(self.sample());
        single("step", spec.into(), params.bytes(), workgroups, values)
    }

    fn preview(&self) -> Plan {
        let pixels = self.shape.h * self.shape.w;
        let channels = self.config.vae.latent_channels();
        let spec = preview::Spec {};
        let params = preview::Params { pixels: pixels as u32, channels: channels as u32 };
        let workgroups = preview::workgroups(&spec, &params);
        let colours = External { outside: Outside::Colours, bytes: ((channels + 1) * 16) as u64 };
        let picture = External { outside: Outside::Preview, bytes: (pixels * 4) as u64 };
        single(
            "preview",
            spec.into(),
            params.bytes(),
            workgroups,
            vec![self.latents(Outside::Denoised), colours, picture],
        )
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
    let dispatch = Dispatch {
        label: name.to_string(),
        kernel,
        params: params.to_vec(),
        workgroups,
        bindings: (0..externals.len()).map(Binding::External).collect(),
        flops: 0,
        bytes: externals.iter().map(|e| e.bytes).sum(),
    };
    Plan {
        name: name.to_string(),
        dispatches: vec![dispatch],
        slabs: Vec::new(),
        externals,
        clears: Vec::new(),
    }
}

/// A run's plans on the device.
pub struct Prepared {
    pub shape: Shape,
    pub memory: Memory,
    /// In the model's order.
    pub texts: Vec<Executable>,
    pub keys_values: Executable,
    pub denoiser: Executable,
    pub prepare: Executable,
    pub step: Executable,
    pub preview: Executable,
    pub decoder: Executable,
    pub read_preview: Readback,
    pub read_rgba: Readback,
}

impl Prepared {
    /// Allocates memory, compiles and binds everything a run of this shape needs.
    pub fn new(context: &Context, config: &ModelConfig, shape: Shape, weights: &Weights) -> Result<Prepared> {
        let plans = Plans::new(config, shape, context.target(), &|decl| weights.stored_type(decl))?;
        let memory = Memory::new(context, &plans.all());
        let (factors, bias) = config.vae.latent_rgb();
        if config.preview.is_none() {
            memory.write(Outside::Colours, bytemuck::cast_slice(&preview::colours(&factors, bias)))?;
        }
        let [preview_width, preview_height] = preview_size(config, shape.h, shape.w);
        let bind = |plan: &Plan| Executable::new(context, plan, weights, &memory);
        let scale = config.vae.scale();
        let pixels = shape.h * shape.w;
        Ok(Prepared {
            shape,
            texts: plans.texts.iter().map(bind).collect::<Result<_>>()?,
            keys_values: bind(&plans.keys_values)?,
            denoiser: bind(&plans.denoiser)?,
            prepare: bind(&plans.prepare)?,
            step: bind(&plans.step)?,
            preview: bind(&plans.preview)?,
            decoder: bind(&plans.decoder)?,
            read_preview: Readback::new(
                context,
                Outside::Preview,
                (preview_width * preview_height * 4) as u64,
            ),
            read_rgba: Readback::new(
                context,
                Outside::Rgba,
                (shape.batch * pixels * scale * scale * 4) as u64,
            ),
            memory,
        })
    }
}
