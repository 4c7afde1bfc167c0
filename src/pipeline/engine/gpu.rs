//! A run's plans on the device.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use super::decode::Decoder;
use super::prepared::{Built, Maker, Prepared, Within};
use super::within::Limit;
use super::{Held, Network, Pixels, Used};
use crate::config::{ControlNetConfig, ModelConfig};
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::{Circular, Elem, prepare, rgba, step};
use crate::model::autoencoder;
use crate::pipeline::graphs::{Key, Shape};
use crate::pipeline::layout::{from_bytes, to_bytes};
use crate::pipeline::request::Cancel;
use crate::pipeline::residency::{Residency, Stage};
use crate::pipeline::stages::Stages;
use crate::pipeline::stock::Stock;
use crate::plan::{ElemKind, Graph, MemoryLimits, Outside, Target, lower};
use crate::weights::{Bytes, Component, Components, Manifest, Merged, PackedRecord, Wider};

/// Weights and memory on their way. A value of its own, since what awaits it would otherwise hold all of its states.
type Moving<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A model on the device, ready for prompts once its weights are written.
pub struct GpuEngine {
    pub(super) context: Context,
    pub(super) config: ModelConfig,
    pub(super) weights: Weights,
    pub(super) prepared: Option<Prepared>,
    pub(super) built: Built,
    pub(super) limit: Option<Limit>,
    /// Whose keys and values are made and read, of texts that take turns.
    text: usize,
    /// Records that are to be read in a wider type.
    pub(super) wider: Wider,
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
        GpuEngine::over(context, manifest, weights, Some(Limit::new(bytes, &manifest.name, stock)))
    }

    fn over(context: Context, manifest: &Manifest, weights: Weights, limit: Option<Limit>) -> GpuEngine {
        let config = manifest.config.clone();
        let wider = Wider::default();
        GpuEngine { context, config, weights, prepared: None, built: Built::new(), limit, text: 0, wider }
    }

    /// The device and the model's weights, all of which are there: only without a limit of memory they are.
    #[cfg(feature = "train")]
    pub fn resident(&self) -> Result<(&Context, &Weights)> {
        if self.limit.is_some() {
            return Err(Error::Unsupported {
                what: "learning within a limit of the device's memory".to_string(),
                message: "its weights come and go; load the model without a limit, or on the processor"
                    .to_string(),
            });
        }
        Ok((&self.context, &self.weights))
    }

    /// Writes packed weights.
    pub fn write_weights(&self, slab: usize, offset: u64, bytes: &Bytes<'_>) -> Result<()> {
        self.weights.write(slab, offset, bytes)
    }

    /// See [`Engine::merge`](super::Engine::merge).
    pub(super) fn merge(&self, merged: &Merged, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
        self.weights.merge(merged, record, bytes)
    }

    /// See [`Engine::merges_later`](super::Engine::merges_later).
    pub(super) fn merges_later(
        &mut self,
        merged: &Rc<Merged>,
        wanted: &dyn Fn(&PackedRecord) -> bool,
        manifest: &Arc<Manifest>,
    ) -> bool {
        let Some(limit) = &mut self.limit else { return false };
        limit.merged = Some((merged.clone(), manifest.clone()));
        if let Some(run) = &mut limit.run {
            run.phase = None;
        }
        self.prepared = None;
        let changed = manifest.records.iter().filter(|record| wanted(record));
        self.weights.leave(changed.map(|record| Component::of(&record.decl.name)).collect());
        true
    }

    /// See [`Engine::hold`](super::Engine::hold). What is read here as f32 is written again as it was.
    pub(super) async fn hold(&self) -> Result<Held> {
        const STATE: [Outside; 6] = [
            Outside::Sample,
            Outside::Latents,
            Outside::History,
            Outside::Denoised,
            Outside::Kept,
            Outside::Masks,
        ];
        let mut held = Held::new();
        if let (Some(_), Some(prepared)) = (&self.limit, &self.prepared) {
            for outside in STATE {
                if let Some(bytes) = prepared.memory.size(outside) {
                    let elem = self.elem(outside);
                    let len = bytes as usize / elem.size();
                    held.push((outside, self.read_from(&prepared.memory, outside, elem, len).await?));
                }
            }
        }
        Ok(held)
    }

    /// Makes room for ControlNets that a manifest has more, or lets go of those that it has less.
    pub(in crate::pipeline) async fn make_room(&mut self, manifest: &Manifest) -> Result<()> {
        if self.limit.is_some() {
            let message = "load the model without a limit, or draw without the ControlNet".to_string();
            let what = "a ControlNet for a model that was loaded within a limit of memory".to_string();
            return Err(Error::Unsupported { what, message });
        }
        let GpuEngine { context, weights, .. } = self;
        let room = context.guarded(|| {
            weights.reshape(manifest);
            Ok(())
        });
        room.await
    }

    /// What is there to steer runs.
    pub(in crate::pipeline) fn set_controls(&mut self, controls: &[ControlNetConfig]) {
        self.config.controls = controls.to_vec();
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

    /// Lets go of what a phase has no use for, then takes what it needs. A phase that could not begin leaves nothing half done.
    fn begin<'a>(&'a mut self, phase: usize, cancel: &'a Cancel) -> Moving<'a> {
        Box::pin(async move {
            let Some(run) = self.limit.as_mut().and_then(|limit| limit.run.as_mut()) else { return Ok(()) };
            if run.phase == Some(phase) && self.prepared.is_some() {
                return Ok(());
            }
            run.phase = None;
            let keys = run.keys(phase);
            let resident = run.residency.phases[phase].resident;
            if let Some(old) = &mut self.prepared {
                old.keep(&keys);
            }
            let come = self.make_way(resident).await?;
            self.bind(phase, keys, come).await?;
            self.fill(come, cancel).await?;
            if let Some(run) = self.limit.as_mut().and_then(|limit| limit.run.as_mut()) {
                run.phase = Some(phase);
            }
            Ok(())
        })
    }

    /// Lets components leave that are not among `resident`; those of them that are still to come.
    async fn make_way(&mut self, resident: Components) -> Result<Components> {
        let there = self.weights.resident();
        self.weights.leave(there.without(resident));
        // What was destroyed is gone when the work that was under way has run.
        self.context.finished().await?;
        Ok(resident.without(there))
    }

    /// Takes what a phase needs, empty buffers for the weights that come with it among that.
    async fn bind(&mut self, phase: usize, keys: Vec<Key>, come: Components) -> Result<()> {
        let old = self.prepared.take();
        let GpuEngine { context, config, weights, built, limit, .. } = self;
        let Some(run) = limit.as_ref().and_then(|limit| limit.run.as_ref()) else { return Ok(()) };
        let shared = &run.residency.phases[phase].stage.shared;
        let within = Some(Within { planned: &run.planned, shared, come });
        let mut maker = Maker { context, config, weights, within };
        let prepared = context.guarded(|| Prepared::new(&mut maker, run.shape, keys, old, built)).await;
        match prepared {
            Ok(prepared) => self.prepared = Some(prepared),
            Err(error) => {
                weights.leave(come);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Fills the buffers of weights that have come; what could not be filled leaves again, with all that is bound to it.
    async fn fill(&mut self, come: Components, cancel: &Cancel) -> Result<()> {
        let GpuEngine { context, weights, limit, .. } = self;
        let Some(limit) = limit else { return Ok(()) };
        let filled = limit.fill(context, weights, come, cancel).await;
        if filled.is_err() {
            self.prepared = None;
            self.weights.leave(come);
        }
        filled
    }

    /// Makes room within the limit for a plan of its own, with activations as the device has them, and brings its weights.
    pub(super) async fn admit(
        &mut self,
        name: &str,
        graph: &dyn Fn(MemoryLimits) -> Graph,
        cancel: &Cancel,
    ) -> Result<()> {
        self.admit_in(self.context.target().elem, name, graph, cancel).await
    }

    fn admit_in<'a>(
        &'a mut self,
        elem: Elem,
        name: &'a str,
        graph: &'a dyn Fn(MemoryLimits) -> Graph,
        cancel: &'a Cancel,
    ) -> Moving<'a> {
        Box::pin(async move {
            let Some(bytes) = self.limit.as_ref().map(|limit| limit.bytes) else { return Ok(()) };
            let target = Target { elem, ..self.context.target() };
            let alone = |weights: &Weights| -> Result<Residency> {
                let plan = lower(&graph(target.limits), target, &|decl| weights.stored_type(decl))?;
                Ok(Residency::of(vec![Stage::alone(name, &plan)], &weights.sizes(), bytes))
            };
            let mut residency = alone(&self.weights)?;
            if !self.wider.is_empty() && residency.check().is_err() {
                self.settle(false);
                residency = alone(&self.weights)?;
            }
            residency.check()?;
            if let Some(run) = self.limit.as_mut().and_then(|limit| limit.run.as_mut()) {
                run.phase = None;
            }
            self.prepared = None;
            let come = self.make_way(residency.phases[0].resident).await?;
            let GpuEngine { context, weights, .. } = self;
            let taken = context.guarded(|| {
                weights.take(come);
                Ok(())
            });
            if let Err(error) = taken.await {
                self.weights.leave(come);
                return Err(error);
            }
            self.fill(come, cancel).await
        })
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

    pub(super) fn turn_to(&mut self, text: usize) {
        self.text = text;
    }

    /// Begins the phase of a network, where there are phases.
    pub(super) async fn enter(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        let Some(limit) = &self.limit else { return Ok(()) };
        let missing = || Error::Gpu { message: format!("{network:?} is not prepared to run") };
        let phase = limit.run.as_ref().and_then(|run| run.residency.phase_of(network));
        self.begin(phase.ok_or_else(missing)?, cancel).await
    }

    pub(super) async fn run(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        self.enter(network, cancel).await?;
        let executable = self.prepared()?.executable(network)?;
        executable.turn_to(self.text);
        executable.run(&|| cancel.is_cancelled()).await
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

    /// What an encoder made, once more in f32 where the device's activations overflow: as in [`Decoder`].
    pub(super) async fn encode(&mut self, pixels: Vec<f32>, cancel: &Cancel) -> Result<Vec<f32>> {
        self.enter(Network::Encoder, cancel).await?;
        self.write(Outside::Pixels, &pixels)?;
        self.run(Network::Encoder, cancel).await?;
        let (outside, channels) = autoencoder::encoded(&self.config.vae);
        let Shape { h, w, circular, .. } = self.prepared()?.shape;
        let encoded = self.read(outside, h * w * channels).await?;
        let overflows = encoded.iter().any(|value| !value.is_finite());
        if self.context.target().elem == Elem::F32 || !overflows {
            return Ok(encoded);
        }
        let (vae, scale) = (self.config.vae.clone(), self.config.vae.scale());
        let [height, width] = [h * scale, w * scale];
        let graph = |limits| autoencoder::encoder(&vae, 1, height, width, limits).circular(circular);
        self.admit_in(Elem::F32, "encode in single precision", &graph, cancel).await?;
        let stages = self.stages().circular(circular).in_single_precision();
        stages.vae_moments(&self.config, pixels, [1, height, width]).await
    }

    pub(super) async fn decode(&mut self, image: bool, cancel: &Cancel) -> Result<Pixels> {
        self.run(Network::Decoder, cancel).await?;
        let prepared = self.prepared()?;
        let bytes = prepared.read(Network::Decoder).await?;
        let shape = prepared.shape;
        let Shape { batch: n, h, w, circular, .. } = shape;
        let elem = self.context.target().elem;
        let len = shape.pixels() * self.config.vae.latent_channels();
        let latents = if elem == Elem::F16 && !rgba::cpu::is_finite(&bytes) {
            let latents = self.read(Outside::Latents, len).await?;
            // Within a limit the memory of the first decode goes before that of the second is taken.
            self.admit_decoder("decode in single precision", [n, h, w], Elem::F32, cancel).await?;
            Some(latents)
        } else {
            None
        };
        let decoded = self.decoder(circular, cancel).settle(bytes, latents, [n, h, w]).await?;
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
        let (bytes, memory) = self.decoder(Circular::NONE, &cancel).alone(latents, [1, h, w], elem).await?;
        drop(memory);
        let again = elem == Elem::F16 && !rgba::cpu::is_finite(&bytes);
        if again {
            self.admit_decoder("decode in single precision", [1, h, w], Elem::F32, &cancel).await?;
        }
        let again = again.then(|| latents.to_vec());
        Ok(self.decoder(Circular::NONE, &cancel).settle(bytes, again, [1, h, w]).await?.bytes)
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
        self.admit_in(elem, name, &graph, cancel).await
    }

    fn decoder<'a>(&'a self, circular: Circular, cancel: &'a Cancel) -> Decoder<'a> {
        Decoder { context: &self.context, config: &self.config, weights: &self.weights, cancel, circular }
    }

    pub(super) fn used(&self) -> Used {
        let counters = self.context.counters();
        let dispatches = |prepared: &Prepared| {
            let controls = (0..prepared.shape.controls.count()).map(Network::Control);
            let each = controls.chain([Network::Denoiser, Network::Step]);
            each.filter_map(|network| prepared.executable(network).ok()).map(Executable::dispatches).sum()
        };
        Used {
            buffers: counters.buffers,
            bind_groups: counters.bind_groups,
            bytes: counters.bytes,
            peak: counters.peak,
            dispatches_per_evaluation: self.prepared.as_ref().map_or(0, dispatches),
        }
    }
}
