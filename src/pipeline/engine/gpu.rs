//! A run's plans on the device.

use super::decode::Decoder;
use super::prepared::{Built, Maker, Prepared};
use super::{Network, Pixels, Used};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::gpu::{Context, Executable, Memory, Readback, Weights};
use crate::kernels::{Elem, prepare, step};
use crate::pipeline::graphs::Shape;
use crate::pipeline::layout::{from_bytes, to_bytes};
use crate::pipeline::request::Cancel;
use crate::pipeline::stages::Stages;
use crate::plan::{ElemKind, Outside};
use crate::weights::Manifest;

/// A model on the device, ready for prompts once its weights are written.
pub struct GpuEngine {
    context: Context,
    config: ModelConfig,
    weights: Weights,
    prepared: Option<Prepared>,
    built: Built,
}

impl GpuEngine {
    /// Makes room for a model's weights.
    pub async fn new(context: Context, manifest: &Manifest) -> Result<GpuEngine> {
        let weights = context.guarded(|| Ok(Weights::new(&context, manifest))).await?;
        Ok(GpuEngine {
            context,
            config: manifest.config.clone(),
            weights,
            prepared: None,
            built: Built::new(),
        })
    }

    /// Writes packed weights.
    pub fn write_weights(&self, slab: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.weights.write(slab, offset, bytes)
    }

    /// The device it runs on.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Plans, memory and bind groups of a shape; of the last one's stays what has not changed.
    pub async fn prepare(&mut self, shape: Shape) -> Result<&Prepared> {
        let prepared = match self.prepared.take() {
            Some(prepared) if prepared.shape == shape => prepared,
            old => {
                let GpuEngine { context, config, weights, built, .. } = self;
                let maker = Maker { context, config, weights };
                context.guarded(|| Prepared::new(&maker, shape, old, built)).await?
            }
        };
        Ok(self.prepared.insert(prepared))
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

    pub(super) async fn run(&self, network: Network, cancel: &Cancel) -> Result<()> {
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

    pub(super) async fn decode(&self, image: bool, cancel: &Cancel) -> Result<Pixels> {
        self.run(Network::Decoder, cancel).await?;
        let prepared = self.prepared()?;
        let bytes = prepared.read(Network::Decoder).await?;
        let Shape { batch: n, h, w, .. } = prepared.shape;
        let elem = self.context.target().elem;
        let latents =
            self.read(Outside::Latents, prepared.shape.pixels() * self.config.vae.latent_channels());
        let decoded = self.decoder(cancel).settle(bytes, elem, latents, [n, h, w]).await?;
        let (memory, elem) = match &decoded.again {
            Some(memory) => (memory, Elem::F32),
            None => (&prepared.memory, elem),
        };
        let len = decoded.bytes.len(); // four channels, as the decoder's output has
        let image = if image { Some(self.read_from(memory, Outside::Image, elem, len).await?) } else { None };
        Ok(Pixels { image, again: decoded.again.is_some(), bytes: decoded.bytes })
    }

    pub(super) async fn decode_alone(&self, latents: &[f32], [h, w]: [usize; 2]) -> Result<Vec<u8>> {
        let (cancel, elem) = (Cancel::default(), self.context.target().elem);
        let decoder = self.decoder(&cancel);
        let (bytes, _) = decoder.alone(latents, [1, h, w], elem).await?;
        let again = async { Ok(latents.to_vec()) };
        Ok(decoder.settle(bytes, elem, again, [1, h, w]).await?.bytes)
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
            dispatches_per_step: self.prepared.as_ref().map_or(0, dispatches),
        }
    }
}
