//! A run's plans on the device.

use std::collections::BTreeSet;

use super::decode::Decoder;
use super::prepared::{Built, Maker, Prepared, Within};
use super::within::{Limit, PhasedRun};
use super::{Network, Pixels, Used};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::{Elem, prepare, rgba, step};
use crate::model::autoencoder;
use crate::pipeline::graphs::{Key, Shape};
use crate::pipeline::layout::{from_bytes, to_bytes};
use crate::pipeline::plans::plan_of;
use crate::pipeline::request::Cancel;
use crate::pipeline::residency::{Residency, Stage};
use crate::pipeline::stages::Stages;
use crate::pipeline::stock::Stock;
use crate::plan::{ElemKind, Graph, MemoryLimits, Outside, Target, lower};
use crate::weights::{Component, Manifest};

/// A model on the device, ready for prompts once its weights are written.
pub struct GpuEngine {
    context: Context,
    config: ModelConfig,
    weights: Weights,
    prepared: Option<Prepared>,
    built: Built,
    limit: Option<Limit>,
}

impl GpuEngine {
    /// Makes room for a model's weights.
    pub async fn new(context: Context, manifest: &Manifest) -> Result<GpuEngine> {
        let weights = context.guarded(|| Ok(Weights::new(&context, manifest))).await?;
        Ok(GpuEngine::over(context, manifest, weights, None))
    }

    /// A model whose runs keep within `bytes` of the device's memory. Weights come from the stock when a run needs them.
    pub fn within(context: Context, manifest: &Manifest, bytes: u64, stock: Box<dyn Stock>) -> GpuEngine {
        let weights = Weights::away(&context, manifest);
        GpuEngine::over(context, manifest, weights, Some(Limit::new(bytes, stock)))
    }

    fn over(context: Context, manifest: &Manifest, weights: Weights, limit: Option<Limit>) -> GpuEngine {
        let config = manifest.config.clone();
        GpuEngine { context, config, weights, prepared: None, built: Built::new(), limit }
    }

    /// Writes packed weights.
    pub fn write_weights(&self, slab: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.weights.write(slab, offset, bytes)
    }

    /// The device it runs on.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Plans, memory and bind groups of a shape; of the last one's stays what has not changed. Within a limit: those of the
    /// run's first phase.
    pub async fn prepare(&mut self, shape: Shape, cancel: &Cancel) -> Result<&Prepared> {
        if self.limit.is_some() {
            self.plan_phases(shape)?;
            self.begin(0, cancel).await?;
            return self.prepared();
        }
        let prepared = match self.prepared.take() {
            Some(prepared) if prepared.shape == shape => prepared,
            old => {
                let GpuEngine { context, config, weights, built, .. } = self;
                let keys = shape.keys(config);
                let mut maker = Maker { context, config, weights, within: None };
                context.guarded(|| Prepared::new(&mut maker, shape, keys, old, built)).await?
            }
        };
        Ok(self.prepared.insert(prepared))
    }

    /// Decides the phases of runs of a shape; refuses a shape that does not keep the limit, and stays as it was.
    fn plan_phases(&mut self, shape: Shape) -> Result<()> {
        let GpuEngine { context, config, weights, built, limit, .. } = self;
        let Some(limit) = limit.as_mut() else { return Ok(()) };
        if limit.run.as_ref().is_some_and(|run| run.shape == shape) {
            return Ok(());
        }
        let mut planned = Vec::new();
        for key in shape.keys(config) {
            planned.push((key, plan_of(config, key, context.target(), &|decl| weights.stored_type(decl))?));
        }
        let parts: Vec<_> = planned.iter().map(|(key, plan)| (*key, plan)).collect();
        let residency = Residency::of_run(config, &parts, &weights.sizes(), limit.bytes);
        residency.check()?;
        for (key, _) in &planned {
            built.entry(key.network()).or_default()[0] += 1;
        }
        limit.run = Some(PhasedRun { shape, planned, residency, phase: None });
        Ok(())
    }

    /// Prepares the phase that a part belongs to, where there are phases and it is another one than the last.
    async fn enter(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        let Some(limit) = &self.limit else { return Ok(()) };
        let missing = || Error::Gpu { message: format!("{network:?} is not prepared to run") };
        let phase = limit.run.as_ref().and_then(|run| run.residency.phase_of(network)).ok_or_else(missing)?;
        self.begin(phase, cancel).await
    }

    /// Lets go of what a phase has no use for, then takes what it needs. A phase that could not begin leaves nothing half done.
    async fn begin(&mut self, phase: usize, cancel: &Cancel) -> Result<()> {
        let Some(run) = self.limit.as_mut().and_then(|limit| limit.run.as_mut()) else { return Ok(()) };
        if run.phase == Some(phase) && self.prepared.is_some() {
            return Ok(());
        }
        run.phase = None;
        let (shape, keys) = (run.shape, run.keys(phase));
        let resident = run.residency.phases[phase].resident.clone();
        let mut old = self.prepared.take();
        if let Some(old) = &mut old {
            old.keep(&keys);
        }
        let come = self.make_way(&resident).await?;
        let made = self.fill_phase(phase, shape, keys, old, &come, cancel).await;
        match made {
            Ok(prepared) => {
                self.prepared = Some(prepared);
                if let Some(run) = self.limit.as_mut().and_then(|limit| limit.run.as_mut()) {
                    run.phase = Some(phase);
                }
                Ok(())
            }
            Err(error) => {
                self.weights.leave(&come);
                Err(error)
            }
        }
    }

    /// Lets components leave that are not among `resident`; those of them that are still to come.
    async fn make_way(&mut self, resident: &BTreeSet<Component>) -> Result<BTreeSet<Component>> {
        let there = self.weights.resident();
        self.weights.leave(&there.difference(resident).copied().collect());
        // What was destroyed is gone when the work that was under way has run.
        self.context.finished().await?;
        Ok(resident.difference(&there).copied().collect())
    }

    async fn fill_phase(
        &mut self,
        phase: usize,
        shape: Shape,
        keys: Vec<Key>,
        old: Option<Prepared>,
        come: &BTreeSet<Component>,
        cancel: &Cancel,
    ) -> Result<Prepared> {
        let GpuEngine { context, config, weights, built, limit, .. } = self;
        let unplanned = || Error::Gpu { message: "nothing is planned to run".to_string() };
        let limit = limit.as_mut().ok_or_else(unplanned)?;
        let run = limit.run.as_ref().ok_or_else(unplanned)?;
        let shared = &run.residency.phases[phase].stage.shared;
        let within = Some(Within { planned: &run.planned, shared, come });
        let mut maker = Maker { context, config, weights, within };
        let prepared = context.guarded(|| Prepared::new(&mut maker, shape, keys, old, built)).await?;
        limit.fill(context, weights, come, cancel).await?;
        Ok(prepared)
    }

    /// Makes room within the limit for a plan of its own, with activations as the device has them, and brings its weights.
    pub(super) async fn admit(
        &mut self,
        name: &str,
        graph: impl FnOnce(MemoryLimits) -> Graph,
        cancel: &Cancel,
    ) -> Result<()> {
        let elem = self.context.target().elem;
        self.admit_in(elem, name, graph, cancel).await
    }

    async fn admit_in(
        &mut self,
        elem: Elem,
        name: &str,
        graph: impl FnOnce(MemoryLimits) -> Graph,
        cancel: &Cancel,
    ) -> Result<()> {
        let Some(limit) = &mut self.limit else { return Ok(()) };
        let target = Target { elem, ..self.context.target() };
        let plan = lower(&graph(target.limits), target, &|decl| self.weights.stored_type(decl))?;
        let stage = Stage::alone(name, &plan);
        let residency = Residency::of(vec![stage], &self.weights.sizes(), limit.bytes);
        residency.check()?;
        if let Some(run) = &mut limit.run {
            run.phase = None;
        }
        self.prepared = None;
        let come = self.make_way(&residency.phases[0].resident).await?;
        let GpuEngine { context, weights, limit, .. } = self;
        let Some(limit) = limit else { return Ok(()) };
        let taken = context.guarded(|| {
            weights.take(&come);
            Ok(())
        });
        let filled = match taken.await {
            Ok(()) => limit.fill(context, weights, &come, cancel).await,
            Err(error) => Err(error),
        };
        if filled.is_err() {
            weights.leave(&come);
        }
        filled
    }

    /// The phases of the last run that was planned, where there is a limit.
    pub fn residency(&self) -> Option<&Residency> {
        Some(&self.limit.as_ref()?.run.as_ref()?.residency)
    }

    /// How often each part was planned and bound so far.
    pub fn built(&self) -> &Built {
        &self.built
    }

    fn prepared(&self) -> Result<&Prepared> {
        let unprepared = || Error::Gpu { message: "nothing is prepared to run".to_string() };
        self.prepared.as_ref().ok_or_else(unprepared)
    }

    fn elem(&self, outside: Outside) -> Elem {
        match outside.kind() {
            ElemKind::Activation => self.context.target().elem,
            ElemKind::F32 | ElemKind::U32 => Elem::F32,
        }
    }

    pub(super) fn stages(&self) -> Stages<'_> {
        Stages::on_gpu(&self.context, &self.weights)
    }

    pub(super) fn write(&self, outside: Outside, values: &[f32]) -> Result<()> {
        self.prepared()?.memory.write(outside, &to_bytes(values, self.elem(outside)))
    }

    pub(super) fn write_ids(&self, outside: Outside, ids: &[u32]) -> Result<()> {
        self.prepared()?.memory.write(outside, bytemuck::cast_slice(ids))
    }

    pub(super) async fn read(&self, outside: Outside, len: usize) -> Result<Vec<f32>> {
        self.read_from(&self.prepared()?.memory, outside, self.elem(outside), len).await
    }

    async fn read_from(&self, memory: &Memory, outside: Outside, elem: Elem, len: usize) -> Result<Vec<f32>> {
        let readback = Readback::new(&self.context, outside, (len * elem.size()) as u64);
        Ok(from_bytes(&readback.read(memory).await?, elem))
    }

    pub(super) async fn run(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        self.enter(network, cancel).await?;
        self.prepared()?.executable(network)?.run(&|| cancel.is_cancelled()).await
    }

    pub(super) async fn first_input(&self, params: prepare::Params) -> Result<()> {
        let prepare = self.prepared()?.executable(Network::Prepare)?;
        prepare.set_params(0, params.bytes());
        prepare.run(&|| false).await
    }

    pub(super) async fn step(&self, params: step::Params) -> Result<()> {
        let step = self.prepared()?.executable(Network::Step)?;
        step.set_params(0, params.bytes());
        step.run(&|| false).await
    }

    pub(super) async fn preview(&self) -> Result<Vec<u8>> {
        let prepared = self.prepared()?;
        prepared.executable(Network::Preview)?.run(&|| false).await?;
        prepared.read(Network::Preview).await
    }

    pub(super) async fn decode(&mut self, image: bool, cancel: &Cancel) -> Result<Pixels> {
        self.run(Network::Decoder, cancel).await?;
        let prepared = self.prepared()?;
        let bytes = prepared.read(Network::Decoder).await?;
        let shape = prepared.shape;
        let Shape { batch: n, h, w, .. } = shape;
        let elem = self.context.target().elem;
        let len = shape.pixels() * self.config.vae.latent_channels();
        let decoded = if self.limit.is_some() && elem == Elem::F16 && !rgba::cpu::is_finite(&bytes) {
            // The memory of the first decode goes before that of the second is taken.
            let latents = self.read(Outside::Latents, len).await?;
            self.admit_decoder("decode in single precision", [n, h, w], Elem::F32, cancel).await?;
            self.decoder(cancel).settle(bytes, elem, std::future::ready(Ok(latents)), [n, h, w]).await?
        } else {
            self.decoder(cancel).settle(bytes, elem, self.read(Outside::Latents, len), [n, h, w]).await?
        };
        let len = decoded.bytes.len(); // four channels, as the decoder's output has
        let image = match (image, &decoded.again) {
            (false, _) => None,
            (true, Some(memory)) => Some(self.read_from(memory, Outside::Image, Elem::F32, len).await?),
            (true, None) => Some(self.read(Outside::Image, len).await?),
        };
        Ok(Pixels { image, again: decoded.again.is_some(), bytes: decoded.bytes })
    }

    pub(super) async fn decode_alone(&mut self, latents: &[f32], [h, w]: [usize; 2]) -> Result<Vec<u8>> {
        let (cancel, elem) = (Cancel::default(), self.context.target().elem);
        self.admit_decoder("decode", [1, h, w], elem, &cancel).await?;
        let (bytes, memory) = self.decoder(&cancel).alone(latents, [1, h, w], elem).await?;
        drop(memory);
        if elem == Elem::F16 && !rgba::cpu::is_finite(&bytes) {
            self.admit_decoder("decode in single precision", [1, h, w], Elem::F32, &cancel).await?;
        }
        let again = async { Ok(latents.to_vec()) };
        Ok(self.decoder(&cancel).settle(bytes, elem, again, [1, h, w]).await?.bytes)
    }

    async fn admit_decoder(
        &mut self,
        name: &str,
        [n, h, w]: [usize; 3],
        elem: Elem,
        cancel: &Cancel,
    ) -> Result<()> {
        let vae = self.config.vae.clone();
        let graph = |_| autoencoder::decoder(&vae, n, h, w, MemoryLimits::default());
        self.admit_in(elem, name, graph, cancel).await
    }

    fn decoder<'a>(&'a self, cancel: &'a Cancel) -> Decoder<'a> {
        Decoder { context: &self.context, config: &self.config, weights: &self.weights, cancel }
    }

    pub(super) fn used(&self) -> Used {
        let counters = self.context.counters();
        let dispatches = |prepared: &Prepared| {
            let each = [Network::Denoiser, Network::Step].map(|network| prepared.executable(network));
            each.into_iter().flatten().map(Executable::dispatches).sum()
        };
        Used {
            buffers: counters.buffers,
            bind_groups: counters.bind_groups,
            bytes: counters.bytes,
            peak: counters.peak,
            dispatches_per_step: self.prepared.as_ref().map_or(0, dispatches),
        }
    }
}
