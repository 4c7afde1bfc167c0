//! A run's networks on the processor; between them the kernels' own twins.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;

use web_time::{Duration, Instant};

use super::{Network, Pixels};
use crate::config::ModelConfig;
use crate::cpu::{Executable, Memory, Weights};
use crate::error::{Error, Result};
use crate::kernels::step::cpu::{Read, State};
use crate::kernels::{Elem, prepare, preview, rgba, step};
use crate::model::autoencoder;
use crate::pipeline::graphs::{Key, Shape, waiting};
use crate::pipeline::request::Cancel;
use crate::pipeline::stages::Stages;
use crate::plan::{MemoryLimits, Outside, padded};
use crate::weights::{Manifest, PackedRecord};

/// Lets the host's event loop run.
pub type Pause = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>;

/// A model in ordinary memory.
pub struct CpuEngine {
    pause: Pause,
    /// How long a network runs before there is a pause.
    slice: Duration,
    config: ModelConfig,
    weights: Weights,
    prepared: Option<Prepared>,
    built: BTreeMap<Network, usize>,
}

/// A run's networks and their memory.
struct Prepared {
    shape: Shape,
    memory: Memory,
    networks: Networks,
}

/// Bound to their weights.
type Networks = BTreeMap<Network, (Key, Executable)>;

impl CpuEngine {
    /// Unpacks a model from the bytes of each slab.
    pub fn new(manifest: &Manifest, slabs: Vec<Vec<u8>>) -> Result<CpuEngine> {
        let weights = Weights::new(manifest, slabs)?;
        Ok(CpuEngine {
            pause: Box::new(|| Box::pin(ready(()))),
            slice: Duration::MAX,
            config: manifest.config.clone(),
            weights,
            prepared: None,
            built: BTreeMap::new(),
        })
    }

    /// Takes the weights of ControlNets that a manifest has in slabs from number `first` on.
    pub(in crate::pipeline) fn join(
        &mut self,
        manifest: &Manifest,
        first: usize,
        slabs: Vec<Vec<u8>>,
    ) -> Result<()> {
        self.weights.extend(manifest, first, slabs)?;
        self.config.controls.clone_from(&manifest.config.controls);
        Ok(())
    }

    /// Other bytes for a record. Networks that are bound read the old ones, so they go, to be bound again by
    /// [`prepare`](CpuEngine::prepare); what a run has come to stays.
    pub(super) fn replace(&mut self, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
        if let Some(prepared) = &mut self.prepared {
            prepared.networks.clear();
        }
        self.weights.replace(record, bytes)
    }

    /// Sets what to await between steps, and between two nodes of a network once it has run for a `slice`; natively there is
    /// nothing to wait for.
    pub fn set_pause(&mut self, pause: Pause, slice: Duration) {
        (self.pause, self.slice) = (pause, slice);
    }

    pub(in crate::pipeline) async fn pause(&self) {
        (self.pause)().await;
    }

    /// The weights.
    #[cfg(feature = "train")]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    pub(super) fn stages(&self) -> Stages<'_> {
        Stages::on_cpu(&self.weights)
    }

    pub(super) fn prepare(&mut self, shape: Shape) -> Result<()> {
        if let Some(prepared) = self.prepared.take_if(|prepared| prepared.shape == shape) {
            let Prepared { memory, networks, .. } = prepared;
            let networks = if networks.is_empty() { self.bound(shape, networks)? } else { networks };
            self.prepared = Some(Prepared { shape, memory, networks });
            return Ok(());
        }
        // The old memory goes before the new is taken; networks that stay as they are stay.
        let networks = self.prepared.take().map(|prepared| prepared.networks).unwrap_or_default();
        let networks = self.bound(shape, networks)?;
        let memory = self.memory(shape, &networks);
        self.prepared = Some(Prepared { shape, memory, networks });
        Ok(())
    }

    /// The networks of runs of a shape, of which those that are there and still fit stay.
    fn bound(&mut self, shape: Shape, mut networks: Networks) -> Result<Networks> {
        let keys = shape.keys(&self.config);
        networks.retain(|_, (key, _)| keys.contains(key));
        for key in keys {
            if let (false, Some(graph)) =
                (networks.contains_key(&key.network()), key.graph(&self.config, MemoryLimits::NONE))
            {
                networks.insert(key.network(), (key, Executable::new(graph, &self.weights)?));
                *self.built.entry(key.network()).or_default() += 1;
            }
        }
        Ok(networks)
    }

    /// Their memory.
    fn memory(&self, shape: Shape, networks: &Networks) -> Memory {
        let mut memory =
            Memory::new(&networks.values().map(|(_, executable)| executable).collect::<Vec<_>>());
        let latents = shape.pixels() * self.config.vae.latent_channels();
        [Outside::Latents, Outside::Denoised, Outside::Noise, Outside::Kept]
            .into_iter()
            .for_each(|state| memory.add(state, latents));
        // Where the denoiser sees windows, the steps' own values are larger than its.
        let rows = shape.copies * shape.pixels();
        memory.add(Outside::Sample, rows * padded(self.config.denoiser.in_channels()));
        memory.add(Outside::Prediction, rows * padded(self.config.denoiser.out_channels()));
        memory.add(Outside::Masks, shape.masks() * shape.pixels());
        memory.add(Outside::History, shape.history * latents);
        for (key, executable) in networks.values() {
            for (outside, len) in executable.externals() {
                waiting(*key, outside).for_each(|outside| memory.add(outside, len));
            }
        }
        memory
    }

    /// How often each network was bound so far.
    pub fn built(&self) -> &BTreeMap<Network, usize> {
        &self.built
    }

    fn prepared(&mut self) -> Result<&mut Prepared> {
        let unprepared = || Error::Cpu { message: "nothing is prepared to run".to_string() };
        self.prepared.as_mut().ok_or_else(unprepared)
    }

    pub(super) fn write(&mut self, outside: Outside, values: &[f32]) -> Result<()> {
        self.prepared()?.memory.write(outside, values)
    }

    pub(super) fn write_ids(&mut self, outside: Outside, ids: &[u32]) -> Result<()> {
        self.prepared()?.memory.write_ids(outside, ids)
    }

    pub(super) fn read(&mut self, outside: Outside, len: usize) -> Result<Vec<f32>> {
        let values = self.prepared()?.memory.read(outside)?;
        let short = || Error::Cpu {
            message: format!("{len} values of {outside} asked for, it has {}", values.len()),
        };
        values.get(..len).map(<[f32]>::to_vec).ok_or_else(short)
    }

    pub(super) fn turn_to(&mut self, text: usize) -> Result<()> {
        self.prepared()?.memory.turn_to(text);
        Ok(())
    }

    pub(super) async fn run(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        let mut next = self.slice(network, 0, cancel)?;
        while let Some(node) = next {
            self.pause().await;
            next = self.slice(network, node, cancel)?;
        }
        Ok(())
    }

    /// The nodes of a network from `first` on, as many as there is time for; gives the one to go on with.
    fn slice(&mut self, network: Network, first: usize, cancel: &Cancel) -> Result<Option<usize>> {
        let (slice, start) = (self.slice, Instant::now());
        let Prepared { memory, networks, .. } = self.prepared()?;
        let missing = || Error::Cpu { message: format!("{network:?} is not prepared to run") };
        let (_, executable) = networks.get(&network).ok_or_else(missing)?;
        executable.run_from(first, memory, &|| cancel.is_cancelled(), &|| start.elapsed() >= slice)
    }

    pub(super) fn first_input(&mut self, params: prepare::Params) -> Result<()> {
        let memory = &mut self.prepared()?.memory;
        let mut input = memory.read(Outside::Sample)?.to_vec();
        prepare::cpu::prepare(&params, memory.read(Outside::Latents)?, &mut input);
        memory.clear(Outside::History)?;
        memory.write(Outside::Sample, &input)
    }

    pub(super) fn step(&mut self, params: step::Params) -> Result<()> {
        let Prepared { shape, memory, .. } = self.prepared()?;
        let spec = step::Spec {
            elem: Elem::F32,
            guided: shape.copies > 1,
            composed: shape.composed,
            noise: shape.ancestral,
            history: shape.history,
            masked: shape.masked,
        };
        let held = |state| memory.read(state).map(<[f32]>::to_vec);
        let mut state = State {
            latents: held(Outside::Latents)?,
            history: held(Outside::History)?,
            denoised: held(Outside::Denoised)?,
        };
        let masks = memory.read(Outside::Masks)?;
        let (mask, shares) = masks.split_at(if shape.masked { shape.pixels() } else { 0 });
        let read = Read {
            model_output: memory.read(Outside::Prediction)?,
            noise: memory.read(Outside::Noise)?,
            kept: memory.read(Outside::Kept)?,
            mask,
            shares,
        };
        let mut input = memory.read(Outside::Sample)?.to_vec();
        step::cpu::step(&spec, &params, read, &mut state, &mut input);
        memory.write(Outside::Latents, &state.latents)?;
        memory.write(Outside::History, &state.history)?;
        memory.write(Outside::Denoised, &state.denoised)?;
        memory.write(Outside::Sample, &input)
    }

    pub(super) fn preview(&mut self) -> Result<Vec<u8>> {
        let (factors, bias) = self.config.vae.latent_rgb();
        let Prepared { shape, memory, networks } = self.prepared()?;
        if let Some((_, preview)) = networks.get(&Network::Preview) {
            preview.run(memory, &|| false)?;
            return Ok(bytes(memory.read_ids(Outside::Preview)?));
        }
        let latents = &memory.read(Outside::Denoised)?[..shape.h * shape.w * factors.len()];
        Ok(bytes(&preview::cpu::preview(&factors, bias, latents)))
    }

    pub(super) async fn encode(&mut self, pixels: &[f32], cancel: &Cancel) -> Result<Vec<f32>> {
        self.write(Outside::Pixels, pixels)?;
        self.run(Network::Encoder, cancel).await?;
        let (outside, channels) = autoencoder::encoded(&self.config.vae);
        let Shape { h, w, .. } = self.prepared()?.shape;
        self.read(outside, h * w * channels)
    }

    pub(super) async fn decode(&mut self, image: bool, cancel: &Cancel) -> Result<Pixels> {
        self.run(Network::Decoder, cancel).await?;
        let memory = &self.prepared()?.memory;
        let image = if image { Some(memory.read(Outside::Image)?.to_vec()) } else { None };
        Ok(Pixels { bytes: pixels(memory)?, image, again: false })
    }

    pub(super) fn decode_alone(&mut self, latents: &[f32], [h, w]: [usize; 2]) -> Result<Vec<u8>> {
        let graph = autoencoder::decoder(&self.config.vae, 1, h, w, MemoryLimits::NONE);
        let decoder = Executable::new(graph, &self.weights)?;
        let mut memory = Memory::new(&[&decoder]);
        memory.write(Outside::Latents, latents)?;
        decoder.run(&mut memory, &|| false)?;
        pixels(&memory)
    }
}

/// What the decoder made, if it is a picture.
fn pixels(memory: &Memory) -> Result<Vec<u8>> {
    let bytes = bytes(memory.read_ids(Outside::Rgba)?);
    if rgba::cpu::is_finite(&bytes) { Ok(bytes) } else { Err(Error::NoNumbers) }
}

/// Packed pixels, R first.
fn bytes(pixels: &[u32]) -> Vec<u8> {
    pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect()
}
