//! What computes a run: the device or the processor, two arms of one value.

#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "gpu")]
mod decode;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "gpu")]
mod prepared;
#[cfg(feature = "gpu")]
mod within;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

#[cfg(feature = "cpu")]
pub use self::cpu::{CpuEngine, Pause};
#[cfg(feature = "gpu")]
pub use self::gpu::GpuEngine;
#[cfg(feature = "gpu")]
pub use self::prepared::{Built, Prepared};
pub use super::graphs::Network;
use super::graphs::Shape;
use super::request::Cancel;
use super::stages::Stages;
use crate::error::{Error, Result};
use crate::kernels::{prepare, step};
use crate::plan::{Graph, MemoryLimits, Outside};
use crate::weights::{Manifest, Merged, PackedRecord, Wider};

/// A model ready to compute, and what was prepared for the last run.
pub enum Engine {
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuEngine>),
    #[cfg(feature = "cpu")]
    Cpu(Box<CpuEngine>),
}

/// Pixels in which every colour is a number.
pub struct Pixels {
    /// RGBA8 `[n, H, W]`.
    pub bytes: Vec<u8>,
    /// The decoder's output `[n, H, W, 4]`, where it was asked for.
    pub image: Option<Vec<f32>>,
    /// Half precision was too narrow, so the decode was made once more.
    pub again: bool,
}

/// What an engine has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub buffers: usize,
    pub bind_groups: usize,
    /// Device memory now.
    pub bytes: u64,
    /// The most of it at once since [`Engine::restart_peak`].
    pub peak: u64,
    /// Of the denoiser, of what steers it and of what the sampler makes of it.
    pub dispatches_per_evaluation: usize,
}

/// Records of five and four bits that networks change, to be read in a wider type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widened {
    pub records: usize,
    /// What they take in that, beside the model.
    pub bytes: u64,
    /// Else they are rounded by chance in their own.
    pub has_room: bool,
}

impl Widened {
    /// Of what drowns where there is no room.
    pub(super) fn notice(&self) -> Option<String> {
        let Widened { records, bytes, has_room } = self;
        let message = format!(
            "{records} weights of five and four bits that the LoRA changes would take {:.1} MB more in eight bits, for which there is \
             no room: what it changes by less than a step of theirs is rounded up or down by chance",
            *bytes as f64 / 1e6
        );
        (!has_room).then_some(message)
    }
}

/// Values of a run, each as it was.
pub(super) type Held = Vec<(Outside, Vec<f32>)>;

impl Engine {
    /// Whether networks are merged when weights come to the device, as within a limit of memory: the `wanted` records, which
    /// are not as they shall be, then leave it.
    pub(super) fn merges_later(
        &mut self,
        merged: &Rc<Merged>,
        wanted: &dyn Fn(&PackedRecord) -> bool,
        manifest: &Arc<Manifest>,
    ) -> bool {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.merges_later(merged, wanted, manifest),
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => {
                let _ = (merged, wanted, manifest);
                false
            }
        }
    }

    /// From now on what networks change in any step is read in a wider type where it lies in five or four bits, if there is room.
    /// Gives the records that are read elsewhere by that, or in another type: nothing of them is there yet.
    pub(super) async fn widen(&mut self, merged: &Merged, manifest: &Manifest) -> Result<BTreeSet<String>> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.widen(Wider::of(merged, manifest)).await,
            // What is merged takes the place of what was.
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => {
                let _ = (merged, manifest);
                Ok(BTreeSet::new())
            }
        }
    }

    /// What is to be read in a wider type, if anything is, and whether there is room for it.
    pub(super) fn widened(&self, merged: &Merged, manifest: &Manifest) -> Option<Widened> {
        let (wider, has_room) = match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => {
                let _ = (merged, manifest);
                engine.widened()
            }
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => (&Wider::of(merged, manifest), true),
        };
        let widened = Widened { records: wider.len(), bytes: wider.bytes(), has_room };
        (!wider.is_empty()).then_some(widened)
    }

    /// Networks merged into a record, given as it is stored, from its first value to its last scale.
    pub(super) fn merge(&mut self, merged: &Merged, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.merge(merged, record, bytes),
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => match record.wider().filter(|_| merged.touches(record)) {
                Some(wider) => engine.replace(&wider, &merged.merged_wider(record, bytes)?),
                None => engine.replace(record, &merged.merged(record, bytes)?),
            },
        }
    }

    /// What a run has come to, where weights that change take its memory with them: within a limit of memory. To be
    /// [restored](Engine::restore) once the denoiser is there again.
    pub(super) async fn hold(&self) -> Result<Held> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.hold().await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => Ok(Held::new()),
        }
    }

    /// Puts back what was held.
    pub(super) fn restore(&mut self, held: &Held) -> Result<()> {
        held.iter().try_for_each(|(outside, values)| self.write(*outside, values))
    }

    /// Everything that runs of a shape need; of what was prepared last stays what has not changed.
    pub async fn prepare(&mut self, shape: Shape, cancel: &Cancel) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.prepare(shape, cancel).await.map(|_| ()),
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => {
                cancel.check()?;
                engine.prepare(shape)
            }
        }
    }

    /// Makes room for one of [`Engine::stages`], and brings the weights that its graph reads, where a limit of memory keeps
    /// them away.
    pub async fn admit(
        &mut self,
        name: &str,
        graph: &dyn Fn(MemoryLimits) -> Graph,
        cancel: &Cancel,
    ) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.admit(name, graph, cancel).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => {
                let _ = (name, graph);
                cancel.check()
            }
        }
    }

    /// Fills a value that lives outside the networks.
    pub fn write(&mut self, outside: Outside, values: &[f32]) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.write(outside, values),
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.write(outside, values),
        }
    }

    /// Fills the token ids.
    pub fn write_ids(&mut self, outside: Outside, ids: &[u32]) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.write_ids(outside, ids),
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.write_ids(outside, ids),
        }
    }

    /// The first `len` elements of a value that lives outside the networks.
    pub async fn read(&mut self, outside: Outside, len: usize) -> Result<Vec<f32>> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.read(outside, len).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.read(outside, len),
        }
    }

    /// Makes one of the networks ready to run, so that it can be given what it reads.
    pub async fn enter(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.enter(network, cancel).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => {
                let _ = network;
                cancel.check()
            }
        }
    }

    /// From now on the keys and values that are made and read are those of a text whose turn it is. Nothing is moved.
    pub fn turn_to(&mut self, text: usize) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => {
                engine.turn_to(text);
                Ok(())
            }
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.turn_to(text),
        }
    }

    /// Runs one of the networks.
    pub async fn run(&mut self, network: Network, cancel: &Cancel) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.run(network, cancel).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.run(network, cancel).await,
        }
    }

    /// Makes the denoiser's first input from the latents, and lets the sampler forget.
    pub async fn first_input(&mut self, params: prepare::Params) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.first_input(params).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.first_input(params),
        }
    }

    /// Makes of the denoiser's output the next latents and the next input.
    pub async fn step(&mut self, params: step::Params) -> Result<()> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.step(params).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.step(params),
        }
    }

    /// The first picture's clean latents as RGBA8, of [`preview_size`](super::graphs::preview_size).
    pub async fn preview(&mut self) -> Result<Vec<u8>> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.preview().await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.preview(),
        }
    }

    /// Encodes a picture `[H, W, 4]` in [-1, 1] of the run's size to all that the encoder gives of it, `[h, w, c]`; see
    /// [`autoencoder::encoded`](crate::model::autoencoder::encoded).
    pub async fn encode(&mut self, pixels: Vec<f32>, cancel: &Cancel) -> Result<Vec<f32>> {
        let encoded = match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.encode(pixels, cancel).await?,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.encode(&pixels, cancel).await?,
        };
        if encoded.iter().all(|value| value.is_finite()) { Ok(encoded) } else { Err(Error::NoNumbers) }
    }

    /// Decodes the latents of the run.
    pub async fn decode(&mut self, image: bool, cancel: &Cancel) -> Result<Pixels> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.decode(image, cancel).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.decode(image, cancel).await,
        }
    }

    /// Decodes latents `[h, w, c]` of one picture, beside whatever is prepared, to RGBA8.
    pub async fn decode_alone(&mut self, latents: &[f32], size: [usize; 2]) -> Result<Vec<u8>> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.decode_alone(latents, size).await,
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.decode_alone(latents, size),
        }
    }

    /// Single stages of the model.
    pub fn stages(&self) -> Stages<'_> {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.stages(),
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.stages(),
        }
    }

    /// From now on the peak of memory is that of what follows.
    pub fn restart_peak(&self) {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.context().restart_peak(),
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => {}
        }
    }

    /// What it has used so far.
    pub fn used(&self) -> Used {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.used(),
            #[cfg(feature = "cpu")]
            Engine::Cpu(_) => Used::default(),
        }
    }

    /// Lets the host's event loop run: messages, such as the one that cancels, arrive then. Whoever waits for a device
    /// does that anyway.
    pub async fn pause(&self) {
        match self {
            #[cfg(feature = "gpu")]
            Engine::Gpu(_) => {}
            #[cfg(feature = "cpu")]
            Engine::Cpu(engine) => engine.pause().await,
        }
    }
}
